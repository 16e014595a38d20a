"""Tiers by time held: what a position's age multiplies its weight by.

Pure functions. Multipliers are exact fractions, given as `(numerator, denominator)`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS
DENOMINATOR: Final = 10
"""Every multiplier of every model is a whole number of tenths."""


@dataclass(frozen=True, slots=True)
class Tier:
    """From so many completed weeks on, a weight counts `tenths` tenths."""

    number: int
    weeks: int
    tenths: int


TIERS: Final = (Tier(1, 0, 10), Tier(2, 5, 12), Tier(3, 13, 15), Tier(4, 21, 20))
"""×1.0 at first, ×1.2 from 5, ×1.5 from 13 and ×2.0 from 21 completed weeks."""

Run = tuple[int, int | None]
"""A stretch `[since_ms, until_ms)` in which a position was worth the minimum; None while it lasts."""


def tier_of(weeks: int) -> Tier:
    """The tier of a position that was held for so many completed weeks."""
    return next(tier for tier in reversed(TIERS) if weeks >= tier.weeks or tier.weeks == 0)


def multiplier_of(weeks: int) -> tuple[int, int]:
    """What so many completed weeks multiply a weight by, as `(numerator, denominator)`."""
    return tier_of(weeks).tenths, DENOMINATOR


def completed_weeks(since_ms: int | None, now_ms: int) -> int:
    """Whole weeks from a moment until now; none without a beginning."""
    return 0 if since_ms is None else max(0, now_ms - since_ms) // WEEK_MS


def tier_at(runs: Sequence[Run], now_ms: int) -> int:
    """The number of the tier that a provider is in at a moment, 0 while below the minimum."""
    place = bisect_right(runs, now_ms, key=lambda run: run[0]) - 1
    if place < 0:
        return 0
    since_ms, until_ms = runs[place]
    if until_ms is not None and until_ms <= now_ms:
        return 0
    return tier_of(completed_weeks(since_ms, now_ms)).number


def tier_history(runs: Sequence[Run], last_ms: int) -> list[tuple[int, int]]:
    """The days on which a provider's tier changed, as `(midnight_ms, tier number)`.

    A tier is looked at once a day, at 00:00 UTC, after the events of that moment. Below the minimum it is
    tier 1 again; before a provider first reaches the minimum there is no entry. No day after `last_ms` is
    looked at.
    """
    looks: set[int] = set()
    for since_ms, until_ms in runs:
        steps = (since_ms + tier.weeks * WEEK_MS for tier in TIERS)
        looks |= {_midnight(step_ms) for step_ms in steps if until_ms is None or step_ms < until_ms}
        if until_ms is not None:
            looks.add(_midnight(until_ms))
    history: list[tuple[int, int]] = []
    for look_ms in sorted(looks):
        number = max(tier_at(runs, look_ms), 1)
        if look_ms <= last_ms and (not history or number != history[-1][1]):
            history.append((look_ms, number))
    return history


def _midnight(time_ms: int) -> int:
    """The first 00:00 UTC that is not earlier."""
    return -(-time_ms // DAY_MS) * DAY_MS
