"""Many payouts at once: one group holds the units of all, and each goes its own way from there."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from money.payouts.payments_house import ALICE, BOB_ADDRESS, House
from money.payouts.payments_outside import USDT, Trick
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.payouts.errors import PayoutConflictError
from mrmarket.money.payouts.outbox import batch_memo, read_batch_memo
from mrmarket.money.payouts.payout import Payout, PayoutRow, PayoutState

BOB, CAROL = (Account.of(AccountKind.USER, name) for name in ("bob", "carol"))
EVERYBODY = (ALICE, BOB, CAROL)


def owed(key: str, units: int, account: Account = ALICE) -> Payout:
    """A withdrawal."""
    return Payout("withdrawal", key, "rail", account.id, "rail:USDT", units, BOB_ADDRESS, key)


def enqueue(house: House, *payouts: Payout) -> list[PayoutRow | Rejection]:
    """In a unit of work."""
    return house.do(lambda draft: house.outbox.enqueue_all(draft, payouts))


def groups(house: House) -> list[str]:
    """Keys of the ledger's groups that hold units of payouts."""
    with house.reader.snapshot() as sql:
        found = sql.rows(
            "SELECT key FROM groups WHERE key LIKE 'payout%' AND outcome = 'posted' ORDER BY seq"
        )
    return [key for (key,) in found]


async def test_many_are_held_by_one_group_and_paid_one_by_one(either_house: House) -> None:
    """Each row names its own hold in the group, and each has its own receipt."""
    house = either_house
    payouts = [owed(f"w{place}", 10 + place, account) for place, account in enumerate(EVERYBODY)]
    for account in EVERYBODY:
        house.fund(account, 100, USDT)
    rows = enqueue(house, *payouts)
    assert groups(house) == [f"payouts:{payouts[0].id}"]
    assert [(row.id, row.hold) for row in rows if isinstance(row, PayoutRow)] == [
        (payout.id, f"payouts:{payouts[0].id}#{place}") for place, payout in enumerate(payouts)
    ]
    assert [house.available(account.id) for account in EVERYBODY] == [90, 89, 88]
    assert house.faults() == []
    await house.settle_down()
    assert sorted(units for _, units, _, _ in house.rail.paid()) == [10, 11, 12]
    assert [house.balance(account.id) for account in EVERYBODY] == [90, 89, 88]
    assert house.faults() == []


async def test_who_cannot_pay_is_refused_alone(house: House) -> None:
    """The others are held; the reason is the ledger's, and the same may be asked for later."""
    house.fund(ALICE, 100, USDT)
    house.fund(CAROL, 100, USDT)
    house.fund(BOB, 4, USDT)
    payouts = [owed("w0", 5), owed("w1", 5, BOB), owed("w2", 5, CAROL), owed("w3", 6), owed("w4", 90)]
    answers = enqueue(house, *payouts)
    assert [isinstance(answer, PayoutRow) for answer in answers] == [True, False, True, True, False]
    assert [answer.code for answer in answers if isinstance(answer, Rejection)] == ["insufficient_funds"] * 2
    assert (house.available(ALICE.id), house.available(BOB.id)) == (89, 4)
    house.fund(BOB, 1, USDT)
    (late,) = enqueue(house, payouts[1])
    assert isinstance(late, PayoutRow)
    await house.settle_down()
    assert sorted(units for _, units, _, _ in house.rail.paid()) == [5, 5, 5, 6]
    assert house.faults() == []


def test_what_is_known_or_named_twice_is_one_payout(house: House) -> None:
    """The answers are the rows as they stand; other content under a known cause writes nothing at all."""
    house.fund(ALICE, 100, USDT)
    first = house.withdraw("w0", 5)
    again, fresh, same = enqueue(house, owed("w0", 5), owed("w1", 6), owed("w1", 6))
    assert (again, fresh) == (first, same)
    assert house.available(ALICE.id) == 89
    with pytest.raises(PayoutConflictError):
        enqueue(house, owed("w2", 7), owed("w1", 8))
    assert house.available(ALICE.id) == 89
    assert enqueue(house) == []
    assert house.faults() == []


async def test_a_refused_one_is_tried_again_under_a_hold_of_its_own(house: House) -> None:
    """The rail refuses one of two until it is given up; the other is paid, and the books agree."""
    house.fund(ALICE, 100, USDT)
    house.rail.tricks["send"].extend([Trick.REFUSAL])
    enqueue(house, owed("w0", 5), owed("w1", 6))
    await house.settle_down()
    assert sorted(units for _, units, _, _ in house.rail.paid()) == [5, 6]
    assert {house.payout("w0").round, house.payout("w1").round} == {0, 1}
    enqueue(house, owed("w2", 5), owed("w3", 6))
    house.rail.tricks["send"].extend([Trick.REFUSAL] * 6)
    await house.settle_down()
    assert {house.payout(key).state for key in ("w2", "w3")} == {PayoutState.REFUSED}
    assert house.available(ALICE.id) == 89
    assert house.faults() == []


async def test_a_row_that_is_gone_is_missed(house: House, tmp_path: Path) -> None:
    """The group names every payout it holds units of, so the audit misses each of them."""
    house.fund(ALICE, 100, USDT)
    enqueue(house, owed("w0", 5), owed("w1", 6))
    connection = sqlite3.connect(tmp_path / "money.db")
    connection.executescript("DELETE FROM payouts WHERE cause_key = 'w1'")
    connection.close()
    assert any(f"units of payout {owed('w1', 6).id}" in sentence for sentence in house.faults())


@settings(max_examples=30)
@given(ids=st.lists(st.uuids().map(str), max_size=20))
def test_what_a_group_names_is_read_back(ids: list[str]) -> None:
    """In order; other memos name nothing."""
    assert read_batch_memo(batch_memo(ids)) == ids
    assert read_batch_memo("reward for day 1") == read_batch_memo('{"run":"x"}') == []
