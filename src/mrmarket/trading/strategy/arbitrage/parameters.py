"""The parameters of cross-exchange arbitrage, each with its range."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from mrmarket.trading.strategy.schema import StrategySchema, within


class LegSchema(StrategySchema, frozen=True, kw_only=True):
    """How an order on one venue follows one on another; shared by every strategy that trades on two."""

    leg_band: Decimal = Decimal("0.001")
    """How far beyond its decided price the second order may trade, as a fraction."""
    leg_retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2
    """Further attempts at the second order; each may go one more `leg_band` beyond the price."""
    leg_deadline: Annotated[float, msgspec.Meta(gt=0, le=600)] = 5.0
    """After so long the second order is not tried again and the first is undone."""
    unwind_band: Decimal = Decimal("0.005")
    """How far from its own price the first order may be undone; each attempt may go one more band beyond."""
    unwind_retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 3
    """Further attempts at undoing it; then the run halts and says what it holds."""
    max_fees_per_hour: Decimal | None = None
    """Quote. No new pair of orders once so much was paid within the last hour."""
    max_retries_per_minute: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    """No new pair of orders once so many repeated attempts were needed within the last minute."""
    failure_cooldown: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 30.0
    """No new pair of orders for so long after one that had to be undone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("leg_band", self.leg_band, "0", "0.1", example="0.001")
        within("unwind_band", self.unwind_band, "0", "0.5", low_open=True, example="0.005")
        within("max_fees_per_hour", self.max_fees_per_hour, "0", "1e18", low_open=True, example="100")


class CrossExchangeParameters(LegSchema, frozen=True, kw_only=True, tag="cross_exchange_arbitrage"):
    """Buy on one exchange and sell on another whenever that pays more than every fee."""

    first_leg: Literal["thinner", "buy", "sell"] = "thinner"
    """Which order goes first: the one on the venue with less on offer at its price, or always one side."""
    other_exchange: str = ""
    """The second venue; empty is whichever the instance has beside the first."""
    min_profit: Decimal = Decimal("0.0001")
    """Least profit of each unit after all fees, as a fraction of what is paid."""
    max_notional: Decimal | None = None
    """Quote paid for one pair of orders, at most."""
    depth_share: Decimal = Decimal("0.7")
    """Share of each level that is counted on; the rest others will have taken."""
    max_book_age: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 0.5
    """Neither book may be older, in seconds."""
    max_book_gap: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 0.5
    """Nor may one be older than the other by more than this, in seconds."""
    fees_in: Literal["received", "quote"] = "received"
    """What the venues take their fees from: the asset that is received, or always quote."""
    transfer_cost: Decimal = Decimal(0)
    """Fraction of the price that bringing the bought base back will cost one day."""
    miss_share: Decimal = Decimal("0.02")
    """How often the second order is expected to miss; its cost is taken off the profit beforehand."""
    pause: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.2
    """Rest after each pair of orders, in seconds: the books must show it first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("min_profit", self.min_profit, "0", "0.5", example="0.0005")
        within("max_notional", self.max_notional, "0", "1e18", low_open=True, example="1000")
        within("depth_share", self.depth_share, "0", "1", low_open=True, example="0.7")
        within("transfer_cost", self.transfer_cost, "0", "0.1", example="0.0002")
        within("miss_share", self.miss_share, "0", "1", example="0.02")
