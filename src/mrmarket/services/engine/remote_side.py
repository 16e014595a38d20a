"""Engines somewhere else: what a process that only serves the API knows of the main run, and asks of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from functools import partial
from typing import Final
from uuid import uuid4

import msgspec
import structlog

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.decimals import format_decimal
from mrmarket.core.errors import MrMarketError
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.services import views
from mrmarket.services.api import schema
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.run_desk import LEVELS, RunCard, RunLook
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import Beat, Command, CommandState, OperationsStore, RunReport
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.venue.book_tracker import BookTracker
from mrmarket.trading.venue.port import Venue

_LOOK_S: Final = 0.5
_BEAT_S: Final = 1.0
_OLD_S: Final = 10.0
"""A report that has not been renewed for so long says nothing of the present."""
_ANSWER_S: Final = 15.0
_REPORTS_AWAITED: Final = 12
"""Looks for the effect of a command before what is known is shown."""
_log = structlog.get_logger("mrmarket.engine.remote")


class CommandUnansweredError(MrMarketError):
    """No engine has answered a command in time; it stays asked."""

    code = "command_unanswered"
    retryable = True

    def __init__(self, command: str, run: str) -> None:
        self.command = command
        self.run = run
        super().__init__(
            f"no engine has carried out {command} of {run} yet; see `mrmarket status` for who holds it"
        )


class CommandRefusedByEngineError(MrMarketError):
    """An engine has refused a command."""

    code = "command_refused"

    def __init__(self, command: str, run: str, answer: str) -> None:
        self.command = command
        self.run = run
        super().__init__(f"{command} of {run} was refused: {answer}")


class _Resting(msgspec.Struct, frozen=True):
    """An order of a report as the book's view needs it."""

    side: Side
    price_ticks: int
    remaining_lots: int
    venue_order_id: str


class RemoteDesk:
    """Implements `RunDesk` from the last report, with the book out of a feed of our own."""

    def __init__(self, instrument: Instrument, wall: Clock) -> None:
        self.tracker = BookTracker(instrument, wall)
        self.card: RunCard | None = None
        self.silent = "no engine has reported this run yet"
        """Why the card says nothing of the present; empty while it does."""
        self._instrument = instrument
        self._wall = wall

    def look(self) -> RunLook:
        """How it is doing."""
        if self.card is None or self.silent:
            return RunLook(state=RunState.STARTING, reason=self.silent)
        return self.card.look

    def market(self, levels: int = LEVELS) -> schema.MarketView:
        """Book, last price and instrument."""
        tracker, instrument, own = self.tracker, self._instrument, self._own()
        last, double = tracker.last_trade, tracker.mid_double_ticks
        return schema.MarketView(
            instrument=views.instrument_view(instrument),
            book=schema.BookView(
                bids=views.book_levels(instrument, tracker.book.bids(levels), own, Side.BUY),
                asks=views.book_levels(instrument, tracker.book.asks(levels), own, Side.SELL),
                at_ms=(self._wall.now_ns() - (tracker.age_ns or 0)) // NS_PER_MS,
                stale=tracker.stale is not None,
            ),
            last_price=None if last is None else instrument.price_text(last.price_ticks),
            mid=None if double is None else format_decimal(double * instrument.tick_size / 2),
            spread_bps=views.spread_bps(tracker.best_bid, tracker.best_ask),
        )

    def quotes(self) -> schema.QuotesView:
        """What the strategy wants, and why."""
        if self.card is None or self.silent:
            now_ms = self._wall.now_ns() // NS_PER_MS
            return schema.QuotesView(strategy="", reason=self.silent, quotes=[], at_ms=now_ms)
        return self.card.quotes

    def orders(self) -> list[schema.OrderView]:
        """Open orders, newest first, as last reported."""
        return [] if self.card is None else self.card.orders

    def performance(self) -> schema.PerformanceView:
        """What trading has done."""
        return _NOTHING if self.card is None else self.card.performance

    def _own(self) -> list[_Resting]:
        instrument = self._instrument
        return [
            _Resting(
                Side(order.side),
                instrument.price_to_ticks(Decimal(order.price)),
                instrument.size_to_lots(Decimal(order.size) - Decimal(order.filled)),
                order.venue_order_id or "",
            )
            for order in self.orders()
        ]


_NOTHING: Final = schema.PerformanceView(
    orders_placed=0,
    orders_cancelled=0,
    fills=0,
    maker_fills=0,
    volume_quote="0",
    fees_quote="0",
    inventory_base="0",
    inventory_share=None,
    inventory_target=0.5,
    pnl_quote="0",
    spread_captured_bps=None,
    spread_captured_histogram=[0] * 12,
    quote_uptime=None,
    quote_latency_us_p50=None,
    quote_latency_us_p99=None,
)


class RemoteSide:
    """Implements `TradingSide` without trading: reads reports, asks engines through commands."""

    def __init__(
        self,
        node: str,
        operations: OperationsStore,
        venue: Venue,
        symbol: str,
        main: str,
        wall: Clock,
        *,
        on_market: Callable[[MarketEvent], None],
        on_report: Callable[[], None],
        follow: Callable[[], AsyncIterator[MarketEvent]] | None = None,
    ) -> None:
        """Put it together; nothing is asked yet.

        Args:
            node: this process's name among the signs of life.
            operations: where engines report.
            venue: open, for its public feed.
            symbol: the main run's pair.
            main: its id.
            wall: real time.
            on_market: sees each market event.
            on_report: told when there is a new report.
            follow: the pair's feed where others follow it, too; None: through the venue.
        """
        self.node = node
        self.seq = 0
        self.started_ms = wall.now_ns() // NS_PER_MS
        self.desk = RemoteDesk(venue.instrument(symbol), wall)
        self._operations = operations
        self._main = main
        self._wall = wall
        self._on_market = on_market
        self._on_report = on_report
        self._feed = follow or partial(venue.market_events, symbol)
        self._line = DatabaseLine(wall, 5.0)
        self._reported: tuple[int, int] = (0, 0)
        self._heard_ns = 0

    async def begin(self) -> None:
        """Nothing waits for an engine: the API serves without one, and says so."""
        try:
            await self._look()
        except StoreError as error:
            _log.warning("no reports yet", error=str(error))

    def heartbeat(self) -> schema.Heartbeat:
        """A sign of life."""
        return schema.Heartbeat(
            node=self.node,
            role="api",
            seq=self.seq,
            started_ms=self.started_ms,
            at_ms=self._wall.now_ns() // NS_PER_MS,
        )

    async def keep(self) -> None:
        """Read, beat and follow the feed for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self._look, _LOOK_S))
            group.create_task(self._repeat(self._beat, _BEAT_S))
            group.create_task(self._follow())

    async def resume(self) -> None:
        """Have the engine that holds the main run let it quote."""
        await self.ask("resume")

    async def pause(self, reason: str) -> None:
        """Have it cancel every quote and stay paused."""
        await self.ask("pause", reason=reason)

    async def ask(self, kind: str, **arguments: str) -> str:
        """Put a command down and wait for its answer.

        Raises:
            CommandUnansweredError: nobody has answered in time; the command stands.
            CommandRefusedByEngineError: it was refused.
        """
        command = Command(
            id=str(uuid4()),
            target=self._main,
            kind=kind,
            arguments=dict(arguments),
            asked_by="owner",
            asked_ms=self._wall.now_ns() // NS_PER_MS,
        )
        await self._line.call(self._operations.ask, command)
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + _ANSWER_S
        while loop.time() < deadline_s:
            found = await self._line.call(self._operations.command, command.id)
            if found is not None and found.state is not CommandState.ASKED:
                if found.state is CommandState.REFUSED:
                    raise CommandRefusedByEngineError(kind, self._main, found.answer)
                await self._see(found.ended_ms)
                return found.answer
            await asyncio.sleep(_LOOK_S / 2)
        raise CommandUnansweredError(kind, self._main)

    async def close(self, *, abandon: bool) -> None:  # noqa: ARG002 - nothing of ours trades
        """Sign off."""
        try:
            await self._line.call(self._operations.sign_off, self.node)
        except StoreError as error:
            _log.warning("could not sign off", error=str(error))

    async def _see(self, at_ms: int) -> None:
        """Wait for a report from after a command was carried out; both times are the engine's."""
        for _ in range(_REPORTS_AWAITED):
            await self._look()
            if self._reported[1] > at_ms:
                return
            await asyncio.sleep(_LOOK_S / 2)

    async def _look(self) -> None:
        reports = await self._line.call(self._operations.reports)
        report = next((each for each in reports if each.run == self._main), None)
        now_ns = self._wall.monotonic_ns()
        if report is not None and (report.fence, report.at_ms) != self._reported:
            self._reported, self._heard_ns = (report.fence, report.at_ms), now_ns
            self._take(report)
        age_s = (now_ns - self._heard_ns) / 1e9
        if self.desk.card is not None and age_s > _OLD_S:
            self.desk.silent = f"no engine has reported this run for {age_s:.0f} s"

    def _take(self, report: RunReport) -> None:
        if not report.view:
            self.desk.silent = f"{report.node} is starting it"
            return
        self.desk.card = msgspec.convert(report.view, RunCard)
        self.desk.silent = ""
        self._on_report()

    async def _beat(self) -> None:
        self.seq += 1
        beat = Beat(
            node=self.node,
            role="api",
            seq=self.seq,
            started_ms=self.started_ms,
            at_ms=self._wall.now_ns() // NS_PER_MS,
        )
        await self._line.call(self._operations.beat, beat)

    async def _follow(self) -> None:
        async for event in self._feed():
            self.desk.tracker.apply(event)
            self._on_market(event)

    async def _repeat(self, work: Callable[[], Awaitable[None]], every_s: float) -> None:
        while True:
            try:
                await work()
            except StoreError as error:
                _log.warning("the database did not answer", error=str(error))
            await asyncio.sleep(every_s)
