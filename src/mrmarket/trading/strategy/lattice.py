"""Pure market making's parameters on one instrument's grid, as integers.

Prices are thousandths of a tick, fractions are counted in `Lattice.one`, models in parts of `PARTS`. So a
decision needs no decimals, and every division is rounded once, where it is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from math import ceil
from typing import Final

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.strategy.parameters import Parameters, PriceSource

MILLI: Final = 1_000
"""Thousandths of a tick in a tick."""
PARTS: Final = 100_000_000
"""What the models' fractions are rounded to: the distance of the inventory, and what widens a spread."""
_LEAST_DIGITS: Final = 8

Ratio = tuple[int, int]
"""Numerator and denominator; the denominator is positive."""


class Layer:
    """One order of the lattice, before the market is known."""

    __slots__ = ("amount", "lots", "number", "side", "sign", "slot", "spread")

    def __init__(self, number: int, side: Side, spread: int, amount: Decimal, lots: Ratio, slot: str) -> None:
        self.number: Final = number
        """1 is the nearest."""
        self.side: Final = side
        self.sign: Final = side.sign
        self.spread: Final = spread
        """From the reference, in parts of `one`."""
        self.amount: Final = amount
        """Base."""
        self.lots: Final = lots
        """The same in lots, exact."""
        self.slot: Final = slot
        """Its name while nothing of it hangs."""


class Lattice:
    """What a decision needs of parameters and instrument, worked out once."""

    __slots__ = (
        "band_ns",
        "ceiling",
        "delay_ns",
        "floor",
        "imbalance_weight",
        "instrument",
        "inventory_range",
        "inventory_target",
        "layers",
        "least_grains",
        "maximum",
        "minimum",
        "one",
        "parameters",
        "pivot_parts",
        "price_skew",
        "sigma_multiplier",
        "sizes_matter",
        "tick",
        "toxicity_multiplier",
    )

    def __init__(self, parameters: Parameters, instrument: Instrument) -> None:
        self.parameters: Final = parameters
        self.instrument: Final = instrument
        self.one: Final = _one(parameters)
        """What a fraction of 1 is."""
        self.tick: Final = _ratio(instrument.tick_size)
        self.minimum: Final = _share(parameters.minimum_spread, self.one)
        highest = parameters.maximum_spread
        self.maximum: Final = None if highest is None else _share(highest, self.one)
        self.inventory_target: Final = _ratio(parameters.inventory_target_ratio)
        self.inventory_range: Final = _ratio(parameters.inventory_range)
        self.price_skew: Final = _ratio(parameters.inventory_price_skew)
        self.imbalance_weight: Final = _ratio(parameters.imbalance_weight)
        self.sigma_multiplier: Final = _ratio(parameters.sigma_multiplier)
        self.toxicity_multiplier: Final = _ratio(parameters.toxicity_multiplier)
        pivot = parameters.inventory_pivot
        self.pivot_parts: Final = None if pivot is None else ceil(pivot * PARTS)
        """The smallest distance in whole parts that has passed the pivot."""
        self.ceiling: Final = self._in_milli(parameters.ceiling_price)
        self.floor: Final = self._in_milli(parameters.floor_price)
        self.least_grains: Final = ceil(instrument.min_notional / instrument.grain)
        """Ticks times lots of the smallest order that the venue takes."""
        self.delay_ns: Final = int(parameters.filled_order_delay * 1e9)
        self.band_ns: Final = int(parameters.price_band_refresh_time * 1e9)
        self.sizes_matter: Final = (
            bool(parameters.imbalance_weight) or parameters.price_source is PriceSource.MICROPRICE
        )
        """Whether the sizes at the touch change any quote."""
        self.layers: Final = tuple(self._layers())

    def _in_milli(self, price: Decimal | None) -> Ratio | None:
        return None if price is None else _ratio(price * MILLI / self.instrument.tick_size)

    def _layers(self) -> Iterator[Layer]:
        parameters = self.parameters
        if parameters.order_override:
            numbers = {Side.BUY: 0, Side.SELL: 0}
            for override in parameters.order_override:
                numbers[override.side] += 1
                yield self._layer(numbers[override.side], override.side, override.spread, override.amount)
            return
        for number in range(1, parameters.number_of_layers + 1):
            amount = parameters.layer_amount(number)
            yield self._layer(number, Side.BUY, parameters.bid_spread * number, amount)
            yield self._layer(number, Side.SELL, parameters.ask_spread * number, amount)

    def _layer(self, number: int, side: Side, spread: Decimal, amount: Decimal) -> Layer:
        wanted, per = _ratio(amount)
        lot, parts = _ratio(self.instrument.lot_size)
        return Layer(
            number,
            side,
            _share(spread, self.one),
            amount,
            (wanted * parts, per * lot),
            f"{side.value[0]}{number}",
        )


def nearest(numerator: int, denominator: int) -> int:
    """The quotient, rounded to the nearest whole number and halves to the even one, as decimals are."""
    whole, rest = divmod(numerator, denominator)
    rest *= 2
    return whole + 1 if rest > denominator or (rest == denominator and whole & 1) else whole


def _ratio(value: Decimal) -> Ratio:
    return value.as_integer_ratio()


def _one(parameters: Parameters) -> int:
    """A power of ten in which every spread is a whole number."""
    spreads = [parameters.bid_spread, parameters.ask_spread, parameters.minimum_spread]
    spreads.extend(override.spread for override in parameters.order_override)
    if parameters.maximum_spread is not None:
        spreads.append(parameters.maximum_spread)
    return int(10 ** max(_LEAST_DIGITS, *(_digits(spread) for spread in spreads)))


def _digits(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _share(value: Decimal, one: int) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator * one // denominator
