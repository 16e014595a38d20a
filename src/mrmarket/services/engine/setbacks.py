"""How long a run that failed rests before this engine tries it again."""

from __future__ import annotations

from dataclasses import dataclass

from mrmarket.core.clock import NS_PER_S
from mrmarket.services.engine.timing import EngineTiming


@dataclass(slots=True)
class _Setback:
    times: int
    until_ns: int


class Setbacks:
    """Doubles the rest with each failure in a row; other engines may try meanwhile."""

    def __init__(self, timing: EngineTiming) -> None:
        self._timing = timing
        self._setbacks: dict[str, _Setback] = {}

    def note(self, run: str, lasted_ns: int, mono_ns: int) -> float:
        """A run failed after so long; returns the seconds that it rests."""
        last = self._setbacks.get(run)
        times = 1 if last is None or lasted_ns >= self._timing.calm_s * NS_PER_S else last.times + 1
        rest_s = min(self._timing.longest_back_off_s, self._timing.back_off_s * 2.0 ** (times - 1))
        self._setbacks[run] = _Setback(times, mono_ns + int(rest_s * NS_PER_S))
        return rest_s

    def calm(self, run: str) -> None:
        """A run ended without a failure."""
        self._setbacks.pop(run, None)

    def barred(self, mono_ns: int) -> frozenset[str]:
        """Runs that rest."""
        return frozenset(run for run, setback in self._setbacks.items() if mono_ns < setback.until_ns)
