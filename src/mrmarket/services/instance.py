"""One instance: a venue, a run, the books, and what the API shows of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final, Literal

import msgspec
import structlog

from mrmarket import __version__
from mrmarket.core.clock import NS_PER_MS, SystemClock
from mrmarket.core.decimals import format_decimal
from mrmarket.core.events import Fact, Filled
from mrmarket.core.side import Side
from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.services import views
from mrmarket.services.api import schema
from mrmarket.services.api.face import Update
from mrmarket.services.books import Books, begin_check, when_sound
from mrmarket.services.candles import CandleStore
from mrmarket.services.config import LoadedConfig
from mrmarket.services.data_directory import DataDirectory, ForeignFolderError
from mrmarket.services.hub import UpdateHub
from mrmarket.services.money.business import BusinessCore, open_world
from mrmarket.services.money.face import MoneyOffice
from mrmarket.services.money.world import PaymentWorld
from mrmarket.services.run_figures import RunFigures
from mrmarket.services.trading_place import TradingPlace, open_trading_place, simulated_market
from mrmarket.services.watch import Reader, RunWatch
from mrmarket.store.trading_port import TradingLog
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.pure_market_making import PureMarketMaking
from mrmarket.trading.strategy.run import StrategyRun

_LEASE_TTL_NS: Final = 30_000_000_000
_HISTORY_PAGE: Final = 5_000
_LEVELS: Final = 15

_log = structlog.get_logger("mrmarket.instance")


@dataclass(slots=True)
class _Parts:
    """What an open instance is made of."""

    place: TradingPlace
    store: TradingLog
    run: StrategyRun
    core: BusinessCore
    books: Books
    candles: CandleStore


class Instance:
    """Implements the API's `InstanceFace` over a run and its books."""

    def __init__(self, loaded: LoadedConfig, directory: DataDirectory) -> None:
        self._loaded = loaded
        self._directory = directory
        self._hub = UpdateHub()
        self._parts: _Parts | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._venue_gone = False
        self._first_check: asyncio.Task[LedgerCheck] | None = None
        self._started_ms = SystemClock().now_ns() // NS_PER_MS
        self.failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        """Set when the instance cannot go on."""

    @property
    def place(self) -> TradingPlace:
        """Where it trades."""
        return self._open.place

    @property
    def run(self) -> StrategyRun:
        """The strategy at work."""
        return self._open.run

    @property
    def books(self) -> Books:
        """Settlement and verification."""
        return self._open.books

    @property
    def money(self) -> MoneyOffice:
        """What the API's money routes ask."""
        return self._open.core.office

    async def open(self) -> None:
        """Open databases and venue, recover, begin to quote. Raises a MrMarketError; nothing stays open."""
        config, directory = self._loaded.config, self._directory
        pair = config.strategy.pair if self._loaded.sources.get("strategy.pair") else None
        await asyncio.to_thread(directory.require_current)
        self._first_check = await begin_check(directory)
        store = await asyncio.to_thread(directory.store.open_trading)
        try:
            if (held := store.streams()) and (
                market := await asyncio.to_thread(simulated_market, config, pair)
            ):
                _require_own(directory, held, market)
            world = await open_world(config, directory)
            try:
                place = await open_trading_place(config, pair, directory)
                try:
                    self._parts = await self._assemble(place, world, store)
                except BaseException:
                    await place.close()
                    raise
            except BaseException:
                await world.close()
                raise
        except BaseException:
            store.close()
            raise
        await self._begin()

    async def close(self) -> None:
        """Cancel every order of ours, settle, verify, close; a step that fails keeps no other from its turn.

        Raises:
            Exception: the last step's that failed.
        """
        parts = self._parts
        if parts is None:
            return
        async with AsyncExitStack() as steps:  # carried out from the last to the first
            steps.callback(parts.store.close)
            steps.callback(parts.store.release_lease, parts.run.stream)
            steps.push_async_callback(parts.place.close)
            steps.push_async_callback(parts.core.close)
            steps.callback(self._hub.close)
            steps.push_async_callback(parts.books.verify)
            steps.push_async_callback(parts.core.seal)
            steps.push_async_callback(parts.books.settle)
            steps.push_async_callback(self._end_tasks)
            if self._venue_gone:
                # Nobody is there to cancel anything; the next start takes it up as after a crash.
                await parts.run.abandon()
                return
            report = await parts.run.stop()
            if not report.clean or report.fills_missing:
                _log.warning(
                    "not everything could be proven; the next start does",
                    remaining=report.remaining,
                    fills_missing=report.fills_missing,
                )

    # What the API shows.

    def status(self) -> schema.InstanceStatus:
        """How the instance is doing."""
        run, place, check = self.run, self.place, self.books.check
        age_ns = run.watch.tracker.age_ns
        return schema.InstanceStatus(
            name=self._loaded.config.instance.name,
            version=__version__,
            state=run.state.value,
            state_reason=run.state_reason or run.pulled or ("" if run.live_orders else run.targets.reason),
            venue=place.venue.name,
            symbol=place.symbol,
            market=place.market,
            simulated=place.simulated,
            paper=self._loaded.config.venue.paper,
            speed=place.speed,
            started_at_ms=self._started_ms,
            now_ms=SystemClock().now_ns() // NS_PER_MS,
            book_age_ms=None if age_ns is None else age_ns // NS_PER_MS,
            user_stream_connected=run.user_stream_connected,
            open_orders=len(run.live_orders),
            ledger_verified=None if check is None else check.ok,
        )

    async def start(self) -> schema.InstanceStatus:
        """Resume quoting."""
        self.run.resume()
        return self.status()

    async def stop(self) -> schema.InstanceStatus:
        """Cancel every quote and stay paused."""
        if self.run.state is RunState.RUNNING:
            await self.run.pause("stopped by the owner")
        return self.status()

    def config(self) -> schema.ConfigView:
        """The configuration in force, secrets masked."""
        return self._loaded.view()

    def market(self, levels: int = _LEVELS) -> schema.MarketView:
        """Book, last price and instrument."""
        run = self.run
        tracker, instrument, own = run.watch.tracker, run.instrument, run.live_orders
        book, last, mid = tracker.book, tracker.last_trade, run.mid
        return schema.MarketView(
            instrument=views.instrument_view(instrument),
            book=schema.BookView(
                bids=views.book_levels(instrument, book.bids(levels), own, Side.BUY),
                asks=views.book_levels(instrument, book.asks(levels), own, Side.SELL),
                at_ms=(SystemClock().now_ns() - (tracker.age_ns or 0)) // NS_PER_MS,
                stale=tracker.stale is not None,
            ),
            last_price=None if last is None else instrument.price_text(last.price_ticks),
            mid=None if mid is None else format_decimal(mid),
            spread_bps=views.spread_bps(tracker.best_bid, tracker.best_ask),
        )

    def candles(self, interval_s: int, limit: int) -> list[schema.Candle]:
        """Bars from the trades seen, oldest first."""
        return self._open.candles.candles(interval_s, limit)

    def quotes(self) -> schema.QuotesView:
        """What the strategy wants, and why."""
        run = self.run
        why_not = "" if run.state is RunState.RUNNING else f"{run.state.value}: {run.state_reason}"
        now_ns = SystemClock().now_ns()
        return views.quotes_view(
            run.strategy.name, run.instrument, run.targets, run.live_orders, why_not or run.pulled, now_ns
        )

    async def orders(self, state: Literal["open", "all"], limit: int) -> list[schema.OrderView]:
        """Orders, newest first."""
        run = self.run
        if state == "open":
            return [views.order_view(run.instrument, order) for order in reversed(run.live_orders)][:limit]
        records = await asyncio.to_thread(self._open.store.orders, run.stream, limit=limit)
        return [views.recorded_order_view(run.instrument, record) for record in records]

    async def fills(self, limit: int) -> list[schema.FillView]:
        """Fills, newest first."""
        run = self.run
        captured = {record.own.fill.trade_id: record.spread_captured_bps for record in run.fills}
        rows = await asyncio.to_thread(self._open.store.latest_facts, run.stream, limit, ("filled",))
        return [
            views.fill_view(row.fact, captured.get(row.fact.trade_id))
            for row in rows
            if isinstance(row.fact, Filled)
        ]

    async def events(self, after_seq: int | None, limit: int) -> list[schema.EventView]:
        """Rows of the event log, oldest first; without `after_seq` the newest `limit` of them."""
        store, stream = self._open.store, self.run.stream
        if after_seq is None:
            rows = await asyncio.to_thread(store.latest_facts, stream, limit)
            rows.reverse()
        else:
            rows = await asyncio.to_thread(store.read_facts, stream, after_seq, limit)
        return [views.event_view(row) for row in rows]

    async def pool(self) -> schema.PoolView:
        """The pool by the ledger."""
        return views.pool_view(await asyncio.to_thread(self.books.treasury.pool_view))

    async def equity(self, limit: int) -> list[schema.EquityPoint]:
        """The pool's worth over time, oldest first."""
        return views.equity_points(await asyncio.to_thread(self.books.treasury.equity, limit))

    def performance(self) -> schema.PerformanceView:
        """What trading has done."""
        run, totals = self.run, self.run.totals
        mid = run.mid or Decimal(0)
        p50, p99 = run.latency_us
        view = run.watch.view(run.account)
        share = view.base_share if view is not None else None
        return schema.PerformanceView(
            orders_placed=totals.orders_placed,
            orders_cancelled=totals.orders_cancelled,
            fills=totals.fills,
            maker_fills=totals.maker_fills,
            volume_quote=format_decimal(totals.volume_quote),
            fees_quote=format_decimal(totals.fees_quote(mid)),
            inventory_base=format_decimal(totals.inventory_base),
            inventory_share=None if share is None else float(share),
            inventory_target=float(run.strategy.inventory_target),
            pnl_quote=format_decimal(totals.pnl_quote(mid)),
            spread_captured_bps=totals.spread_captured_bps,
            spread_captured_histogram=list(totals.captured_bins),
            quote_uptime=run.uptime.share,
            quote_latency_us_p50=p50,
            quote_latency_us_p99=p99,
        )

    def updates(self, topics: frozenset[schema.Topic]) -> AsyncIterator[Update]:
        """Changes from now on."""
        return self._hub.subscribe(topics)

    # How it is put together.

    @property
    def _open(self) -> _Parts:
        if self._parts is None:
            raise RuntimeError("the instance is not open")
        return self._parts

    async def _assemble(self, place: TradingPlace, world: PaymentWorld, store: TradingLog) -> _Parts:
        config, directory, wall = self._loaded.config, self._directory, SystemClock()
        instrument = place.venue.instrument(place.symbol)
        stream = f"{place.venue.name}.{instrument.venue_symbol}"
        owner = directory.instance_id()
        fence = store.acquire_lease(stream, owner, _LEASE_TTL_NS, wall.now_ns())
        _require_own(directory, store.streams(), stream)
        candles = CandleStore(instrument)
        run = StrategyRun(
            place.venue,
            PureMarketMaking(msgspec.structs.replace(config.strategy, pair=place.symbol)),
            store,
            instance=owner,
            stream=stream,
            wall=wall,
            world=place.world,
            fence=fence,
            observer=RunWatch(self._hub, candles, partial(views.fill_record_view, instrument)),
            history=_history(store, stream),
        )
        core = await BusinessCore.open(
            config,
            directory,
            store,
            place,
            world,
            stream,
            wall,
            RunFigures(run, place.symbol),
            lambda: None if self._parts is None else self._parts.books.check,
        )
        books = Books(
            core.offices.treasury, directory.store.money_place, store, stream, self._hub, self._first_check
        )
        return _Parts(place, store, run, core, books, candles)

    async def _begin(self) -> None:
        parts = self._open
        try:
            self._directory.keep()
            await parts.run.start()
        except BaseException:
            await parts.run.abandon()
            await parts.core.close()
            await parts.place.close()
            parts.store.close()
            self._parts = None
            raise
        watch = parts.run.observer
        assert isinstance(watch, RunWatch)  # noqa: S101 - set in _assemble
        readers: dict[schema.Topic, Reader] = {
            "status": self.status,
            "market": self.market,
            "quotes": self.quotes,
            "orders": lambda: [
                views.order_view(parts.run.instrument, o) for o in reversed(parts.run.live_orders)
            ],
            "performance": self.performance,
        }
        self._keep(watch.publish(readers))
        self._keep(parts.books.keep())
        for work in parts.core.tasks():
            self._keep(when_sound(self._first_check, work))
        self._keep(self._renew_lease())
        self._keep(self._watch_run())
        if parts.place.process is not None:
            self._keep(self._watch_venue())
        if parts.core.world.process is not None:
            self._keep(self._watch_rail())

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error if isinstance(error, Exception) else RuntimeError(str(error)))

    def _fail(self, error: Exception) -> None:
        if not self.failed.done():
            self.failed.set_result(error)

    async def _renew_lease(self) -> None:
        parts = self._open
        while True:
            await asyncio.sleep(_LEASE_TTL_NS / 3e9)
            await asyncio.to_thread(
                parts.store.renew_lease, parts.run.stream, _LEASE_TTL_NS, SystemClock().now_ns()
            )

    async def _watch_run(self) -> None:
        await self.run.wait()
        if self.run.failure is not None:
            self._fail(self.run.failure)

    async def _watch_venue(self) -> None:
        process = self.place.process
        assert process is not None  # noqa: S101 - only watched where there is one
        error = await process.ended()
        self._venue_gone = True
        self._fail(error)

    async def _watch_rail(self) -> None:
        self._fail(await self._open.core.world.ended())

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _require_own(directory: DataDirectory, held: list[str], stream: str) -> None:
    others = [name for name in held if name != stream]
    if others:
        raise ForeignFolderError(directory.root, others[0], stream)


def _history(store: TradingLog, stream: str) -> Iterator[Fact]:
    """Every fact of a stream, oldest first, a page at a time."""
    after = 0
    while rows := store.read_facts(stream, after, _HISTORY_PAGE):
        yield from (row.fact for row in rows)
        after = rows[-1].seq
