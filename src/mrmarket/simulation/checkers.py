"""What must be true of every seed, watched while it runs and looked at when it has come to rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.events import Filled
from mrmarket.simulation.exchange import Exchange
from mrmarket.simulation.process import Process
from mrmarket.simulation.trading_log import TradingData
from mrmarket.simulation.venue import RECV_WINDOW_NS, ExchangeLine
from mrmarket.store.lease_row import LeaseRow
from mrmarket.store.operations import Restriction
from mrmarket.trading.execution.order_id import parse_order_id
from mrmarket.trading.venue.port import NewOrder

STALE_SLACK_S: Final = 0.25
"""How long after a book has gone stale an order may still be handed over."""
BOOK_AGE_S: Final = 45.0
"""A book without a word for so long is stale; in production it is 10 s."""

_ENOUGH: Final = 20


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be."""

    check: str
    detail: str
    at_s: float

    def __str__(self) -> str:
        return f"{self.check}: {self.detail} (at {self.at_s:.3f} s)"


@dataclass(slots=True)
class _Tenure:
    fence: int
    since_ns: int
    seized: bool


@dataclass(slots=True)
class Checkers:
    """Collects violations; what it is told of, it believes nobody else for."""

    time_s: Callable[[], float]
    lease_ns: int
    violations: list[Violation] = field(default_factory=list)
    placed_ids: set[str] = field(default_factory=set)
    arrivals: Counter[str] = field(default_factory=Counter)
    tenures: dict[str, _Tenure] = field(default_factory=dict)
    rearmed: set[str] = field(default_factory=set)
    """Scopes in which the owner has allowed trading again."""
    halts: dict[str, list[float]] = field(default_factory=dict)
    """From when on nothing may be sent for a run, for each time that the owner has halted it."""

    def report(self, check: str, detail: str) -> None:
        """Note a violation."""
        if len(self.violations) < _ENOUGH:
            self.violations.append(Violation(check, detail, self.time_s()))

    # While it runs.

    def fence_taken(self, row: LeaseRow) -> None:
        """A lease changed hands, or began anew in the same ones."""
        before = self.tenures.get(row.name)
        if before is not None and row.fence <= before.fence:
            self.report("fence_rises", f"{row.name} went from {before.fence} to {row.fence}")
        self.tenures[row.name] = _Tenure(row.fence, self._now_ns(), row.owner.startswith("angel"))

    def halted(self, runs: Iterable[str], *, at_once: bool) -> None:
        """The owner was told that these runs are halted; what is for many each engine reads in time."""
        from_s = self.time_s() + (0.0 if at_once else 2 * self.lease_ns / NS_PER_S)
        for run in runs:
            self.halts.setdefault(run, []).append(from_s)

    def allowed(self, runs: Iterable[str]) -> None:
        """The owner is about to take a halt back."""
        for run in runs:
            self.halts.pop(run, None)

    def lifted(self, restriction: Restriction, by: str) -> None:
        """A restriction was taken away."""
        if restriction.until_ms or restriction.scope in self.rearmed or by == restriction.by == "angel":
            return
        self.report(
            "lifted", f"{restriction.scope} is no longer restricted by {restriction.cause}, and nobody asked"
        )

    def handed(self, line: ExchangeLine, process: Process, order: NewOrder) -> None:
        """An order is about to leave a process."""
        key = order.client_order_id
        if key in self.placed_ids:
            self.report("sent_once", f"{process} sends {key} again")
        self.placed_ids.add(key)
        if line.guard is not None and not line.guard.is_valid:
            self.report("guard", f"{process} sends {key} although its lease may have run out")
        self._check_fence(key, line.run, f"{process} sends")
        if any(self.time_s() > from_s for from_s in self.halts.get(line.run, ())):
            self.report("halted", f"{process} sends {key} although the owner has halted it")
        truth = line.truth
        if not truth.is_whole:
            if self.time_s() - truth.broken_s > STALE_SLACK_S:
                self.report("stale_book", f"{process} sends {key} on a book with a gap")
        elif self.time_s() - truth.taken_s > BOOK_AGE_S + STALE_SLACK_S:
            self.report("stale_book", f"{process} sends {key} on a book of {truth.taken_s:.3f} s")

    def arrived(self, run: str, order: NewOrder) -> None:
        """An order has reached its exchange."""
        self.arrivals[order.client_order_id] += 1
        if self.arrivals[order.client_order_id] > 1:
            self.report("sent_once", f"{order.client_order_id} reached its exchange twice")
        self._check_fence(order.client_order_id, run, "it receives", RECV_WINDOW_NS + NS_PER_S)

    def _check_fence(self, key: str, run: str, words: str, slack_ns: int = 0) -> None:
        parsed, tenure = parse_order_id(key), self.tenures.get(run)
        if parsed is None or tenure is None or parsed.fence >= tenure.fence:
            return
        # Whoever is deposed by force learns of it at his next renewal, or by his own clock.
        bound_ns = slack_ns + (self.lease_ns if tenure.seized else 0)
        if self._now_ns() - tenure.since_ns > bound_ns:
            self.report("old_fence", f"{words} {key} of fence {parsed.fence}, {run} is at {tenure.fence}")

    # At rest.

    def check_orders(self, exchange: Exchange, owned: Iterable[str]) -> None:
        """Every order that stands has somebody who knows it."""
        known = set(owned)
        for standing in exchange.standing():
            if standing.order.client_order_id not in known:
                self.report("owned", f"{standing.order.client_order_id} stands at {exchange.name}, unknown")

    def check_fills(
        self, exchange: Exchange, run: str, data: TradingData, before_ns: int | None = None
    ) -> None:
        """Every trade of the exchange (before a time) is in the event log, once and as it was."""
        logged: dict[str, Filled] = {}
        for row in data.events.get(run, []):
            if isinstance(row.fact, Filled):
                if row.fact.trade_id in logged:
                    self.report("fill_once", f"{run}: trade {row.fact.trade_id} is in the log twice")
                logged[row.fact.trade_id] = row.fact
        instrument = exchange.instrument
        for trade in exchange.trades:
            fact = logged.pop(trade.trade_id, None)
            if fact is None:
                if before_ns is None or trade.venue_ns < before_ns:
                    self.report("fill_once", f"{run}: trade {trade.trade_id} is missing in the log")
                continue
            says = (fact.side, fact.price, fact.size, fact.fee, fact.fee_asset, fact.client_order_id)
            truth = (
                trade.side,
                instrument.price_text(trade.price_ticks),
                instrument.size_text(trade.size_lots),
                trade.fee,
                trade.fee_asset,
                trade.client_order_id,
            )
            if says != truth:
                self.report(
                    "fill_once", f"{run}: trade {trade.trade_id} is in the log as {says}, not {truth}"
                )
        # Older ones were compared before the exchange forgot them.
        oldest = int(exchange.trades[0].trade_id) if exchange.trades else 0
        for trade_id in logged:
            if int(trade_id) >= oldest:
                self.report("fill_once", f"{run}: trade {trade_id} is in the log and never happened")

    def _now_ns(self) -> int:
        return int(self.time_s() * NS_PER_S)
