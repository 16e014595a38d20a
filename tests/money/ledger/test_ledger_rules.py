"""The rule core: what a group changes, and what forbids it."""

from __future__ import annotations

import pytest

from money.ledger_samples import ALICE, BOB, BTC, OPENING, USD, WORLD, ask, deposit, move, opened, preview
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import MAX_UNITS, Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.group import Group, Posted, Rejected, Transfer, TransferKind, reversal_of
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.memory_store import MemoryStore


@pytest.fixture
def ledger() -> Ledger:
    """Open books on the reference store; Alice has 100."""
    ledger = opened(MemoryStore())
    ask(ledger, deposit("d", 100))
    return ledger


def balances(ledger: Ledger) -> dict[tuple[str, str], int]:
    """All balances that are not zero."""
    return {holding: units for holding, units in ledger.state.balances.items() if units}


def test_a_transfer_is_two_entries_that_cancel(ledger: Ledger) -> None:
    """What one account gives the other has, to the unit."""
    assert isinstance(ask(ledger, Group("t", (move(ALICE, BOB, 30),))), Posted)
    assert balances(ledger) == {(WORLD.id, USD.id): -100, (ALICE.id, USD.id): 70, (BOB.id, USD.id): 30}


@pytest.mark.parametrize(
    ("group", "code"),
    [
        (Group("x", (move(ALICE, BOB, 101),)), "insufficient_funds"),
        (Group("x", (move(ALICE, BOB, 1, BTC),)), "insufficient_funds"),
        (Group("x", (move(ALICE, BOB, 1, Asset("sim", "ETH", 18)),)), "unknown_asset"),
        (Group("x", (move(ALICE, Account.of(AccountKind.USER, "eve"), 1),)), "unknown_account"),
        (Group("x", (move(Account.of(AccountKind.USER, "eve"), BOB, 1),)), "unknown_account"),
        (Group("x", (move(WORLD, ALICE, MAX_UNITS - 1),)), "overflow"),
        (Group("x", assets=(Asset("sim", "USD", 6),)), "asset_differs"),
        (Group("x", accounts=(Account(ALICE.id, AccountKind.USER, None),)), "account_differs"),
        (Group("x", (move(BOB, ALICE, 1),), reverses="nothing"), "nothing_to_reverse"),
        (Group("x", (move(ALICE, WORLD, 99),), reverses="d"), "not_a_mirror"),
    ],
)
def test_a_broken_rule_moves_nothing(ledger: Ledger, group: Group, code: str) -> None:
    """Each rule has a stable code; a rejected group leaves every balance as it was."""
    before = balances(ledger)
    verdict = preview(ledger, group)
    answer = ask(ledger, group)
    assert isinstance(answer, Rejected)
    assert answer.code == code
    assert verdict is not None
    assert verdict.code == code
    assert balances(ledger) == before


def test_a_group_is_all_or_nothing(ledger: Ledger) -> None:
    """One transfer that breaks a rule takes the whole group with it."""
    answer = ask(ledger, Group("x", (move(ALICE, BOB, 10), move(BOB, WORLD, 11))))
    assert isinstance(answer, Rejected)
    assert "user:bob is 1 units of sim:USD short" in answer.message
    assert balances(ledger)[ALICE.id, USD.id] == 100


def test_floors_hold_at_the_end_of_a_group(ledger: Ledger) -> None:
    """Money may pass through an account within a group, whatever the order of its transfers."""
    answer = ask(ledger, Group("x", (move(BOB, WORLD, 10), move(ALICE, BOB, 10))))
    assert isinstance(answer, Posted)


def test_only_those_who_must_not_owe_have_a_floor() -> None:
    """The other sides of our dealings may owe without limit; whoever holds money may not."""
    floors = {kind: Account.of(kind, "x").floor for kind in AccountKind}
    others = {"venue", "fees", "external", "issuer", "rail", "network"}
    assert {kind.value for kind, floor in floors.items() if floor is None} == others
    assert {floor for floor in floors.values() if floor is not None} == {0}


def test_what_is_open_already_may_be_opened_again(ledger: Ledger) -> None:
    """Opening the same account or asset again is harmless and records none."""
    assert isinstance(ask(ledger, Group("again", assets=(USD,), accounts=(ALICE, ALICE))), Posted)
    assert set(ledger.state.accounts) == {WORLD.id, ALICE.id, BOB.id}


def test_accounts_can_be_opened_and_used_in_one_group(ledger: Ledger) -> None:
    """A group may bring what it needs, and its floors hold at once."""
    eve, eth = Account.of(AccountKind.USER, "eve"), Asset("sim", "ETH", 18)
    good = Group("eve", (move(WORLD, eve, 5, eth),), assets=(eth,), accounts=(eve,))
    assert isinstance(ask(ledger, good), Posted)
    carl = Account.of(AccountKind.USER, "carl")
    assert isinstance(ask(ledger, Group("carl", (move(carl, eve, 1),), accounts=(carl,))), Rejected)


def test_refund_twice(ledger: Ledger) -> None:
    """A group is reversed once; a second reversal under another key moves nothing."""
    assert isinstance(ask(ledger, reversal_of(deposit("d", 100), "r1", "by mistake")), Posted)
    answer = ask(ledger, reversal_of(deposit("d", 100), "r2"))
    assert isinstance(answer, Rejected)
    assert answer.code == "already_reversed"
    assert balances(ledger) == {}


def test_a_reversal_may_not_overdraw(ledger: Ledger) -> None:
    """What was spent meanwhile cannot be taken back out of nothing."""
    ask(ledger, Group("t", (move(ALICE, BOB, 60),)))
    answer = ask(ledger, reversal_of(deposit("d", 100), "r1"))
    assert isinstance(answer, Rejected)
    assert answer.code == "insufficient_funds"
    assert isinstance(ask(ledger, reversal_of(Group("t", (move(ALICE, BOB, 60),)), "r2")), Posted)


def test_a_rejected_group_cannot_be_reversed(ledger: Ledger) -> None:
    """Nothing moved, so nothing comes back."""
    refused = Group("x", (move(ALICE, BOB, 101),))
    ask(ledger, refused)
    answer = ask(ledger, reversal_of(refused, "r"))
    assert isinstance(answer, Rejected)
    assert answer.code == "nothing_to_reverse"


@pytest.mark.parametrize("units", [0, -1, MAX_UNITS, 1.0, True, "1"])
def test_units_are_positive_whole_numbers(units: object) -> None:
    """Zero, negative, huge, floating and boolean amounts never make a transfer."""
    with pytest.raises(InvalidInputError):
        Transfer(ALICE.id, BOB.id, USD.id, units, TransferKind.FEE)  # type: ignore[arg-type]  # the point of the test


def test_malformed_requests_are_no_groups() -> None:
    """Nothing to nobody, an empty key, an empty group and odd names are refused at once."""
    with pytest.raises(InvalidInputError):
        move(ALICE, ALICE, 1)
    with pytest.raises(InvalidInputError):
        Group("", (move(ALICE, BOB, 1),))
    with pytest.raises(InvalidInputError):
        Group("k" * 257, (move(ALICE, BOB, 1),))
    with pytest.raises(InvalidInputError):
        Group("k")
    for name in ("alice", "user:", "user:a b", "user:ä", "User:a"):
        with pytest.raises(InvalidInputError):
            Account(name, AccountKind.USER, 0)


def test_the_memo_is_no_part_of_the_content() -> None:
    """Context may differ between two reports of the same thing, everything else may not."""
    plain = deposit("k", 5)
    assert Group("k", plain.transfers, memo="seen twice").content_hash == plain.content_hash
    assert deposit("k", 6).content_hash != plain.content_hash
    assert Group("k", plain.transfers, reverses="j").content_hash != plain.content_hash
    assert OPENING.content_hash != Group("open", assets=OPENING.assets).content_hash
