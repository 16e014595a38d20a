"""Our orders and trades against the venue's: what stands there, what became of the rest, what differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.store.errors import StaleFenceError, StoreError
from mrmarket.trading.execution.claims import Claims
from mrmarket.trading.execution.desk import OrderDesk
from mrmarket.trading.execution.differences import Difference, DifferenceKind, Differences
from mrmarket.trading.execution.executor import Executor
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.venue.port import OrderKind, OrderReport, UnknownOrderError, Venue, VenueError

_MISSING_STANDS_NS: Final = 60 * NS_PER_S
_LIST: Final = "open orders"
_UNREADABLE: Final = "malformed_answer"


class Comparison:
    """Asks the venue and believes it only when it is sure; what does not agree becomes a difference.

    "Unknown order" counts once the order is older than the venue's propagation time, and only after the
    fills since its submission were read. No fill is ever made up.
    """

    def __init__(
        self,
        venue: Venue,
        desk: OrderDesk,
        executor: Executor,
        differences: Differences,
        *,
        wall: Clock,
        timing: Timing,
    ) -> None:
        self.unreadable = 0
        """Answers that nobody could read."""
        self.claims = Claims(venue, desk)
        self.known_until_ns = wall.now_ns()
        """The event log holds every trade up to this time."""
        self._venue = venue
        self._desk = desk
        self._executor = executor
        self._differences = differences
        self._wall = wall
        self._timing = timing
        self._missing_since_ns: dict[str, int] = {}

    @property
    def is_calm(self) -> bool:
        """Whether no trade waits for its order, and no order of a difference for its trades."""
        return self.claims.are_settled and not self._differences.of_kind(DifferenceKind.FILL_MISSING)

    async def orders(self) -> tuple[int, set[str]]:
        """Match the venue's open orders with ours; returns how many strays it lists, and which of ours."""
        asked_ns = self._wall.now_ns()
        before = {order.client_order_id for order in self._desk.table.open()}
        reports = await self._list()
        strays: set[str] = set()
        listed: set[str] = set()
        foreign = False
        for report in reports:
            known = self._desk.table.find(report.client_order_id, report.venue_order_id)
            if known is None:
                if not self._desk.owns(report.client_order_id):
                    foreign = True
                elif not self._take_in(report):
                    strays.add(report.client_order_id)
                else:
                    listed.add(report.client_order_id)
            elif known.is_final:
                # Closed by proof that turned out wrong, or the answer is older than the close.
                if await self._still_open(known):
                    strays.add(known.client_order_id)
            else:
                listed.add(known.client_order_id)
                self._merge(known, report, asked_ns)
        self._executor.alone = not foreign
        self._tell_of_strays(strays)
        await self.prove(
            [
                order
                for order in self._desk.table.open()
                if order.client_order_id in before - listed
                and order.stage >= OrderStage.ACKED
                and asked_ns - order.created_ns >= self._timing.propagation_ns
            ]
        )
        self._age_missing(listed)
        return len(strays), listed

    async def prove(self, orders: Sequence[Order]) -> None:
        """Ask for each; an answer that nobody can read is counted and holds up no other order.

        Raises:
            VenueError: once the venue does not answer at all; the rest is asked for another time.
        """
        for order in orders:
            try:
                await self._prove(order)
            except VenueError as error:
                if error.retryable:
                    raise
                self._note_unreadable(order.client_order_id, order.state, error)

    async def fills(self, since_ns: int | None = None) -> None:
        """Read the trades since a time, or since the last known ones; known trades change nothing."""
        asked_ns = self._wall.now_ns()
        since_ns = self.known_until_ns if since_ns is None else min(since_ns, self.known_until_ns)
        fills = await self._venue.fills_since(
            self._desk.instrument.symbol, max(0, since_ns - self._timing.overlap_ns)
        )
        for fill in fills:
            self._desk.fill(fill)
            self.claims.note(fill)
        self.known_until_ns = max(self.known_until_ns, asked_ns)

    def watch_short(self) -> None:
        """An order of which the venue counts more than it lists for too long is a difference."""
        now_ns = self._wall.now_ns()
        short = {
            order.client_order_id: order
            for order in self._desk.table.short_of_fills()
            if now_ns - order.updated_ns >= self._timing.fill_grace_ns
        }
        self._differences.keep(DifferenceKind.FILL_MISSING, short, "every trade of it is known")
        size_text = self._desk.instrument.size_text
        for key, order in short.items():
            self._differences.found(
                Difference(
                    DifferenceKind.FILL_MISSING,
                    key,
                    size_text(order.filled_lots),
                    size_text(order.reported_lots),
                    "the venue counts more filled than it lists trades",
                )
            )

    async def _list(self) -> list[OrderReport]:
        try:
            reports = await self._venue.open_orders(self._desk.instrument.symbol)
        except VenueError as error:
            self._note_unreadable(_LIST, "whole ticks and lots", error, counted=False)
            raise
        self._differences.gone(DifferenceKind.OFF_GRID, _LIST, "it can be read")
        return reports

    async def _prove(self, order: Order) -> None:
        """Ask for one order; raises a VenueError where there is no answer."""
        asked_ns = self._wall.now_ns()
        try:
            report = await self._venue.query(order.symbol, order.client_order_id, order.venue_order_id)
        except UnknownOrderError:
            if asked_ns - order.created_ns < max(self._timing.propagation_ns, self._timing.doubt_ns):
                return
            await self.fills(order.created_ns)
            self._close_absent(order.client_order_id)
            return
        self._differences.gone(DifferenceKind.OFF_GRID, order.client_order_id, "it can be read")
        self._desk.merge(report)
        # The venue answered after the doubt arose: whatever it says of the order is the effect so far.
        self._desk.doubt_cancel(order.client_order_id, doubted=False)

    def _merge(self, known: Order, report: OrderReport, asked_ns: int) -> None:
        key = known.client_order_id
        terms = (report.price_ticks, report.size_lots)
        if known.kind is not OrderKind.MARKET and terms != (known.price_ticks, known.size_lots):
            self._differences.found(
                Difference(
                    DifferenceKind.ORDER_TERMS,
                    key,
                    self._terms(known.price_ticks, known.size_lots),
                    self._terms(*terms),
                    "somebody has changed it, or it is not the order that we sent",
                )
            )
        self._desk.merge(report)
        if known.cancel_doubted and asked_ns - known.updated_ns >= self._timing.doubt_ns:
            self._desk.doubt_cancel(key, doubted=False)

    def _terms(self, price_ticks: int, size_lots: int) -> str:
        instrument = self._desk.instrument
        return f"{instrument.size_text(size_lots)} at {instrument.price_text(price_ticks)}"

    def _take_in(self, report: OrderReport) -> bool:
        try:
            self._desk.adopt(report)
        except StaleFenceError:
            raise
        except StoreError:
            # Written as closed before, or not to be written at all: without an intent it must not live.
            self._executor.cancel_stray(report.client_order_id, report.venue_order_id)
            return False
        return True

    async def _still_open(self, order: Order) -> bool:
        report = await self._venue.query(order.symbol, order.client_order_id, order.venue_order_id)
        if report.status.is_final:
            return False
        self._executor.cancel_stray(order.client_order_id, order.venue_order_id)
        return True

    def _tell_of_strays(self, strays: set[str]) -> None:
        self._differences.keep(DifferenceKind.STRAY_ORDER, strays, "it has left the book")
        for key in sorted(strays):
            self._differences.found(
                Difference(
                    DifferenceKind.STRAY_ORDER,
                    key,
                    "closed",
                    "open",
                    "an order of ours stands although it should not; it is being cancelled",
                )
            )

    def _close_absent(self, client_order_id: str) -> None:
        order = self._desk.table.find(client_order_id)
        if order is None or order.is_final:
            return
        if order.stage < OrderStage.ACKED and not order.venue_order_id:
            self._desk.refused(client_order_id, "absent", "the venue never had it: neither order nor fill")
            return
        self._missing_since_ns[client_order_id] = self._wall.monotonic_ns()
        self._differences.found(
            Difference(
                DifferenceKind.ORDER_MISSING,
                client_order_id,
                order.state,
                "unknown",
                "the venue had acknowledged it and now denies it; it is taken as cancelled",
            )
        )
        self._desk.closed(client_order_id)

    def _age_missing(self, listed: set[str]) -> None:
        now_ns = self._wall.monotonic_ns()
        for each in self._differences.of_kind(DifferenceKind.ORDER_MISSING):
            since_ns = self._missing_since_ns.setdefault(each.subject, now_ns)
            if each.subject in listed or now_ns - since_ns >= _MISSING_STANDS_NS:
                del self._missing_since_ns[each.subject]
                self._differences.gone(
                    DifferenceKind.ORDER_MISSING, each.subject, "it has not come back, and no trade of it has"
                )
        for each in self._differences.of_kind(DifferenceKind.ORDER_TERMS):
            order = self._desk.table.find(each.subject)
            if order is None or order.is_final:
                self._differences.gone(DifferenceKind.ORDER_TERMS, each.subject, "it is closed")

    def _note_unreadable(self, subject: str, ours: str, error: VenueError, *, counted: bool = True) -> None:
        self.unreadable += counted
        if error.code == _UNREADABLE:
            self._differences.found(
                Difference(DifferenceKind.OFF_GRID, subject, ours, "unreadable", error.detail)
            )
