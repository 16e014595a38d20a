"""What a provider's history comes to: the figures every exact model is computed from.

Money is integer micro-USD, time is UTC milliseconds, a weight is micro-USD × milliseconds.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mrmarket.money.loyalty.programme import MICRO_USD
from mrmarket.money.loyalty.tiers import Run, completed_weeks

AMOUNTS_MICRO_USD: Final = tuple(usd * MICRO_USD for usd in (1_000, 5_000, 10_000, 20_000))
"""Amounts whose crossing is followed beside the programme's minimum: those of the threshold model."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """How the daily value moved, from the first midnight at the minimum or above on.

    `deviation` is Σ|days·v − total|, the mean absolute deviation from the mean times days²; `early` and
    `recent` are the sums over the first and the last half of the days (the middle one is in neither).
    """

    days: int
    total: int
    deviation: int
    early: int
    recent: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One provider at the end of a run.

    `integrals` has the time integral of the value for each pool; `since_ms` when the value last rose to
    the minimum, None if it is below now; `above_since_ms` the same for being above each of
    `AMOUNTS_MICRO_USD`; `runs` every stretch at the minimum or above; `balances` what is in the pools,
    by token, in base units; `daily` the value at each listed midnight; `pattern` is there where the
    model asks for it.
    """

    provider: str
    integrals: dict[str, int]
    since_ms: int | None
    above_since_ms: tuple[int | None, ...]
    runs: tuple[Run, ...]
    balances: dict[str, int]
    daily: array[int] = field(default_factory=lambda: array("q"))
    pattern: Pattern | None = None

    @property
    def integral(self) -> int:
        """The time integral over all pools."""
        return sum(self.integrals.values())

    def weeks(self, now_ms: int) -> int:
        """Completed weeks since the value last rose to the minimum."""
        return completed_weeks(self.since_ms, now_ms)


def pattern_of(daily: Sequence[int], min_micro_usd: int) -> Pattern:
    """The pattern of the values at the midnights of a window."""
    first = next((place for place, value in enumerate(daily) if value >= min_micro_usd), len(daily))
    values = daily[first:]
    days, total, half = len(values), sum(values), len(values) // 2
    return Pattern(
        days=days,
        total=total,
        deviation=sum(abs(days * value - total) for value in values),
        early=sum(values[:half]),
        recent=sum(values[days - half :]),
    )
