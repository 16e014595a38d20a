"""How often a run that failed is started again, and when."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from mrmarket.core.clock import NS_PER_S

_HOUR_NS: Final = 3_600 * NS_PER_S


@dataclass(frozen=True, slots=True)
class RestartLimits:
    """Nanoseconds and counts."""

    cool_down_ns: int = 10 * NS_PER_S
    """From a failure to the next start; doubled by each further failure within the hour."""
    longest_ns: int = 600 * NS_PER_S
    per_hour: int = 6
    """Failures within an hour after which a run stays down until the owner starts it."""


@dataclass(frozen=True, slots=True)
class Restart:
    """What to do with a run that has failed."""

    at_ns: int | None
    """Monotonic: not before. None: the owner has to."""
    failures: int
    """Within the last hour, this one included."""

    @property
    def reason(self) -> str:
        """For people."""
        if self.at_ns is None:
            return f"it failed {self.failures} times within an hour; find out why, then start it"
        return "it cools down and is then started again"


class RestartPolicy:
    """Pure: told the time, it never waits. One for all runs of a process; each run counts by itself."""

    def __init__(self, limits: RestartLimits | None = None) -> None:
        self._limits = limits or RestartLimits()
        self._failures: dict[str, deque[int]] = {}

    def failed(self, run: str, now_ns: int) -> Restart:
        """Count a failure at this monotonic time and say when to start again."""
        limits = self._limits
        failures = self._failures.setdefault(run, deque(maxlen=max(limits.per_hour, 1)))
        while failures and now_ns - failures[0] >= _HOUR_NS:
            failures.popleft()
        failures.append(now_ns)
        count = len(failures)
        if count >= limits.per_hour:
            return Restart(None, count)
        return Restart(now_ns + min(limits.cool_down_ns << (count - 1), limits.longest_ns), count)

    def forgive(self, run: str) -> None:
        """The owner starts it: count from nothing."""
        self._failures.pop(run, None)
