"""A run from start to stop: recovery, quoting, pulling, pausing, failing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import pytest

from fake_exchange import FakeExchange, MemoryJournal, btc_usdt, snapshot, unavailable
from mrmarket.core.clock import NS_PER_MS, NS_PER_S, ManualClock, SystemClock
from mrmarket.core.events import (
    BalanceObserved,
    Fact,
    Filled,
    MarkObserved,
    OrderAccepted,
    OrderCancelled,
    RunStateChanged,
)
from mrmarket.core.side import Side
from mrmarket.store.order_journal import OrderIntent
from mrmarket.trading.execution.order_id import OrderIds
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.strategy.errors import RunNotReadyError
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.venue.port import (
    AuthenticationRefusedError,
    BalanceReport,
    OrderReport,
    RateLimitedError,
    StreamState,
)
from strategy_stage import BOOK, Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A run that is not started."""
    made = Stage(FakeExchange(SystemClock()), MemoryJournal())
    yield made
    await made.run.abandon()


async def test_a_run_quotes_fills_and_stops_clean(stage: Stage) -> None:
    """Book → quotes → orders → fill → totals, and at the end nothing of ours is left."""
    await stage.quoting()
    assert stage.run.state is RunState.RUNNING
    assert stage.run.mid == 60_000
    assert [order.price_ticks for order in stage.venue.placed] == [5_994_000, 6_006_000]
    bid = next(order for order in stage.run.live_orders if order.slot == "b1")
    stage.venue.fill(bid.client_order_id, bid.size_lots)
    await stage.until(lambda: len(stage.diary.fills) == 1)
    record = stage.diary.fills[0]
    assert record.spread_captured_bps == pytest.approx(10.0)
    assert list(stage.run.fills) == [record]
    assert stage.run.totals.inventory_base == stage.run.instrument.size(bid.size_lots)
    await stage.until(lambda: stage.run.uptime.share is not None)
    await stage.until(lambda: stage.resting() == ["b1", "s1"])
    report = await stage.run.stop("enough")
    assert report.clean
    assert stage.exchange.open() == []
    assert stage.run.live_orders == []
    assert stage.run.totals.orders_placed == 3
    assert stage.run.totals.orders_cancelled == 2
    assert list(dict.fromkeys(state for state, _ in stage.diary.states)) == [
        RunState.STARTING,
        RunState.RUNNING,
        RunState.STOPPING,
        RunState.STOPPED,
    ]
    written = [fact.state for fact in stage.facts(RunStateChanged) if fact.state != "pulled"]
    assert list(dict.fromkeys(written)) == ["starting", "running", "stopping", "stopped"]
    assert stage.facts(MarkObserved)[0].bid == "59999.5"
    assert {fact.asset for fact in stage.facts(BalanceObserved)} == {"BTC", "USDT"}
    assert all(not record.is_open for record in stage.journal.records.values())
    assert [order.state for order in stage.run.recent_orders(2)] == ["cancelled", "cancelled"]
    p50, p99 = stage.run.latency_us
    assert p50 is not None
    assert p99 is not None
    assert p50 <= p99
    await stage.run.wait()


async def test_a_price_is_in_the_log_before_the_first_order(stage: Stage) -> None:
    """Balances and a price are durable first, so that fills can be told from what the account held before."""
    record_intents, known = stage.journal.record_intents, list[Fact]()

    def probe(intents: Sequence[OrderIntent]) -> None:
        known.extend(stage.journal.facts if not known else ())
        record_intents(intents)

    stage.journal.record_intents = probe  # type: ignore[method-assign]  # a probe
    await stage.quoting()
    assert {type(fact) for fact in known} >= {BalanceObserved, MarkObserved}


async def test_the_fill_is_durable_before_anybody_hears_of_it(stage: Stage) -> None:
    """When strategy and observer are told, the event log has the fill."""
    await stage.quoting()
    seen: list[int] = []
    stage.diary.on_fill = lambda record: seen.append(len(stage.facts(Filled)))  # type: ignore[method-assign]  # a probe
    stage.venue.fill(stage.run.live_orders[0].client_order_id, 10)
    await stage.until(lambda: len(seen) == 1)
    assert seen == [1]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (StreamState(connected=False, reason="reset"), "the user stream is down"),
        (snapshot([], []), "the book is stale (no_book)"),
        (snapshot([(5_999_950, 5)], []), "the book is stale (one_sided)"),
    ],
)
async def test_what_must_not_be_quoted_on_pulls_the_quotes(
    stage: Stage, event: StreamState | MarketEvent, reason: str
) -> None:
    """A lost stream or book: every quote is cancelled and the reason is told; then quoting resumes."""
    await stage.quoting()
    if isinstance(event, MarketEvent):
        stage.venue.market.put_nowait(event)
    else:
        stage.venue.user.put_nowait(event)
    await stage.until(lambda: not stage.run.live_orders)
    assert stage.exchange.open() == []
    assert stage.run.pulled == reason
    assert stage.run.targets == TargetQuotes(reason=reason)
    assert stage.run.state is RunState.RUNNING
    stage.venue.user.put_nowait(StreamState(connected=True))
    stage.venue.market.put_nowait(BOOK)
    await stage.until(lambda: stage.resting() == ["b1", "s1"])
    assert stage.run.pulled == ""


async def test_a_market_of_our_own_is_no_market(stage: Stage) -> None:
    """When only our orders are left in the book there is no price to quote around."""
    await stage.quoting()
    stage.venue.market.put_nowait(snapshot([(5_994_000, 1_000)], [(6_006_000, 1_000)], last_id=2))
    await stage.until(lambda: (RunState.RUNNING, "nobody else quotes both sides") in stage.diary.states)
    await stage.until(lambda: len(stage.venue.cancelled) >= 2)


async def test_a_ban_pulls_the_quotes(stage: Stage) -> None:
    """After 418 nothing is wanted until the ban is over."""
    await stage.run.start()
    stage.venue.faults.append(RateLimitedError("fake", "place", "banned", 60.0, banned=True))
    stage.venue.market.put_nowait(BOOK)
    await stage.until(lambda: stage.run.pulled == "the venue has banned us for now")


async def test_pause_cancels_and_resume_quotes_again(stage: Stage) -> None:
    """A pause ends with nothing at the venue; events in between place nothing."""
    await stage.quoting()
    report = await stage.run.pause("the owner said so")
    assert report.clean
    assert stage.exchange.open() == []
    placed = len(stage.venue.placed)
    stage.venue.market.put_nowait(snapshot([(5_999_000, 5)], [(5_999_500, 5)], last_id=2))
    await stage.until(lambda: stage.diary.tops == 2)
    assert len(stage.venue.placed) == placed
    assert (stage.run.state, stage.run.state_reason) == (RunState.PAUSED, "the owner said so")
    stage.run.resume()
    await stage.until(lambda: stage.resting() == ["b1", "s1"])
    stage.run.resume()
    assert stage.run.state is RunState.RUNNING


async def test_a_pause_is_completed_before_quoting_resumes(stage: Stage) -> None:
    """Resuming while a pause still proves its cancels changes nothing: the venue is empty when it ends."""
    await stage.quoting()
    stage.venue.cancel_faults.extend(["lose_request", "lose_request"])
    pause = asyncio.create_task(stage.run.pause("the owner said so"))
    await stage.until(lambda: len(stage.venue.cancelled) >= 2)
    stage.run.resume()
    report = await pause
    assert report.clean
    assert stage.exchange.open() == []
    assert stage.run.state is RunState.PAUSED
    stage.run.resume()
    await stage.until(lambda: stage.resting() == ["b1", "s1"])


async def test_quotes_follow_the_market(stage: Stage) -> None:
    """A moved mid moves the quotes once their refresh time is over, cancel first."""
    moving = Stage(FakeExchange(SystemClock()), MemoryJournal(), strategy={"order_refresh_time": 0.001})
    await moving.quoting()
    moving.venue.market.put_nowait(snapshot([(6_009_950, 100_000)], [(6_010_050, 100_000)], last_id=2))
    await moving.until(
        lambda: (
            sorted(order.price_ticks for order in moving.run.live_orders if order.is_resting)
            == [6_003_990, 6_016_010]
        )
    )
    assert (await moving.run.stop()).clean


async def test_a_strategy_that_breaks_pulls_its_quotes(stage: Stage) -> None:
    """An exception in a decision fails the run: quotes go, the reason is told, a stop still works."""
    await stage.quoting()

    def broken(view: MarketView) -> TargetQuotes:
        raise ZeroDivisionError("in the model")

    stage.strategy.quotes = broken  # type: ignore[method-assign]  # a strategy that breaks later
    stage.venue.market.put_nowait(snapshot([(5_999_000, 5)], [(5_999_500, 5)], last_id=2))
    await stage.run.wait()
    assert (stage.run.state, stage.run.state_reason) == (RunState.FAILED, "in the model")
    await stage.until(lambda: not stage.exchange.open())
    stage.run.resume()
    assert (await stage.run.stop()).clean
    assert stage.run.state is RunState.FAILED
    assert isinstance(stage.run.failure, ZeroDivisionError)


@pytest.mark.parametrize("queue", ["market", "user"])
async def test_a_stream_that_breaks_fails_the_run(stage: Stage, queue: str) -> None:
    """What a venue must not let out ends the run with its quotes pulled."""
    await stage.quoting()
    getattr(stage.venue, queue).put_nowait(AuthenticationRefusedError("fake", "stream", "bad key"))
    await stage.run.wait()
    assert stage.run.state is RunState.FAILED
    assert "bad key" in stage.run.state_reason
    await stage.until(lambda: not stage.exchange.open())


async def test_a_stream_that_ends_fails_the_run(stage: Stage) -> None:
    """A feed that ends although nobody closed it is a fault, too."""

    async def nothing(symbol: str) -> AsyncIterator[MarketEvent]:
        return
        yield

    stage.venue.market_events = nothing  # type: ignore[method-assign]  # a feed that ends at once
    await stage.run.start()
    await stage.run.wait()
    assert "ended by itself" in stage.run.state_reason


async def test_a_log_that_cannot_be_written_fails_the_run(stage: Stage) -> None:
    """A full disk: nothing more is placed, what stands is cancelled, the stop ends."""
    await stage.quoting()
    stage.journal.fail_facts = OSError("disk full")
    stage.venue.fill(stage.run.live_orders[0].client_order_id, 10)
    await stage.run.wait()
    assert stage.run.state_reason == "disk full"
    await stage.until(lambda: not stage.exchange.open())
    assert (await stage.run.stop()).clean
    assert stage.run.fills == type(stage.run.fills)()


async def test_recovery_tries_again_and_adopts() -> None:
    """A venue that is down for a moment at start: the run waits, then takes over what stands."""
    exchange, journal = FakeExchange(SystemClock()), MemoryJournal()
    first = Stage(exchange, journal)
    await first.quoting()
    await first.run.abandon()
    second = Stage(exchange, journal, history=list(journal.facts))
    second.venue.read_faults.append(unavailable())
    await second.quoting()
    assert second.run.recovery is not None
    assert second.run.recovery.adopted == 2
    assert second.venue.placed == []
    assert second.run.totals.orders_placed == 2
    assert (await second.run.stop()).clean
    assert second.run.totals.orders_cancelled == 2
    assert len(second.facts(OrderAccepted)) == len(second.facts(OrderCancelled)) == 2


async def test_history_restores_totals_and_strategy() -> None:
    """Fills of an earlier life are counted before the first decision."""
    exchange, journal = FakeExchange(SystemClock()), MemoryJournal()
    first = Stage(exchange, journal)
    await first.quoting()
    first.venue.fill(first.run.live_orders[0].client_order_id, 400)
    await first.until(lambda: len(first.diary.fills) == 1)
    await first.run.stop()
    second = Stage(exchange, journal, history=list(journal.facts))
    assert second.run.totals.fills == 1
    assert second.run.totals.base_lots == first.run.totals.base_lots
    assert second.strategy.state.last_fill_ticks == 5_994_000
    await second.run.start()
    assert second.run.totals.fills == 1
    await second.run.stop()


async def test_a_refused_key_at_start_is_told_at_once(stage: Stage) -> None:
    """Recovery does not keep asking with a key that the venue refuses."""
    stage.venue.read_faults.append(AuthenticationRefusedError("fake", "open orders", "bad key"))
    with pytest.raises(RunNotReadyError, match="bad key"):
        await stage.run.start()
    assert stage.venue.placed == []


async def test_a_user_stream_that_refuses_at_start_is_told(stage: Stage) -> None:
    """The stream breaks before it connects: the start fails with its reason."""
    stage.venue.user = asyncio.Queue()
    stage.venue.user.put_nowait(AuthenticationRefusedError("fake", "stream", "bad key"))
    with pytest.raises(RunNotReadyError, match="bad key"):
        await stage.run.start()


async def test_a_user_stream_that_never_connects_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a user stream fills would be missed, so the run does not begin."""
    monkeypatch.setattr("mrmarket.trading.strategy.upkeep._CONNECT_TIMEOUT_NS", NS_PER_S // 50)
    stage.venue.user = asyncio.Queue()
    with pytest.raises(RunNotReadyError, match="does not connect"):
        await stage.run.start()


async def test_a_venue_that_stays_down_at_start_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recovery gives up in the end; nothing was placed."""
    monkeypatch.setattr("mrmarket.trading.strategy.upkeep._CONNECT_TIMEOUT_NS", 0)
    stage.run._connected.set()
    stage.venue.read_faults.extend([unavailable()] * 5)
    with pytest.raises(RunNotReadyError, match="connection reset"):
        await stage.run.start()


async def test_an_unknown_order_of_ours_in_the_stream_asks_for_a_comparison(stage: Stage) -> None:
    """The stream names an order with our prefix that we do not know: it is adopted within a round."""
    await stage.quoting()
    stray = OrderIds("house", "run-1").make("b7", 9_999)
    stage.venue.rest_foreign(stray, Side.BUY, 5_000_000, 1_000)
    await stage.until(lambda: stray in stage.venue.cancelled)
    stage.venue.user.put_nowait(
        OrderReport(
            symbol="BTC/USDT",
            client_order_id="web_1",
            venue_order_id="77",
            side=Side.BUY,
            status=stage.exchange.orders[stray].status,
            price_ticks=1,
            size_lots=1,
            filled_lots=0,
            venue_ns=0,
        )
    )
    await stage.until(stage.venue.user.empty)


async def test_balances_wake_a_run_that_could_not_pay() -> None:
    """Too little money holds a quote back and says so; a balance report lets it go."""
    exchange = FakeExchange(SystemClock(), quote=Decimal(1))
    poor = Stage(exchange, MemoryJournal(), strategy={"inventory_skew_enabled": False})
    await poor.run.start()
    poor.venue.market.put_nowait(BOOK)
    await poor.until(lambda: poor.resting() == ["s1"])
    assert poor.run.held_back() == {"b1": "not enough USDT is free"}
    assert poor.run.refusals == 0
    poor.venue.user.put_nowait(BalanceReport(asset="USDT", free="900000", locked="0"))
    poor.venue.user.put_nowait(BalanceReport(asset="USDT", free="900000", locked="0"))
    exchange.quote = Decimal(900_000)
    await poor.until(lambda: poor.resting() == ["b1", "s1"])
    await poor.run.stop()


async def test_observers_see_every_event(stage: Stage) -> None:
    """Trades reach the observer (candles are made of them) without a decision."""
    await stage.quoting()
    decided = len(stage.diary.quotes)
    trade = MarketEvent(kind=EventKind.TRADE, exchange_ns=0, local_ns=0, price_ticks=6_000_000, size_lots=1)
    stage.venue.market.put_nowait(trade)
    await stage.until(lambda: trade in stage.diary.events)
    assert len(stage.diary.quotes) == decided


async def test_events_that_came_together_make_one_decision(stage: Stage) -> None:
    """A burst of book events is taken in whole before anything is decided."""
    await stage.quoting()
    views: list[MarketView] = []
    decide = stage.strategy.quotes

    def noting(view: MarketView) -> TargetQuotes:
        views.append(view)
        return TargetQuotes(decide(view).quotes)

    stage.strategy.quotes = noting  # type: ignore[method-assign]  # a probe
    for number in range(2, 30):
        stage.venue.market.put_nowait(
            snapshot([(5_999_950 + number, 5)], [(6_000_050 + number, 5)], last_id=number)
        )
    await stage.until(lambda: any(view.bid[0] == 5_999_979 for view in views))
    seen = {view.bid[0] for view in views}
    assert len(seen) < 5


async def test_periodic_observations_are_written_when_they_change() -> None:
    """Marks and balances go into the log by their intervals, and only when they differ."""
    made = Stage(
        FakeExchange(SystemClock()), MemoryJournal(), mark_every_ns=NS_PER_MS, balances_every_ns=NS_PER_MS
    )
    await made.quoting()
    await made.until(lambda: len(made.facts(MarkObserved)) == 1)
    made.venue.user.put_nowait(BalanceReport(asset="USDT", free="5", locked="1"))
    made.venue.market.put_nowait(snapshot([(5_999_000, 5)], [(5_999_500, 5)], last_id=2))
    await made.until(lambda: len(made.facts(MarkObserved)) == 2)
    await made.until(lambda: any(fact.free == "5" for fact in made.facts(BalanceObserved)))
    await made.run.stop()


async def test_unobserved_runs_work() -> None:
    """An observer is optional."""
    made = Stage(FakeExchange(SystemClock()), MemoryJournal(), observer=None)
    await made.run.start()
    made.venue.market.put_nowait(BOOK)
    await made.until(lambda: made.resting() == ["b1", "s1"])
    made.venue.fill(made.run.live_orders[0].client_order_id, 10)
    await made.until(lambda: len(made.run.fills) == 1)
    assert (await made.run.stop()).clean


def test_world_time_is_the_strategys() -> None:
    """The strategy's clock is separate from the one that stamps and times out."""
    world = ManualClock()
    made = Stage(FakeExchange(SystemClock()), MemoryJournal(), world=world)
    made.run.watch.apply(BOOK, [])
    made.run.account.observe_all([])
    view = made.run.watch.view(made.run.account)
    assert view is not None
    assert view.now_ns == world.monotonic_ns()
    assert made.run.instrument == btc_usdt()
