"""Proof for what is in doubt: recovery at start, queries while running, certainty when stopping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.store.errors import StaleFenceError, StoreError
from mrmarket.trading.execution.account import Account
from mrmarket.trading.execution.claims import Claims
from mrmarket.trading.execution.desk import OrderDesk
from mrmarket.trading.execution.executor import Executor
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.venue.port import (
    OrderKind,
    OrderReport,
    UnknownOrderError,
    Venue,
    VenueError,
)

Sleep = Callable[[float], Awaitable[None]]

_NEVER: Final = -(2**62)
_CLAIMS_AT_START: Final = 50
_CLAIMS_AT_ONCE: Final = 5


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a start has found of an earlier life."""

    intents: int
    """Orders that the journal held as open."""
    adopted: int
    """Orders that still stand at the venue and go on."""
    strays: int
    """Orders of ours at the venue that had no place and were cancelled."""


@dataclass(frozen=True, slots=True)
class StopReport:
    """What stopping has done."""

    cancels_sent: int
    remaining: tuple[str, ...]
    """Client order ids that are not proven closed; empty after a clean stop."""
    fills_missing: int
    """Closed orders whose fills are not all known."""

    @property
    def clean(self) -> bool:
        """Whether nothing of ours is left at the venue."""
        return not self.remaining


class Reconciler:
    """Compares our picture with the venue's, and believes the venue only when it is sure.

    "Unknown order" counts once the order is older than the venue's propagation time, and only after
    the fills since its submission were read.
    """

    def __init__(
        self,
        venue: Venue,
        desk: OrderDesk,
        executor: Executor,
        account: Account,
        journal: OrderJournal,
        stream: str,
        *,
        wall: Clock,
        timing: Timing,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.reconciliations = 0
        """Complete comparisons so far."""
        self.failures = 0
        """Comparisons that the venue did not answer."""
        self._venue = venue
        self._desk = desk
        self._executor = executor
        self._account = account
        self._journal = journal
        self._stream = stream
        self._wall = wall
        self._timing = timing
        self._sleep = sleep
        self._claims = Claims(venue, desk)
        self._known_until_ns = wall.now_ns()
        self._compared_ns = _NEVER
        self._due = False
        self._loaded = 0

    def request(self) -> None:
        """Compare at the next occasion (the user stream was interrupted)."""
        self._due = True

    def know_fills_until(self, at_ns: int) -> None:
        """The event log is complete up to this time: what came later, the venue is asked for."""
        self._known_until_ns = at_ns

    def know_trade(self, trade_id: str) -> None:
        """The event log holds this trade."""
        self._claims.know((trade_id,))

    def load(self) -> int:
        """Take over the orders that the journal holds as open; returns how many. Before all else."""
        intents = self._journal.open_intents(self._stream)
        for intent in intents:
            self._desk.remember(
                Order(
                    intent.client_order_id,
                    intent.symbol,
                    intent.slot,
                    intent.side,
                    OrderKind(intent.kind),
                    intent.price_ticks,
                    intent.size_lots,
                    created_ns=intent.created_ns,
                    updated_ns=intent.updated_ns,
                    venue_order_id=intent.venue_order_id,
                    stage=OrderStage.SENT,
                    place_doubted=True,
                )
            )
        oldest_ns = min((intent.created_ns for intent in intents), default=self._known_until_ns)
        self._known_until_ns = min(self._known_until_ns, oldest_ns)
        self._loaded = len(intents)
        return self._loaded

    async def recover(self) -> Recovery:
        """Find out what became of them. Raises a VenueError where the venue has no answer; try again.

        Order matters: first what still stands, then the fills, then what is in doubt, then balances.
        """
        strays, listed = await self._compare()
        await self._fetch_fills()
        await self._prove_all(
            [order for order in self._desk.table.open() if order.client_order_id not in listed]
        )
        try:
            await self._claims.settle(_CLAIMS_AT_START)
        except VenueError:
            # `maintain` goes on asking: other people's trades must not keep us from starting.
            self.failures += 1
        self._account.observe_all(await self._venue.balances())
        self._compared_ns = self._wall.monotonic_ns()
        return Recovery(self._loaded, len(self._desk.table), strays)

    async def maintain(self) -> None:
        """Do whatever is due; a venue that does not answer is asked again later."""
        try:
            await self._resolve()
            await self._claims.settle(_CLAIMS_AT_ONCE)
            if self._due or self._wall.monotonic_ns() - self._compared_ns >= self._timing.reconcile_ns:
                self._due = False
                await self._compare()
                await self._fetch_fills()
                self._account.observe_all(await self._venue.balances())
                self.reconciliations += 1
                self._compared_ns = self._wall.monotonic_ns()
        except VenueError:
            self.failures += 1

    async def stop(self) -> StopReport:
        """Cancel everything of ours and prove it gone; gives up at the deadline and says what remains."""
        deadline_ns = self._wall.monotonic_ns() + self._timing.stop_timeout_ns
        before = self._executor.cancels_sent
        proven = False
        while not proven and self._wall.monotonic_ns() < deadline_ns:
            left_s = (deadline_ns - self._wall.monotonic_ns()) / NS_PER_S
            try:
                async with asyncio.timeout(left_s):
                    proven = await self._clear()
            except VenueError:
                self.failures += 1
            except (TimeoutError, StaleFenceError):
                # Out of time; or an heir trades by now, and what else stands there is the heir's.
                break
            if not proven:
                await self._sleep(self._timing.poll_ns / NS_PER_S)
        table = self._desk.table
        remaining = tuple(order.client_order_id for order in table.open())
        return StopReport(self._executor.cancels_sent - before, remaining, len(table.short_of_fills()))

    async def _clear(self) -> bool:
        await self._executor.drain()
        for order in self._desk.table.open():
            if not order.is_doubted and not (order.cancel_attempts and self._is_fresh(order)):
                self._executor.cancel(order)
        await self._executor.drain()
        await self._resolve()
        if len(self._desk.table) or self._desk.table.short_of_fills():
            return False
        strays, _ = await self._compare()
        await self._executor.drain()
        return not strays and not len(self._desk.table)

    async def _resolve(self) -> None:
        now_ns = self._wall.now_ns()
        silent = [
            order
            for order in self._desk.table.open()
            if order.is_doubted or (order.stage < OrderStage.ACKED and not self._executor.in_flight)
        ]
        await self._prove_all(
            [order for order in silent if now_ns - order.updated_ns >= self._timing.doubt_ns]
        )
        late = [
            order
            for order in self._desk.table.short_of_fills()
            if now_ns - order.updated_ns >= self._timing.missing_fill_ns
        ]
        if late:
            await self._fetch_fills(min(order.created_ns for order in late))

    async def _prove_all(self, orders: Sequence[Order]) -> None:
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
                self.failures += 1

    async def _prove(self, order: Order) -> None:
        """Ask for one order; raises a VenueError where there is no answer."""
        asked_ns = self._wall.now_ns()
        try:
            report = await self._venue.query(order.symbol, order.client_order_id, order.venue_order_id)
        except UnknownOrderError:
            if asked_ns - order.created_ns < max(self._timing.propagation_ns, self._timing.doubt_ns):
                return
            await self._fetch_fills(order.created_ns)
            self._close_absent(order.client_order_id)
            return
        self._desk.merge(report)
        # The venue answered after the doubt arose: whatever it says of the order is the effect so far.
        self._desk.doubt_cancel(order.client_order_id, doubted=False)

    def _close_absent(self, client_order_id: str) -> None:
        order = self._desk.table.find(client_order_id)
        if order is None or order.is_final:
            return
        if order.stage >= OrderStage.ACKED or order.venue_order_id:
            self._desk.closed(client_order_id)
        else:
            self._desk.refused(client_order_id, "absent", "the venue never had it: neither order nor fill")

    async def _compare(self) -> tuple[int, set[str]]:
        """Match the venue's open orders with ours; returns how many strays it lists, and which of ours."""
        asked_ns = self._wall.now_ns()
        before = {order.client_order_id for order in self._desk.table.open()}
        reports = await self._venue.open_orders(self._desk.instrument.symbol)
        strays = 0
        listed: set[str] = set()
        for report in reports:
            known = self._desk.table.find(report.client_order_id, report.venue_order_id)
            if known is None:
                strays += await self._take_in(report)
                listed.add(report.client_order_id)
            elif known.is_final:
                # Closed by proof that turned out wrong, or the answer is older than the close.
                strays += await self._still_open(known)
            else:
                listed.add(known.client_order_id)
                self._desk.merge(report)
        await self._prove_all(
            [
                order
                for order in self._desk.table.open()
                if order.client_order_id in before - listed
                and order.stage >= OrderStage.ACKED
                and asked_ns - order.created_ns >= self._timing.propagation_ns
            ]
        )
        return strays, listed

    async def _take_in(self, report: OrderReport) -> int:
        if not self._desk.owns(report.client_order_id):
            return 0
        try:
            self._desk.adopt(report)
        except StaleFenceError:
            raise
        except StoreError:
            # Written as closed before, or not to be written at all: without an intent it must not live.
            self._executor.cancel_stray(report.client_order_id, report.venue_order_id)
            return 1
        return 0

    async def _still_open(self, order: Order) -> int:
        report = await self._venue.query(order.symbol, order.client_order_id, order.venue_order_id)
        if report.status.is_final:
            return 0
        self._executor.cancel_stray(order.client_order_id, order.venue_order_id)
        return 1

    def _is_fresh(self, order: Order) -> bool:
        return self._wall.now_ns() - order.updated_ns < self._timing.doubt_ns

    async def _fetch_fills(self, since_ns: int | None = None) -> None:
        """Read the trades since a time, or since the last known ones; known trades change nothing."""
        asked_ns = self._wall.now_ns()
        since_ns = self._known_until_ns if since_ns is None else min(since_ns, self._known_until_ns)
        fills = await self._venue.fills_since(
            self._desk.instrument.symbol, max(0, since_ns - self._timing.overlap_ns)
        )
        for fill in fills:
            self._desk.fill(fill)
            self._claims.note(fill)
        self._known_until_ns = max(self._known_until_ns, asked_ns)
