"""Withdrawals: from the request to the payment, and what may come between."""

from __future__ import annotations

import pytest

from money.payouts.payments_outside import Trick
from money.pool.conftest import HouseBuilder
from money.pool.pool_house import ALICE, BOB, ONE, OTHER_WALLET, SHARE, WALLET, PoolHouse, plan
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.payouts.move import Direction
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.payouts.payout import PayoutState
from mrmarket.money.payouts.repository import PayoutRepository
from mrmarket.money.pool.deposit import DepositAsk
from mrmarket.money.pool.errors import (
    RequestConflictError,
    RequestStateError,
    UnknownRequestError,
    WithdrawalRefusedError,
)
from mrmarket.money.pool.rows import WithdrawalState
from mrmarket.money.pool.terms import DAY_MS, LockTier, Terms
from mrmarket.money.pool.wanted_moves import MovePolicy
from mrmarket.money.pool.withdrawal import WithdrawalAsk

LOCKED = LockTier(name="locked", lock_days=30)
DEAR = LockTier(name="dear", lock_days=30, exit_fee_bps=200)
FREE = LockTier(name="free", exit_fee_bps=0)


def test_a_withdrawal_is_held_burned_and_paid(house: PoolHouse) -> None:
    """Shares are held, burned at the next price with the payment in the outbox, and paid exactly once."""
    house.enter(1_000 * ONE)
    row = house.leave(400 * SHARE)
    assert (row.state, house.free(ALICE, "pool:main")) == (WithdrawalState.HELD, 600 * SHARE)
    assert house.treasury.desk.advance().burned == []
    assert house.price("60000").burned == [row.id]
    sending = house.withdrawal(row.id)
    assert (sending.state, sending.units) == (WithdrawalState.SENDING, 400 * ONE)
    assert (house.shares(), house.units("pool:main")) == (600 * SHARE, 600 * ONE)
    house.settle_down(3)
    assert house.withdrawal(row.id).state is WithdrawalState.CONFIRMED
    assert house.paid() == [(400 * ONE, OTHER_WALLET)]
    assert house.units(ALICE) == 0
    assert house.faults() == []


def test_the_price_is_that_of_the_burn_and_low(house: PoolHouse) -> None:
    """Until the burn the user bears gain and loss; the burn is valued at the bid."""
    house.enter(1_000 * ONE)
    row = house.leave()
    house.price("58000", "62000")
    assert abs(house.withdrawal(row.id).units - 1_000 * ONE * 1_581_000 // 1_601_000) <= 1
    assert house.shares() == 0


def test_a_request_may_be_cancelled_until_the_burn(house: PoolHouse) -> None:
    """The shares come back whole; after the burn the request is past that."""
    house.enter(1_000 * ONE)
    row = house.leave()
    with pytest.raises(WithdrawalRefusedError, match="no shares are free"):
        house.leave()
    cancelled = house.treasury.desk.cancel_withdrawal(row.id, ALICE)
    assert cancelled.state is WithdrawalState.CANCELLED
    assert house.treasury.desk.cancel_withdrawal(row.id, ALICE) == cancelled
    assert house.free(ALICE, "pool:main") == 1_000 * SHARE
    again = house.leave()
    house.price("60000")
    with pytest.raises(RequestStateError):
        house.treasury.desk.cancel_withdrawal(again.id, ALICE)
    with pytest.raises(UnknownRequestError):
        house.treasury.desk.cancel_withdrawal(again.id, BOB)
    assert house.faults() == []


def test_what_lies_at_the_venue_is_fetched_first(house: PoolHouse) -> None:
    """Without money on the rail a request is unwinding; the wanted move brings it, then it is paid."""
    row = house.leave(1_000 * SHARE, "user:felix")
    house.price("60000")
    waiting = house.withdrawal(row.id)
    assert (waiting.state, waiting.units) == (WithdrawalState.UNWINDING, 0)
    (move,) = house.treasury.desk.wanted_moves()
    assert (move.direction, move.code, move.units) == (Direction.TO_RAIL, "USDT", 1_005 * SHARE)
    before = house.treasury.pool_view().nav
    assert house.carry_moves() == 1
    assert house.treasury.desk.wanted_moves() == []
    assert house.treasury.pool_view().nav == before
    house.settle_down(3)
    assert house.treasury.pool_view().nav == before
    house.price("60000")
    house.settle_down(3)
    assert house.withdrawal(row.id).state is WithdrawalState.CONFIRMED
    assert house.paid() == [(1_000 * ONE, OTHER_WALLET)]
    assert house.faults() == []


def test_idle_money_is_swept_to_the_venue(build: HouseBuilder) -> None:
    """What is above the buffer goes to work, what people ask for stays; on the way it still counts."""
    house = build(moves=MovePolicy(idle_buffer=100 * SHARE, least_sweep=50 * SHARE))
    house.found()
    house.enter(140 * ONE)
    assert house.treasury.desk.wanted_moves() == []
    house.enter(860 * ONE)
    house.leave(200 * SHARE)
    (move,) = house.treasury.desk.wanted_moves()
    assert (move.direction, move.units) == (Direction.TO_VENUE, 700 * ONE)
    house.carry_moves()
    assert house.treasury.pool_view().nav == "1601000"
    house.settle_down(4)
    assert house.units("pool:main") == 300 * ONE
    assert house.units("pool:main", "simulated:USDT") == 1_000_700 * SHARE
    assert house.treasury.pool_view().nav == "1601000"
    assert house.faults() == []


def test_base_assets_on_the_rail_are_swept_whole(house: PoolHouse) -> None:
    """Bitcoin that somebody brought is of use at the venue only."""
    row = house.treasury.desk.open_deposit(DepositAsk(ALICE, "main", "rail:BTC", ONE))
    house.pay(row)
    house.price("60000")
    moves = house.treasury.desk.wanted_moves()
    assert [(move.code, move.units, move.direction) for move in moves] == [("BTC", ONE, Direction.TO_VENUE)]


def test_a_time_out_gives_nothing_back(house: PoolHouse) -> None:
    """A payment whose answer is lost stays sending until the rail knows it; it is paid once."""
    house.enter(1_000 * ONE)
    row = house.leave()
    house.price("60000")
    house.rail.tricks["send"].append(Trick.LOST_ANSWER)
    house.rail.tricks["find"].extend([Trick.LOST_ANSWER] * 3)
    for _ in range(3):
        house.round(5)
        assert house.withdrawal(row.id).state is WithdrawalState.SENDING
        assert house.free(ALICE) == 0
    house.settle_down()
    assert house.withdrawal(row.id).state is WithdrawalState.CONFIRMED
    assert house.paid() == [(1_000 * ONE, OTHER_WALLET)]


def test_what_a_rail_refuses_is_the_users_to_send_elsewhere(house: PoolHouse) -> None:
    """After refusals the money is a free balance; it is sent to another place, and never to both."""
    house.enter(1_000 * ONE)
    row = house.leave()
    house.price("60000")
    house.rail.tricks["send"].extend([Trick.REFUSAL] * 3)
    house.settle_down()
    refused = house.withdrawal(row.id)
    assert (refused.state, refused.reason) == (WithdrawalState.REFUSED, "not today")
    assert house.free(ALICE) == 1_000 * ONE
    house.treasury.desk.resend_withdrawal(row.id, ALICE, WALLET)
    with pytest.raises(RequestStateError):
        house.treasury.desk.resend_withdrawal(row.id, ALICE, WALLET)
    assert isinstance(house.do(lambda draft: house.clearing.retry(draft, refused.payout)), Rejection)
    house.settle_down()
    assert house.withdrawal(row.id).state is WithdrawalState.CONFIRMED
    assert house.paid() == [(1_000 * ONE, WALLET)]
    assert house.faults() == []


def test_a_refused_payment_may_be_retried_by_the_owner(house: PoolHouse) -> None:
    """While the money is still there, the owner's retry makes the withdrawal sending again."""
    house.enter(1_000 * ONE)
    row = house.leave()
    house.price("60000")
    house.rail.tricks["send"].extend([Trick.REFUSAL] * 3)
    house.settle_down()
    payout = house.withdrawal(row.id).payout
    house.do(lambda draft: house.clearing.retry(draft, payout))
    assert house.withdrawal(row.id).state is WithdrawalState.SENDING
    house.settle_down()
    assert house.withdrawal(row.id).state is WithdrawalState.CONFIRMED


def test_money_in_no_pool_is_paid_out_on_request(house: PoolHouse) -> None:
    """A free balance leaves through the same outbox; more than there is does not."""
    row = house.credit(500 * ONE)
    house.treasury.desk.cancel_deposit(row.id, ALICE)
    with pytest.raises(WithdrawalRefusedError):
        house.treasury.desk.withdraw_balance(ALICE, "rail:USDT", 501 * ONE, WALLET)
    asked = house.treasury.desk.withdraw_balance(ALICE, "rail:USDT", 500 * ONE, WALLET, "k")
    assert house.treasury.desk.withdraw_balance(ALICE, "rail:USDT", 500 * ONE, WALLET, "k") == asked
    with pytest.raises(RequestConflictError):
        house.treasury.desk.withdraw_balance(ALICE, "rail:USDT", 400 * ONE, WALLET, "k")
    house.settle_down(3)
    assert house.withdrawal(asked.id).state is WithdrawalState.CONFIRMED
    assert house.paid() == [(500 * ONE, WALLET)]


def test_a_redeem_period_is_waited_for(build: HouseBuilder) -> None:
    """The price is the first after the period; what was asked for under older terms keeps its own."""
    house = build([plan(Terms(redeem_period_s=3_600))])
    house.found()
    house.enter(1_000 * ONE)
    row = house.leave()
    house.treasury.desk.change_terms("main", Terms())
    assert house.price("60000").burned == []
    house.pass_time(3_598)
    assert house.price("60001").burned == []
    assert house.price("60000").burned == [row.id]


def test_a_lock_is_kept_or_paid_for(build: HouseBuilder) -> None:
    """Free shares leave first, then those that may for a fee, which stays with the others; the rest waits."""
    house = build([plan(Terms(tiers=(FREE, LOCKED, DEAR)))])
    house.found("0", "10")
    for tier in ("locked", "dear", "free"):
        house.enter(100 * ONE, tier=tier)
    with pytest.raises(WithdrawalRefusedError, match="locked until") as caught:
        house.leave(201 * SHARE)
    assert caught.value.until_ms == house.position().lots[0].locked_until_ms
    row = house.leave(150 * SHARE)
    house.price("60000")
    burned = house.withdrawal(row.id)
    assert burned.fee_units == SHARE
    assert burned.units == 149 * ONE
    assert [(lot.tier, lot.shares) for lot in house.position().lots] == [("locked", "100"), ("dear", "50")]
    assert float(house.treasury.pool_view().nav_per_share) > 1
    assert house.leave().share_units == 50 * SHARE
    with pytest.raises(WithdrawalRefusedError, match="locked until"):
        house.leave()
    house.pass_time(31 * DAY_MS / 1_000)
    assert house.leave().share_units == 100 * SHARE
    assert house.faults() == []


def test_a_paused_pool_lets_nobody_out_and_loses_nothing(house: PoolHouse) -> None:
    """Requests are refused, those under way wait with the reason, and go on afterwards."""
    house.enter(1_000 * ONE)
    row = house.leave(SHARE)
    house.treasury.desk.pause("main", "withdrawals", "an incident")
    with pytest.raises(WithdrawalRefusedError, match="an incident"):
        house.leave(SHARE)
    assert house.price("60000").waiting == {row.id: "withdrawals are paused: an incident"}
    house.treasury.desk.resume("main", "withdrawals")
    assert house.price("60001").burned == [row.id]


def test_repeating_a_withdrawal_with_its_key_is_harmless(house: PoolHouse) -> None:
    """The same key gives the same request; another amount or destination under it is a conflict."""
    house.enter(1_000 * ONE)
    desk = house.treasury.desk
    first = desk.request_withdrawal(WithdrawalAsk(ALICE, "main", WALLET, SHARE), "k")
    assert desk.request_withdrawal(WithdrawalAsk(ALICE, "main", WALLET, SHARE), "k") == first
    for other in (
        WithdrawalAsk(ALICE, "main", WALLET, 2 * SHARE),
        WithdrawalAsk(ALICE, "main", OTHER_WALLET, SHARE),
    ):
        with pytest.raises(RequestConflictError):
            desk.request_withdrawal(other, "k")
    assert [row.id for row in house.treasury.figures.withdrawals(ALICE)] == [first.id]


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (WithdrawalAsk(ALICE, "main", WALLET, 0), InvalidInputError),
        (WithdrawalAsk(ALICE, "main", WALLET, -1), InvalidInputError),
        (WithdrawalAsk(ALICE, "main", "", SHARE), InvalidInputError),
        (WithdrawalAsk(ALICE, "main", WALLET, 2_000 * SHARE), WithdrawalRefusedError),
        (WithdrawalAsk(BOB, "main", WALLET, SHARE), WithdrawalRefusedError),
        (WithdrawalAsk(BOB, "main", WALLET), WithdrawalRefusedError),
    ],
)
def test_a_crooked_withdrawal_is_refused(
    house: PoolHouse, ask: WithdrawalAsk, error: type[Exception]
) -> None:
    """Nothing, less than nothing, more than there is and strangers' shares are not held."""
    house.enter(1_000 * ONE)
    with pytest.raises(error):
        house.treasury.desk.request_withdrawal(ask)
    assert house.free(ALICE, "pool:main") == 1_000 * SHARE
    assert house.faults() == []


def test_a_preview_tells_what_would_be_paid(build: HouseBuilder) -> None:
    """Value, fee, time and whether money must be fetched; a refusal is said instead."""
    house = build([plan(Terms(tiers=(DEAR, LOCKED), redeem_period_s=60))])
    house.found()
    house.enter(100 * ONE)
    quote = house.treasury.figures.preview_withdrawal(WithdrawalAsk(ALICE, "main", WALLET))
    assert (quote.shares, quote.value, quote.fee, quote.queued) == ("100", "98", "2", False)
    assert quote.available_at_ms == house.now_ms + 60_000
    big = house.treasury.figures.preview_withdrawal(WithdrawalAsk("user:felix", "main", WALLET))
    assert big.queued
    house.enter(100 * ONE, BOB, tier="locked")
    locked = house.treasury.figures.preview_withdrawal(WithdrawalAsk(BOB, "main", WALLET))
    assert locked.refusal is not None
    assert locked.available_at_ms > house.now_ms + 29 * DAY_MS


def test_a_pool_without_a_rail_pays_nobody(build: HouseBuilder) -> None:
    """It is said at once, and in the preview."""
    house = build([plan(rail=None)])
    house.found()
    with pytest.raises(WithdrawalRefusedError, match="no payment rail"):
        house.leave(SHARE, "user:felix")
    quote = house.treasury.figures.preview_withdrawal(WithdrawalAsk("user:felix", "main", WALLET, SHARE))
    assert "no payment rail" in (quote.refusal or "")


def test_dust_is_burned_without_a_payment(house: PoolHouse) -> None:
    """Shares worth less than the rail's smallest unit leave and pay nothing."""
    house.enter(1_000 * ONE)
    row = house.leave(5)
    house.price("60000")
    done = house.withdrawal(row.id)
    assert (done.state, done.units, done.payout) == (WithdrawalState.CONFIRMED, 0, "")
    assert house.shares() == 1_000 * SHARE - 5
    assert house.faults() == []


def test_a_blocked_asset_waits_in_the_outbox(house: PoolHouse) -> None:
    """A block stops the payment and not the burn; when it is lifted the money goes out."""
    house.enter(1_000 * ONE)
    row = house.leave()
    house.do(lambda draft: Outbox().block(draft, "USDT", "it does not add up"))
    house.price("60000")
    house.settle_down(2)
    wanted = house.withdrawal(row.id).payout
    with house.treasury.reader.snapshot() as sql:
        payout = PayoutRepository(sql).find(wanted)
    assert payout is not None
    assert payout.state is PayoutState.QUEUED
    house.do(lambda draft: Outbox().unblock(draft, "USDT"))
    house.settle_down(3)
    assert house.withdrawal(row.id).state is WithdrawalState.CONFIRMED
