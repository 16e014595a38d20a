"""A price that says where it comes from, and the port that every provider implements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final, Protocol

from mrmarket.core.decimals import format_decimal
from mrmarket.core.errors import InvalidInputError

PPM: Final = 1_000_000
DIGITS: Final = 60
"""Significant digits that arithmetic with prices keeps; more than any asset's units have."""
_LEAST, _MOST = Decimal("1e-36"), Decimal("1e36")
EXACT: Final = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Price:
    """What one whole unit of a base is worth in a quote at a time, by whom, and how surely."""

    base: str
    quote: str
    value: Decimal
    """Quote per base, from 10⁻³⁶ to 10³⁶."""
    provider: str
    """`coingecko`, `venue:binance`, or several joined by `+`."""
    at_ms: int
    """UTC milliseconds at which the provider observed it; of several the oldest."""
    confidence_ppm: int
    """It lies within so many millionths to either side: half a spread, or what providers are apart."""

    def __post_init__(self) -> None:
        if not self.value.is_finite() or not _LEAST <= self.value <= _MOST:
            raise InvalidInputError("price", str(self.value), "a number from 1e-36 to 1e36")

    def __str__(self) -> str:
        when = datetime.fromtimestamp(self.at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"1 {self.base} = {format_decimal(self.value)} {self.quote} by {self.provider} at {when}"


class PriceProvider(Protocol):
    """Tells prices."""

    @property
    def name(self) -> str:
        """As it stands in `Price.provider`."""
        ...

    async def price(self, base: str, quote: str, at_ms: int | None = None) -> Price:
        """The price of one base in a quote, now or as it was known at a time.

        Args:
            base: code such as `HMT`.
            quote: code such as `USDT`.
            at_ms: UTC milliseconds; None for now. Nothing observed later is told.

        Raises:
            PriceError: there is none that can be relied on, with the reason.
        """
        ...


def worth_units(units: int, decimals: int, price: Price, quote_decimals: int) -> int:
    """What so many base units are worth in units of the quote, exactly and rounded down.

    Args:
        units: of the base, which has `decimals`; not negative.
        decimals: of the base.
        price: of one whole base.
        quote_decimals: of the quote.
    """
    if units < 0:
        raise InvalidInputError("units", units, "a number that is not negative")
    numerator, denominator = price.value.as_integer_ratio()
    worth: int = units * numerator * 10**quote_decimals // (denominator * 10**decimals)
    return worth


def par(code: str, at_ms: int) -> Price:
    """A code in terms of itself."""
    return Price(code, code, Decimal(1), "par", at_ms, 0)


def across(base: Price, quote: Price, provider: str) -> Price:
    """The price of one base in another, both known in a third: as old as the older, as sure as both.

    Divided to 60 significant digits, half to even.
    """
    return Price(
        base.base,
        quote.base,
        EXACT.divide(base.value, quote.value),
        provider,
        min(base.at_ms, quote.at_ms),
        base.confidence_ppm + quote.confidence_ppm,
    )
