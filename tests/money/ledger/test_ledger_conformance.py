"""What every store must do alike."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from money.ledger.conftest import Opener
from money.ledger_samples import ALICE, BOB, OPENING, USD, WORLD, ask, deposit, move, opened
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger.chain import GENESIS, chained
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import IdempotencyConflictError, LedgerStoppedError
from mrmarket.money.ledger.group import Group, Posted, Rejected, reversal_of
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.memory_store import MemoryStore


def test_the_books_are_the_same_after_a_restart(open_store: Opener) -> None:
    """Assets, accounts, balances and the chain's head come back as they were."""
    ledger = opened(open_store())
    ask(ledger, deposit("a", 100))
    ask(ledger, Group("b", (move(ALICE, BOB, 1_000),)))
    assert Ledger(open_store(), ManualClock()).state == ledger.state


def test_a_repeat_gets_the_first_answer(open_store: Opener) -> None:
    """The same request, in the same batch, later, or after a restart, has one effect."""
    ledger = opened(open_store())
    first, second = ledger.drain([deposit("a", 100), deposit("a", 100)])
    assert first == second
    assert ask(ledger, deposit("a", 100)) == first.value
    again = Ledger(open_store(), ManualClock())
    assert ask(again, deposit("a", 100)) == first.value
    assert again.state.balances[ALICE.id, USD.id] == 100


def test_a_rejection_stays_a_rejection(open_store: Opener) -> None:
    """A repeat of a refused request is refused with the same words, although it could succeed by now."""
    ledger = opened(open_store())
    refused = ask(ledger, Group("a", (move(ALICE, BOB, 5),)))
    ask(ledger, deposit("d", 100))
    assert isinstance(refused, Rejected)
    assert ask(ledger, Group("a", (move(ALICE, BOB, 5),))) == refused
    assert ask(Ledger(open_store(), ManualClock()), Group("a", (move(ALICE, BOB, 5),))) == refused


def test_another_content_under_a_used_key_is_a_conflict_that_moves_nothing(open_store: Opener) -> None:
    """Also when the first request was refused, in the same batch, and after a restart."""
    ledger = opened(open_store())
    good, conflict, other = ledger.drain([deposit("a", 100), deposit("a", 101), deposit("b", 1)])
    assert isinstance(good.value, Posted)
    assert isinstance(conflict.error, IdempotencyConflictError)
    assert (conflict.error.key, conflict.error.seq) == ("a", 2)
    assert isinstance(other.value, Posted)
    with pytest.raises(IdempotencyConflictError):
        ask(Ledger(open_store(), ManualClock()), deposit("a", 99))
    assert ledger.state.balances[ALICE.id, USD.id] == 101


def test_the_chain_is_what_its_description_says(open_store: Opener) -> None:
    """The hashes follow from the documented format alone."""
    store = open_store()
    ledger = Ledger(store, ManualClock(1_700_000_000_123_000_000))
    ask(ledger, OPENING)
    ask(ledger, Group("a", (move(WORLD, ALICE, 5),), memo="hé"))
    ask(ledger, Group("b", (move(ALICE, BOB, 6),)))
    previous = sha256(b"mrmarket ledger v1\0").digest()
    assert previous == GENESIS
    for record in store.records(0, 10):
        body = [
            1,
            record.seq,
            record.key,
            record.content_hash.hex(),
            1_700_000_000_123,
            1,
            record.outcome,
            record.message,
            record.memo,
            record.reverses,
            [[asset.id, asset.decimals] for asset in record.assets],
            [
                [account.id, account.kind.value, None if account.floor is None else str(account.floor)]
                for account in record.accounts
            ],
            [[t.debit, t.credit, t.asset, str(t.units), t.kind.value] for t in record.transfers],
        ]
        assert (
            record.hash == sha256(previous + msgspec.json.encode(body)).digest() == chained(previous, record)
        )
        previous = record.hash
    assert previous == ledger.state.hash
    assert [record.outcome for record in store.records(0, 10)] == ["posted", "posted", "insufficient_funds"]
    assert [record.seq for record in store.records(1, 1)] == [2]


def test_a_large_batch_comes_back_as_it_was(open_store: Opener) -> None:
    """A thousand groups with odd keys and memos in one commit are all there, and chained."""
    store = open_store()
    ledger = opened(store)
    odd = ["\t", "\n", "\\N", "\\", "'", '"', "é", "币", "%s", "?", "{", "\x7f"]
    asked = [
        Group(f"{odd[n % len(odd)]}{n}", deposit("x", n + 1).transfers, memo=odd[-n % len(odd)])
        for n in range(1_000)
    ]
    outcomes = ledger.drain(asked)
    records = list(store.records(1, 2_000))
    assert [(r.key, r.memo, r.transfers) for r in records] == [(g.key, g.memo, g.transfers) for g in asked]
    assert [r.answer for r in records] == [outcome.value for outcome in outcomes]
    previous = next(iter(store.records(0, 1))).hash
    for record in records:
        assert record.hash == chained(previous, record)
        previous = record.hash
    assert ledger.drain(asked) == outcomes
    assert Ledger(store, ManualClock()).state == ledger.state


def test_a_reversal_is_remembered_over_restarts(open_store: Opener) -> None:
    """What was undone once stays undone."""
    ledger = opened(open_store())
    ask(ledger, deposit("a", 5))
    ask(ledger, reversal_of(deposit("a", 5), "undo"))
    again = ask(Ledger(open_store(), ManualClock()), reversal_of(deposit("a", 5), "undo again"))
    assert isinstance(again, Rejected)
    assert again.code == "already_reversed"


def test_a_failing_unit_of_work_leaves_no_trace(open_store: Opener) -> None:
    """What it posted is undone, and its neighbours in the batch are not disturbed."""
    ledger = opened(open_store())

    def work(draft: Draft) -> None:
        draft.post(deposit("inside", 50))
        draft.post(reversal_of(deposit("before", 1), "undo"))
        draft.post(Group("new", accounts=(WORLD,)))
        raise ZeroDivisionError

    before, failed, after = ledger.drain([deposit("before", 1), work, deposit("inside", 7)])
    assert isinstance(failed.error, ZeroDivisionError)
    assert isinstance(before.value, Posted)
    assert isinstance(after.value, Posted)
    assert ledger.state.balances[ALICE.id, USD.id] == 8
    assert isinstance(ask(ledger, reversal_of(deposit("before", 1), "undo")), Posted)


def test_a_unit_of_work_sees_what_came_before_it(open_store: Opener) -> None:
    """Inside a batch the books are up to date."""
    ledger = opened(open_store())

    def work(draft: Draft) -> tuple[int, dict[str, int], str | None]:
        draft.post(reversal_of(deposit("a", 5), "undo"))
        return draft.balance(ALICE.id, USD.id), draft.holdings(BOB.id), draft.reversal("a")

    outcomes = ledger.drain([deposit("a", 5), deposit("b", 3), deposit("c", 2, BOB), work])
    assert outcomes[3].value == (3, {USD.id: 2}, "undo")


def test_a_closed_ledger_takes_nothing(open_store: Opener) -> None:
    """After closing, requests are told to open it again; closing twice is harmless."""
    ledger = opened(open_store())
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerStoppedError, match="closed"):
        ask(ledger, deposit("a", 1))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 50), st.booleans()), max_size=40))
def test_whatever_is_asked_every_asset_sums_to_zero(requests: list[tuple[int, int, bool]]) -> None:
    """No sequence of deposits, payments, repeats and conflicts makes or loses a unit."""
    ledger = opened(MemoryStore())
    groups = [
        deposit(f"k{key}", units) if comes_in else Group(f"k{key}", (move(ALICE, BOB, units),))
        for key, units, comes_in in requests
    ]
    ledger.drain(groups)
    assert sum(ledger.state.balances.values()) == 0
    assert min(ledger.state.balances.get((user.id, USD.id), 0) for user in (ALICE, BOB)) >= 0
