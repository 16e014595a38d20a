"""How long things took, in a histogram of fixed size."""

from __future__ import annotations

from itertools import accumulate
from typing import Final

_STEPS_PER_OCTAVE: Final = 16
_OCTAVES: Final = 40


class LatencyHistogram:
    """Durations in nanoseconds, in bins 1/16 of an octave wide: quantiles are right within 4.4 %."""

    def __init__(self) -> None:
        self.count = 0
        self._bins = [0] * (_STEPS_PER_OCTAVE * _OCTAVES)

    def observe(self, duration_ns: int) -> None:
        """Count one."""
        self.count += 1
        self._bins[_bin(duration_ns)] += 1

    def merged(self, other: LatencyHistogram) -> LatencyHistogram:
        """Both together, as a new one."""
        both = LatencyHistogram()
        both.count = self.count + other.count
        both._bins = [mine + theirs for mine, theirs in zip(self._bins, other._bins, strict=True)]
        return both

    def quantile_us(self, share: float) -> float | None:
        """The duration in microseconds that this share of all did not exceed; None before the first."""
        if not self.count:
            return None
        rank = share * self.count
        reached = (index for index, count in enumerate(accumulate(self._bins)) if count and count >= rank)
        return _upper_ns(next(reached)) / 1_000


def _bin(duration_ns: int) -> int:
    octave = max(duration_ns, 1).bit_length() - 1
    step = (max(duration_ns, 1) - (1 << octave)) * _STEPS_PER_OCTAVE >> octave
    return min(octave * _STEPS_PER_OCTAVE + step, _STEPS_PER_OCTAVE * _OCTAVES - 1)


def _upper_ns(index: int) -> float:
    octave, step = divmod(index, _STEPS_PER_OCTAVE)
    return float(2**octave) * (1 + (step + 1) / _STEPS_PER_OCTAVE)
