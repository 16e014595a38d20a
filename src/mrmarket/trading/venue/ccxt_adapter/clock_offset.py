"""How far the venue's clock is from ours.

Source: Cristian's algorithm, the midpoint of a request taken as the server's moment.
"""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable
from typing import Final

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.trading.venue.ccxt_adapter.faults import ClockSkewError

_SAMPLES: Final = 5
_MAX_RESIDUAL_MS: Final = 1000

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
