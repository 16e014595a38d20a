"""Prices in US dollars: quotes in time, one exact price a token and UTC day.

The price of a day is the quote nearest to its 00:00 UTC; of two equally near the later one. It holds for
the whole day. File format: one JSON object, `{price_id: [[UTC milliseconds, price], …], …}`, each list
in order of time.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Self

from mrmarket.money.loyalty.errors import (
    CorruptPriceError,
    DatesOutOfOrderError,
    FileRefusedError,
    PriceHoleError,
    TokenNotYetKnownError,
    UnknownTokenError,
)
from mrmarket.money.loyalty.event import Remark

PRICE_DECIMALS: Final = 12
"""Digits after the point that count; what is beyond them is cut off."""
NEAR_MS: Final = 12 * 3_600_000
"""A quote further from midnight than this prices no day."""
_HIGHEST: Final = Decimal(10) ** 9
_LAST_MS: Final = 4_102_444_800_000
"""The year 2100: a later time is in another unit."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A price of one whole token in US dollars at a time."""

    time_ms: int
    price: Decimal


class PriceBook:
    """The quotes of every token, in order of time."""

    def __init__(self, quotes: Mapping[str, Sequence[Quote]]) -> None:
        self._quotes = dict(quotes)
        self._times = {name: [quote.time_ms for quote in series] for name, series in quotes.items()}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of prices.

        Raises:
            FileRefusedError: missing, cut, or of another shape.
            CorruptPriceError: a quote that is not a positive number below a billion at a time.
            DatesOutOfOrderError: quotes that do not follow each other in time.
        """
        try:
            content = json.loads(path.read_bytes(), parse_float=Decimal, parse_constant=Decimal)
        except OSError as error:
            raise FileRefusedError(path, f"cannot be read ({error.strerror or error})") from error
        except (ValueError, InvalidOperation, RecursionError) as error:
            raise FileRefusedError(path, f"is not whole JSON ({error})") from error
        if not isinstance(content, dict) or not all(isinstance(series, list) for series in content.values()):
            raise FileRefusedError(path, "is no object of lists of [milliseconds, price]")
        return cls({name: list(_quotes(name, series)) for name, series in content.items()})

    def until(self, last_ms: int | None) -> PriceBook:
        """The book as it stood then: without later quotes."""
        if last_ms is None:
            return self
        return PriceBook(
            {
                name: [quote for quote in series if quote.time_ms <= last_ms]
                for name, series in self._quotes.items()
            }
        )

    def nearest(self, name: str, time_ms: int) -> Quote:
        """The quote nearest in time; of two equally near the later one."""
        times = self._times.get(name)
        if not times:
            raise UnknownTokenError(name, ", ".join(sorted(self._quotes)) or "none")
        after = bisect_left(times, time_ms)
        if after == len(times):
            return self._quotes[name][-1]
        if after > 0 and time_ms - times[after - 1] < times[after] - time_ms:
            after -= 1
        return self._quotes[name][after]

    def daily(
        self, name: str, days_ms: Sequence[int], first_held_ms: int, *, fill_holes: bool
    ) -> tuple[list[Quote], list[Remark]]:
        """The quote of each day.

        Args:
            name: what the prices call the token.
            days_ms: midnights, in order.
            first_held_ms: the first event of the token; days before its day are never refused.
            fill_holes: take the nearest quote however far it is, and remark on it.

        Raises:
            UnknownTokenError: no quote at all.
            TokenNotYetKnownError: held on a day before the first quote.
            PriceHoleError: a day without a quote within 12 hours.
        """
        quotes = [self.nearest(name, day_ms) for day_ms in days_ms]
        holes = [
            (day_ms, quote)
            for day_ms, quote in zip(days_ms, quotes, strict=True)
            if abs(quote.time_ms - day_ms) > NEAR_MS and day_ms + 2 * NEAR_MS > first_held_ms
        ]
        if not holes:
            return quotes, []
        day_ms, quote = holes[0]
        if self._times[name][0] > day_ms + NEAR_MS:
            raise TokenNotYetKnownError(name, written_day(day_ms), written_time(quote.time_ms))
        if not fill_holes:
            raise PriceHoleError(name, written_day(day_ms), written_time(quote.time_ms), len(holes))
        sentence = f"days have no price of {name} within 12 hours; the nearest in time was taken"
        return quotes, [Remark("price_hole", len(holes), sentence)]


def scaled(price: Decimal) -> int:
    """A price in 10^-12 US dollars, rounded down."""
    numerator, denominator = price.as_integer_ratio()
    return numerator * 10**PRICE_DECIMALS // denominator


def written_day(time_ms: int) -> str:
    """A day as `2024-09-09`."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d}"


def written_time(time_ms: int) -> str:
    """A time as `2024-09-09T00:00:00+00:00`; milliseconds only where there are any."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC).replace(microsecond=time_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds" if time_ms % 1000 else "seconds")


def _quotes(name: str, series: Iterable[Any]) -> Iterable[Quote]:
    previous_ms = -1
    for index, pair in enumerate(series):
        match pair:
            case [int(time_ms), int() | Decimal() as price] if (
                not isinstance(price, bool) and 0 <= time_ms <= _LAST_MS
            ):
                exact = Decimal(price)
            case _:
                raise CorruptPriceError(name, index, f"{pair} is not [UTC milliseconds, price]")
        if not exact.is_finite() or not 0 < exact < _HIGHEST:
            raise CorruptPriceError(name, index, f"{price} is not a price from 0 to 10^9 USD")
        if time_ms <= previous_ms:
            wanted = f"sort the quotes of {name} by time and give each time once"
            raise DatesOutOfOrderError(written_time(previous_ms), written_time(time_ms), wanted)
        previous_ms = time_ms
        yield Quote(time_ms, exact)
