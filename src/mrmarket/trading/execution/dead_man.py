"""The venue's dead man's switch, kept from firing while we live."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.trading.venue.port import Capability, Venue, VenueError

Sleep = Callable[[float], Awaitable[None]]

DEFAULT_COUNTDOWN_S: Final = 30.0
_REFRESHES: Final = 3
"""In one countdown, so that two may be lost."""
_RETRY_S: Final = 1.0


class DeadMan:
    """Arms the switch of one pair and refreshes it each third of the countdown.

    If it fires, because this process was frozen or cut off, the venue cancels our orders and the user
    stream or the next comparison brings the cancels; nothing here has to know. Some venues have one switch
    for the whole account: there every run on it refreshes the same one.
    """

    def __init__(
        self,
        venue: Venue,
        symbol: str,
        wall: Clock,
        *,
        countdown_s: float = DEFAULT_COUNTDOWN_S,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.refreshes = 0
        """How often the venue has taken a countdown."""
        self.failures = 0
        """How often it has not."""
        self.last_failure = ""
        self._venue = venue
        self._symbol = symbol
        self._wall = wall
        self._countdown_s = countdown_s
        self._sleep = sleep
        self._armed_until_ns = 0

    @property
    def offered(self) -> bool:
        """Whether there is a switch and somebody wants it."""
        return self._countdown_s > 0 and Capability.DEAD_MAN_SWITCH in self._venue.capabilities

    @property
    def armed(self) -> bool:
        """Whether the venue counts down now, by our clock."""
        return self._wall.monotonic_ns() < self._armed_until_ns

    async def run(self) -> None:
        """Keep it armed until cancelled; returns at once where there is none."""
        while self.offered:
            await self._sleep(self._countdown_s / _REFRESHES if await self.refresh() else self._retry_s)

    async def refresh(self) -> bool:
        """Set the countdown anew; False if the venue did not take it."""
        asked_ns = self._wall.monotonic_ns()
        try:
            await self._venue.cancel_all_after(self._symbol, self._countdown_s)
        except VenueError as error:
            self.failures += 1
            self.last_failure = error.detail
            return False
        self.refreshes += 1
        self._armed_until_ns = asked_ns + int(self._countdown_s * NS_PER_S)
        return True

    async def disarm(self) -> None:
        """Take it away after a clean stop; one that cannot be taken away fires into an empty book."""
        if not self._armed_until_ns:
            return
        try:
            await self._venue.cancel_all_after(self._symbol, 0)
        except VenueError as error:
            self.failures += 1
            self.last_failure = error.detail
        else:
            self._armed_until_ns = 0

    @property
    def _retry_s(self) -> float:
        return min(_RETRY_S, self._countdown_s / _REFRESHES)
