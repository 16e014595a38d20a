"""`[risk]`: where breakers trip, how restrictions end, and what a single order must not exceed."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.execution.risk.board import Rearming
from mrmarket.trading.execution.risk.breakers import LossLimit
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.risk.pretrade import RiskLimits
from mrmarket.trading.execution.risk.restart import RestartLimits

Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class RiskSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Amounts are in the quote, shares of 1; an amount that is left out is no limit."""

    loss_1m_quote: Decimal | None = None
    loss_1m_share: Decimal = Decimal("0.02")
    """Of the run's capital: what its account was worth when it started."""
    loss_1h_quote: Decimal | None = None
    loss_1h_share: Decimal = Decimal("0.05")
    loss_24h_quote: Decimal | None = None
    loss_24h_share: Decimal = Decimal("0.1")
    drawdown_quote: Decimal | None = None
    drawdown_share: Decimal = Decimal("0.15")
    pnl_deviation_quote: Decimal | None = None
    pnl_deviation_share: Decimal = Decimal("0.04")
    reject_share: Decimal = Decimal("0.5")
    reject_least: Count = 20
    retries_per_minute: Count = 60
    unknown_orders: Count = 10
    stale_after_s: Seconds = 60
    index_gap: Decimal = Decimal("0.02")
    fills_per_minute: Count = 300
    slippage_bps: Count = 50
    difference_halt_after_s: Seconds = 120
    cancel_reserve: Share = 0.05
    cool_down_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 60
    dwell_s: Seconds = 10
    price_band: Decimal = Decimal("0.1")
    fair_band: Decimal = Decimal("0.1")
    max_notional: Decimal | None = None
    max_run_notional: Decimal | None = None
    max_inventory_share: Decimal = Decimal("0.95")
    max_position_base: Decimal | None = None
    max_open_orders: Count = 200
    max_depth_multiple: Decimal = Decimal(20)
    restart_cool_down_s: Annotated[float, msgspec.Meta(ge=0.1, le=86_400)] = 10
    restarts_per_hour: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 6

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Decimal) and not (value.is_finite() and value > 0):
                raise ValueError(f"{field.name}: {value} was refused; give a number above 0")

    def breakers(self) -> BreakerLimits:
        """Where breakers trip."""
        return BreakerLimits(
            loss_1m=LossLimit(self.loss_1m_quote, self.loss_1m_share),
            loss_1h=LossLimit(self.loss_1h_quote, self.loss_1h_share),
            loss_24h=LossLimit(self.loss_24h_quote, self.loss_24h_share),
            drawdown=LossLimit(self.drawdown_quote, self.drawdown_share),
            deviation=LossLimit(self.pnl_deviation_quote, self.pnl_deviation_share),
            reject_share=self.reject_share,
            reject_least=self.reject_least,
            retries_per_minute=self.retries_per_minute,
            unknown_orders=self.unknown_orders,
            stale_after_ns=_ns(self.stale_after_s),
            index_gap=self.index_gap,
            fills_per_minute=self.fills_per_minute,
            slippage_bps=self.slippage_bps,
            difference_halt_after_ns=_ns(self.difference_halt_after_s),
            budget_share=self.cancel_reserve,
        )

    def orders(self) -> RiskLimits:
        """What a single order must not exceed."""
        return RiskLimits(
            price_band=self.price_band,
            fair_band=self.fair_band,
            max_notional=self.max_notional,
            max_run_notional=self.max_run_notional,
            max_inventory_share=self.max_inventory_share,
            max_position_base=self.max_position_base,
            max_open_orders=self.max_open_orders,
            max_depth_multiple=self.max_depth_multiple,
            cancel_reserve=self.cancel_reserve,
        )

    def rearming(self) -> Rearming:
        """How soft restrictions end."""
        return Rearming(cool_down_ns=_ns(self.cool_down_s), dwell_ns=_ns(self.dwell_s))

    def restarts(self) -> RestartLimits:
        """How often a failed run is started again."""
        return RestartLimits(cool_down_ns=_ns(self.restart_cool_down_s), per_hour=self.restarts_per_hour)


def _ns(seconds: float) -> int:
    return int(seconds * NS_PER_S)
