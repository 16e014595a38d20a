"""What the adaptive terms feed on: volatility, and the loss after our own fills. Models, hence floats."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side

_WARM_UP_SAMPLES: Final = 10


class VolatilityEstimator:
    """Relative volatility for one second: an exponentially weighted mean of squared changes over time.

    Changes are taken over at least `sample_ns`, so that the bounce between bid and ask does not count
    as volatility (TRADING.md 6.3).
    """

    def __init__(self, *, sample_ns: int = NS_PER_S, half_life_ns: int = 60 * NS_PER_S) -> None:
        self._sample_ns = sample_ns
        self._half_life_ns = half_life_ns
        self._at_ns: int | None = None
        self._double_mid = 0
        self._squares = 0.0
        self._time_s = 0.0
        self._samples = 0

    def observe(self, now_ns: int, double_mid: int) -> None:
        """Take the mid at a moment of the strategy's clock in."""
        if self._at_ns is None:
            self._at_ns, self._double_mid = now_ns, double_mid
            return
        elapsed_ns = now_ns - self._at_ns
        if elapsed_ns < self._sample_ns:
            return
        change = math.log(double_mid / self._double_mid)
        keep = 0.5 ** (elapsed_ns / self._half_life_ns)
        self._squares = self._squares * keep + change * change
        self._time_s = self._time_s * keep + elapsed_ns / NS_PER_S
        self._samples += 1
        self._at_ns, self._double_mid = now_ns, double_mid

    @property
    def sigma(self) -> float | None:
        """Fraction of the price for one second; None until ten changes were seen."""
        if self._samples < _WARM_UP_SAMPLES:
            return None
        return math.sqrt(self._squares / self._time_s)


class MarkoutTracker:
    """How far the mid moved against us `horizon_ns` after a fill, as an exponentially weighted mean."""

    def __init__(self, *, horizon_ns: int = 5 * NS_PER_S, weight: float = 0.05) -> None:
        self._horizon_ns = horizon_ns
        self._weight = weight
        self._waiting: deque[tuple[int, Side, int]] = deque()
        self._mean: float | None = None

    def on_fill(self, now_ns: int, side: Side, double_mid: int | None) -> None:
        """Start to watch one fill."""
        if double_mid:
            self._waiting.append((now_ns + self._horizon_ns, side, double_mid))

    def observe(self, now_ns: int, double_mid: int) -> None:
        """Take the mid at a moment of the strategy's clock in."""
        while self._waiting and self._waiting[0][0] <= now_ns:
            _, side, before = self._waiting.popleft()
            against = side.sign * (before - double_mid) / before
            self._mean = against if self._mean is None else self._mean + self._weight * (against - self._mean)

    @property
    def markout(self) -> float | None:
        """Positive is a loss, as a fraction of the price; None before the first."""
        return self._mean
