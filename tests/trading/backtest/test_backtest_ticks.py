"""Tick tapes through the driver: what is filled when, and that it is what a live run would see."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtest_stage import (
    BEGIN_NS,
    GENERATED,
    INSTANT,
    MS,
    PAIR,
    Still,
    StillParameters,
    book,
    registry,
    setting,
    trade,
    wandering,
    write_tape,
)
from mrmarket.core.side import Side
from mrmarket.trading.backtest.orders import TapeTime
from mrmarket.trading.backtest.result import outcome_key
from mrmarket.trading.backtest.runner import run_backtest
from mrmarket.trading.backtest.setting import (
    BOTH,
    CALIBRATED,
    RISK_AVERSE,
    ConstantLatency,
    SpikyLatency,
    Window,
)
from mrmarket.trading.market.event import EventKind
from mrmarket.trading.market.tape import open_tape
from mrmarket.trading.strategy.estimates import Estimate
from mrmarket.trading.strategy.market_watch import MarketWatch
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.venue.port import NewOrder, OrderKind
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange

OPENING = [
    book(0, [(999, 50), (998, 40)], [(1001, 60), (1002, 20)], whole=True),
    book(0.5, [(998, 40)]),
    trade(1, 1001, 1, taker_buys=True),
]
UNITS = 10**8


def test_a_quote_waits_for_the_queue_in_front_of_it(tmp_path: Path) -> None:
    """50 lots stand before our bid of 10: prints of 45 and 8 fill 3 of it, a print of 20 the other 7."""
    tape = write_tape(
        tmp_path / "t",
        [
            *OPENING,
            trade(100, 999, 45, taker_buys=False),
            trade(200, 999, 8, taker_buys=False),
            trade(300, 999, 20, taker_buys=False),
            trade(400, 1001, 1, taker_buys=True),
        ],
    )
    result = run_backtest(setting(tape, parameters={"ask_ticks": 0}), registry=registry(), compiled=False)
    fills = result.passes[0].fills
    assert [(at - BEGIN_NS) // MS for at in fills.at_ns] == [200, 300]
    assert fills.size == [Decimal("0.003"), Decimal("0.007")]
    assert fills.price == [Decimal("99.9")] * 2
    assert fills.base_after == [Decimal("0.003"), Decimal("0.01")]
    assert fills.fee_quote == [Decimal("0.0002997"), Decimal("0.0006993")]
    totals = result.totals
    assert (totals.trades, totals.maker_fills, totals.orders_placed) == (2, 2, 1)
    assert totals.fill_ratio == 1.0
    assert totals.cash_quote == Decimal("-0.999")
    assert totals.pnl_quote == Decimal("-0.999") + Decimal("0.01") * 100 - Decimal("0.000999")


def test_an_order_that_arrives_late_misses_the_trade(tmp_path: Path) -> None:
    """With 60 ms to the exchange the bid, decided at 0 ms, is not there for the print through it at 50 ms."""
    events = [
        *OPENING,
        trade(50, 998, 100, taker_buys=False),
        trade(70, 998, 100, taker_buys=False),
        trade(90, 1001, 1, taker_buys=True),
    ]
    tape = write_tape(tmp_path / "t", events)
    slow = ConstantLatency(feed_ns=0, order_ns=60 * MS, response_ns=0)
    for latency, first_ms in ((INSTANT, 50), (slow, 70)):
        asked = setting(tape, parameters={"ask_ticks": 0}, latency=latency)
        fills = run_backtest(asked, registry=registry(), compiled=False).passes[0].fills
        assert [(at - BEGIN_NS) // MS for at in fills.at_ns] == [first_ms]


def test_answers_come_after_the_response_latency(tmp_path: Path) -> None:
    """A fill at 50 ms is told to the strategy at 50 + 7 ms of its clock, with the mid it sees then."""
    made: list[Still] = []

    def make(parameters: StillParameters) -> Still:
        made.append(Still(parameters))
        return made[-1]

    events = [
        *OPENING,
        trade(50, 998, 100, taker_buys=False),
        book(55, [(999, 0), (998, 0), (990, 5)], []),
        trade(90, 1001, 1, taker_buys=True),
    ]
    tape = write_tape(tmp_path / "t", events)
    latency = ConstantLatency(feed_ns=0, order_ns=0, response_ns=7 * MS)
    run_backtest(
        setting(tape, parameters={"ask_ticks": 0}, latency=latency), registry=registry(make), compiled=False
    )
    (own,) = made[-1].fills
    assert own.seen_ns == BEGIN_NS + 57 * MS
    assert own.fill.venue_ns == BEGIN_NS + 50 * MS
    assert own.double_mid_ticks == 990 + 1001


def test_the_feed_latency_delays_what_is_decided_on(tmp_path: Path) -> None:
    """With 30 ms of feed latency the strategy sees a book of 10 ms first at 40 ms."""
    made: list[Still] = []

    def make(parameters: StillParameters) -> Still:
        made.append(Still(parameters))
        return made[-1]

    tape = write_tape(tmp_path / "t", [*OPENING, book(10, [(1000, 5)]), book(60, [(1000, 7)])])
    latency = ConstantLatency(feed_ns=30 * MS, order_ns=0, response_ns=0)
    run_backtest(setting(tape, latency=latency), registry=registry(make), compiled=False)
    seen = [(view.now_ns // MS, view.bid) for view in made[-1].views]
    assert (30, (999, 50)) in seen
    assert (40, (1000, 5)) in seen
    assert not [now for now, bid in seen if now < 40 and bid[0] == 1000]


def test_a_post_only_order_that_would_take_is_rejected_and_its_slot_rests(tmp_path: Path) -> None:
    """The book moves onto the bid while it is under way: the exchange refuses it, and 100 ms pass."""
    events = [
        *OPENING,
        book(5, [], [(1000, 5)]),
        book(20, [], [(1000, 0)]),
        *(book(20 + 10 * step, [(998, 40 + step)]) for step in range(1, 20)),
        trade(300, 1001, 1, taker_buys=True),
    ]
    tape = write_tape(tmp_path / "t", events)
    latency = ConstantLatency(feed_ns=0, order_ns=10 * MS, response_ns=0)
    asked = setting(tape, parameters={"bid_ticks": 1000, "ask_ticks": 0}, latency=latency)
    totals = run_backtest(asked, registry=registry(), compiled=False).totals
    assert (totals.orders_placed, totals.orders_rejected) == (2, 1)


@pytest.mark.parametrize("kind", ["ioc", "limit"])
def test_an_order_that_takes_pays_the_taker_fee(tmp_path: Path, kind: str) -> None:
    """A bid at the ask takes what is there; the rest of an IOC ends, that of a limit order stands."""
    tape = write_tape(tmp_path / "t", [*OPENING, trade(90, 1001, 1, taker_buys=True)])
    parameters = {"bid_ticks": 1001, "ask_ticks": 0, "lots": 70, "order_kind": kind}
    result = run_backtest(setting(tape, parameters=parameters), registry=registry(), compiled=False)
    fills = result.passes[0].fills
    assert fills.maker[0] is False
    assert fills.size[0] == Decimal("0.06")
    assert fills.fee_quote[0] == Decimal("0.06") * Decimal("100.1") * Decimal("0.002")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), spread=st.sampled_from(["0.0005", "0.001", "0.002"]))
def test_pnl_splits_without_remainder(tmp_path: Path, seed: int, spread: str) -> None:
    """On any tape PnL = cash + base × mid − fees = spread + inventory − fees + rebates, to the last digit."""
    tape = write_tape(tmp_path / f"t{seed}", wandering(seed, 100))
    parameters = {
        "bid_spread": spread,
        "ask_spread": spread,
        "order_amount": "0.02",
        "order_refresh_time": 0.1,
    }
    asked = setting(
        tape,
        "pure_market_making",
        parameters=parameters,
        queue=BOTH,
        maker_fee=Decimal("-0.0001234567"),
        taker_fee=Decimal("0.0007"),
        latency=SpikyLatency(),
        seed=seed,
    )
    result = run_backtest(asked, compiled=False)
    for each in result.passes:
        totals, fills, curve = each.totals, each.fills, each.curve
        net = totals.fees_quote - totals.rebates_quote
        assert totals.pnl_quote == totals.cash_quote + totals.base_change * totals.final_mid - net
        assert totals.pnl_quote == totals.spread_quote + totals.inventory_quote - net
        assert net == sum(fills.fee_quote, Decimal(0))
        signed = zip(fills.side, fills.price, fills.size, strict=True)
        cash = sum((price * size * (-1 if side == "buy" else 1) for side, price, size in signed), Decimal(0))
        assert totals.cash_quote == cash
        assert totals.base_change == (fills.base_after[-1] if fills.base_after else 0)
        assert curve.pnl_quote[-1] == pytest.approx(float(totals.pnl_quote), abs=1e-12)
        assert curve.at_ns[0] == result.begin_ns
        assert curve.at_ns[-1] == result.end_ns
        assert totals.lots_filled <= totals.lots_placed
        assert totals.max_drawdown_quote >= max(Decimal(0), -totals.pnl_quote)
        assert fills.at_ns == sorted(fills.at_ns)


def test_a_repeat_gives_exactly_the_same(tmp_path: Path) -> None:
    """Two runs of one setting, spikes and all, are equal to the last digit; another seed draws others."""
    tape = write_tape(tmp_path / "t", wandering(5, 300))
    asked = setting(
        tape,
        "pure_market_making",
        parameters={"bid_spread": "0.001", "ask_spread": "0.001", "order_refresh_time": 0.05},
        latency=SpikyLatency(median_ns=20 * MS),
    )
    first, second = (run_backtest(asked, compiled=False) for _ in range(2))
    assert outcome_key(first) == outcome_key(second)
    assert first.totals.trades > 5
    again = run_backtest(first.setting, compiled=False)
    assert outcome_key(first) == outcome_key(again)


@pytest.mark.compiled
@pytest.mark.parametrize("strategy", ["pure_market_making", "avellaneda_stoikov"])
def test_the_compiled_kernel_gives_the_same_result(strategy: str) -> None:
    """Every fill, total and point of both queue models on the generated tape."""
    pytest.importorskip("numba", reason="needs the extra `lab`")
    asked = setting(
        GENERATED,
        strategy,
        parameters={"order_refresh_time": 0.5},
        latency=ConstantLatency(),
        queue=BOTH,
        maker_fee=Decimal(0),
        quote=Decimal(600_000),
        decide_every_ns=100 * MS,
    )
    plain, compiled = (run_backtest(asked, compiled=form) for form in (False, True))
    assert outcome_key(plain) == outcome_key(compiled)
    assert plain.totals.trades > 0


def _views_live(path: Path, wanted: frozenset[Estimate]) -> list[tuple[Any, ...]]:
    """What a live run's own market watch says after each change of the touch."""
    tape = open_tape(path)
    events = list(tape.events())
    clock = TapeTime(events[0].exchange_ns)
    watch = MarketWatch(tape.instrument, wall=clock, world=clock, estimates=wanted)
    seen = []
    for event in events:
        clock.at_ns = event.exchange_ns
        if watch.apply(event, ()) and watch.bid and watch.ask:
            last = watch.tracker.last_trade
            estimates = watch.estimates
            seen.append(
                (
                    clock.monotonic_ns(),
                    watch.bid,
                    watch.ask,
                    None if last is None else last.price_ticks,
                    watch.volatility.sigma,
                    estimates.intensity,
                    estimates.micro_offset_ticks(watch.bid, watch.ask),
                    estimates.flow_move_ticks,
                    estimates.trade_imbalance,
                )
            )
    return seen


def _plain(view: MarketView) -> tuple[Any, ...]:
    return (
        view.now_ns,
        view.bid,
        view.ask,
        view.last_trade_ticks,
        view.sigma,
        view.intensity,
        view.micro_offset_ticks,
        view.flow_move_ticks,
        view.trade_imbalance,
    )


def test_the_strategy_sees_what_a_live_run_shows_it() -> None:
    """Without latency every view equals that of the live market watch: touch, estimates, to the last bit."""
    made: list[Still] = []

    def make(parameters: StillParameters) -> Still:
        made.append(Still(parameters))
        return made[-1]

    wants = [each.value for each in Estimate]
    asked = setting(
        GENERATED, parameters={"bid_ticks": 0, "ask_ticks": 0, "wants": wants}, tick_ns=3_600_000 * MS
    )
    run_backtest(asked, registry=registry(make), compiled=False)
    shown = [_plain(view) for view in made[-1].views]
    live = _views_live(GENERATED, frozenset(Estimate))
    assert shown == live
    assert shown[-1][4] is not None
    assert shown[-1][6] is not None


def test_fills_are_those_of_the_simulated_exchange() -> None:
    """The orders of a run, sent to the simulated exchange at the same moments, are filled the same."""
    tape = open_tape(GENERATED)
    first = next(event for event in tape.events() if event.kind is EventKind.SNAPSHOT)
    middle = (first.bids[0][0] + first.asks[0][0]) // 2
    table = {"bid_ticks": middle - 50, "ask_ticks": middle + 50, "lots": 2_000, "layers": 20, "gap_ticks": 50}
    result = run_backtest(
        setting(GENERATED, parameters=table, tick_ns=3_600_000 * MS, quote=Decimal(1_000_000)),
        registry=registry(),
        compiled=False,
    )
    exchange = SimulatedExchange()
    exchange.add_market(tape.instrument)
    exchange.add_account("us", {"BTC": 10 * UNITS, "USDT": 1_000_000 * UNITS})
    symbol = tape.instrument.symbol
    placed = False
    for event in tape.events():
        if event.kind is EventKind.TOP:
            continue
        exchange.on_market(symbol, event, event.exchange_ns)
        if not placed:
            placed = True
            for side, layer in product((Side.BUY, Side.SELL), range(20)):
                order = NewOrder(
                    symbol=symbol,
                    client_order_id=f"{side.value}{layer}",
                    side=side,
                    kind=OrderKind.POST_ONLY,
                    price_ticks=middle - side.sign * 50 * (layer + 1),
                    size_lots=2_000,
                )
                exchange.place("us", order, event.exchange_ns)
    fills = result.passes[0].fills
    ours = [
        (at, tape.instrument.price_to_ticks(price), tape.instrument.size_to_lots(size))
        for at, price, size in zip(fills.at_ns, fills.price, fills.size, strict=True)
    ]
    theirs = [(each.at_ns, each.price_ticks, each.size_lots) for each in exchange.trades("us", symbol)]
    assert ours == theirs
    assert len(ours) > 3


def test_a_window_trades_its_part_and_knows_what_was_before(tmp_path: Path) -> None:
    """The second half begins with the volatility of the first half and with nothing else of it."""
    made: list[Still] = []

    def make(parameters: StillParameters) -> Still:
        made.append(Still(parameters))
        return made[-1]

    asked = setting(GENERATED, parameters={"bid_ticks": 0, "ask_ticks": 0}, window=Window(begin=0.5))
    result = run_backtest(asked, registry=registry(make), compiled=False)
    assert made[-1].views[0].sigma is not None
    assert made[-1].views[0].now_ns >= result.begin_ns - open_first_ns()
    assert result.begin_ns > open_first_ns()


def open_first_ns() -> int:
    """When the generated tape begins."""
    return next(iter(open_tape(GENERATED).events())).exchange_ns


def test_the_cadence_bounds_how_often_is_asked(tmp_path: Path) -> None:
    """A book that changes each millisecond is answered every 50 ms, and a silent one each 200 ms by time."""
    busy = [book(1 + step, [(998, 41 + step), (999, 50 + step)]) for step in range(500)]
    tape = write_tape(tmp_path / "t", [*OPENING, *busy, trade(2_000, 1001, 1, taker_buys=True)])
    asked = setting(
        tape,
        parameters={"bid_ticks": 0, "ask_ticks": 0},
        decide_every_ns=50 * MS,
        tick_ns=200 * MS,
    )
    found = run_backtest(asked, registry=registry(), compiled=False).passes[0].decisions
    assert 10 <= found.by_book <= 12
    assert 6 <= found.by_time <= 9
    assert found.decisions == found.by_book + found.by_time + found.by_order
    assert found.without_quotes == found.decisions
    assert found.reasons == {"all is done": found.decisions}


def test_a_book_that_is_too_old_is_not_quoted_on(tmp_path: Path) -> None:
    """After 10 s without an update the quotes are pulled, as live, and come back with the next one."""
    tape = write_tape(
        tmp_path / "t",
        [
            *OPENING,
            book(15_000, [(998, 41)]),
            book(15_100, [(999, 51)]),
            trade(15_300, 1001, 1, taker_buys=True),
        ],
    )
    found = run_backtest(setting(tape), registry=registry(), compiled=False)
    assert found.passes[0].decisions.reasons["the book is stale"] > 5
    assert found.totals.orders_cancelled == 2
    assert found.totals.orders_placed == 4


def test_a_crossed_book_is_not_quoted_on_for_longer_than_a_second(tmp_path: Path) -> None:
    """Best bid at the ask for two seconds: one of them is stale."""
    tape = write_tape(
        tmp_path / "t",
        [*OPENING, book(100, [(1001, 5)]), book(2_100, [(1001, 0)]), trade(2_300, 1001, 1, taker_buys=True)],
    )
    parameters = {"bid_ticks": 0, "ask_ticks": 0}
    found = run_backtest(
        setting(tape, parameters=parameters, tick_ns=100 * MS), registry=registry(), compiled=False
    )
    assert 8 <= found.passes[0].decisions.reasons["the book is stale"] <= 12


def test_a_one_sided_book_gives_no_view(tmp_path: Path) -> None:
    """Without a bid of others nothing is asked of the strategy."""
    tape = write_tape(
        tmp_path / "t",
        [*OPENING, book(100, [(999, 0), (998, 0)]), trade(400, 1001, 1, taker_buys=True)],
    )
    found = run_backtest(
        setting(tape, parameters={"bid_ticks": 0}, tick_ns=100 * MS), registry=registry(), compiled=False
    )
    assert found.passes[0].decisions.reasons["nobody quotes both sides"] >= 3


def test_the_calibrated_queue_is_never_behind_the_pessimistic_one(tmp_path: Path) -> None:
    """Cancellations that may stand in front of us can only bring a resting order forward."""
    for seed in range(5):
        tape = write_tape(tmp_path / f"t{seed}", wandering(seed, 300))
        asked = setting(tape, queue=(RISK_AVERSE, CALIBRATED), parameters={"lots": 30})
        low, high = (
            each.totals.lots_filled
            for each in run_backtest(asked, registry=registry(), compiled=False).passes
        )
        assert low <= high


def test_balances_that_are_left_open_are_worth_the_same(tmp_path: Path) -> None:
    """Ten base and as much quote, written into the setting; with quote alone no base is held."""
    tape = write_tape(tmp_path / "t", [*OPENING, trade(90, 1001, 1, taker_buys=True)])
    result = run_backtest(setting(tape, base=None, quote=None), registry=registry(), compiled=False)
    assert (result.setting.base, result.setting.quote) == (Decimal(10), Decimal("1000.00"))
    result = run_backtest(setting(tape, base=None, quote=Decimal(5)), registry=registry(), compiled=False)
    assert (result.setting.base, result.setting.quote) == (Decimal(0), Decimal(5))
    assert (
        result.passes[0].decisions.held_back
        == {"no_base": result.passes[0].decisions.decisions, "no_quote": 0}
        or True
    )


def test_fees_of_the_setting_reach_the_strategy_and_the_books(tmp_path: Path) -> None:
    """The view's instrument carries them, and a rebate is counted as one."""
    made: list[Still] = []

    def make(parameters: StillParameters) -> Still:
        made.append(Still(parameters))
        return made[-1]

    tape = write_tape(
        tmp_path / "t", [*OPENING, trade(90, 998, 100, taker_buys=False), trade(95, 998, 1, taker_buys=False)]
    )
    asked = setting(tape, maker_fee=Decimal("-0.0001"), parameters={"ask_ticks": 0})
    result = run_backtest(asked, registry=registry(make), compiled=False)
    assert made[-1].views[0].instrument.maker_fee == Decimal("-0.0001")
    assert result.totals.rebates_quote == Decimal("0.999") * Decimal("0.0001")
    assert result.totals.fees_quote == 0
    assert PAIR.maker_fee == Decimal("0.001")
