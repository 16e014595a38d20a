"""Time as a port: cores are told the time, they never ask."""

from __future__ import annotations

import time
from typing import Final, Protocol

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000


class Clock(Protocol):
    """Two readings: wall time for stamps, monotonic time for durations. Both int nanoseconds."""

    def now_ns(self) -> int:
        """UTC nanoseconds since 1970."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go backwards, from an arbitrary origin."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """UTC nanoseconds since 1970."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary origin."""
        return time.monotonic_ns()


class ScaledClock:
    """A world that runs `speed` times as fast as the clock beneath it.

    World time equals wall time at construction. Strategies measure refresh times and cooldowns in
    world time, so that a tape played at ×20 meets the same number of refreshes as at ×1.
    """

    def __init__(self, base: Clock, speed: float) -> None:
        self._base = base
        self._speed = speed
        self._wall_origin_ns = base.now_ns()
        self._monotonic_origin_ns = base.monotonic_ns()

    def now_ns(self) -> int:
        """World nanoseconds since 1970."""
        return self._wall_origin_ns + self.monotonic_ns()

    def monotonic_ns(self) -> int:
        """World nanoseconds since construction."""
        return int((self._base.monotonic_ns() - self._monotonic_origin_ns) * self._speed)


class ManualClock:
    """A clock that moves only when told to; the simulator and the tests hold it."""

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = now_ns
        self._origin_ns = now_ns

    def now_ns(self) -> int:
        """UTC nanoseconds since 1970."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds since construction."""
        return self._now_ns - self._origin_ns

    def advance(self, delta_ns: int) -> None:
        """Move forward; moving back is refused."""
        if delta_ns < 0:
            raise ValueError(f"time cannot go back by {-delta_ns} ns")
        self._now_ns += delta_ns
