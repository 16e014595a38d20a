"""What a programme is: its window, its total, and from what value on a position counts as held."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mrmarket.core.errors import InvalidInputError
from mrmarket.money.loyalty.errors import DatesOutOfOrderError
from mrmarket.money.loyalty.prices import written_time
from mrmarket.money.loyalty.tiers import DAY_MS

MICRO_USD: Final = 1_000_000
_MOST_DAYS: Final = 3_660


@dataclass(frozen=True, slots=True)
class Programme:
    """The rules of one run.

    The window is `[start_ms, end_ms)`, both at 00:00 UTC. With `as_of_ms` the run is made as at that
    moment: later events and prices do not exist, time stops there, and the total is still paid in full.
    `total_units` are base units of the reward, 10^`decimals` of them make one.
    """

    start_ms: int
    end_ms: int
    total_units: int
    decimals: int = 8
    as_of_ms: int | None = None
    min_micro_usd: int = MICRO_USD

    def __post_init__(self) -> None:
        for name, time_ms in (("start", self.start_ms), ("end", self.end_ms)):
            if time_ms % DAY_MS:
                raise InvalidInputError(name, written_time(time_ms), "a date, 00:00 UTC")
        if self.end_ms <= self.start_ms:
            raise DatesOutOfOrderError(
                f"the start {written_time(self.start_ms)}",
                f"the end {written_time(self.end_ms)}",
                "give an end after the start",
            )
        if self.end_ms - self.start_ms > _MOST_DAYS * DAY_MS:
            raise InvalidInputError("end", written_time(self.end_ms), "an end within ten years of the start")
        if self.as_of_ms is not None and self.as_of_ms <= self.start_ms:
            raise DatesOutOfOrderError(
                f"the start {written_time(self.start_ms)}",
                f"the time --as-of {written_time(self.as_of_ms)}",
                "give a time after the start",
            )
        if self.total_units <= 0:
            raise InvalidInputError("total", self.total_units, "a positive total")
        if self.min_micro_usd <= 0:
            raise InvalidInputError("min-usd", self.min_micro_usd, "at least 0.000001")

    @property
    def stop_ms(self) -> int:
        """Where time stops: the end, or the moment of `as_of_ms` where that is earlier."""
        return self.end_ms if self.as_of_ms is None else min(self.end_ms, self.as_of_ms)

    @property
    def last_ms(self) -> int:
        """The last moment that belongs to the window: just before the end, or `as_of_ms` itself."""
        return self.end_ms - 1 if self.as_of_ms is None else min(self.end_ms - 1, self.as_of_ms)

    @property
    def listed_days_ms(self) -> range:
        """The midnights of the daily table: start and end inclusive, none after `as_of_ms`."""
        return range(self.start_ms, self.stop_ms + 1, DAY_MS)

    @property
    def duration_ms(self) -> int:
        """The length of the whole window."""
        return self.end_ms - self.start_ms


def date_ms(text: str, field: str) -> int:
    """A date such as `2024-09-09`, as the UTC milliseconds of its 00:00."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007 - the zone follows in the next line
    except ValueError as error:
        raise InvalidInputError(field, text, "a date such as 2024-09-09") from error
    return int(moment.replace(tzinfo=UTC).timestamp()) * 1000


def moment_ms(text: str, field: str) -> int:
    """An ISO 8601 time or date, as UTC milliseconds; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(field, text, "a time such as 2024-09-24T08:00:00Z") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return delta.days * DAY_MS + delta.seconds * 1000 + delta.microseconds // 1000
