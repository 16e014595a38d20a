"""What people, the owner and pages are told: positions, periods, risk, places."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from money.pool.conftest import HouseBuilder
from money.pool.pool_house import ALICE, BOB, ONE, SHARE, WALLET, PoolHouse, plan
from money.pool_samples import balance, fill
from mrmarket.core.clock import ManualClock
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.side import Side
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, void_hold
from mrmarket.money.pool import CRASH_POINTS
from mrmarket.money.pool.audit import verify
from mrmarket.money.pool.deposit import MOST_INTENTS
from mrmarket.money.pool.desk import own_deposit, own_withdrawal
from mrmarket.money.pool.errors import (
    DepositRefusedError,
    UnknownPoolError,
    UnknownRequestError,
    WithdrawalRefusedError,
)
from mrmarket.money.pool.performance import (
    PricePoint,
    Window,
    max_drawdown,
    period_return,
    price_at,
    volatility_year,
    windows,
)
from mrmarket.money.pool.terms import DAY_MS, LockTier, Terms
from mrmarket.money.pool.treasury import Treasury
from mrmarket.money.pool.withdrawal import WithdrawalAsk

SUNDAY_NOON_MS = 1_700_395_200_000 + DAY_MS // 2
"""2023-11-19 12:00 UTC."""


def test_windows_are_days_weeks_from_monday_and_months() -> None:
    """Half-open, in UTC, the last one holding the moment that was asked for."""
    day, week, month = (windows(period, SUNDAY_NOON_MS, 2) for period in ("day", "week", "month"))
    assert day[0].end_ms == day[1].start_ms <= SUNDAY_NOON_MS < day[1].end_ms
    assert (week[1].end_ms - week[1].start_ms, week[0].end_ms) == (7 * DAY_MS, week[1].start_ms)
    assert week[1].start_ms // DAY_MS % 7 == 4, "day 0 was a Thursday"
    assert (month[1].end_ms - month[1].start_ms, month[0].end_ms - month[0].start_ms) == (
        30 * DAY_MS,
        31 * DAY_MS,
    )


def test_returns_and_drawdowns_of_a_curve() -> None:
    """By the last price known at each end; a fall is measured from its peak."""
    curve = [PricePoint(10, 100), PricePoint(20, 150), PricePoint(30, 75), PricePoint(40, 120)]
    assert (price_at(curve, 9), price_at(curve, 10), price_at(curve, 25)) == (None, 100, 150)
    assert period_return(curve, Window(10, 21)) == 0.5
    assert period_return(curve, Window(0, 41)) == pytest.approx(0.2)
    assert period_return(curve, Window(0, 5)) is None
    assert period_return(curve, Window(41, 50)) is None
    assert period_return([], Window(0, 5)) is None
    assert max_drawdown(curve) == 0.5
    assert max_drawdown([]) is None


def test_volatility_is_annualised_from_uneven_points() -> None:
    """A curve that moves one percent every day has √365 percent a year; a few points say nothing."""
    prices = [10_000, 10_100] * 40
    curve = [PricePoint(day * DAY_MS, price) for day, price in enumerate(prices)]
    assert volatility_year(curve) == pytest.approx(0.00995033 * 365**0.5, rel=1e-4)
    assert volatility_year(curve[:10]) is None
    assert volatility_year([PricePoint(5, 0), *curve]) is None


def test_a_position_tells_what_was_brought_taken_and_earned(house: PoolHouse) -> None:
    """Cost follows the shares, the result counts what is in and what is out."""
    house.enter(1_000 * ONE)
    house.price("76000")
    house.leave(house.shares() // 2)
    house.price("76000")
    position = house.position()
    assert Decimal(position.brought) == 1_000
    assert Decimal(position.taken) == pytest.approx(Decimal(550), abs=Decimal("0.1"))
    assert Decimal(position.value) == pytest.approx(Decimal(550), abs=Decimal("0.1"))
    assert Decimal(position.paid_in) == pytest.approx(Decimal(500), abs=Decimal("0.01"))
    assert Decimal(position.earned) == pytest.approx(Decimal(50), abs=Decimal("0.1"))
    assert Decimal(position.result) == pytest.approx(Decimal(100), abs=Decimal("0.2"))
    assert (position.tier, position.weight, position.locked_until_ms) == ("flexible", "1", None)
    assert house.treasury.figures.positions(BOB) == []


def test_a_portfolio_is_worth_what_its_shares_were(house: PoolHouse) -> None:
    """At each time the shares of then at the price of then, and what was paid in until then."""
    before_ms = house.now_ms
    house.enter(1_000 * ONE)
    entered_ms = house.now_ms
    house.price("76000")
    points = house.treasury.figures.portfolio(ALICE, [before_ms, entered_ms, house.now_ms])
    assert [(point.value, point.paid_in) for point in points[:2]] == [("0", "0"), ("1000", "1000")]
    assert Decimal(points[2].value) == pytest.approx(Decimal(1_100), abs=Decimal("0.1"))
    assert house.treasury.figures.portfolio(ALICE, []) == []


def test_periods_tell_volume_fees_result_and_return(build: HouseBuilder) -> None:
    """Trades count on their day, deposits are no result, and the return is that of a share."""
    house = build([plan(Terms(management_fee_bps=100))])
    house.found()
    house.price("60000")
    house.treasury.desk.accrue_fees("main")
    house.pass_time(86_400)
    house.price("60000.5")
    house.write(fill("t1", Side.BUY, "0.1", "6000", "3"))
    house.write(fill("t2", Side.SELL, "0.1", "6010", "0.0001", fee_asset="BTC"))
    house.enter(500 * ONE, at="61000")
    first, second = house.treasury.figures.periods("main", "day", 2)
    assert (first.fills, first.volume, first.pool_fees) == (0, "0", "0")
    assert (second.fills, second.volume, second.end_ms - second.start_ms) == (2, "12010", DAY_MS)
    assert Decimal(second.venue_fees) == 3 + Decimal("0.0001") * Decimal("60000.5")
    assert Decimal(second.pool_fees) > 40
    assert Decimal(second.result) == pytest.approx(Decimal(9_990 + 7 - 6), abs=Decimal(20))
    assert second.return_fraction == pytest.approx(10_000 / 1_600_000, rel=0.02)
    (month,) = house.treasury.figures.periods("main", "month", 1)
    assert month.fills == 2


def test_the_allocation_is_by_place_and_asset(house: PoolHouse) -> None:
    """Money on the rail and at the venue are told apart; the parts are the whole."""
    house.enter(400_000 * ONE)
    risk = house.treasury.figures.risk("main")
    told = [(each.place, each.asset, each.amount, each.share) for each in risk.allocation]
    assert told == [
        ("rail", "USDT", "400000", 0.2),
        ("simulated", "BTC", "10", 0.3),
        ("simulated", "USDT", "1000000", 0.5),
    ]
    assert risk.volatility_year is None
    assert risk.max_drawdown == 0


def test_every_place_is_reconciled(house: PoolHouse) -> None:
    """Venue and rail each have their line; what is leaving explains a difference and nothing else does."""
    house.enter(1_000 * ONE)
    house.leave(400 * SHARE)
    house.price("60000")
    house.treasury.observe("rail", {"USDT": 1_000 * ONE, "BTC": 0}, house.clock.now_ns())
    lines = {(line.place, line.asset): line for line in house.treasury.reconciliation()}
    line = lines["rail", "USDT"]
    assert (line.observed, line.expected, line.leaving, line.unexplained) == ("1000", "1000", "400", "0")
    house.treasury.observe("rail", {"USDT": 600 * ONE}, house.clock.now_ns())
    (line,) = [each for each in house.treasury.reconciliation() if each.observed == "600"]
    assert (line.difference, line.unexplained) == ("-400", "0")
    house.treasury.observe("rail", {"USDT": 599 * ONE}, house.clock.now_ns())
    (line,) = [each for each in house.treasury.reconciliation() if each.observed == "599"]
    assert (line.difference, line.unexplained) == ("-401", "-1")
    house.treasury.observe("rail", {"USDT": 1_001 * ONE}, house.clock.now_ns())
    (line,) = [each for each in house.treasury.reconciliation() if each.observed == "1001"]
    assert line.unexplained == "1"
    assert lines["simulated", "BTC"].unexplained == "0"


def test_pools_stand_side_by_side(build: HouseBuilder) -> None:
    """Each has its own terms, shares and books; one trades, the other holds; both add up."""
    side = plan(Terms(deposit_fee_bps=100), name="side", stream=None, founders=())
    house = build([plan(), side])
    house.found()
    house.enter(1_000 * ONE)
    house.enter(1_000 * ONE, BOB, pool="side")
    assert [card.id for card in house.treasury.figures.cards()] == ["main", "side"]
    assert house.treasury.pool_view("side").nav == "990"
    assert house.treasury.pool_view().nav == "1601000"
    assert house.treasury.settle("side").facts == 0
    row = house.leave(None, BOB, "side")
    house.price("60000")
    house.settle_down(3)
    assert house.paid() == [(990 * ONE, row.destination)]
    assert house.treasury.equity(pool="side")
    assert house.position(pool="main").shares == "1000"
    assert [pool.name for pool in house.treasury.plans] == ["main", "side"]
    assert house.treasury.figures.accounts("side") == {BOB: 0}
    assert house.faults() == []


def test_a_second_trading_pool_keeps_its_own_accounts(build: HouseBuilder) -> None:
    """Its trades are against its own side of the venue, so that its result is its own."""
    second = plan(name="second", stream="run/2", founders=())
    house = build([plan(), second])
    house.found()
    house.treasury.deposit("zoe", {"USDT": "10000"}, "z", pool="second")
    trade = fill("s1", Side.BUY, "0.1", "5000", "0", venue="simulated", second=0)
    house.log.append_facts("run/2", [trade])
    assert house.treasury.settle("second").posted == 1
    assert house.treasury.balances("venue:simulated/second") == {
        "simulated:BTC": "-0.1",
        "simulated:USDT": "5000",
    }
    assert (house.treasury.pool_view("second").pnl, house.treasury.pool_view("main").pnl) == ("1000", "0")
    assert house.faults() == []


def test_plans_that_exclude_each_other_are_refused(build: HouseBuilder, tmp_path: Path) -> None:
    """No pool, one name twice, two foundings of one account, and a rail named like the venue."""
    for plans in ([plan(), plan()], [plan(), plan(name="b", stream="run/2")]):
        with pytest.raises(InvalidInputError):
            build(plans)
    with pytest.raises(InvalidInputError):
        Treasury.open(tmp_path / "money.db", build().log, [], ManualClock())
    with pytest.raises(InvalidInputError):
        plan(rail="simulated")


def test_unknown_names_are_said_to_be_unknown(house: PoolHouse) -> None:
    """Pools, and other people's deposits and withdrawals."""
    figures, desk = house.treasury.figures, house.treasury.desk
    for ask in (
        lambda: figures.card("x"),
        lambda: desk.accrue_fees("x"),
        lambda: house.treasury.settle("x"),
        lambda: desk.request_withdrawal(WithdrawalAsk(ALICE, "x", WALLET)),
    ):
        with pytest.raises(UnknownPoolError, match="main"):
            ask()
    row = house.credit(ONE)
    assert own_deposit(row, row.id, ALICE) == row
    with pytest.raises(UnknownRequestError):
        own_deposit(row, row.id, BOB)
    with pytest.raises(UnknownRequestError):
        own_withdrawal(None, "w", BOB)
    with pytest.raises(UnknownRequestError):
        house.treasury.desk.cancel_withdrawal("w", ALICE)


def test_a_card_says_what_anybody_may_know(build: HouseBuilder) -> None:
    """Worth, return, doors, and what can be brought."""
    house = build([plan(Terms(capacity="2000000"))])
    house.found()
    house.enter(1_000 * ONE)
    house.pass_time(3_600)
    house.price("76000")
    card = house.treasury.figures.card("main")
    assert (card.depositors, card.quote, card.rail, card.stream) == (2, "USDT", "rail", "run/1")
    assert card.deposit_assets == ["rail:BTC", "rail:USDT"]
    assert card.capacity_left == "239000"
    assert card.return_day == pytest.approx(0.1, rel=1e-2)
    assert (card.deposits_paused, card.withdrawals_paused) == (None, None)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE pool_deposits SET account = 'user:eve'", "pool_deposits"),
        ("UPDATE pool_withdrawals SET destination = '0xeve'", "pool_withdrawals"),
        ("UPDATE pool_lots SET locked_until_ms = 1", "pool_lots"),
        ("UPDATE pool_terms SET document = '{}'", "pool_terms"),
        ("UPDATE fee_windows SET carry = 0", "fee_windows"),
        ("UPDATE pool_days SET fills = 9", "pool_days"),
        ("UPDATE pool_flags SET deposits_paused = ''", "pool_flags"),
        ("UPDATE pool_members SET account = 'user:eve'", "pool_members"),
        ("UPDATE share_entries SET at_ms = 1", "share_entries"),
        ("DELETE FROM share_entries WHERE account = 'user:alice'", "user:alice"),
        ("DELETE FROM pool_lots WHERE account = 'user:alice'", "user:alice"),
        ("DELETE FROM share_entries", "share_entries"),
        ("DELETE FROM pool_withdrawals", "pool_lots"),
        ("DELETE FROM pool_withdrawals WHERE state = 'cancelled'", "posted hold:withdrawal:"),
        ("DELETE FROM pool_withdrawals WHERE pool = ''", "pays a withdrawal, and its row is missing"),
        ("DELETE FROM pool_deposits", "posted credit:deposit:"),
        ("DELETE FROM fee_windows", "posted fees:main:"),
        ("DELETE FROM pool_terms", "the terms of main is missing"),
    ],
)
def test_an_altered_row_is_found(build: HouseBuilder, tmp_path: Path, statement: str, told: str) -> None:
    """Every table of the room is checked with the ledger, also for rows that are gone."""
    house = build([plan(Terms(management_fee_bps=100))])
    house.found()
    house.treasury.desk.accrue_fees("main")
    house.write(fill("t1", Side.BUY, "0.1", "6000", "3"), balance("BTC", "10.1"))
    house.enter(100 * ONE)
    late = house.credit(ONE)
    house.treasury.desk.add_member("main", ALICE)
    house.treasury.desk.pause("main", "deposits", "a look")
    house.treasury.desk.cancel_withdrawal(house.leave(SHARE).id, ALICE)
    house.leave(SHARE)
    house.treasury.desk.cancel_deposit(late.id, ALICE)
    house.treasury.desk.withdraw_balance(ALICE, "rail:USDT", ONE, WALLET)
    house.close()
    assert verify(tmp_path / "money.db").ok
    connection = sqlite3.connect(tmp_path / "money.db")
    assert connection.execute(statement).rowcount > 0
    connection.commit()
    connection.close()
    check = verify(tmp_path / "money.db")
    assert not check.ok
    assert told in (check.reason or "")


@pytest.mark.parametrize(
    "terms",
    [
        {"deposit_fee_bps": 10_000},
        {"management_fee_bps": -1},
        {"performance_fee_bps": 1.5},
        {"minimum_deposit": "1e3"},
        {"capacity": "-1"},
        {"tiers": ()},
        {"tiers": (LockTier(name="a"), LockTier(name="a"))},
        {"redeem_period_s": -1},
    ],
)
def test_terms_that_make_no_sense_are_refused(terms: dict[str, object]) -> None:
    """Rates of everything or less than nothing, unreadable amounts, and tiers without a name of their own."""
    with pytest.raises(InvalidInputError):
        Terms(**terms)  # type: ignore[arg-type]  # one bad field each


@pytest.mark.parametrize(
    "tier",
    [
        {"name": ""},
        {"name": "a\n"},
        {"name": "a", "lock_days": -1},
        {"name": "a", "weight_den": 0},
        {"name": "a", "exit_fee_bps": 10_000},
    ],
)
def test_tiers_that_make_no_sense_are_refused(tier: dict[str, object]) -> None:
    """No name, a negative lock, a weight over nothing, an exit that costs everything."""
    with pytest.raises(InvalidInputError):
        LockTier(**tier)  # type: ignore[arg-type]  # one bad field each


def test_terms_survive_their_text() -> None:
    """What was agreed to is read as it was written."""
    terms = Terms(
        minimum_deposit="0.1", capacity="5", tiers=(LockTier(name="a", weight_num=3, weight_den=2),)
    )
    assert Terms.decode(terms.encode()) == terms
    assert terms.minimum_units == SHARE // 10


def test_every_crash_point_has_a_name_of_its_own() -> None:
    """The list is what the crash tests walk."""
    assert len(set(CRASH_POINTS)) == len(CRASH_POINTS)
    assert all(point.startswith("pool.") for point in CRASH_POINTS)


def test_a_trade_that_is_not_in_the_books_keeps_the_doors_shut(house: PoolHouse) -> None:
    """While a shortage keeps a trade out, nobody is dealt with at a worth that is known to be wrong."""
    house.write(fill("odd", Side.BUY, "0.1", "6000", "0.5", fee_asset="BNB"))
    row = house.credit(ONE)
    assert house.price("60000").waiting == {row.id: "waits for trades that are not in the ledger yet"}
    house.write(fill("even", Side.SELL, "0.1", "6000", "-0.5", fee_asset="BNB"))
    assert house.price("60001").waiting == {}
    assert house.shares() > 0


def test_a_pool_that_holds_quote_alone_waits_for_a_price_too(build: HouseBuilder) -> None:
    """Where it trades, what happened before the request must be in the books first."""
    house = build()
    house.found("1000", "0")
    row = house.credit(ONE)
    assert house.treasury.desk.advance().waiting == {row.id: "waits for the next price of BTC"}
    assert house.price("60000").minted == [row.id]


def test_only_so_many_deposits_may_wait(house: PoolHouse) -> None:
    """An announcement costs nothing, so one user has twenty at most."""
    for _ in range(MOST_INTENTS):
        house.intend(ONE)
    with pytest.raises(DepositRefusedError, match="pay or cancel"):
        house.intend(ONE)
    house.intend(ONE, BOB)


def test_only_what_a_rail_carries_can_be_paid_out(house: PoolHouse) -> None:
    """Shares and what lies at the venue leave through the pool, not past it."""
    for asset in ("pool:main", "simulated:USDT", "rail:DOGE"):
        with pytest.raises(WithdrawalRefusedError, match="no payment rail"):
            house.treasury.desk.withdraw_balance("user:felix", asset, 1, WALLET)


def void(draft: Draft, name: str) -> None:
    """End a hold behind everybody's back."""
    hold = draft.hold(name)
    assert hold is not None
    draft.post(Group(f"spoil:{name[:20]}", (void_hold(hold),)))


def test_one_spoilt_request_keeps_nobody_else_from_theirs(house: PoolHouse) -> None:
    """What the books refuse is named for the owner; the next deposit and withdrawal are carried out."""
    house.enter(10 * ONE, BOB)
    spoilt, sound = house.credit(100 * ONE), house.credit(200 * ONE, BOB)
    lost, fine = house.leave(SHARE, BOB), house.leave(SHARE, BOB)
    house.do(partial(void, name=f"credit:deposit:{spoilt.id}#1"))
    house.do(partial(void, name=f"hold:withdrawal:{lost.id}#0"))
    report = house.price("60000")
    assert (report.minted, report.burned) == ([sound.id], [fine.id])
    assert sorted(report.failed) == sorted([spoilt.id, lost.id])
    assert "hold_settled" in report.failed[spoilt.id]
