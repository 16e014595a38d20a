"""How long things took, in a histogram of fixed size."""

from __future__ import annotations

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

    def quantile_us(self, share: float) -> float | None:
        """The duration in microseconds that this share of all did not exceed; None before the first."""
        if not self.count:
            return None
        rank = share * self.count
        seen = 0
        for index, count in enumerate(self._bins):
            seen += count
            if count and seen >= rank:
                return _upper_ns(index) / 1_000
        return _upper_ns(len(self._bins) - 1) / 1_000


def _bin(duration_ns: int) -> int:
    octave = max(duration_ns, 1).bit_length() - 1
    step = (max(duration_ns, 1) - (1 << octave)) * _STEPS_PER_OCTAVE >> octave
    return min(octave * _STEPS_PER_OCTAVE + step, _STEPS_PER_OCTAVE * _OCTAVES - 1)


def _upper_ns(index: int) -> float:
    octave, step = divmod(index, _STEPS_PER_OCTAVE)
    return float(2**octave) * (1 + (step + 1) / _STEPS_PER_OCTAVE)
