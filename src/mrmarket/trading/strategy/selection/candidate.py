"""What may be chosen: a strategy with its place, its cost of taking over, and what it excludes."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Activity(StrEnum):
    """What the engine is doing."""

    MARKET_MAKING = "market_making"
    ARBITRAGE = "arbitrage"
    REBALANCE = "rebalance"
    IDLE = "idle"


class MutexKey(msgspec.Struct, frozen=True, order=True, kw_only=True):
    """What only one strategy may use at a time."""

    pool: str
    """Whose money; empty for an account's own."""
    account: str
    """`venue/account`."""
    pair: str
    activity: Activity | None = None
    """None excludes every activity on the account's pair, as market making and arbitrage do each other."""

    def clashes(self, other: MutexKey) -> bool:
        """Whether the two cannot be held by different strategies."""
        same = (self.pool, self.account, self.pair) == (other.pool, other.account, other.pair)
        return same and (self.activity is None or other.activity is None or self.activity is other.activity)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy that may be chosen."""

    id: str
    activity: Activity
    keys: tuple[MutexKey, ...]
    """What it uses; an arbitrage uses two accounts."""
    can_interrupt_current: bool = True
    """Whether it may end the turn of a strategy that still earns; else it waits until that stops earning."""
    switch_cost: float = 0.0
    """Fraction of its capital that taking over costs: inventory to be brought along, spread, fees."""
