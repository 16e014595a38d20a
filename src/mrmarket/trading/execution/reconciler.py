"""Proof for what is in doubt: recovery at start, queries while running, certainty when stopping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.store.errors import StaleFenceError
from mrmarket.trading.execution.account import Account
from mrmarket.trading.execution.balance_audit import BalanceAudit
from mrmarket.trading.execution.comparison import Comparison
from mrmarket.trading.execution.desk import OrderDesk
from mrmarket.trading.execution.differences import Difference, DifferenceKind, Differences
from mrmarket.trading.execution.executor import Executor
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.venue.port import Capability, OrderKind, Venue, VenueError

Sleep = Callable[[float], Awaitable[None]]

_NEVER: Final = -(2**62)
_CLAIMS_AT_START: Final = 50
_CLAIMS_AT_ONCE: Final = 5
_PROOFS_AT_ONCE: Final = 20
"""More orders in doubt than this are looked for in the list of open orders before any is asked for."""
_LOOKS_MISSED: Final = 3
"""After so many comparisons without a quiet moment balances are audited all the same."""
_TRANSFERS_FROM_NS: Final = 24 * 3600 * NS_PER_S
"""How far back transfers are read each time: a deposit is stamped long before it is credited."""


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
    proven: bool = True
    """Whether the venue has listed its open orders, after all of ours had ended, and named none of ours."""

    @property
    def clean(self) -> bool:
        """Whether nothing of ours is left at the venue."""
        return not self.remaining

    @property
    def settled(self) -> bool:
        """Whether the venue has confirmed that, and all that was traded is known."""
        return self.clean and self.proven and not self.fills_missing

    @classmethod
    def together(cls, reports: Sequence[Self]) -> Self:
        """What several found, as one."""
        return cls(
            sum(each.cancels_sent for each in reports),
            tuple(key for each in reports for key in each.remaining),
            sum(each.fills_missing for each in reports),
            all(each.proven for each in reports),
        )


class Reconciler:
    """Compares our picture with the venue's: at start, now and then, after each reconnect, and on doubt."""

    def __init__(
        self,
        venue: Venue,
        desk: OrderDesk,
        executor: Executor,
        account: Account,
        journal: OrderJournal,
        stream: str,
        differences: Differences,
        audit: BalanceAudit,
        *,
        wall: Clock,
        timing: Timing,
        double_mid: Callable[[], int | None] = lambda: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.reconciliations = 0
        """Complete comparisons so far."""
        self.differences = differences
        self.audit = audit
        self._comparison = Comparison(venue, desk, executor, differences, wall=wall, timing=timing)
        self._venue = venue
        self._desk = desk
        self._executor = executor
        self._account = account
        self._journal = journal
        self._stream = stream
        self._wall = wall
        self._timing = timing
        self._double_mid = double_mid
        self._sleep = sleep
        self._unanswered = 0
        self._compared_ns = _NEVER
        self._looked_ns = _NEVER
        self._due = False
        self._loaded = 0
        self._strays: int | None = None
        self._listed: set[str] = set()
        self._asked: set[str] = set()

    @property
    def failures(self) -> int:
        """Questions that the venue did not answer, or not so that anybody could read it."""
        return self._unanswered + self._comparison.unreadable

    def request(self) -> None:
        """Compare at the next occasion (the user stream was interrupted)."""
        self._due = True

    def know_fills_until(self, at_ns: int) -> None:
        """The event log is complete up to this time: what came later, the venue is asked for."""
        self._comparison.known_until_ns = at_ns

    def know_trade(self, trade_id: str) -> None:
        """The event log holds this trade."""
        self._comparison.claims.know((trade_id,))

    def accept(self, difference: Difference) -> bool:
        """The owner takes a difference as it is; False if it does not stand any more."""
        if difference.kind is DifferenceKind.BALANCE:
            return self.audit.accept(difference.subject)
        return self.differences.gone(difference.kind, difference.subject, "accepted by the owner")

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
        comparison = self._comparison
        oldest_ns = min((intent.created_ns for intent in intents), default=comparison.known_until_ns)
        comparison.known_until_ns = min(comparison.known_until_ns, oldest_ns)
        self.audit.carry_over()
        self.differences.tell_again()
        self._loaded = len(intents)
        return self._loaded

    async def recover(self) -> Recovery:
        """Find out what became of them. Raises a VenueError where the venue has no answer; try again.

        Order matters: first what still stands, then the fills, then what is in doubt, then balances. One
        question finds every order that stands; a further try goes on where the last one ended.
        """
        if self._strays is None:
            strays, self._listed = await self._comparison.orders()
            await self._comparison.fills()
            self._strays = strays
        for order in self._desk.table.open():
            key = order.client_order_id
            if key not in self._listed and key not in self._asked:
                await self._comparison.prove([order])
                self._asked.add(key)
        try:
            await self._comparison.claims.settle(_CLAIMS_AT_START)
        except VenueError:
            # `maintain` goes on asking: other people's trades must not keep us from starting.
            self._unanswered += 1
        await self._look()
        self._compared_ns = self._wall.monotonic_ns()
        found = Recovery(self._loaded, len(self._desk.table), self._strays)
        self._strays, self._listed, self._asked = None, set(), set()
        return found

    @property
    def is_idle(self) -> bool:
        """Whether `maintain` would find nothing to do now: asked ten times a second by hundreds of runs."""
        return (
            not self._due
            and self._desk.table.is_calm
            and self._comparison.is_calm
            and self._wall.monotonic_ns() - self._compared_ns < self._timing.reconcile_ns
        )

    async def maintain(self) -> None:
        """Do whatever is due; a venue that does not answer is asked again later."""
        try:
            await self._resolve()
            await self._comparison.claims.settle(_CLAIMS_AT_ONCE)
            if self._due or self._wall.monotonic_ns() - self._compared_ns >= self._timing.reconcile_ns:
                self._due = False
                await self._comparison.orders()
                await self._comparison.fills()
                await self._look()
                self.reconciliations += 1
                self._compared_ns = self._wall.monotonic_ns()
        except VenueError:
            self._unanswered += 1

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
                self._unanswered += 1
            except (TimeoutError, StaleFenceError):
                # Out of time; or an heir trades by now, and what else stands there is the heir's.
                break
            if not proven:
                await self._sleep(self._timing.poll_ns / NS_PER_S)
        table = self._desk.table
        remaining = tuple(order.client_order_id for order in table.open())
        sent = self._executor.cancels_sent - before
        return StopReport(sent, remaining, len(table.short_of_fills()), proven)

    async def _clear(self) -> bool:
        await self._executor.drain()
        self._executor.cancel_all(
            [
                order
                for order in self._desk.table.open()
                if not order.is_doubted and not (order.cancel_attempts and self._is_fresh(order))
            ]
        )
        await self._executor.drain()
        await self._resolve()
        if len(self._desk.table) or self._desk.table.short_of_fills():
            return False
        strays, _ = await self._comparison.orders()
        await self._executor.drain()
        return not strays and not len(self._desk.table)

    async def _resolve(self) -> None:
        """Look into what has been in doubt, or short of its fills, for long enough."""
        doubted = self._in_doubt()
        if len(doubted) > _PROOFS_AT_ONCE:
            await self._comparison.orders()
            doubted = self._in_doubt()
        await self._comparison.prove(doubted)
        now_ns = self._wall.now_ns()
        late = [
            order
            for order in self._desk.table.short_of_fills()
            if now_ns - order.updated_ns >= self._timing.missing_fill_ns
        ]
        if late:
            await self._comparison.fills(min(order.created_ns for order in late))
        self._comparison.watch_short()

    def _in_doubt(self) -> list[Order]:
        now_ns = self._wall.now_ns()
        return [
            order
            for order in self._desk.table.open()
            if (order.is_doubted or (order.stage < OrderStage.ACKED and not self._executor.in_flight))
            and now_ns - order.updated_ns >= self._timing.doubt_ns
        ]

    async def _look(self) -> None:
        """Read the balances, and audit them if nothing is on its way that could change them."""
        audits = await self._read_transfers()
        mark, trades = self._account.mark, self._desk.trades
        reports = await self._venue.balances()
        self._account.observe_all(reports, since=mark)
        now_ns = self._wall.monotonic_ns()
        quiet = (
            not self._executor.in_flight
            and trades == self._desk.trades
            and not self._desk.table.short_of_fills()
        )
        overdue = now_ns - self._looked_ns >= _LOOKS_MISSED * self._timing.reconcile_ns
        if audits and (quiet or overdue):
            self._looked_ns = now_ns
            totals = {each.asset: Decimal(each.free) + Decimal(each.locked) for each in reports}
            self.audit.look(totals, self._double_mid())

    async def _read_transfers(self) -> bool:
        """Whether the venue's own list of transfers is at hand, as far as it has one."""
        if Capability.TRANSFERS not in self._venue.capabilities:
            return True
        try:
            since_ns = self._wall.now_ns() - _TRANSFERS_FROM_NS
            self.audit.note_transfers(await self._venue.transfers_since(since_ns))
        except VenueError:
            # Without the list any deposit would look like a difference.
            self._unanswered += 1
            return False
        return True

    def _is_fresh(self, order: Order) -> bool:
        return self._wall.now_ns() - order.updated_ns < self._timing.doubt_ns
