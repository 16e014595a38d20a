"""One instance: a venue, its runs, the books, and what the API shows of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any, Literal

import structlog

from mrmarket import __version__
from mrmarket.core.clock import NS_PER_MS, SystemClock
from mrmarket.core.events import Filled
from mrmarket.core.notice import NoticeSink, Unheard
from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.services import views
from mrmarket.services.api import schema
from mrmarket.services.api.face import Update
from mrmarket.services.books import Books, begin_check, when_sound
from mrmarket.services.config import LoadedConfig
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.engine.composition import Engine
from mrmarket.services.engine.local_side import LocalSide
from mrmarket.services.engine.operations_desk import keep_live
from mrmarket.services.engine.operations_office import OperationsOffice
from mrmarket.services.hub import UpdateHub
from mrmarket.services.instance_parts import Assembly, Parts
from mrmarket.services.money.face import MoneyOffice
from mrmarket.services.notify.watchman import Watchman, keep_watch
from mrmarket.services.partners.core import PartnerCore
from mrmarket.services.partners.figures import campaign_source, partner_source
from mrmarket.services.partners.office import PartnersOffice
from mrmarket.services.partners.section import MIXIN
from mrmarket.services.partners.world_report import WorldReport
from mrmarket.services.run_desk import LEVELS, RunDesk
from mrmarket.services.sandbox.residents import Residents
from mrmarket.services.selection.figures import selection_source
from mrmarket.services.selection.office import SelectionOffice
from mrmarket.services.telemetry.followed_workshop import held_runs, leases_hold
from mrmarket.services.telemetry.instance_report import (
    report_money,
    report_operations,
    report_runs,
    report_trading_store,
)
from mrmarket.services.telemetry.parts import check_lease, sight_of
from mrmarket.services.telemetry.run_sources import HeldRun
from mrmarket.services.telemetry.voice import Voice
from mrmarket.services.trading_place import (
    TradingPlace,
)
from mrmarket.services.watch import Reader
from mrmarket.store.operations import OperationsStore
from mrmarket.trading.strategy.run import StrategyRun
from mrmarket.trading.strategy.schema import kind_of

_log = structlog.get_logger("mrmarket.instance")


class Instance:
    """Implements the API's `InstanceFace` over a run and its books."""

    def __init__(
        self,
        loaded: LoadedConfig,
        directory: DataDirectory,
        notices: NoticeSink | None = None,
        voice: Voice | None = None,
        role: Literal["all", "api"] = "all",
    ) -> None:
        self._role = role
        self._voice = voice
        self._loaded = loaded
        self._directory = directory
        self._notices = notices or Unheard()
        self._hub = UpdateHub()
        self._parts: Parts | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._venue_gone = False
        self._first_check: asyncio.Task[LedgerCheck] | None = None
        self._started_ms = SystemClock().now_ns() // NS_PER_MS
        self.failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        """Set when the instance cannot go on."""
        self.world_report: WorldReport | None = None
        """What came of a sandbox world, once the instance is closed; None elsewhere."""

    @property
    def place(self) -> TradingPlace:
        """Where it trades."""
        return self._open.place

    @property
    def run(self) -> StrategyRun:
        """The main run in its latest life."""
        return self._local.run

    @property
    def trades(self) -> bool:
        """Whether runs are in this process."""
        return isinstance(self._open.side, LocalSide)

    @property
    def engine(self) -> Engine:
        """The engine in this process."""
        return self._local.engine

    @property
    def strategy(self) -> str:
        """Kind of the main run's strategy."""
        return kind_of(self._loaded.config.strategy)

    @property
    def desk(self) -> RunDesk:
        """The main run for the screen."""
        desk = self._open.side.desk
        if desk is None:
            raise RuntimeError("the main run has not begun")
        return desk

    @property
    def operations(self) -> OperationsStore:
        """Where engines, API and Angel meet."""
        return self._open.operations

    @property
    def books(self) -> Books:
        """Settlement and verification."""
        return self._open.books

    @property
    def money(self) -> MoneyOffice:
        """What the API's money routes ask."""
        return self._open.core.office

    @property
    def selection(self) -> SelectionOffice | None:
        """What the API's routes about the choice between strategies ask; None where there is no choice."""
        choice = self._open.choice
        return None if choice is None else choice.office

    @property
    def partners(self) -> PartnersOffice:
        """What the API's routes about campaigns and partners ask."""
        offices, partners = self._open.core.offices, self._open.partners
        return PartnersOffice(offices.treasury.reader, offices.clock, partners.desk, partners.vault_book)

    @property
    def allies(self) -> PartnerCore:
        """The partners themselves."""
        return self._open.partners

    @property
    def office(self) -> OperationsOffice:
        """What the API's operations routes ask."""
        return self._open.office

    async def open(self) -> None:
        """Open databases and venue, recover, begin to quote. Raises a MrMarketError; nothing stays open."""
        directory = self._directory
        await asyncio.to_thread(directory.require_current)
        self._first_check = await begin_check(directory)
        self._parts = await Assembly(
            self._loaded,
            directory,
            self._role,
            self._hub,
            self._notices,
            self._voice,
            self._started_ms,
            self._first_check,
        ).open()
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
            steps.callback(parts.operations.close)
            if parts.choice is not None:
                steps.push_async_callback(parts.choice.close)
            steps.push_async_callback(parts.place.close)
            steps.push_async_callback(parts.room.close)
            steps.push_async_callback(parts.core.close)
            steps.push_async_callback(parts.partners.close)
            steps.push_async_callback(self._account)
            steps.callback(self._hub.close)
            steps.push_async_callback(parts.books.verify)
            steps.push_async_callback(parts.core.seal)
            steps.push_async_callback(parts.books.settle)
            steps.push_async_callback(self._end_tasks)
            # Where nobody is there to cancel anything, the next start takes it up as after a crash.
            await parts.side.close(abandon=self._venue_gone)

    # What the API shows.

    def heartbeat(self) -> schema.Heartbeat:
        """A sign of life, for whoever watches from elsewhere."""
        return self._open.side.heartbeat()

    def status(self) -> schema.InstanceStatus:
        """How the instance is doing."""
        look, place, check = self.desk.look(), self.place, self.books.check
        return schema.InstanceStatus(
            name=self._loaded.config.instance.name,
            version=__version__,
            state=look.state.value,
            state_reason=look.reason,
            venue=place.venue.name,
            symbol=place.symbol,
            market=place.market,
            simulated=place.simulated,
            paper=self._loaded.config.venue.paper,
            speed=place.speed,
            started_at_ms=self._started_ms,
            now_ms=SystemClock().now_ns() // NS_PER_MS,
            book_age_ms=look.book_age_ms,
            user_stream_connected=look.user_stream_connected,
            open_orders=look.open_orders,
            ledger_verified=None if check is None else check.ok,
            strategy=self.strategy,
        )

    async def start(self) -> schema.InstanceStatus:
        """Resume quoting."""
        await self._open.side.resume()
        return self.status()

    async def stop(self) -> schema.InstanceStatus:
        """Cancel every quote and stay paused."""
        await self._open.side.pause("stopped by the owner")
        return self.status()

    def config(self) -> schema.ConfigView:
        """The configuration in force, secrets masked."""
        return self._loaded.view()

    def market(self, levels: int = LEVELS) -> schema.MarketView:
        """Book, last price and instrument."""
        return self.desk.market(levels)

    def candles(self, interval_s: int, limit: int) -> list[schema.Candle]:
        """Bars from the trades seen, oldest first."""
        return self._open.candles.candles(interval_s, limit)

    def quotes(self) -> schema.QuotesView:
        """What the strategy wants, and why."""
        return self.desk.quotes()

    async def orders(self, state: Literal["open", "all"], limit: int) -> list[schema.OrderView]:
        """Orders, newest first."""
        if state == "open":
            return self.desk.orders()[:limit]
        parts = self._open
        records = await asyncio.to_thread(parts.store.orders, parts.stream, limit=limit)
        return [views.recorded_order_view(parts.instrument, record) for record in records]

    async def fills(self, limit: int) -> list[schema.FillView]:
        """Fills, newest first."""
        run = self.run
        captured = {record.own.fill.trade_id: record.spread_captured_bps for record in run.fills}
        rows = await asyncio.to_thread(self._open.store.latest_facts, self._open.stream, limit, ("filled",))
        return [
            views.fill_view(row.fact, captured.get(row.fact.trade_id))
            for row in rows
            if isinstance(row.fact, Filled)
        ]

    async def events(self, after_seq: int | None, limit: int) -> list[schema.EventView]:
        """Rows of the event log, oldest first; without `after_seq` the newest `limit` of them."""
        store, stream = self._open.store, self._open.stream
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
        return self.desk.performance()

    def updates(self, topics: frozenset[schema.Topic]) -> AsyncIterator[Update]:
        """Changes from now on."""
        return self._hub.subscribe(topics)

    # How it is put together.

    @property
    def _local(self) -> LocalSide:
        side = self._open.side
        if not isinstance(side, LocalSide):
            raise TypeError("no run is in this process")
        return side

    @property
    def _open(self) -> Parts:
        if self._parts is None:
            raise RuntimeError("the instance is not open")
        return self._parts

    async def _begin(self) -> None:
        parts = self._open
        try:
            self._directory.keep()
            await parts.side.begin()
        except BaseException:
            await parts.partners.close()
            await parts.core.close()
            await parts.place.close()
            if parts.choice is not None:
                await parts.choice.close()
            parts.operations.close()
            parts.store.close()
            self._parts = None
            raise
        readers: dict[schema.Topic, Reader] = {
            "status": self.status,
            "market": self.market,
            "quotes": self.quotes,
            "orders": self.desk.orders,
            "performance": self.performance,
        }
        self._keep(parts.watch.publish(readers))
        self._keep(parts.books.keep())
        for work in (*parts.core.tasks(), *parts.partners.tasks()):
            self._keep(when_sound(self._first_check, work))
        if (endpoints := parts.partners.setting.endpoints) is not None:
            self._keep(Residents(endpoints.people, MIXIN).keep(self._address))
        self._keep(parts.side.keep())
        for work in () if parts.choice is None else parts.choice.tasks():
            self._keep(work)
        self._keep(keep_live(parts.office, self._hub))
        if parts.place.process is not None:
            self._keep(self._watch_venue())
        if parts.core.world.process is not None:
            self._keep(self._watch_rail())
        if self._voice is not None:
            self._report(self._voice)

    def _report(self, voice: Voice) -> None:
        """Let Prometheus, orchestrators and the owner see how it is."""
        parts, books, wall = self._open, self.books, SystemClock()
        seats = parts.side.engine.host.seats if isinstance(parts.side, LocalSide) else {}

        def runs() -> Iterator[HeldRun]:
            return held_runs(list(seats.values()))

        report_runs(voice.telemetry, runs)
        if self.selection is not None:
            voice.telemetry.watch("selection", selection_source(self.selection))
        if parts.partners.setting.partners.is_used:
            reader = parts.core.offices.treasury.reader
            voice.telemetry.watch("partners", partner_source(parts.partners))
            voice.telemetry.watch("campaigns", campaign_source(reader), threaded=True)
        report_trading_store(voice.telemetry, parts.store, wall)
        report_operations(voice.telemetry, parts.operations, wall)
        report_money(
            voice.telemetry,
            parts.core.offices,
            parts.core.watch,
            parts.core.offices.clock,
            check=lambda: books.check,
            figures=lambda: books.figures,
        )
        check_lease(voice.telemetry.health, lambda: leases_hold(seats.values()))
        watchman = Watchman(self._loaded.config.notify.venue_silent_s)
        self._keep(keep_watch(watchman, lambda: sight_of(runs, lambda: books.check), self._notices, wall))

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

    async def _account(self) -> None:
        """Say what came of a sandbox world, while its books are open for the last time."""
        partners = self._open.partners
        if partners.setting.is_sandbox:
            self.world_report = await asyncio.to_thread(partners.report)

    def _address(self) -> str | None:
        """Where the page of this very process is; None before it is served."""
        found = self._directory.whereabouts()
        return found.url if found is not None and found.pid == os.getpid() else None

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
