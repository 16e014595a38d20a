"""Payments that are owed are written with what owes them, once."""

from __future__ import annotations

import pytest

from money.payouts.payments_house import ALICE, BOB_ADDRESS, House
from money.payouts.payments_outside import USDT
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.payouts.errors import PayoutConflictError, PayoutStateError, UnknownPayoutError
from mrmarket.money.payouts.payout import Ending, Payout, PayoutRow, PayoutState
from mrmarket.money.payouts.view import outbox, receipt, status


async def test_a_payout_is_held_sent_and_proved(either_house: House) -> None:
    """The units are held at once, leave when the rail says so, and the receipt comes with the posting."""
    house = either_house
    house.fund(ALICE, 100, USDT)
    row = house.withdraw("w1", 60)
    assert isinstance(row, PayoutRow)
    assert (house.balance(ALICE.id), house.available(ALICE.id)) == (100, 40)
    await house.round()
    assert house.payout("w1").state is PayoutState.SENT
    house.rail.confirm()
    await house.round(60_000)
    assert house.payout("w1").state is PayoutState.CONFIRMED
    assert (house.balance(ALICE.id), house.available(ALICE.id)) == (40, 40)
    assert house.balance("rail:rail") == 60
    assert house.endings == [("w1", Ending.CONFIRMED)]
    with house.reader.snapshot() as sql:
        proof = receipt(sql, row.id)
        assert proof is not None
        assert (proof.units, proof.destination, proof.reference) == (60, BOB_ADDRESS, f"tx-{row.key[:8]}")
        assert [line.receipt for line in outbox(sql, account=ALICE.id, cause="withdrawal")] == [proof]
        assert outbox(sql, account="user:bob") == []
    assert house.faults() == []


async def test_asking_twice_is_one_payout(house: House) -> None:
    """The same cause with the same content gives the row as it stands, with other content an error."""
    house.fund(ALICE, 100, USDT)
    first = house.withdraw("w1", 60)
    assert house.withdraw("w1", 60) == first
    with pytest.raises(PayoutConflictError):
        house.withdraw("w1", 61)
    assert house.available(ALICE.id) == 40
    await house.settle_down()
    again = house.withdraw("w1", 60)
    assert isinstance(again, PayoutRow)
    assert again.state is PayoutState.CONFIRMED
    assert len(house.rail.paid()) == 1


def test_what_is_not_there_is_not_owed(house: House) -> None:
    """Without funds the ledger's reason comes back, nothing is written, and the same may be asked later."""
    house.fund(ALICE, 50, USDT)
    refusal = house.withdraw("w1", 60)
    assert isinstance(refusal, Rejection)
    assert refusal.code == "insufficient_funds"
    with house.reader.snapshot() as sql:
        assert outbox(sql) == []
        assert not sql.rows("SELECT key FROM groups WHERE key LIKE 'payout:%'")
    house.fund(ALICE, 10, USDT)
    assert isinstance(house.withdraw("w1", 60), PayoutRow)


def test_a_payout_vanishes_with_the_work_that_owed_it(house: House) -> None:
    """An error after `enqueue` undoes the hold and the row."""
    house.fund(ALICE, 100, USDT)
    payout = Payout("withdrawal", "w1", "rail", ALICE.id, "rail:USDT", 60, BOB_ADDRESS)

    def work(draft: Draft) -> None:
        house.outbox.enqueue(draft, payout)
        raise ValueError("changed my mind")

    with pytest.raises(ValueError, match="changed my mind"):
        house.do(work)
    assert house.available(ALICE.id) == 100
    assert house.do(lambda draft: house.outbox.payout(draft, payout.id)) is None


async def test_what_was_never_sent_can_be_taken_back(house: House) -> None:
    """Cancelling gives the units back; after the rail was asked it is refused."""
    house.fund(ALICE, 100, USDT)
    house.withdraw("w1", 60)
    cancelled = house.do(lambda draft: house.outbox.cancel(draft, house.payout("w1").id))
    assert cancelled.state is PayoutState.CANCELLED
    assert house.available(ALICE.id) == 100
    house.withdraw("w2", 60)
    await house.round()
    with pytest.raises(PayoutStateError):
        house.do(lambda draft: house.outbox.cancel(draft, house.payout("w2").id))
    with pytest.raises(UnknownPayoutError):
        house.do(lambda draft: house.outbox.cancel(draft, "nothing"))
    await house.settle_down()
    assert [units for _, units, _, _ in house.rail.paid()] == [60]
    assert house.faults() == []


async def test_a_blocked_asset_stays_in_the_queue_and_says_why(either_house: House) -> None:
    """Nothing of a blocked asset leaves until it is let out; asking why gives the reason."""
    house = either_house
    house.fund(ALICE, 100, USDT)
    house.do(lambda draft: house.outbox.block(draft, "USDT", "the rail holds less than we owe"))
    house.withdraw("w1", 60)
    await house.settle_down(3)
    assert house.rail.paid() == []
    queued_ms = house.payout("w1").queued_ms
    with house.reader.snapshot() as sql:
        assert [line.blocked for line in outbox(sql)] == ["the rail holds less than we owe"]
        assert [block.asset_code for block in house.outbox.blocks(sql)] == ["USDT"]
        assert status(sql).oldest_pending_ms == queued_ms
    taken = house.do(lambda draft: house.clearing.take(draft, [house.payout("w1").id], house.now_ms))
    assert taken == []
    house.do(lambda draft: house.outbox.unblock(draft, "USDT"))
    await house.settle_down(3)
    assert len(house.rail.paid()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"cause": "gift"},
        {"cause_key": ""},
        {"destination": ""},
        {"units": 0},
        {"units": 2**127},
        {"units": 1.0},
        {"asset": "simulated:USDT"},
        {"memo": "x" * 513},
        {"memo": "two\nlines"},
    ],
)
def test_a_payout_without_sense_is_refused(change: dict[str, object]) -> None:
    """Unknown causes, empty or unprintable texts, other rails' assets and impossible amounts never get in."""
    good: dict[str, object] = {
        "cause": "withdrawal",
        "cause_key": "w1",
        "rail": "rail",
        "account": ALICE.id,
        "asset": "rail:USDT",
        "units": 1,
        "destination": BOB_ADDRESS,
        "memo": "",
    }
    with pytest.raises(InvalidInputError):
        Payout(**{**good, **change})  # type: ignore[arg-type]  # wrong values are the point


def test_an_asset_without_a_code_cannot_be_blocked(house: House) -> None:
    """The gate takes codes, not blanks."""
    with pytest.raises(InvalidInputError):
        house.do(lambda draft: house.outbox.block(draft, "", "why not"))
