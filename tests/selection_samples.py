"""Candidates, scores and thresholds for the tests of choosing."""

from __future__ import annotations

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.strategy.selection.candidate import Activity, Candidate, MutexKey
from mrmarket.trading.strategy.selection.score import Score
from mrmarket.trading.strategy.selection.thresholds import Thresholds

START_NS = 1_700_000_000 * NS_PER_S
EAGER = Thresholds(
    ratio=1.5,
    margin_per_h=0.001,
    cool_down_s=0,
    dwell_s=0,
    debounce=1,
    switches_per_hour=1_000,
    failure_cool_down_s=60,
)


def key(account: str, activity: Activity | None = None) -> MutexKey:
    """A key of the one pair."""
    return MutexKey(pool="first", account=account, pair="BTC/USDT", activity=activity)


def candidate(
    name: str,
    *,
    accounts: tuple[str, ...] = ("a/default",),
    can_interrupt: bool = True,
    cost: float = 0.0,
) -> Candidate:
    """A candidate that uses whole accounts."""
    return Candidate(
        id=name,
        activity=Activity.ARBITRAGE if name == "arb" else Activity.MARKET_MAKING,
        keys=tuple(key(account) for account in accounts),
        can_interrupt_current=can_interrupt,
        switch_cost=cost,
    )


def scored(name: str, value: float | None, *, at_ns: int = START_NS, upper: float | None = None) -> Score:
    """A score of that value."""
    return Score(
        candidate=name,
        at_ms=at_ns // NS_PER_MS,
        source="none" if value is None else "live",
        mean=value,
        trust=1.0,
        error=None if value is None else 0.0,
        samples=0 if value is None else 100,
        switch_cost=0.0,
        value=value,
        upper=value if upper is None else upper,
        why_not="no_data" if value is None else "",
    )
