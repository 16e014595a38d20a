"""Volatility of the mid without the bounce between bid and ask.

L. Zhang, P. Mykland, Y. Aït-Sahalia, "A tale of two time scales", JASA 100(472), 2005: squared changes
over a sampling time, averaged over all offsets of the sampling grid.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from mrmarket.core.clock import NS_PER_S

_WARM_UP_SAMPLES: Final = 10
_OFFSETS: Final = 10


class VolatilityEstimator:
    """Relative volatility for one second, averaged over ten offsets and exponentially weighted in time."""

    def __init__(
        self, *, sample_ns: int = NS_PER_S, half_life_ns: int = 60 * NS_PER_S, offsets: int = _OFFSETS
    ) -> None:
        """`sample_ns` is the length of a change, `offsets` how many grids are averaged."""
        self._step_ns = max(1, sample_ns // offsets)
        self._offsets = offsets
        self._keep = 0.5 ** (self._step_ns / half_life_ns)
        self._logs: deque[float] = deque(maxlen=offsets + 1)
        self._next_ns: int | None = None
        self._log = 0.0
        self._squares = 0.0
        self._steps = 0.0
        self._seen = 0

    def observe(self, now_ns: int, double_mid: int) -> None:
        """Take the mid at a moment in; between two moments it is what it was at the first."""
        if self._next_ns is None:
            self._next_ns = now_ns
        elif now_ns > self._next_ns:
            self._sample((now_ns - self._next_ns - 1) // self._step_ns + 1)
        self._log = math.log(double_mid)

    @property
    def sigma(self) -> float | None:
        """Fraction of the price for one second; None until ten whole changes were seen."""
        if self._seen < (_WARM_UP_SAMPLES + 1) * self._offsets:
            return None
        per_step = self._squares / (self._steps * self._offsets)
        return math.sqrt(per_step * NS_PER_S / self._step_ns)

    def _sample(self, steps: int) -> None:
        """Put the price that has stood so far on the grid for so many steps."""
        assert self._next_ns is not None  # noqa: S101 - set with the first mid
        self._next_ns += steps * self._step_ns
        self._seen += steps
        busy = min(steps, self._offsets + 1)
        for _ in range(busy):
            self._logs.append(self._log)
            if len(self._logs) > self._offsets:
                change = self._log - self._logs[0]
                self._squares = self._squares * self._keep + change * change
                self._steps = self._steps * self._keep + 1.0
        if rest := steps - busy:  # the price stands still: zeros, all at once
            fade = self._keep**rest
            self._squares *= fade
            self._steps = self._steps * fade + (1.0 - fade) / (1.0 - self._keep)
