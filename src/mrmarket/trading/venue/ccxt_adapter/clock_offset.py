"""How far the venue's clock is from ours.

Source: Cristian's algorithm, the midpoint of a request taken as the server's moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.trading.venue.ccxt_adapter.faults import ClockSkewError
from mrmarket.trading.venue.port import VenueError, VenueUnavailableError

_SAMPLES: Final = 5
_MAX_RESIDUAL_MS: Final = 1000
_REFRESH_S: Final = 600.0
_RETRY_S: Final = 5.0
"""While the clocks are too far apart."""
_TRIES: Final = 8
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 0.5
T = TypeVar("T")

ServerTime = Callable[[], Awaitable[int]]
"""Asks the venue for its time, in ms since 1970."""


async def measure_offset_ms(server_time: ServerTime, clock: Clock, venue: str) -> int:
    """The venue's clock minus ours: the median of five midpoints, checked by a sixth.

    Raises:
        ClockSkewError: the sixth still differs by more than 1 s once corrected, so that no stamp
            of ours could be trusted.
    """
    offset_ms = round(statistics.median([await _sample_ms(server_time, clock) for _ in range(_SAMPLES)]))
    residual_ms = await _sample_ms(server_time, clock) - offset_ms
    if abs(residual_ms) > _MAX_RESIDUAL_MS:
        raise ClockSkewError(
            venue,
            "measure the clock offset",
            f"still {residual_ms:.0f} ms apart after correction; synchronise this machine's clock",
        )
    return offset_ms


async def _sample_ms(server_time: ServerTime, clock: Clock) -> float:
    sent_ns = clock.now_ns()
    server_ms = await server_time()
    return server_ms - (sent_ns + clock.now_ns()) / 2 / NS_PER_MS


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The same read again while there is no answer: a start must not fail by one bad read in two."""
    pause_s = _FIRST_PAUSE_S
    for _ in range(_TRIES - 1):
        try:
            return await call()
        except VenueUnavailableError:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    return await call()


class ClockKeeper:
    """Keeps the offset to a venue's clock fresh, and says whether it can be relied on."""

    def __init__(
        self, venue: str, clock: Clock, server_time: ServerTime, on_offset: Callable[[int], None]
    ) -> None:
        """`on_offset` is given each new offset in ms."""
        self.trusted = True
        """Whether the last measurement could be corrected to within 1 s."""
        self._venue = venue
        self._clock = clock
        self._server_time = server_time
        self._on_offset = on_offset

    async def measure(self, *, patient: bool = False) -> None:
        """Measure now; with `patient`, reads that have no answer are repeated.

        Raises:
            ClockSkewError: the clocks cannot be brought together; `trusted` is False from now on.
            VenueError: there is no answer; what was known stays in force.
        """
        ask = self._server_time
        try:
            offset_ms = await measure_offset_ms(
                (lambda: patiently(ask)) if patient else ask, self._clock, self._venue
            )
        except ClockSkewError:
            self.trusted = False
            raise
        self.trusted = True
        self._on_offset(offset_ms)

    async def keep(self) -> None:
        """Measure every ten minutes until cancelled, sooner while the clocks are too far apart."""
        while True:
            await asyncio.sleep(_REFRESH_S if self.trusted else _RETRY_S)
            with contextlib.suppress(VenueError):  # the next -1021 or the next round measures again
                await self.measure()
