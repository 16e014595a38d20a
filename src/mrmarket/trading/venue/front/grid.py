"""A pair's ints as the eight-decimal texts of the wire, and back."""

from __future__ import annotations

from decimal import Decimal

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.event import Level
from mrmarket.trading.venue.front import errors
from mrmarket.trading.venue.front.parameters import UNITS


def units_text(units: int) -> str:
    """Units of 1e-8 as text with eight decimals."""
    if units < 0:
        return "-" + units_text(-units)
    return f"{units // UNITS}.{units % UNITS:08d}"


class Grid:
    """Converts one instrument's ticks, lots and grains. Tick and lot must be whole units of 1e-8."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.name = instrument.venue_symbol
        """As on the wire, `BTCUSDT`."""
        self._tick_units = _whole_units(instrument.symbol, "tick_size", instrument.tick_size)
        self._lot_units = _whole_units(instrument.symbol, "lot_size", instrument.lot_size)

    def price(self, ticks: int) -> str:
        """A price."""
        return units_text(ticks * self._tick_units)

    def size(self, lots: int) -> str:
        """A size in base."""
        return units_text(lots * self._lot_units)

    def quote(self, grains: int) -> str:
        """Ticks times lots as an amount of quote, rounded down to 1e-8."""
        return units_text(self.quote_units(grains))

    def quote_units(self, grains: int) -> int:
        """Ticks times lots in units of 1e-8 quote, rounded down."""
        return grains * self._tick_units * self._lot_units // UNITS

    def mean_price(self, grains: int, lots: int) -> str:
        """The volume-weighted price, `0.00000000` without volume."""
        if not lots:
            return units_text(0)
        return units_text(grains * self._tick_units // lots)

    def levels(self, levels: list[Level]) -> list[tuple[str, str]]:
        """Levels as the pairs of texts that depth messages carry."""
        return [(self.price(ticks), self.size(lots)) for ticks, lots in levels]

    def ticks(self, units: int) -> int:
        """Ticks of a price in units of 1e-8; raises the filter failure between two ticks."""
        ticks, rest = divmod(units, self._tick_units)
        if rest:
            raise errors.filter_failure("PRICE_FILTER")
        return ticks

    def lots(self, units: int) -> int:
        """Lots of a size in units of 1e-8; raises the filter failure between two lots."""
        lots, rest = divmod(units, self._lot_units)
        if rest:
            raise errors.filter_failure("LOT_SIZE")
        return lots


def _whole_units(symbol: str, name: str, step: Decimal) -> int:
    units = step * UNITS
    if units != units.to_integral_value():
        raise InvalidInputError(f"{symbol} {name}", str(step), "a step of at most eight decimals")
    return int(units)
