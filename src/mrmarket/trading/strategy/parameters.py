"""The parameters of pure market making, each with its range; a value outside is refused with one line."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.side import Side

_MAX_FRACTION: Final = Decimal("0.5")


class PriceSource(StrEnum):
    """What the quotes are placed around. Our own orders never count."""

    MID_PRICE = "MID_PRICE"
    BEST_BID = "BEST_BID"
    BEST_ASK = "BEST_ASK"
    LAST_PRICE = "LAST_PRICE"
    """The last public trade; the mid before the first."""
    MICROPRICE = "MICROPRICE"
    """The mid weighted by the opposite sizes at the top of the book."""
    OWN_LAST = "OWN_LAST"
    """Our last fill; the mid before the first."""
    INVENTORY_COST = "INVENTORY_COST"
    """The mean price of what we bought and still hold; the mid while we hold nothing."""


class ParameterRefusedError(InvalidInputError, ValueError):
    """A strategy parameter was refused; nothing was started."""

    code = "parameter_refused"

    def __init__(self, field: str, value: object, wanted: str) -> None:
        super().__init__(field, str(value), wanted)


class OrderOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One order in place of a layer."""

    side: Side
    spread: Decimal
    """Fraction of the reference price."""
    amount: Decimal
    """Base."""


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Pure market making, every parameter with its default.

    Spreads and shares are fractions of 1, amounts base, times seconds of the strategy's clock, which
    runs with the tape.
    Layer k buys at `reference * (1 - bid_spread * k)` and sells at `reference * (1 + ask_spread * k)`.
    """

    pair: str = "BTC/USDT"
    exchange: str = ""
    """The venue these parameters are meant for; empty is whichever the instance trades on."""
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
        self._within("bid_spread", Decimal(0), _MAX_FRACTION, low_open=True, example="0.001 for 10 bps")
        self._within("ask_spread", Decimal(0), _MAX_FRACTION, low_open=True, example="0.001 for 10 bps")
        self._within("order_amount", Decimal(0), Decimal("1e12"), low_open=True, example="0.01")
        self._within(
            "ceiling_price", Decimal(0), Decimal("1e18"), low_open=True, example="70000, or leave it out"
        )
        self._within(
            "floor_price", Decimal(0), Decimal("1e18"), low_open=True, example="50000, or leave it out"
        )
        self._within("order_refresh_tolerance", Decimal(0), _MAX_FRACTION, example="0.0001")
        self._within("minimum_spread", Decimal(0), _MAX_FRACTION, example="0.0001")
        self._within("maximum_spread", Decimal(0), _MAX_FRACTION, low_open=True, example="0.01")
        self._within("hanging_orders_cancel_spread", Decimal(0), _MAX_FRACTION, low_open=True, example="0.01")
        self._within("price_band_ceiling", Decimal(0), Decimal(1), low_open=True, example="0.01")
        self._within("price_band_floor", Decimal(0), Decimal(1), low_open=True, example="0.01")
        self._within("inventory_target_ratio", Decimal(0), Decimal(1), example="0.5")
        self._within("inventory_range", Decimal(0), Decimal(1), low_open=True, example="0.5")
        self._within("inventory_price_skew", Decimal(0), Decimal("0.1"), example="0.0005")
        self._within("inventory_pivot", Decimal(0), Decimal(1), low_open=True, example="0.8")
        self._within("sigma_multiplier", Decimal(0), Decimal(1000), example="2")
        self._within("imbalance_weight", Decimal(0), Decimal(1), example="0.5")
        self._within("toxicity_multiplier", Decimal(0), Decimal(100), example="1")
        self._within("amount_change_per_layer", Decimal("-1e12"), Decimal("1e12"), example="0.001")
        if not self.pair.count("/") == 1 or "" in self.pair.split("/"):
            raise ParameterRefusedError("pair", self.pair, "BASE/QUOTE, such as BTC/USDT")
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

    def _within(
        self, name: str, low: Decimal, high: Decimal, *, example: str, low_open: bool = False
    ) -> None:
        value: Decimal | None = getattr(self, name)
        if value is None:
            return
        if value.is_finite() and (low < value if low_open else low <= value) and value <= high:
            return
        words = f"a number {'above' if low_open else 'from'} {low:f} up to {high:f}, such as {example}"
        raise ParameterRefusedError(name, value, words)
