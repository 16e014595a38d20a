"""How often a quote at some distance is reached: `λ(δ) = A · e^(−kδ)`, fitted on public trades.

O. Guéant, C.-A. Lehalle, J. Fernandez-Tapia, "Dealing with the inventory risk", arXiv:1105.3115, use the
form; M. Avellaneda, S. Stoikov, Quantitative Finance 8(3), 2008, introduced it. In each interval the
furthest reach of the aggressors beyond the mid at its beginning is noted; the share of intervals that
reached at least δ gives the rate at δ, and a weighted line through the logarithms gives A and k.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from typing import Final

from mrmarket.core.clock import NS_PER_S

_LEAST_POINTS: Final = 3
_MOST_POINTS: Final = 60
_LEAST_REACHED: Final = 5
"""A distance that fewer intervals have reached has no say."""


@dataclass(frozen=True, slots=True)
class Intensity:
    """Arrivals at a distance δ in ticks from the mid: `a · e^(−k δ)` a second."""

    a: float
    """1/s, at the mid."""
    k: float
    """1/tick."""
    intervals: int
    """Both sides together."""

    def rate(self, distance_ticks: float) -> float:
        """Arrivals a second."""
        return self.a * math.exp(-self.k * distance_ticks)

    def corrected(self, fill_given_touch: float) -> Intensity:
        """With the share of touches at which our own order was reached in its queue."""
        return Intensity(self.a * fill_given_touch, self.k, self.intervals)


class IntensityEstimator:
    """Keeps the reaches of a sliding window and fits them on demand."""

    def __init__(
        self,
        *,
        interval_ns: int = NS_PER_S // 2,
        window_ns: int = 1_200 * NS_PER_S,
        nearest_ticks: float | None = 0.5,
        furthest_ticks: float | None = 20.0,
    ) -> None:
        """The line is fitted between the nearest and the furthest distance that one would quote.

        None takes them from what is seen, for pairs whose spread is many ticks: from the lower quartile of
        the reaches that came from a trade to the furthest that a few intervals came to.
        """
        self._interval_ns = interval_ns
        self._reaches: deque[tuple[int, int]] = deque(maxlen=max(1, window_ns // interval_ns))
        self._nearest = nearest_ticks
        self._furthest = furthest_ticks
        self._until_ns: int | None = None
        self._reference = 0
        self._double_mid = 0
        self._up = self._down = 0
        self._last: Intensity | None = None

    def observe_mid(self, now_ns: int, double_mid: int) -> None:
        """Take the mid in (best bid plus best ask, in ticks)."""
        self._advance(now_ns)
        self._double_mid = double_mid
        if self._until_ns is None:
            self._until_ns = now_ns + self._interval_ns
            self._reference = double_mid

    def observe_trade(self, now_ns: int, price_ticks: int, *, taker_buys: bool) -> None:
        """Take a public trade in."""
        self._advance(now_ns)
        if self._until_ns is None:
            return
        reach = 2 * price_ticks - self._reference
        if taker_buys:
            self._up = max(self._up, reach)
        else:
            self._down = max(self._down, -reach)

    def fit(self) -> Intensity | None:
        """The line through what is known; the last good one where there is too little; None before any."""
        interval_s = self._interval_ns / NS_PER_S
        sides = [reach for pair in self._reaches for reach in pair]
        count = len(sides)
        sides.sort()
        points: list[tuple[float, float, float]] = []
        for half_ticks in self._distances(sides):
            reached = count - bisect_left(sides, half_ticks)
            if not _LEAST_REACHED <= reached < count:
                continue
            share = reached / count
            rate = -math.log1p(-share) / interval_s
            weight = count * (1 - share) * math.log1p(-share) ** 2 / share
            points.append((half_ticks / 2, math.log(rate), weight))
        line = _line(points)
        if line is not None and line[1] < 0:
            self._last = Intensity(math.exp(line[0]), -line[1], count)
        return self._last

    def cross_check(self, beyond_ticks: float) -> float | None:
        """The decay by the mean overshoot of reaches beyond a distance: exponential if the form holds."""
        beyond = [reach / 2 for pair in self._reaches for reach in pair if reach / 2 >= beyond_ticks]
        overshoot = math.fsum(beyond) - beyond_ticks * len(beyond)
        # Reaches come in half ticks: the mean of a geometric law is half a step above the exponential's.
        overshoot += 0.25 * len(beyond)
        return len(beyond) / overshoot if len(beyond) >= _LEAST_REACHED and overshoot > 0 else None

    def _distances(self, sides: list[int]) -> range:
        """Where the line is fitted, in half ticks, by the sorted reaches; a bounded number of places."""
        if self._nearest is not None:
            low = math.ceil(2 * self._nearest)
        else:
            first = bisect_left(sides, 1)
            low = sides[first + (len(sides) - first) // 4] if first < len(sides) else 1
        if self._furthest is not None:
            high = math.floor(2 * self._furthest)
        else:
            high = sides[-_LEAST_REACHED] if len(sides) >= _LEAST_REACHED else low
        return range(low, high + 1, max(1, (high - low) // _MOST_POINTS))

    def _advance(self, now_ns: int) -> None:
        while self._until_ns is not None and now_ns >= self._until_ns:
            self._reaches.append((self._up, self._down))
            self._up = self._down = 0
            self._reference = self._double_mid
            self._until_ns += self._interval_ns
            quiet = (now_ns - self._until_ns) // self._interval_ns
            if quiet > 0:  # nothing happened for long
                held = min(quiet, self._reaches.maxlen or 0)
                self._reaches.extend([(0, 0)] * held)
                self._until_ns += quiet * self._interval_ns


class TouchRatio:
    """The share of touches of our quotes' prices that filled them: what queueing takes off A.

    Starts from one fill in two touches, worth `prior` observations, and forgets slowly.
    """

    def __init__(self, *, prior: float = 10.0, memory: float = 500.0) -> None:
        self._keep = 1.0 - 1.0 / memory
        self._touches = prior
        self._fills = prior / 2

    def observe(self, *, filled: bool) -> None:
        """The market traded at the price of an order of ours; did it fill?"""
        self._touches = self._touches * self._keep + 1.0
        self._fills = self._fills * self._keep + filled

    @property
    def fill_given_touch(self) -> float:
        """Between 0 and 1."""
        return self._fills / self._touches


def _line(points: list[tuple[float, float, float]]) -> tuple[float, float] | None:
    """Weighted least squares: (intercept, slope)."""
    if len(points) < _LEAST_POINTS:
        return None
    total = math.fsum(w for _, _, w in points)
    mean_x = math.fsum(x * w for x, _, w in points) / total
    mean_y = math.fsum(y * w for _, y, w in points) / total
    spread = math.fsum(w * (x - mean_x) ** 2 for x, _, w in points)
    slope = math.fsum(w * (x - mean_x) * (y - mean_y) for x, y, w in points) / spread
    return mean_y - slope * mean_x, slope
