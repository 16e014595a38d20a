"""What a strategy earns on the capital it locks, per hour, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, isfinite, log, sqrt
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.strategy.selection.thresholds import Thresholds

_HOUR_S: Final = 3_600.0
_SLOWER: Final = 8.0
"""The usual volatility is remembered so many times as long as results are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a strategy did in one stretch of time."""

    at_ns: int
    """Its end."""
    seconds: float
    profit: float
    """Quote, before the costs beside it."""
    cost: float = 0.0
    """Quote: fees, transfers, gas and whatever is not in the profit yet."""
    locked: float
    """Quote: the capital it was given."""
    used: float
    """Quote: the part of it that stood in the market."""
    attempts: int = 0
    """Orders or opportunities that ended."""
    successes: int = 0
    """… as they should."""
    volatility: float | None = None
    """Of the market: relative standard deviation for one second."""

    @property
    def per_hour(self) -> float:
        """(profit − cost) / capital locked, per hour; NaN where that has no meaning."""
        if not (self.seconds > 0 and self.locked > 0):
            return float("nan")
        return (self.profit - self.cost) / self.locked / self.seconds * _HOUR_S


@dataclass(frozen=True, slots=True)
class RoiEstimate:
    """Decayed sums of outcomes; `after` adds one and forgets a little."""

    at_ns: int = 0
    weight: float = 0.0
    """Decayed seconds."""
    weight_squares: float = 0.0
    mean: float = 0.0
    """Per hour."""
    spread: float = 0.0
    """Decayed sum of squared deviations, weighted as the mean."""
    attempts: float = 0.0
    successes: float = 0.0
    used_share: float = 0.0
    """Of the capital, weighted as the mean."""
    volatility: float | None = None
    usual_volatility: float | None = None

    def after(self, outcome: Outcome, half_life_s: float) -> RoiEstimate:
        """With one more outcome; one without meaning, or from before the last, changes nothing."""
        rate = outcome.per_hour
        if not isfinite(rate) or outcome.at_ns < self.at_ns:
            return self
        gone_s = (outcome.at_ns - self.at_ns) / NS_PER_S if self.weight else 0.0
        keep = exp(-log(2) * gone_s / half_life_s)
        old, new = self.weight * keep, outcome.seconds
        weight = old + new
        step = rate - self.mean
        mean = self.mean + step * new / weight
        used = min(max(outcome.used / outcome.locked, 0.0), 1.0)
        return RoiEstimate(
            at_ns=outcome.at_ns,
            weight=weight,
            weight_squares=self.weight_squares * keep * keep + new * new,
            mean=mean,
            spread=self.spread * keep + new * step * (rate - mean),
            attempts=self.attempts * keep + outcome.attempts,
            successes=self.successes * keep + outcome.successes,
            used_share=self.used_share + (used - self.used_share) * new / weight,
            volatility=_follow(self.volatility, outcome, half_life_s),
            usual_volatility=_follow(self.usual_volatility, outcome, half_life_s * _SLOWER),
        )

    @property
    def samples(self) -> float:
        """Effective number of outcomes: (Σw)²/Σw²."""
        return self.weight**2 / self.weight_squares if self.weight_squares else 0.0

    @property
    def deviation(self) -> float:
        """Standard deviation of an outcome's hourly return, corrected for small numbers; NaN below two."""
        samples = self.samples
        if samples <= 1:
            return float("nan")
        return sqrt(max(self.spread / self.weight, 0.0) * samples / (samples - 1))

    def trust(self, thresholds: Thresholds) -> float:
        """How much of a gain counts, 0 to 1: less in a wild market, after failures, with idle capital."""
        calm = 1.0
        if self.volatility and self.usual_volatility is not None:
            calm = min(1.0, self.usual_volatility / self.volatility)
        success = (self.successes + 1) / (self.attempts + 1) if self.attempts else 1.0
        parts = (
            (calm, thresholds.volatility_weight),
            (min(success, 1.0), thresholds.success_weight),
            (self.used_share, thresholds.utilisation_weight),
        )
        product = 1.0
        for value, weight in parts:
            product *= 1 - weight * (1 - value)
        return product


def _follow(before: float | None, outcome: Outcome, half_life_s: float) -> float | None:
    seen = outcome.volatility
    if seen is None or not isfinite(seen):
        return before
    if before is None:
        return seen
    return before + (seen - before) * (1 - exp(-log(2) * outcome.seconds / half_life_s))
