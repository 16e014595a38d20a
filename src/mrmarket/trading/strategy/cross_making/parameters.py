"""The parameters of cross-exchange market making, each with its range."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

from mrmarket.trading.strategy.arbitrage.parameters import LegSchema
from mrmarket.trading.strategy.schema import ParameterRefusedError, within


class CrossMakingParameters(LegSchema, frozen=True, kw_only=True, tag="cross_exchange_market_making"):
    """Quotes on `exchange`, as far as hedging them on `other_exchange` pays; each fill is hedged there."""

    other_exchange: str = ""
    """Where fills are hedged; empty is whichever the instance has beside the first."""
    order_amount: Decimal = Decimal("0.01")
    """Base of each quote, at most."""
    min_profit: Decimal = Decimal("0.0005")
    """What a quote earns at least when it is hedged at once, after both fees, as a fraction of the price."""
    cancel_profit: Decimal = Decimal("0.0002")
    """A live quote that would earn less goes at once; between this and `min_profit` it keeps its place."""
    adverse_sigmas: Annotated[float, msgspec.Meta(ge=0, le=10)] = 1.0
    """Standard deviations of the price over `hedge_time` that are asked for on top."""
    hedge_time: Annotated[float, msgspec.Meta(gt=0, le=60)] = 1.0
    """Seconds from a fill to its hedge."""
    slippage_band: Decimal = Decimal("0.002")
    """Only what the hedge venue offers this near to its best price counts as depth."""
    depth_share: Decimal = Decimal("0.5")
    """Share of that depth which is counted on."""
    top_depth_tolerance: Decimal = Decimal(0)
    """Base at the top of the quoted venue's book that others may have in front without being outbid."""
    order_refresh_time: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 5.0
    """A quote younger than this is left alone, unless it earns less than `cancel_profit`."""
    order_refresh_tolerance: Decimal = Decimal("0.0001")
    """A quote this near to where it should be stays, as a fraction of the price."""
    max_order_age: Annotated[float, msgspec.Meta(gt=0, le=604_800)] = 1800.0
    """An older quote is replaced even where it still fits."""
    max_book_age: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 5.0
    """With an older book of either venue nothing is quoted, in seconds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("order_amount", self.order_amount, "0", "1e12", low_open=True, example="0.01")
        within("min_profit", self.min_profit, "0", "0.5", example="0.0005")
        within("slippage_band", self.slippage_band, "0", "0.5", low_open=True, example="0.002")
        within("depth_share", self.depth_share, "0", "1", low_open=True, example="0.5")
        within("top_depth_tolerance", self.top_depth_tolerance, "0", "1e12", example="0.05")
        within("order_refresh_tolerance", self.order_refresh_tolerance, "0", "0.1", example="0.0001")
        if not (self.cancel_profit.is_finite() and abs(self.cancel_profit) <= Decimal("0.5")):
            raise ParameterRefusedError(
                "cancel_profit", str(self.cancel_profit), "a number from -0.5 up to 0.5, such as 0.0002"
            )
