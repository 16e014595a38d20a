"""What rewards are paid for, and over which days."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.money.rewards.errors import UnknownDayError

DAY_MS: Final = 86_400_000

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@-]{0,63}", re.ASCII)


class Span(msgspec.Struct, frozen=True, order=True):
    """Half-open time in UTC ms: what happens at exactly `start_ms` counts, at `end_ms` it does not."""

    start_ms: int
    end_ms: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_ms < self.end_ms:
            raise InvalidInputError(
                "window", (self.start_ms, self.end_ms), "a start before its end, in UTC ms"
            )


class Campaign(msgspec.Struct, frozen=True):
    """A promise of rewards for a pool's liquidity. Its terms never change; a change is a new campaign."""

    id: str
    pool: str
    start_ms: int
    end_ms: int
    cycle_ms: int = DAY_MS
    """Length of a day of the campaign; counted from its start, not from midnight."""
    attribution: str = "lp_share"
    """Name of the rule that divides its rewards."""
    fee_bps: int = 0
    """What the instance's owner keeps, in hundredths of a per cent, rounded up."""

    def __post_init__(self) -> None:
        for field, value in (("campaign", self.id), ("pool", self.pool)):
            if not _NAME.fullmatch(value):
                raise InvalidInputError(field, value, "1 to 64 letters, digits or ._/@-")
        if not 0 <= self.start_ms < self.end_ms < 2**63:
            raise InvalidInputError(
                "campaign", (self.start_ms, self.end_ms), "a start before its end, in UTC ms"
            )
        if not 0 < self.cycle_ms < 2**63:
            raise InvalidInputError("cycle_ms", self.cycle_ms, "a positive number of milliseconds")
        if not 0 <= self.fee_bps <= 10_000:  # noqa: PLR2004 - basis points in one
            raise InvalidInputError("fee_bps", self.fee_bps, "a whole number from 0 to 10000")

    @property
    def days(self) -> int:
        """How many days it has; the last may be short."""
        return -((self.start_ms - self.end_ms) // self.cycle_ms)

    def window(self, day: int) -> Span:
        """When a day is, counted from 0. Raises `UnknownDayError`."""
        if not 0 <= day < self.days:
            raise UnknownDayError(self.id, day, self.days)
        start_ms = self.start_ms + day * self.cycle_ms
        return Span(start_ms, min(start_ms + self.cycle_ms, self.end_ms))

    def day_at(self, at_ms: int) -> int | None:
        """The day that a moment belongs to; None outside the campaign."""
        if not self.start_ms <= at_ms < self.end_ms:
            return None
        return (at_ms - self.start_ms) // self.cycle_ms
