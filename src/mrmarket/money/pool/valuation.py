"""What holdings are worth, in exact integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self

from mrmarket.core.decimals import parse_units
from mrmarket.core.errors import InvalidInputError

_PRICE_DECIMALS: Final = 18


class Basis(Enum):
    """At which side of the market a holding is valued."""

    LOW = "low"
    """Longs at the bid, shorts at the ask, rounded down: what the pool surely has."""
    MID = "mid"
    HIGH = "high"
    """Longs at the ask, shorts at the bid, rounded up: what a newcomer must pay for."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Best bid and ask of one asset in the pool's quote, scaled to integers."""

    bid: int
    ask: int

    @classmethod
    def parse(cls, bid: str, ask: str) -> Self:
        """Read two decimal strings exactly.

        Raises:
            InvalidInputError: if they are no prices, or the bid is above the ask.
        """
        mark = cls(
            parse_units(bid, _PRICE_DECIMALS, field="bid"), parse_units(ask, _PRICE_DECIMALS, field="ask")
        )
        if not 0 < mark.bid <= mark.ask:
            raise InvalidInputError("mark", f"{bid} / {ask}", "a positive bid that is not above the ask")
        return mark


@dataclass(frozen=True, slots=True)
class PriceSource:
    """Where a price comes from."""

    provider: str
    """Who told it: the venue."""
    pair: str
    """As the provider names it, `BTC/USDT`."""
    at_ms: int
    """When it was observed, in UTC milliseconds."""

    def __str__(self) -> str:
        return f"{self.provider}:{self.pair}@{self.at_ms}"


PAR: Final = Mark(10**_PRICE_DECIMALS, 10**_PRICE_DECIMALS)
"""The quote asset in terms of itself."""


def worth(units: int, mark: Mark, basis: Basis) -> int:
    """Value in quote units of base units that have as many decimals, rounded as the basis says.

    The mid is rounded down.
    """
    low, high = units * mark.bid, units * mark.ask
    if units < 0:
        low, high = high, low
    scale = 10**_PRICE_DECIMALS
    if basis is Basis.LOW:
        return low // scale
    if basis is Basis.HIGH:
        return -(-high // scale)
    return (low + high) // (2 * scale)


def net_value(holdings: Mapping[str, int], marks: Mapping[str, Mark], basis: Basis) -> int:
    """Value in quote units of everything that has a mark; what has none counts as nothing."""
    return sum(worth(units, marks[code], basis) for code, units in holdings.items() if code in marks)
