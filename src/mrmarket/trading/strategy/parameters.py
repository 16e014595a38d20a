"""The parameters of pure market making, each with its range; a value outside is refused with one line."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec

from mrmarket.core.side import Side
from mrmarket.trading.strategy.schema import ParameterRefusedError, StrategySchema, within

__all__ = ["OrderOverride", "ParameterRefusedError", "Parameters", "PriceSource"]

_MAX_FRACTION: Final = Decimal("0.5")


class PriceSource(StrEnum):
    """What the quotes are placed around. Our own orders never count."""

    MID_PRICE = "MID_PRICE"
    BEST_BID = "BEST_BID"
    BEST_ASK = "BEST_ASK"
    LAST_PRICE = "LAST_PRICE"
    """The last public trade; the mid before the first."""
    MICROPRICE = "MICROPRICE"
    """Stoikov's, by a table fitted to the last updates; the weighted mid until there are enough of them."""
    OWN_LAST = "OWN_LAST"
    """Our last fill; the mid before the first."""
    INVENTORY_COST = "INVENTORY_COST"
    """The mean price of what we bought and still hold; the mid while we hold nothing."""


class OrderOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One order in place of a layer."""

    side: Side
    spread: Decimal
    """Fraction of the reference price."""
    amount: Decimal
    """Base."""


class Parameters(StrategySchema, frozen=True, kw_only=True, tag="pure_market_making"):
    """Pure market making, every parameter with its default.

    Spreads and shares are fractions of 1, amounts base, times seconds of the strategy's clock, which
    runs with the tape.
    Layer k buys at `reference * (1 - bid_spread * k)` and sells at `reference * (1 + ask_spread * k)`.
    """

    bid_spread: Decimal = Decimal("0.0002")
    ask_spread: Decimal = Decimal("0.0002")
    order_amount: Decimal = Decimal("0.01")
    order_refresh_time: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 5.0
    number_of_layers: Annotated[int, msgspec.Meta(ge=1, le=50)] = 2
    price_source: PriceSource = PriceSource.MID_PRICE
    amount_change_per_layer: Decimal = Decimal(0)
    """Base for `fixed`, per cent for `percentage`; applied once more with each layer."""
    amount_change_type: Literal["fixed", "percentage"] = "fixed"
    ceiling_price: Decimal | None = None
    """Above it nothing is bought."""
    floor_price: Decimal | None = None
    """Below it nothing is sold."""
    order_refresh_tolerance: Decimal = Decimal("0.00005")
    """A live order that is off by no more than this stays, and keeps its place in the queue."""
    filled_order_delay: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0
    """Nothing new is placed for so long after a fill."""
    minimum_spread: Decimal = Decimal(0)
    """No quote nearer to the reference; a live order that has come nearer is cancelled at once."""
    maximum_spread: Decimal | None = None
    """Adaptive terms widen no further than this."""
    hanging_orders_enabled: bool = False
    """When one side of a layer fills, the other side's order stays where it is."""
    hanging_orders_cancel_spread: Decimal = Decimal("0.01")
    """A hanging order further from the reference than this is cancelled."""
    ping_pong_enabled: bool = False
    """After a buy a sell comes first, and the other way round."""
    moving_price_band_enabled: bool = False
    price_band_ceiling: Decimal = Decimal("0.01")
    """Above the band's reference by more than this nothing is bought."""
    price_band_floor: Decimal = Decimal("0.01")
    """Below the band's reference by more than this nothing is sold."""
    price_band_refresh_time: Annotated[float, msgspec.Meta(gt=0, le=2_592_000)] = 86_400.0
    """How often the band's reference is taken anew."""
    order_override: tuple[OrderOverride, ...] = ()
    """These orders instead of the layers."""
    inventory_skew_enabled: bool = True
    inventory_target_ratio: Decimal = Decimal("0.5")
    """Share of the account's worth wanted in base."""
    inventory_range: Decimal = Decimal("0.5")
    """Distance from the target at which one side's size is 0 and the other's twice as large."""
    inventory_price_skew: Decimal = Decimal(0)
    """How far the reference moves against the inventory at the end of its range."""
    inventory_pivot: Decimal | None = None
    """Part of the range from which the side that would increase the imbalance pauses."""
    sigma_multiplier: Decimal = Decimal(0)
    """How many standard deviations of one second are added to each half spread."""
    imbalance_weight: Decimal = Decimal(0)
    """0 ignores the sizes at the top of the book, 1 moves the reference as far as the weighted mid is."""
    toxicity_multiplier: Decimal = Decimal(0)
    """How much of the measured loss after our fills is added to each half spread."""
    max_order_age: Annotated[float, msgspec.Meta(gt=0, le=2_592_000)] = 1_800.0
    post_only: bool = True
    """Never take: quotes are kept off the other side and the venue refuses what would cross."""

    def __post_init__(self) -> None:
        layers = self.number_of_layers
        self._check_ranges()
        super().__post_init__()
        if self.bid_spread * layers >= 1:
            raise ParameterRefusedError(
                "number_of_layers", layers, "fewer, or a smaller bid_spread: a price would be 0"
            )
        if self.maximum_spread is not None and self.maximum_spread < self.minimum_spread:
            raise ParameterRefusedError("maximum_spread", self.maximum_spread, "at least minimum_spread")
        if (
            self.ceiling_price is not None
            and self.floor_price is not None
            and self.ceiling_price < self.floor_price
        ):
            raise ParameterRefusedError("ceiling_price", self.ceiling_price, "at least floor_price")
        if self.layer_amount(layers) <= 0:
            raise ParameterRefusedError(
                "amount_change_per_layer",
                self.amount_change_per_layer,
                "a change that keeps every layer's amount positive",
            )
        for override in self.order_override:
            if not 0 < override.spread <= _MAX_FRACTION:
                raise ParameterRefusedError(
                    "order_override spread", override.spread, "a fraction above 0, up to 0.5"
                )
            if not 0 < override.amount < Decimal("1e12"):
                raise ParameterRefusedError(
                    "order_override amount", override.amount, "a positive amount of base"
                )

    def layer_amount(self, layer: int) -> Decimal:
        """Base wanted in layer 1, 2, 3 …, before any skew."""
        if self.amount_change_type == "fixed":
            return self.order_amount + self.amount_change_per_layer * (layer - 1)
        return self.order_amount * (1 + self.amount_change_per_layer / 100) ** (layer - 1)

    def _check_ranges(self) -> None:
        within("bid_spread", self.bid_spread, "0", "0.5", low_open=True, example="0.001 for 10 bps")
        within("ask_spread", self.ask_spread, "0", "0.5", low_open=True, example="0.001 for 10 bps")
        within("order_amount", self.order_amount, "0", "1e12", low_open=True, example="0.01")
        within(
            "ceiling_price", self.ceiling_price, "0", "1e18", low_open=True, example="70000, or leave it out"
        )
        within("floor_price", self.floor_price, "0", "1e18", low_open=True, example="50000, or leave it out")
        within("order_refresh_tolerance", self.order_refresh_tolerance, "0", "0.5", example="0.0001")
        within("minimum_spread", self.minimum_spread, "0", "0.5", example="0.0001")
        within("maximum_spread", self.maximum_spread, "0", "0.5", low_open=True, example="0.01")
        within(
            "hanging_orders_cancel_spread",
            self.hanging_orders_cancel_spread,
            "0",
            "0.5",
            low_open=True,
            example="0.01",
        )
        within("price_band_ceiling", self.price_band_ceiling, "0", "1", low_open=True, example="0.01")
        within("price_band_floor", self.price_band_floor, "0", "1", low_open=True, example="0.01")
        within("inventory_target_ratio", self.inventory_target_ratio, "0", "1", example="0.5")
        within("inventory_range", self.inventory_range, "0", "1", low_open=True, example="0.5")
        within("inventory_price_skew", self.inventory_price_skew, "0", "0.1", example="0.0005")
        within("inventory_pivot", self.inventory_pivot, "0", "1", low_open=True, example="0.8")
        within("sigma_multiplier", self.sigma_multiplier, "0", "1000", example="2")
        within("imbalance_weight", self.imbalance_weight, "0", "1", example="0.5")
        within("toxicity_multiplier", self.toxicity_multiplier, "0", "100", example="1")
        within("amount_change_per_layer", self.amount_change_per_layer, "-1e12", "1e12", example="0.001")
