"""The world's time: a line through two points that every process of a sandbox world computes alike."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import msgspec

from mrmarket.core.clock import Clock


class WorldTime(msgspec.Struct, frozen=True):
    """World time is `origin_world_ns + (wall - origin_wall_ns) * speed`; kept over restarts."""

    origin_wall_ns: int
    origin_world_ns: int
    speed: float

    def world_ns(self, wall_ns: int) -> int:
        """World time at a wall time; both UTC nanoseconds since 1970."""
        return self.origin_world_ns + int((wall_ns - self.origin_wall_ns) * Fraction(self.speed))

    def wall_ns(self, world_ns: int) -> int:
        """The last wall time at which it is not later than a world time."""
        passed = Fraction(world_ns - self.origin_world_ns) / Fraction(self.speed)
        return self.origin_wall_ns + (passed.numerator // passed.denominator)

    def at_speed(self, speed: float, wall_ns: int) -> WorldTime:
        """The same world from now on at another speed; its time neither jumps nor goes back."""
        if speed == self.speed:
            return self
        return WorldTime(wall_ns, self.world_ns(wall_ns), speed)


class WorldHistory:
    """A world whose speed was changed: each stretch of it by the line that held then."""

    def __init__(self, times: Sequence[WorldTime]) -> None:
        """At least one line, the oldest first; each begins where the one before it ends."""
        self._times = tuple(times)

    def world_ns(self, wall_ns: int) -> int:
        """World time at a wall time."""
        later = (time for time in reversed(self._times) if time.origin_wall_ns <= wall_ns)
        return next(later, self._times[0]).world_ns(wall_ns)

    def wall_ns(self, world_ns: int) -> int:
        """The last wall time at which it is not later than a world time."""
        later = (time for time in reversed(self._times) if time.origin_world_ns <= world_ns)
        return next(later, self._times[0]).wall_ns(world_ns)


class WorldClock:
    """A `Clock` of the world over a clock of the wall. Monotonic time runs at the world's speed, too."""

    def __init__(self, time: WorldTime, wall: Clock) -> None:
        self._time = time
        self._wall = wall
        self._speed = Fraction(time.speed)
        self._origin_ns = wall.monotonic_ns()

    @property
    def time(self) -> WorldTime:
        """How it follows from the wall's."""
        return self._time

    def now_ns(self) -> int:
        """World nanoseconds since 1970."""
        return self._time.world_ns(self._wall.now_ns())

    def monotonic_ns(self) -> int:
        """World nanoseconds since construction."""
        return int((self._wall.monotonic_ns() - self._origin_ns) * self._speed)
