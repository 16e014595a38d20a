"""One instance: a venue, its runs, the books, and what the API shows of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import structlog

from mrmarket import __version__
from mrmarket.core.clock import NS_PER_MS, SystemClock
from mrmarket.core.events import Filled
from mrmarket.core.instrument import Instrument
from mrmarket.core.notice import NoticeSink, Unheard
from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.services import views
from mrmarket.services.api import schema
from mrmarket.services.api.face import Update
from mrmarket.services.books import Books, begin_check, when_sound
from mrmarket.services.candles import CandleStore
from mrmarket.services.config import LoadedConfig
from mrmarket.services.data_directory import DataDirectory, ForeignFolderError
from mrmarket.services.engine.composition import Engine, EngineSetting
from mrmarket.services.engine.identity import shared_identity
from mrmarket.services.engine.local_side import LocalSide
from mrmarket.services.engine.operations_desk import keep_live, operations_office
from mrmarket.services.engine.operations_office import OperationsOffice
from mrmarket.services.engine.place_room import place_room
from mrmarket.services.engine.remote_side import RemoteSide
from mrmarket.services.engine.specs import further_specs, is_further, main_spec, put_specs
from mrmarket.services.engine.venue_room import LoneRoom, VenueRoom
from mrmarket.services.hub import UpdateHub
from mrmarket.services.keys.secret import Register, unregistered
from mrmarket.services.money.business import BusinessCore, open_world
from mrmarket.services.money.face import MoneyOffice
from mrmarket.services.money.world import PaymentWorld
from mrmarket.services.notify.watchman import Watchman, keep_watch
from mrmarket.services.remote_trading import remote_trading
from mrmarket.services.run_desk import LEVELS, RunDesk
from mrmarket.services.run_figures import RunFigures
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
    open_public_place,
    open_trading_place,
    simulated_market,
)
from mrmarket.services.watch import Reader, RunWatch
from mrmarket.store.operations import OperationsStore, RunSpec
from mrmarket.store.trading_port import TradingLog
from mrmarket.trading.strategy.observer import RunObserver
from mrmarket.trading.strategy.run import StrategyRun

_log = structlog.get_logger("mrmarket.instance")


@dataclass(slots=True)
class _Parts:
    """What an open instance is made of."""

    place: TradingPlace
    store: TradingLog
    operations: OperationsStore
    side: LocalSide | RemoteSide
    instrument: Instrument
    stream: str
    core: BusinessCore
    books: Books
    candles: CandleStore
    watch: RunWatch
    room: LoneRoom | VenueRoom
    office: OperationsOffice


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
    def office(self) -> OperationsOffice:
        """What the API's operations routes ask."""
        return self._open.office

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
                operations = await asyncio.to_thread(directory.store.open_operations)
                try:
                    place = await self._open_place(pair)
                    try:
                        self._parts = await self._assemble(place, world, store, operations)
                    except BaseException:
                        await place.close()
                        raise
                except BaseException:
                    operations.close()
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
            steps.callback(parts.operations.close)
            steps.push_async_callback(parts.place.close)
            steps.push_async_callback(parts.room.close)
            steps.push_async_callback(parts.core.close)
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
    def _open(self) -> _Parts:
        if self._parts is None:
            raise RuntimeError("the instance is not open")
        return self._parts

    @property
    def _know(self) -> Register:
        """Whom secrets are told, so that no log shows them."""
        return unregistered if self._voice is None else self._voice.redactor.know

    async def _open_place(self, pair: str | None) -> TradingPlace:
        config = self._loaded.config
        if self._role == "api":
            return await open_public_place(config)
        return await open_trading_place(config, pair, self._directory, self._know)

    async def _assemble(
        self, place: TradingPlace, world: PaymentWorld, store: TradingLog, operations: OperationsStore
    ) -> _Parts:
        config, directory, wall = self._loaded.config, self._directory, SystemClock()
        instrument = place.venue.instrument(place.symbol)
        stream = f"{place.venue.name}.{instrument.venue_symbol}"
        _require_own(directory, store.streams(), stream)
        candles = CandleStore(instrument)
        watch = RunWatch(self._hub, candles, partial(views.fill_record_view, instrument))
        main = main_spec(stream, place.venue.name, place.symbol, config.strategy, config.pool.name)
        specs = [main, *further_specs(config.runs, place.venue.name)]
        await asyncio.to_thread(put_specs, operations, specs)
        room = place_room(config, directory, place, specs, self._know)
        node = directory.instance_id()
        instance_id = node
        if directory.store.is_postgres:
            instance_id = await asyncio.to_thread(shared_identity, operations, node, self._started_ms)

        def observer(spec: RunSpec, _: Instrument) -> RunObserver | None:
            return watch if spec.id == stream else None

        setting = EngineSetting(
            node=node,
            role="all",
            instance=instance_id,
            folder=directory.root,
            operations=operations,
            log=store,
            room=room,
            wall=wall,
            world=place.world,
            notices=self._notices,
            order_log=None if self._voice is None else self._voice.order_log,
        )
        side: LocalSide | RemoteSide
        if self._role == "api":
            side = remote_trading(node, operations, place, stream, watch, candles)
        else:
            side = LocalSide(
                lambda on_run: Engine(config, setting, on_run=on_run, observer=observer),
                stream,
                wall,
                alone=len(specs) == 1,
            )
        core = await BusinessCore.open(
            config,
            directory,
            store,
            place,
            world,
            stream,
            wall,
            RunFigures(lambda: side.desk, place.symbol),
            lambda: None if self._parts is None else self._parts.books.check,
            self._notices,
        )
        books = Books(
            core.offices.treasury, directory.store.money_place, store, stream, self._hub, self._first_check
        )
        office = operations_office(
            config,
            directory,
            operations,
            store,
            engine=lambda: side.engine if isinstance(side, LocalSide) else None,
            health=None if self._voice is None else self._voice.telemetry.health,
        )
        return _Parts(
            place, store, operations, side, instrument, stream, core, books, candles, watch, room, office
        )

    async def _begin(self) -> None:
        parts = self._open
        try:
            self._directory.keep()
            await parts.side.begin()
        except BaseException:
            await parts.core.close()
            await parts.place.close()
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
        for work in parts.core.tasks():
            self._keep(when_sound(self._first_check, work))
        self._keep(parts.side.keep())
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
        report_trading_store(voice.telemetry, parts.store, wall)
        report_operations(voice.telemetry, parts.operations, wall)
        report_money(
            voice.telemetry,
            parts.core.offices,
            parts.core.watch,
            wall,
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
    others = [name for name in held if name != stream and not is_further(name)]
    if others:
        raise ForeignFolderError(directory.root, others[0], stream)
