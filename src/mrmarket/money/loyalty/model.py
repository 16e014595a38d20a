"""Models of loyalty: from what a provider has done to what it weighs.

One interface, three exact models. Every multiplier is a whole number of tenths, so a weight in tenths of
micro-USD × milliseconds is an integer.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from mrmarket.money.loyalty.standing import Pattern, Standing
from mrmarket.money.loyalty.tiers import WEEK_MS, tier_of

TIMES_ONE: Final = 10


@dataclass(frozen=True, slots=True)
class Rating:
    """A model's word on a provider: its tier (0: none) and its multiplier in tenths."""

    tier: int
    tenths: int


class Model(Protocol):
    """Rates a provider; its weight is the time integral of its value times the multiplier."""

    @property
    def name(self) -> str:
        """As `--model` calls it."""
        ...

    @property
    def needs_pattern(self) -> bool:
        """Whether `Standing.pattern` must be there."""
        ...

    def rate(self, standing: Standing, now_ms: int) -> Rating:
        """The rating at the end of a run."""
        ...


@dataclass(frozen=True, slots=True)
class TimeWeighted:
    """Time-weighted average liquidity: ×1.0 to ×2.0 by completed weeks since the position last rose."""

    name: str = "twal"
    needs_pattern: bool = False

    def rate(self, standing: Standing, now_ms: int) -> Rating:
        """The tier of the weeks held now; it multiplies the whole integral."""
        tier = tier_of(standing.weeks(now_ms))
        return Rating(tier.number, tier.tenths)


@dataclass(frozen=True, slots=True)
class Threshold:
    """Amount and duration: above so many dollars, unbroken, for more than so many weeks, else nothing."""

    name: str = "threshold"
    needs_pattern: bool = False
    weeks: tuple[int, ...] = (1, 4, 12, 20)
    tenths: tuple[int, ...] = (10, 13, 17, 25)

    def rate(self, standing: Standing, now_ms: int) -> Rating:
        """The highest tier whose amount was exceeded for longer than its weeks, until now."""
        rating = Rating(0, 0)
        steps = zip(standing.above_since_ms, self.weeks, self.tenths, strict=True)
        for number, (since_ms, weeks, tenths) in enumerate(steps, 1):
            if since_ms is not None and now_ms - since_ms > weeks * WEEK_MS:
                rating = Rating(number, tenths)
        return rating


@dataclass(frozen=True, slots=True)
class Hybrid:
    """A score: the base earns bonuses for consistency, for diversity and for growth, in tenths.

    - consistency: mean absolute deviation of the daily values from their mean, as a share of it: up to
      10 % +0.3, up to 25 % +0.2, up to 50 % +0.1;
    - diversity: pools with at least a tenth of the integral: two +0.1, three or more +0.2;
    - growth: mean of the later half of the days against the earlier half: 1.5 times +0.3, 1.25 times +0.2,
      1.1 times +0.1.

    Consistency and growth need 14 days. Tiers are ranges of the bonus: to 0.1, 0.3, 0.5, and above.
    """

    name: str = "hybrid"
    needs_pattern: bool = True
    least_days: int = 14

    def rate(self, standing: Standing, now_ms: int) -> Rating:
        """The sum of the bonuses; time has no further say."""
        del now_ms
        bonus = self._diversity(standing)
        pattern = standing.pattern
        if pattern is not None and pattern.days >= self.least_days:
            bonus += self._consistency(pattern) + self._growth(pattern)
        return Rating(min(bonus // 2, 3) + 1, TIMES_ONE + bonus)

    @staticmethod
    def _consistency(pattern: Pattern) -> int:
        """Tenths by Σ|v − mean| / Σv, compared without division."""
        whole = pattern.days * pattern.total
        steps = ((10, 3), (25, 2), (50, 1))
        return next((tenths for percent, tenths in steps if 100 * pattern.deviation <= percent * whole), 0)

    @staticmethod
    def _growth(pattern: Pattern) -> int:
        """Tenths by the later half over the earlier half."""
        steps = ((150, 3), (125, 2), (110, 1))
        early = pattern.early
        return next((tenths for percent, tenths in steps if 100 * pattern.recent >= percent * early), 0)

    @staticmethod
    def _diversity(standing: Standing) -> int:
        """Tenths by the number of pools that matter."""
        whole = standing.integral
        pools = sum(10 * part >= whole for part in standing.integrals.values()) if whole else 0
        return min(max(pools - 1, 0), 2)


_EXACT: Final[tuple[Model, ...]] = (TimeWeighted(), Threshold(), Hybrid())

MODELS: Final = MappingProxyType({model.name: model for model in _EXACT})
"""The exact models by name; `last_balance` is computed apart, see `last_balance.py`."""


def weight_of(standing: Standing, rating: Rating) -> int:
    """Tenths of micro-USD × milliseconds."""
    return standing.integral * rating.tenths
