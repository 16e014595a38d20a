"""The grid that two venues' grids of one pair have in common, so that their books compare as integers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor, gcd, lcm

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument


@dataclass(frozen=True, slots=True)
class CommonGrid:
    """Units of price and size in which every price and size of two instruments is a whole number."""

    price_unit: Fraction
    """Quote per base."""
    size_unit: Fraction
    """Base."""
    tick_units: tuple[int, int]
    """Price units of one tick, by venue."""
    lot_units: tuple[int, int]
    """Size units of one lot, by venue."""

    @property
    def common_lot_units(self) -> int:
        """The smallest size that is whole lots on both venues, in size units."""
        return lcm(*self.lot_units)

    @property
    def grain(self) -> Fraction:
        """Quote value of one price unit times one size unit."""
        return self.price_unit * self.size_unit

    def base(self, units: int) -> Decimal:
        """Size units as base."""
        return Decimal(units) * self.size_unit.numerator / self.size_unit.denominator

    def size_units(self, base: Decimal) -> int:
        """Whole size units in an amount of base, rounded down."""
        return floor(Fraction(base) / self.size_unit)

    def grains(self, quote: Decimal) -> int:
        """Whole grains in an amount of quote, rounded down."""
        return floor(Fraction(quote) / self.grain)


def common_grid(first: Instrument, second: Instrument) -> CommonGrid:
    """The coarsest grid on which both instruments lie.

    Raises:
        InvalidInputError: they are different pairs.
    """
    if (first.base, first.quote) != (second.base, second.quote):
        raise InvalidInputError("pair", second.symbol, f"the same base and quote as {first.symbol}")
    price = _common(first.tick_size, second.tick_size)
    size = _common(first.lot_size, second.lot_size)
    return CommonGrid(
        price_unit=price,
        size_unit=size,
        tick_units=(_times(first.tick_size, price), _times(second.tick_size, price)),
        lot_units=(_times(first.lot_size, size), _times(second.lot_size, size)),
    )


def _common(one: Decimal, other: Decimal) -> Fraction:
    """The greatest step of which both are whole multiples."""
    a, b = Fraction(one), Fraction(other)
    scale = lcm(a.denominator, b.denominator)
    return Fraction(gcd(int(a * scale), int(b * scale)), scale)


def _times(step: Decimal, unit: Fraction) -> int:
    return int(Fraction(step) / unit)
