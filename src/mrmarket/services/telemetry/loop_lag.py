"""How late the event loop is."""

from __future__ import annotations

import asyncio
from typing import Final

_EVERY_S: Final = 0.25
_WINDOW_S: Final = 15.0


class LoopLag:
    """Sleeps a little, again and again, and sees how late it wakes."""

    def __init__(self) -> None:
        self._windows = (0.0, 0.0)
        self._window_end_s = 0.0

    @property
    def worst_s(self) -> float:
        """Longest delay in the last quarter to half minute."""
        return max(self._windows)

    async def keep(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            self.observe(loop.time(), max(0.0, loop.time() - due_s))

    def observe(self, now_s: float, lag_s: float) -> None:
        """Take in one delay, at a time of the loop's clock."""
        if now_s >= self._window_end_s:
            self._windows = (0.0, self._windows[0])
            self._window_end_s = now_s + _WINDOW_S
        self._windows = (max(self._windows[0], lag_s), self._windows[1])
