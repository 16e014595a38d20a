"""The parameters of spot–perpetual carry, each with its range."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

from mrmarket.trading.strategy.schema import StrategySchema, within


class CarryParameters(StrategySchema, frozen=True, kw_only=True, tag="spot_perpetual_carry"):
    """Hold base in spot and as much short in the perpetual while the expected funding pays for both ways."""

    notional: Decimal = Decimal(10_000)
    """Quote that is put into spot; the perpetual is sold for as much base."""
    horizon: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 21
    """Funding intervals that a position is meant to last."""
    least_net: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0005
    """Least expected gain over the horizon after all costs, as a fraction of the notional."""
    basis_stop: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.01
    """Left where the perpetual has moved by so much against the position, as a fraction of spot."""
    margin_sigmas: Annotated[float, msgspec.Meta(ge=0, le=100)] = 6.0
    """The liquidation price must be so many daily standard deviations away."""
    half_life: Annotated[float, msgspec.Meta(gt=0, le=10_000)] = 6.0
    """Of the forecast's weights, in funding intervals."""
    trust: Annotated[float, msgspec.Meta(ge=0, le=10_000)] = 6.0
    """After so many intervals what was seen and the base rate weigh the same."""
    perp_margin: Decimal = Decimal("0.5")
    """Collateral of the perpetual, as a fraction of the notional."""
    maintenance: Decimal = Decimal("0.005")
    """Below this fraction of the perpetual's worth the venue closes it."""
    perp_fee: Decimal | None = None
    """Fraction of the notional for an order on the perpetual; empty is the spot pair's taker fee."""
    slippage: Decimal = Decimal("0.0001")
    """Of each order beyond the best price, as a fraction."""
    borrow: Decimal = Decimal(0)
    """Fraction of the notional for each interval in which something is borrowed."""
    short_spot: bool = False
    """Whether borrowed base may be sold in spot, to collect negative rates."""
    decide_every: Annotated[float, msgspec.Meta(ge=0.001, le=86_400)] = 60.0
    """Seconds between two decisions; each payment of funding is one, too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("notional", self.notional, "0", "1e18", low_open=True, example="10000")
        within("perp_margin", self.perp_margin, "0", "10", low_open=True, example="0.5")
        within("maintenance", self.maintenance, "0", "0.5", example="0.005")
        within("perp_fee", self.perp_fee, "-0.01", "0.1", example="0.0005")
        within("slippage", self.slippage, "0", "0.1", example="0.0001")
        within("borrow", self.borrow, "0", "0.1", example="0.00005")
