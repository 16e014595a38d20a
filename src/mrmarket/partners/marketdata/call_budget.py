"""How often a provider may be asked. Nobody waits: a call that is too many is refused with a time."""

from __future__ import annotations

from collections import deque
from typing import Final

from mrmarket.core.clock import NS_PER_MS, Clock

WINDOW_MS: Final = 60_000


class CallBudget:
    """At most so many calls in any minute, and none until a time that the provider named."""

    def __init__(self, calls_a_minute: int, clock: Clock) -> None:
        self._most = calls_a_minute
        self._clock = clock
        self._calls: deque[int] = deque()
        self._closed_until_ms = 0

    def take(self) -> int | None:
        """Use up one call; None, or where none is left when one may be made, in UTC milliseconds."""
        now_ms = self._clock.now_ns() // NS_PER_MS
        if now_ms < self._closed_until_ms:
            return self._closed_until_ms
        while self._calls and self._calls[0] <= now_ms - WINDOW_MS:
            self._calls.popleft()
        if len(self._calls) >= self._most:
            return self._calls[0] + WINDOW_MS
        self._calls.append(now_ms)
        return None

    def close_for(self, seconds: int) -> int:
        """Make no call for so long; when one may be made again."""
        self._closed_until_ms = self._clock.now_ns() // NS_PER_MS + seconds * 1_000
        return self._closed_until_ms
