"""What can be traded: a pair on a venue with its grid, limits and fees."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from mrmarket.core.decimals import format_decimal
from mrmarket.core.errors import InvalidInputError, MrMarketError


class OffGridError(MrMarketError):
    """A price or size does not lie on the instrument's grid."""

    code = "off_grid"

    def __init__(self, symbol: str, what: str, value: Decimal, step: Decimal) -> None:
        self.symbol = symbol
        self.value = value
        self.step = step
        super().__init__(f"{symbol}: {what} {value} is not a multiple of {step}; round it first")


@dataclass(frozen=True)
class Instrument:
    """A spot pair: prices are int ticks of `tick_size` quote, sizes int lots of `lot_size` base.

    One tick times one lot is worth `tick_size * lot_size` quote, so every notional is an exact
    integer of that grain. Fees are fractions of the notional; a negative fee is a rebate.
    """

    venue: str
    symbol: str
    """Unified name, `BASE/QUOTE`."""
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    min_lots: int = 1
    max_lots: int = 2**53
    min_notional: Decimal = Decimal(0)
    maker_fee: Decimal = Decimal(0)
    taker_fee: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name, step in (("tick_size", self.tick_size), ("lot_size", self.lot_size)):
            if not step.is_finite() or step <= 0:
                raise InvalidInputError(f"{self.symbol} {name}", str(step), "a positive step")

    @property
    def venue_symbol(self) -> str:
        """The pair as one word, `BTCUSDT`."""
        return f"{self.base}{self.quote}"

    @cached_property
    def grain(self) -> Decimal:
        """Quote value of one tick times one lot."""
        return self.tick_size * self.lot_size

    def price_to_ticks(self, price: Decimal) -> int:
        """Exact conversion; raises OffGridError between two ticks."""
        return self._steps("price", price, self.tick_size)

    def size_to_lots(self, size: Decimal) -> int:
        """Exact conversion; raises OffGridError between two lots."""
        return self._steps("size", size, self.lot_size)

    def price(self, ticks: int) -> Decimal:
        """Quote per base."""
        return ticks * self.tick_size

    def size(self, lots: int) -> Decimal:
        """Base."""
        return lots * self.lot_size

    def notional(self, ticks: int, lots: int) -> Decimal:
        """Quote."""
        return ticks * lots * self.grain

    def price_text(self, ticks: int) -> str:
        """Shortest exact decimal string of a price."""
        return format_decimal(self.price(ticks))

    def size_text(self, lots: int) -> str:
        """Shortest exact decimal string of a size."""
        return format_decimal(self.size(lots))

    def _steps(self, what: str, value: Decimal, step: Decimal) -> int:
        count, rest = divmod(value, step)
        if rest:
            raise OffGridError(self.symbol, what, value, step)
        return int(count)
