"""What happens after our own fills: the mid's move against us at several horizons, and how toxic they are."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.core.side import Side

HORIZONS_NS: Final = tuple(ms * NS_PER_MS for ms in (100, 500, 1_000, 5_000, 15_000, 60_000))


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


@dataclass(frozen=True, slots=True)
class MarkoutPoint:
    """One horizon of the curve. Fractions of the price; a positive mean is a loss."""

    horizon_ns: int
    fills: int
    mean: float
    error: float
    """Standard error of the mean; 0 with a single fill."""


class MarkoutCurve:
    """Markouts at several horizons: where the curve flattens, the information is in the price."""

    def __init__(self, horizons_ns: Sequence[int] = HORIZONS_NS) -> None:
        self._horizons = tuple(sorted(horizons_ns))
        self._waiting: list[deque[tuple[int, int, int]]] = [deque() for _ in self._horizons]
        self._sums = [(0, 0.0, 0.0)] * len(self._horizons)
        self._captured = (0, 0.0)

    def on_fill(self, now_ns: int, side: Side, price_ticks: int, double_mid: int) -> None:
        """Start to watch one fill at a price, with twice the mid at that moment."""
        for waiting, horizon_ns in zip(self._waiting, self._horizons, strict=True):
            waiting.append((now_ns + horizon_ns, side.sign, double_mid))
        fills, captured = self._captured
        self._captured = fills + 1, captured + side.sign * (double_mid - 2 * price_ticks) / double_mid

    def observe(self, now_ns: int, double_mid: int) -> None:
        """Take the mid at a moment in; horizons that have passed are measured by it."""
        for index, waiting in enumerate(self._waiting):
            while waiting and waiting[0][0] <= now_ns:
                _, sign, before = waiting.popleft()
                against = sign * (before - double_mid) / before
                count, total, squares = self._sums[index]
                self._sums[index] = count + 1, total + against, squares + against * against

    def points(self) -> list[MarkoutPoint]:
        """The curve, shortest horizon first; horizons without a fill are left out."""
        found = []
        for horizon_ns, (count, total, squares) in zip(self._horizons, self._sums, strict=True):
            if count:
                mean = total / count
                variance = max(0.0, squares / count - mean * mean)
                error = math.sqrt(variance / (count - 1)) if count > 1 else 0.0
                found.append(MarkoutPoint(horizon_ns, count, mean, error))
        return found

    @property
    def toxicity(self) -> float | None:
        """Loss at the longest horizon for each unit of half-spread captured: above 1 fills cost money."""
        points = self.points()
        fills, captured = self._captured
        if not points or not fills or captured <= 0:
            return None
        return points[-1].mean / (captured / fills)
