"""Deposits: from the announcement to the shares, and every way in which they do not get there."""

from __future__ import annotations

import pytest

from money.pool.conftest import HouseBuilder
from money.pool.pool_house import ALICE, BOB, ONE, SHARE, WALLET, PoolHouse, plan
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.payouts.port import PaymentState
from mrmarket.money.pool.deposit import INTENT_TTL_MS, DepositAsk, memo_code
from mrmarket.money.pool.errors import (
    DepositRefusedError,
    RequestConflictError,
    RequestStateError,
    TermsChangedError,
    UnknownPoolError,
    UnknownRequestError,
    UnknownTierError,
)
from mrmarket.money.pool.rows import DepositState
from mrmarket.money.pool.terms import DAY_MS, LockTier, Terms


def test_a_deposit_goes_from_intent_to_shares(house: PoolHouse) -> None:
    """Announced, paid, credited and held, and minted at the next price: one share costs what one is worth."""
    row = house.intend(1_000 * ONE)
    assert (row.state, row.expires_ms - row.created_ms) == (DepositState.WAITING, INTENT_TTL_MS)
    house.pay(row)
    assert house.deposit(row.id).state is DepositState.CREDITED
    assert (house.units(ALICE), house.free(ALICE), house.shares()) == (1_000 * ONE, 0, 0)
    report = house.price("60000")
    minted = house.deposit(row.id)
    assert (minted.state, report.minted) == (DepositState.MINTED, [row.id])
    assert (house.shares(), minted.share_units) == (1_000 * SHARE, 1_000 * SHARE)
    assert (house.units(ALICE), house.units("pool:main")) == (0, 1_000 * ONE)
    assert minted.value_units == 1_000 * SHARE
    assert house.faults() == []


def test_shares_are_minted_at_a_price_that_nobody_knew(house: PoolHouse) -> None:
    """A price from before the payment does not count: crediting mints nothing, a stale price neither."""
    row = house.credit(1_000 * ONE)
    report = house.treasury.desk.advance()
    assert (report.minted, report.waiting) == ([], {row.id: "waits for the next price of BTC"})
    house.pass_time(3_600)
    assert house.treasury.desk.advance().minted == []
    assert house.price("72000").minted == [row.id]
    # Felix's 10 BTC are worth 120,000 more: a share costs 1.075.
    assert abs(house.shares() - 1_000 * SHARE * 1_000 // 1_075) <= 10**9


def test_newcomers_pay_the_high_price_and_bring_the_low_one(house: PoolHouse) -> None:
    """With a spread the same deposit gets fewer shares, in quote as in base."""
    house.credit(1_000 * ONE)
    house.price("59000", "61000")
    assert abs(house.shares() - 1_000 * SHARE * 1_600_000 // 1_610_000) <= 10**9


def test_money_on_the_rail_counts_once_with_the_pool(house: PoolHouse) -> None:
    """The pool's worth is over all places: what was paid in raises it by exactly that."""
    house.enter(2_500 * ONE)
    view = house.treasury.pool_view()
    assert (view.nav, view.shares, view.nav_per_share) == ("1602500", "1602500", "1")
    assert {each.asset: each.amount for each in view.holdings} == {"BTC": "10", "USDT": "1002500"}


def test_a_base_asset_can_be_deposited(house: PoolHouse) -> None:
    """Bitcoin that comes over the rail is valued at the bid."""
    row = house.treasury.desk.open_deposit(DepositAsk(ALICE, "main", "rail:BTC", ONE // 2))
    house.pay(row)
    house.price("60000")
    assert house.deposit(row.id).value_units == 30_000 * SHARE
    assert house.shares() == 30_000 * SHARE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"units": 999 * ONE}, "this payment of"),
        ({"units": 1_001 * ONE}, "this payment of"),
        ({"code": "BTC"}, "this payment in rail:BTC"),
    ],
)
def test_a_payment_that_does_not_fit_goes_back_in_full(
    house: PoolHouse, change: dict[str, object], reason: str
) -> None:
    """Another amount or asset is refunded; the intent still waits for the right payment and takes it."""
    row = house.intend(1_000 * ONE)
    house.pay(row, **change)  # type: ignore[arg-type]  # a table of changes
    house.settle_down(2)
    waiting = house.deposit(row.id)
    assert waiting.state is DepositState.WAITING
    assert reason in waiting.reason
    assert house.paid() == [(change.get("units", row.units), WALLET)]
    house.pay(row)
    assert house.deposit(row.id).state is DepositState.CREDITED
    assert house.faults() == []


def test_a_late_payment_goes_back(house: PoolHouse) -> None:
    """After 15 minutes the intent is expired and what comes is refunded in full."""
    row = house.intend(1_000 * ONE)
    house.pass_time(INTENT_TTL_MS / 1_000 + 1)
    house.treasury.desk.advance()
    assert house.deposit(row.id).state is DepositState.EXPIRED
    house.pay(row)
    house.settle_down(2)
    assert house.paid() == [(1_000 * ONE, WALLET)]
    assert (house.units(ALICE), house.deposit(row.id).state) == (0, DepositState.EXPIRED)


def test_a_payment_made_in_time_and_told_of_late_is_taken(house: PoolHouse) -> None:
    """What counts is when the rail saw it first, not when we heard: our own outage costs nobody a refund."""
    row = house.intend(1_000 * ONE)
    made_ms = house.now_ms + 60_000
    house.pass_time(INTENT_TTL_MS / 1_000 + 60)
    house.treasury.desk.advance()
    house.rail.tell("slow", row.units, memo=row.memo, at_ms=made_ms)
    house.round()
    assert house.deposit(row.id).state is DepositState.CREDITED
    house.price("60000")
    assert house.shares() == 1_000 * SHARE


def test_a_second_payment_for_the_same_deposit_goes_back(house: PoolHouse) -> None:
    """An intent is paid once; the next payment with its memo is refunded, also after the mint."""
    row = house.credit(1_000 * ONE)
    house.pay(row)
    house.price("60000")
    house.pay(row)
    house.settle_down(2)
    assert house.paid() == [(1_000 * ONE, WALLET)] * 2
    assert house.shares() == 1_000 * SHARE
    assert house.faults() == []


def test_a_payment_that_is_seen_first_is_shown(house: PoolHouse) -> None:
    """On its way the deposit is `seen`; when the rail takes it back it waits again, and expires."""
    row = house.intend(1_000 * ONE)
    house.pay(row, state=PaymentState.SEEN, name="p")
    assert house.deposit(row.id).state is DepositState.SEEN
    house.pass_time(1)
    house.pay(row, state=PaymentState.RETRACTED, name="p")
    assert house.deposit(row.id).state is DepositState.WAITING
    house.pass_time(INTENT_TTL_MS / 1_000 + 1)
    house.treasury.desk.advance()
    assert house.deposit(row.id).state is DepositState.REFUNDED
    assert house.units(ALICE) == 0


def test_a_deposit_may_be_cancelled_until_it_is_minted(house: PoolHouse) -> None:
    """Before the payment what comes goes back; after it the money is free; then no more."""
    early = house.intend(100 * ONE)
    assert house.treasury.desk.cancel_deposit(early.id, ALICE).state is DepositState.CANCELLED
    assert house.treasury.desk.cancel_deposit(early.id, ALICE).state is DepositState.CANCELLED
    house.pay(early)
    paid = house.credit(200 * ONE)
    house.treasury.desk.cancel_deposit(paid.id, ALICE)
    assert (house.free(ALICE), house.price("60000").minted) == (200 * ONE, [])
    house.settle_down(2)
    assert house.paid() == [(100 * ONE, WALLET)]
    minted = house.enter(300 * ONE)
    with pytest.raises(RequestStateError):
        house.treasury.desk.cancel_deposit(minted.id, ALICE)
    with pytest.raises(UnknownRequestError):
        house.treasury.desk.cancel_deposit(minted.id, BOB)
    assert house.faults() == []


def test_a_retracted_payment_is_given_back_while_it_is_not_minted(house: PoolHouse) -> None:
    """The rail takes a confirmed payment back: the hold ends, nobody is below zero, nothing is minted."""
    row = house.intend(1_000 * ONE)
    house.pay(row, name="p")
    house.pass_time(1)
    house.pay(row, state=PaymentState.RETRACTED, name="p")
    assert house.deposit(row.id).state is DepositState.CANCELLED
    assert (house.units(ALICE), house.units("rail:rail")) == (0, 0)
    assert house.price("60000").minted == []
    assert house.faults() == []


def test_a_minted_deposit_is_not_taken_from_its_owner(house: PoolHouse) -> None:
    """A payment that is retracted after the mint is the owner's loss, not the user's."""
    row = house.intend(1_000 * ONE)
    house.pay(row, name="p")
    house.price("60000")
    house.pass_time(1)
    house.pay(row, state=PaymentState.RETRACTED, name="p")
    assert house.shares() == 1_000 * SHARE
    assert house.treasury.verify().ok


def test_repeating_a_request_with_its_key_is_harmless(house: PoolHouse) -> None:
    """The same key gives the same intent; another amount or user under it is a conflict or another intent."""
    ask = DepositAsk(ALICE, "main", "rail:USDT", 100 * ONE)
    first = house.treasury.desk.open_deposit(ask, "k1")
    assert house.treasury.desk.open_deposit(ask, "k1") == first
    with pytest.raises(RequestConflictError):
        house.treasury.desk.open_deposit(DepositAsk(ALICE, "main", "rail:USDT", 101 * ONE), "k1")
    other = house.treasury.desk.open_deposit(DepositAsk(BOB, "main", "rail:USDT", 100 * ONE), "k1")
    assert other.id != first.id
    assert len(house.treasury.figures.deposits(ALICE)) == 1


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (DepositAsk("owner:fees", "main", "rail:USDT", ONE), InvalidInputError),
        (DepositAsk("alice", "main", "rail:USDT", ONE), InvalidInputError),
        (DepositAsk(ALICE, "main", "rail:USDT", 0), InvalidInputError),
        (DepositAsk(ALICE, "main", "rail:USDT", -5), InvalidInputError),
        (DepositAsk(ALICE, "main", "rail:USDT", 2**127), InvalidInputError),
        (DepositAsk(ALICE, "main", "simulated:USDT", ONE), DepositRefusedError),
        (DepositAsk(ALICE, "main", "rail:DOGE", ONE), DepositRefusedError),
        (DepositAsk(ALICE, "elsewhere", "rail:USDT", ONE), UnknownPoolError),
        (DepositAsk(ALICE, "main", "rail:USDT", ONE, "diamond"), UnknownTierError),
        (DepositAsk(ALICE, "main", "rail:USDT", ONE, "", 7), TermsChangedError),
    ],
)
def test_a_crooked_request_is_refused(house: PoolHouse, ask: DepositAsk, error: type[Exception]) -> None:
    """Other accounts, amounts, assets, pools, tiers and terms leave no intent behind."""
    with pytest.raises(error):
        house.treasury.desk.open_deposit(ask)
    assert house.treasury.figures.deposits(ask.account) == []


def test_a_deposit_below_the_minimum_or_above_the_capacity_is_refused(build: HouseBuilder) -> None:
    """Both limits are in quote and said in words; the capacity is checked again when the money comes."""
    house = build([plan(Terms(minimum_deposit="10", capacity="1600500"))])
    house.found()
    with pytest.raises(DepositRefusedError, match="least deposit is 10 USDT"):
        house.intend(9 * ONE)
    with pytest.raises(DepositRefusedError, match="room for 500 USDT"):
        house.intend(501 * ONE)
    first, second = house.intend(300 * ONE), house.intend(300 * ONE, BOB)
    house.pay(first)
    house.pay(second)
    house.settle_down(2)
    assert house.deposit(first.id).state is DepositState.CREDITED
    assert "room for 200 USDT" in house.deposit(second.id).reason
    assert house.paid() == [(300 * ONE, WALLET)]


def test_the_instance_has_a_capacity_over_all_pools(build: HouseBuilder) -> None:
    """A pool with room is closed when the pools together are full."""
    side = plan(name="side", stream=None, founders=())
    house = build([plan(), side], instance_capacity=1_600_100 * SHARE)
    house.found()
    house.enter(60 * ONE, pool="side")
    with pytest.raises(DepositRefusedError, match="room for 40 USDT"):
        house.intend(50 * ONE)
    assert house.treasury.figures.card("main").capacity_left == "40"


def test_a_pool_that_does_not_trade_takes_the_quote_alone(build: HouseBuilder) -> None:
    """It could never pay for anything else: whoever leaves is paid in the quote that others brought."""
    side = plan(name="side", stream=None, founders=())
    house = build([plan(), side])
    house.found()
    with pytest.raises(DepositRefusedError, match="rail:BTC cannot be deposited"):
        house.intend(ONE, asset="rail:BTC", pool="side")
    assert house.treasury.figures.card("side").deposit_assets == ["rail:USDT"]
    assert house.intend(ONE, asset="rail:BTC").state is DepositState.WAITING


def test_a_payment_for_a_pool_that_is_gone_goes_back(build: HouseBuilder) -> None:
    """Announced while the pool was configured, paid when it is not."""
    house = build([plan(), plan(name="side", stream=None, founders=())])
    house.found()
    row = house.intend(5 * ONE, pool="side")
    house = build([plan()])
    house.pay(row)
    house.settle_down(2)
    assert house.paid() == [(5 * ONE, WALLET)]


def test_a_permissioned_pool_takes_members_only(build: HouseBuilder) -> None:
    """Strangers are refused, and refunded if they were removed before they paid."""
    house = build([plan(Terms(permissioned=True))])
    house.found()
    with pytest.raises(DepositRefusedError, match="only members"):
        house.intend(ONE)
    house.treasury.desk.add_member("main", ALICE)
    assert house.treasury.figures.members("main") == [ALICE]
    row = house.intend(ONE)
    house.treasury.desk.remove_member("main", ALICE)
    house.pay(row)
    house.settle_down(2)
    assert house.paid() == [(ONE, WALLET)]


def test_a_paused_pool_takes_nothing_and_mints_nothing(house: PoolHouse) -> None:
    """Paid before the pause it waits, with the reason; paid during it, it goes back; then all goes on."""
    row, late = house.credit(100 * ONE), house.intend(200 * ONE, BOB)
    house.treasury.desk.pause("main", "deposits", "an audit")
    with pytest.raises(DepositRefusedError, match="an audit"):
        house.intend(ONE)
    house.pay(late)
    house.settle_down(2)
    assert house.paid() == [(200 * ONE, WALLET)]
    assert house.price("60000").waiting == {row.id: "deposits are paused: an audit"}
    assert house.treasury.figures.card("main").deposits_paused == "an audit"
    house.treasury.desk.resume("main")
    assert house.price("60001").minted == [row.id]


def test_the_deposit_fee_is_rounded_up_and_the_owners(build: HouseBuilder) -> None:
    """A fee of 25 bps leaves the rest to the pool; the terms agreed to count, not later ones."""
    house = build([plan(Terms(deposit_fee_bps=25))])
    house.found()
    row = house.credit(100 * ONE + 1)
    house.treasury.desk.change_terms("main", Terms(deposit_fee_bps=500))
    house.price("60000")
    assert house.deposit(row.id).fee_units == ONE // 4 + 1
    assert house.units("owner:fees") == ONE // 4 + 1
    assert house.units("pool:main") == 100 * ONE - ONE // 4
    assert house.treasury.figures.owner_fees("main").deposit == {"rail:USDT": "0.25000001"}
    assert house.faults() == []


def test_a_deposit_too_small_for_a_share_stays_its_owners(build: HouseBuilder) -> None:
    """Nothing is given to the pool for nothing: the smallest unit, all of it fee, is free again."""
    house = build([plan(Terms(deposit_fee_bps=25))])
    house.found()
    row = house.enter(1)
    assert (row.state, row.reason) == (DepositState.CANCELLED, "it is too small for a share")
    assert (house.free(ALICE), house.units("owner:fees"), house.shares()) == (1, 0, 0)
    assert house.faults() == []


def test_a_tier_promises_and_is_shown_before(build: HouseBuilder) -> None:
    """The preview says shares, price, fee, weight and lock; the mint keeps to it."""
    tiers = (LockTier(name="free", exit_fee_bps=0), LockTier(name="90 days", lock_days=90, weight_num=3))
    house = build([plan(Terms(tiers=tiers, deposit_fee_bps=100))])
    house.found()
    ask = DepositAsk(ALICE, "main", "rail:USDT", 100 * ONE, "90 days")
    quote = house.treasury.figures.preview_deposit(ask)
    assert (quote.value, quote.fee, quote.shares, quote.refusal) == ("99", "1", "99", None)
    assert (quote.tier.weight_num, quote.locked_until_ms) == (3, house.now_ms + 90 * DAY_MS)
    row = house.enter(100 * ONE, tier="90 days")
    assert (row.share_units, row.locked_until_ms) == (99 * SHARE, house.now_ms + 90 * DAY_MS)
    position = house.position()
    assert (position.tier, position.weight, position.locked_until_ms) == ("90 days", "3", row.locked_until_ms)
    refused = house.treasury.figures.preview_deposit(DepositAsk(ALICE, "main", "rail:DOGE", ONE))
    assert refused.refusal is not None


def test_memos_are_unambiguous() -> None:
    """Twelve characters without those that are read as others; another for every deposit."""
    codes = {memo_code(str(number)) for number in range(2_000)}
    assert len(codes) == 2_000
    assert all(len(code) == 12 and not set(code) & set("IO01l") for code in codes)


def test_requests_are_paged_by_their_time(house: PoolHouse) -> None:
    """Newest first, and from any moment backwards."""
    first = house.intend(ONE)
    house.pass_time(1)
    second = house.intend(2 * ONE)
    figures = house.treasury.figures
    assert [row.id for row in figures.deposits(ALICE)] == [second.id, first.id]
    assert [row.id for row in figures.deposits(ALICE, 1)] == [second.id]
    assert [row.id for row in figures.deposits(ALICE, 9, second.created_ms)] == [first.id]
    assert figures.withdrawals(ALICE, 9, second.created_ms) == []
