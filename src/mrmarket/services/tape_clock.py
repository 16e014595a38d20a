"""When a run is over: the tape has ended, or the time asked for has passed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import aiohttp
import msgspec

from mrmarket.services.trading_place import TradingPlace

_POLL_S: Final = 0.05
_ANSWER_S: Final = 5.0
_RETRY_S: Final = 0.5
_NEVER_S: Final = 86_400.0


class _Clock(msgspec.Struct):
    elapsed_tape_ns: int
    ended: bool


class TapeWatch:
    """Follows the embedded exchange's tape clock; elsewhere time is wall time and nothing ends by itself."""

    def __init__(self, place: TradingPlace, *, for_s: float | None) -> None:
        self._place = place
        self._for_s = for_s

    async def over(self, on_progress: Callable[[float], None]) -> None:
        """Return when it is over; `on_progress` hears of the seconds of tape time passed since the call."""
        if not self._place.rest_url:
            await self._wall(on_progress)
            return
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_ANSWER_S)) as session:
            first = await self._read(session)
            while True:
                clock = await self._read(session)
                elapsed_s = (clock.elapsed_tape_ns - first.elapsed_tape_ns) / 1e9
                on_progress(elapsed_s)
                left_s = _NEVER_S if self._for_s is None else self._for_s - elapsed_s
                if clock.ended or left_s <= 0:
                    return
                await asyncio.sleep(min(1.0, max(_POLL_S, left_s / self._place.speed)))

    async def _wall(self, on_progress: Callable[[float], None]) -> None:
        left_s = _NEVER_S if self._for_s is None else self._for_s
        passed_s = 0.0
        while self._for_s is None or passed_s < left_s:
            step_s = min(1.0, left_s - passed_s) if self._for_s is not None else 1.0
            await asyncio.sleep(step_s)
            passed_s += step_s
            on_progress(passed_s)

    async def _read(self, session: aiohttp.ClientSession) -> _Clock:
        """Ask until there is an answer: faults strike here too; an exchange that ends is seen elsewhere."""
        while True:
            try:
                async with session.get(f"{self._place.rest_url}/sim/v1/clock") as answer:
                    return msgspec.json.decode(await answer.read(), type=_Clock)
            except (
                aiohttp.ClientError,
                TimeoutError,
                msgspec.MsgspecError,
                RecursionError,
                UnicodeDecodeError,
            ):
                await asyncio.sleep(_RETRY_S)
