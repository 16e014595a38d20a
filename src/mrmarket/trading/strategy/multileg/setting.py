"""Where a run over several markets trades, and what all its parts are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.risk.pretrade import RiskLimits
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.strategy.observer import RunObserver
from mrmarket.trading.venue.port import Venue

WHOLE_ACCOUNT: Final = RiskLimits(max_inventory_share=Decimal(1))
"""Between two orders that belong together an account may hold all in one asset."""


@dataclass(frozen=True, slots=True)
class Place:
    """One market that a run trades on, with one account."""

    venue: Venue
    """Open; whoever opened it closes it."""
    market: str = ""
    """The exchange, whatever account on it; empty is what the venue's instrument says."""
    symbol: str = ""
    """The pair there; empty is the one that the strategy names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSetting:
    """What a run over several markets is given, whatever it trades."""

    instance: str
    """The instance's name, a part of every order id."""
    stream: str
    """The run's name and its stream in the event log; the same after a restart."""
    wall: Clock
    """Real time: stamps, time-outs."""
    world: Clock | None = None
    """The strategy's time; the wall clock if None."""
    fence: int = 0
    """Of the run's lease."""
    limits: RiskLimits = WHOLE_ACCOUNT
    """Pre-trade limits of each order."""
    timing: Timing = field(default_factory=Timing)
    """How long execution waits for what."""
    observer: RunObserver | None = None
    """Who is told of orders, fills and states."""
    guard: LeaseGuard | None = None
    """Whether this process still holds the run's lease; None always does."""
    board: RiskBoard | None = None
    """The process's restrictions; None is a board of the run's own."""
    breakers: BreakerLimits = field(default_factory=BreakerLimits)
    """Where breakers trip; gains and losses are of all markets together."""
    mark_every_ns: int = 2 * NS_PER_S
    """Wall time between two marks of each market in the event log."""
    balances_every_ns: int = 5 * NS_PER_S
    """Wall time between two balance observations."""

    @property
    def strategy_clock(self) -> Clock:
        """By which decisions, budgets and deadlines count."""
        return self.world or self.wall
