"""A rail that times out, refuses, forgets or lies still pays each payout at most once."""

from __future__ import annotations

import asyncio

import pytest

from money.payouts.conftest import HouseBuilder
from money.payouts.payments_house import ALICE, PATIENCE, House
from money.payouts.payments_outside import BTC, SETTLE_MS, USDT, OutsideRail, Trick
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.payouts.clearing import Clearing
from mrmarket.money.payouts.delivery import DeliverySettings
from mrmarket.money.payouts.errors import PayoutStateError, UnknownPayoutError
from mrmarket.money.payouts.payout import Ending, Payout, PayoutRow, PayoutState
from mrmarket.money.payouts.port import SendReport, SendRequest, SendState
from mrmarket.money.payouts.view import receipt, status


def sends(rail: OutsideRail) -> list[str]:
    """Keys that the rail was asked to pay, in order."""
    return [call.removeprefix("send ") for call in rail.calls if call.startswith("send ")]


@pytest.mark.parametrize("trick", [Trick.LOST_ANSWER, Trick.LATE, Trick.UNCLEAR, Trick.LOST_QUESTION])
async def test_a_time_out_never_pays_twice_and_never_gives_back(house: House, trick: Trick) -> None:
    """Whatever an unanswered request came to, its units stay held and the payment is made exactly once."""
    house.fund(ALICE, 100, USDT)
    house.rail.tricks["send"].append(trick)
    house.withdraw("w1", 60)
    await house.round()
    row = house.payout("w1")
    assert row.state is PayoutState.UNKNOWN
    assert row.reason
    assert house.available(ALICE.id) == 40
    await house.settle_down()
    assert house.payout("w1").state is PayoutState.CONFIRMED
    assert [units for _, units, _, _ in house.rail.paid()] == [60]
    assert set(sends(house.rail)) == {row.key}
    assert house.faults() == []


async def test_absence_must_be_proved_before_it_is_sent_again(house: House) -> None:
    """It is asked for again only after three empty lookups over more than the rail's settling time."""
    house.fund(ALICE, 100, USDT)
    house.rail.tricks["send"].append(Trick.LOST_QUESTION)
    house.withdraw("w1", 60)
    await house.round()
    began_ms = house.now_ms
    while len(sends(house.rail)) == 1:
        await house.round(1_000)
    finds = [call for call in house.rail.calls if call.startswith("find")]
    assert len(finds) >= 3
    assert house.now_ms - began_ms > SETTLE_MS
    assert len(set(sends(house.rail))) == 1


async def test_a_late_effect_after_the_second_request_is_the_same_payment(house: House) -> None:
    """A request that arrives after it was repeated pays nothing more, because both carry one key."""
    house.fund(ALICE, 100, USDT)
    house.rail.tricks["send"].append(Trick.LATE)
    house.withdraw("w1", 60)
    while len(sends(house.rail)) < 2:
        await house.round(2_000)
    await house.settle_down()
    assert len(house.rail.paid()) == 1
    assert house.payout("w1").state is PayoutState.CONFIRMED


async def test_what_is_to_be_sent_again_cannot_be_taken_back(house: House) -> None:
    """Absence is proof enough to repeat a request under its key, and not to give the money back."""
    house.fund(ALICE, 100, USDT)
    house.rail.tricks["send"].append(Trick.LATE)
    house.withdraw("w1", 60)
    await house.round()
    house.do(lambda draft: house.outbox.block(draft, "USDT", "it does not add up"))
    while house.payout("w1").state is not PayoutState.QUEUED:
        await house.round(2_000)
    with pytest.raises(PayoutStateError):
        house.do(lambda draft: house.outbox.cancel(draft, house.payout("w1").id))
    house.rail.deliver()
    house.do(lambda draft: house.outbox.unblock(draft, "USDT"))
    await house.settle_down()
    assert house.payout("w1").state is PayoutState.CONFIRMED
    assert len(house.rail.paid()) == 1


def test_refunds_and_moves_must_be_told_of_their_end(house: House) -> None:
    """Without their settlers the clearing is not built at all."""
    with pytest.raises(InvalidInputError, match="settle_refund"):
        Clearing({}, {"custody": house.book.settle}, PATIENCE, lambda: 0.5)


async def test_what_was_accepted_and_forgotten_waits_for_a_person(house: House) -> None:
    """A rail that admitted to a payment and then knows nothing is never asked again by itself."""
    house.fund(ALICE, 100, USDT)
    house.rail.tricks["send"].append(Trick.FORGETS)
    house.withdraw("w1", 60)
    await house.settle_down()
    row = house.payout("w1")
    assert (row.state, row.acknowledged, len(sends(house.rail))) == (PayoutState.UNKNOWN, True, 1)
    assert "by hand" in row.reason
    assert house.available(ALICE.id) == 40
    house.do(lambda draft: house.clearing.resend(draft, row.id))
    await house.settle_down()
    assert house.payout("w1").state is PayoutState.CONFIRMED
    assert len(set(sends(house.rail))) == 1
    with pytest.raises(PayoutStateError):
        house.do(lambda draft: house.clearing.resend(draft, row.id))
    with pytest.raises(UnknownPayoutError):
        house.do(lambda draft: house.clearing.resend(draft, "nothing"))


async def test_a_passing_refusal_is_tried_under_a_new_key(either_house: House) -> None:
    """A refusal is final for its key, so the next try has another one; the units stay held meanwhile."""
    house = either_house
    house.fund(ALICE, 100, USDT)
    house.rail.tricks["send"].append(Trick.REFUSAL)
    house.withdraw("w1", 60)
    await house.round()
    row = house.payout("w1")
    assert (row.state, row.round, row.refusals, row.reason) == (PayoutState.QUEUED, 1, 1, "not today")
    assert house.available(ALICE.id) == 40
    await house.settle_down()
    assert house.payout("w1").state is PayoutState.CONFIRMED
    assert len(set(sends(house.rail))) == 2
    assert len(house.rail.paid()) == 1


async def test_repeated_refusals_end_visibly_and_can_be_retried(house: House) -> None:
    """After three refusals the user has the units again; the owner's retry holds them anew and pays once."""
    house.fund(ALICE, 100, USDT)
    house.rail.tricks["send"].extend([Trick.REFUSAL] * 3)
    house.withdraw("w1", 60)
    await house.settle_down()
    row = house.payout("w1")
    assert (row.state, row.refusals, row.reason) == (PayoutState.REFUSED, 3, "not today")
    assert house.available(ALICE.id) == 100
    with house.reader.snapshot() as sql:
        assert ("refused", 1) in [(tally.state, tally.count) for tally in status(sql).payouts]
    assert house.faults() == []
    revived = house.do(lambda draft: house.clearing.retry(draft, row.id))
    assert isinstance(revived, PayoutRow)
    assert house.available(ALICE.id) == 40
    await house.settle_down()
    assert house.endings == [("w1", Ending.REFUSED), ("w1", Ending.REVIVED), ("w1", Ending.CONFIRMED)]
    assert len(house.rail.paid()) == 1
    assert house.faults() == []


async def test_a_retry_needs_the_money_and_the_cause(house: House) -> None:
    """Spent units, a cause that forbids it, and a payout that was not refused stand against a retry."""
    house.fund(ALICE, 100, USDT)
    for key in ("w1", "forbidden"):
        house.rail.tricks["send"].extend([Trick.REFUSAL] * 3)
        house.withdraw(key, 60)
        await house.settle_down(5)
    with pytest.raises(ValueError, match="paid elsewhere"):
        house.do(lambda draft: house.clearing.retry(draft, house.payout("forbidden").id))
    assert house.available(ALICE.id) == 100
    house.withdraw("w2", 60)
    refusal = house.do(lambda draft: house.clearing.retry(draft, house.payout("w1").id))
    assert isinstance(refusal, Rejection)
    assert house.payout("w1").state is PayoutState.REFUSED
    with pytest.raises(PayoutStateError):
        house.do(lambda draft: house.clearing.retry(draft, house.payout("w2").id))
    with pytest.raises(UnknownPayoutError):
        house.do(lambda draft: house.clearing.retry(draft, "nothing"))


async def test_a_payment_that_fails_on_the_network_is_refused(house: House) -> None:
    """What was sent and fails there after all is a refusal like any other."""
    house.fund(ALICE, 100, USDT)
    house.withdraw("w1", 60)
    await house.round()
    house.rail.fail("reverted")
    house.pass_time(60_000)
    await house.deliverer.step(house.now_ms)
    row = house.payout("w1")
    assert (row.state, row.round, row.reason) == (PayoutState.QUEUED, 1, "reverted")


async def test_the_rails_fee_is_the_instances_cost(house: House) -> None:
    """The user gets the whole amount; the fee is owed by `network:rail` until the owner covers it."""
    house.rail.fee_units = 3
    house.fund(ALICE, 100, USDT)
    house.withdraw("w1", 60)
    await house.settle_down()
    row = house.payout("w1")
    assert (row.fee_units, house.balance(ALICE.id)) == (3, 40)
    assert (house.balance("network:rail"), house.balance("rail:rail")) == (-3, 63)
    with house.reader.snapshot() as sql:
        proof = receipt(sql, row.id)
    assert proof is not None
    assert (proof.fee_asset, proof.fee_units) == ("rail:USDT", 3)
    covered = house.do(lambda draft: house.clearing.cover_costs(draft, "rail", "rail:USDT", "may"))
    assert covered == 0
    house.fund(Account.of(AccountKind.OWNER, "reserve"), 2, USDT)
    covered = house.do(lambda draft: house.clearing.cover_costs(draft, "rail", "rail:USDT", "june"))
    assert (covered, house.balance("network:rail"), house.balance("owner:reserve")) == (2, -1, 0)
    assert house.faults() == []


@pytest.mark.parametrize(
    ("code", "units", "booked"), [("BTC", 5, True), ("GAS", 5, False), ("BTC", 2**127, False)]
)
async def test_a_fee_in_another_asset(house: House, code: str, units: int, booked: bool) -> None:
    """A listed asset is registered and charged; one that the books cannot hold opens an incident."""
    house.fund(ALICE, 100, USDT)
    house.withdraw("w1", 60)
    await house.round()
    row = house.payout("w1")
    report = SendReport(SendState.CONFIRMED, "tx", fee_units=units, fee_code=code)
    done = house.do(lambda draft: house.clearing.note(draft, row, report, house.now_ms, looked_up=True))
    assert (done.state, done.fee_units) == (PayoutState.CONFIRMED, units if booked else 0)
    with house.reader.snapshot() as sql:
        incidents = [(incident.kind, incident.asset) for incident in status(sql).incidents]
    assert incidents == ([] if booked else [("fee", f"rail:{code}")])
    assert house.balance("network:rail", BTC.id) == (-units if booked else 0)


async def test_a_settler_that_objects_is_asked_again(house: House) -> None:
    """An error of whoever caused the payout undoes the settlement, is shown, and does not stop the others."""
    house.fund(ALICE, 100, USDT)
    house.withdraw("stubborn", 10)
    house.withdraw("w1", 10)
    await house.round()
    house.rail.confirm()
    house.pass_time(60_000)
    outcome = await house.deliverer.step(house.now_ms)
    assert (outcome.confirmed, outcome.stumbled) == (1, 1)
    row = house.payout("stubborn")
    assert (row.state, row.reason) == (PayoutState.SENT, "ValueError: not yet")
    assert house.balance(ALICE.id) == 90
    await house.settle_down(3)
    assert house.payout("stubborn").state is PayoutState.CONFIRMED
    assert house.balance(ALICE.id) == 80
    assert len(house.rail.paid()) == 2


async def test_two_rounds_at_once_ask_once(house: House) -> None:
    """A payout whose call is still open is left alone by the next round."""
    house.fund(ALICE, 100, USDT)
    house.withdraw("w1", 60)
    entered, leave = asyncio.Event(), asyncio.Event()
    send = house.rail.send

    async def slow(request: SendRequest) -> SendReport:
        entered.set()
        await leave.wait()
        return await send(request)

    house.rail.send = slow  # type: ignore[method-assign]  # a rail that takes its time
    first = asyncio.create_task(house.deliverer.step(house.now_ms))
    await entered.wait()
    assert house.payout("w1").state is PayoutState.SENDING
    second = await house.deliverer.step(house.now_ms)
    assert (second.sent, second.looked_up) == (0, 0)
    leave.set()
    assert (await first).sent == 1
    assert len(sends(house.rail)) == 1


async def test_a_call_without_end_is_given_up(build: HouseBuilder) -> None:
    """A rail that never answers costs one time-out, and the outcome is unknown."""
    house = build(settings=DeliverySettings(call_timeout_s=0.01))
    house.fund(ALICE, 100, USDT)
    house.withdraw("w1", 60)

    async def never(request: SendRequest) -> SendReport:
        await asyncio.Event().wait()
        raise AssertionError(request)

    house.rail.send = never  # type: ignore[method-assign]  # a rail that hangs
    await house.deliverer.step(house.now_ms)
    row = house.payout("w1")
    assert (row.state, row.reason) == (PayoutState.UNKNOWN, "no answer within 0.01 s")


async def test_a_cancelled_round_leaves_the_payment_to_be_looked_up(build: HouseBuilder) -> None:
    """When the process stops in the middle of a call, the next one looks the payment up first."""
    house = build()
    house.fund(ALICE, 100, USDT)
    house.withdraw("w1", 60)
    entered = asyncio.Event()
    send = house.rail.send

    async def stuck(request: SendRequest) -> SendReport:
        await send(request)
        entered.set()
        await asyncio.Event().wait()
        raise AssertionError(request)

    house.rail.send = stuck  # type: ignore[method-assign]  # a rail that hangs after the effect
    task = asyncio.create_task(house.deliverer.step(house.now_ms))
    await entered.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    house.close()
    house.rail.send = send  # type: ignore[method-assign]  # it is well again
    heir = build()
    assert heir.payout("w1").state is PayoutState.SENDING
    await heir.settle_down()
    assert heir.payout("w1").state is PayoutState.CONFIRMED
    assert len(sends(heir.rail)) == 1


async def test_books_that_cannot_be_written_stop_the_round(house: House) -> None:
    """When the ledger is closed the step raises, and the rail was not asked."""
    house.fund(ALICE, 100, USDT)
    house.withdraw("w1", 60)
    house.writer.close()
    with pytest.raises(LedgerStoppedError):
        await house.deliverer.step(house.now_ms)
    assert sends(house.rail) == []


async def test_batches_are_bounded_and_the_longest_due_go_first(build: HouseBuilder) -> None:
    """A round sends at most a batch, in the order in which the payouts fell due."""
    house = build(settings=DeliverySettings(batch=2))
    house.fund(ALICE, 100, USDT)
    for number in range(5):
        house.withdraw(f"w{number}", 1)
        house.pass_time(1)
    assert [(await house.deliverer.step(house.now_ms)).sent for _ in range(4)] == [2, 2, 1, 0]
    assert sends(house.rail) == [house.payout(f"w{number}").key for number in range(5)]


async def test_a_stale_answer_changes_nothing(house: House) -> None:
    """A report on an earlier request, or on a payout that has ended, is ignored."""
    house.fund(ALICE, 100, USDT)
    house.withdraw("w1", 60)
    before = house.payout("w1")
    await house.round()
    refusal = SendReport(SendState.REFUSED)
    row = house.do(lambda draft: house.clearing.note(draft, before, refusal, 0, looked_up=False))
    assert row.state is PayoutState.SENT
    await house.settle_down(3)
    done = house.payout("w1")
    again = house.do(lambda draft: house.clearing.note(draft, done, refusal, 0, looked_up=True))
    assert again == done


async def test_a_rail_that_is_not_connected_keeps_its_payouts(house: House) -> None:
    """Payouts of a rail that this process does not serve stay queued."""
    other = Asset("other", "USDT", 8)
    house.fund(ALICE, 100, other)
    payout = Payout("reward", "r1", "other", ALICE.id, other.id, 5, "somewhere")
    row = house.do(lambda draft: house.outbox.enqueue(draft, payout))
    assert isinstance(row, PayoutRow)
    outcome = await house.deliverer.step(house.now_ms)
    assert outcome.sent == 0
    with house.reader.snapshot() as sql:
        assert [(tally.state, tally.count) for tally in status(sql).payouts] == [("queued", 1)]
