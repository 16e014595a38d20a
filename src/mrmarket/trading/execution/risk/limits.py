"""Where each breaker trips. The defaults suit a small account on a liquid pair."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.execution.risk.breakers import LossLimit


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """Counts and losses by the strategy's clock, durations by the wall's. Shares are of 1."""

    loss_1m: LossLimit = field(default_factory=lambda: LossLimit(share=Decimal("0.02")))
    loss_1h: LossLimit = field(default_factory=lambda: LossLimit(share=Decimal("0.05")))
    loss_24h: LossLimit = field(default_factory=lambda: LossLimit(share=Decimal("0.1")))
    drawdown: LossLimit = field(default_factory=lambda: LossLimit(share=Decimal("0.15")))
    deviation: LossLimit = field(default_factory=lambda: LossLimit(share=Decimal("0.04")))
    """How far profit may stay behind what the fills promised, within an hour."""
    reject_share: Decimal = Decimal("0.5")
    """Of the orders of a minute."""
    reject_least: int = 20
    """Fewer orders than this tell nothing."""
    retries_per_minute: int = 60
    """Orders placed anew into a slot whose order was refused or lost."""
    unknown_orders: int = 10
    stale_after_ns: int = 60 * NS_PER_S
    index_gap: Decimal = Decimal("0.02")
    index_after_ns: int = NS_PER_S
    fills_per_minute: int = 300
    slippage_bps: int = 50
    """Over a minute, weighted by size."""
    difference_halt_after_ns: int = 120 * NS_PER_S
    budget_share: float = 0.05
    """Of the requests that may go at once; below it cancels are no longer safe."""
    budget_after_ns: int = 5 * NS_PER_S
    clock_after_ns: int = 2 * NS_PER_S
