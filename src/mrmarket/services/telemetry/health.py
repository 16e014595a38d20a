"""Whether the instance can do its work, part by part."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from mrmarket.core.errors import MrMarketError

_PATIENCE_S: Final = 2.0
_FRESH_S: Final = 1.0

_log = structlog.get_logger("mrmarket.health")

Check = Callable[[], Awaitable[str]]
"""Why a part is not ready; empty where it is. Raising, or no answer within two seconds, is a reason too."""


class PartState(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the instance."""

    part: str
    ready: bool
    reason: str = ""
    """Why it is not; names neither people nor amounts."""


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the instance can do its work."""

    ready: bool
    parts: list[PartState]


class Health:
    """Asks every part, at most once a second however often it is asked itself."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._last: Readiness | None = None
        self._last_s = 0.0
        self._asking: asyncio.Task[Readiness] | None = None

    def check(self, part: str, check: Check) -> None:
        """Add a part, or replace its check."""
        self._checks[part] = check
        self._last = None

    async def readiness(self) -> Readiness:
        """Every part's state now."""
        loop = asyncio.get_running_loop()
        if self._last is not None and loop.time() - self._last_s < _FRESH_S:
            return self._last
        if self._asking is None or self._asking.done():
            self._asking = loop.create_task(self._ask())
        # Whoever hangs up takes the question along for nobody else.
        return await asyncio.shield(self._asking)

    async def _ask(self) -> Readiness:
        parts = await asyncio.gather(*(self._one(part, check) for part, check in self._checks.items()))
        readiness = Readiness(ready=all(part.ready for part in parts), parts=parts)
        self._tell(readiness)
        self._last, self._last_s = readiness, asyncio.get_running_loop().time()
        return readiness

    @staticmethod
    async def _one(part: str, check: Check) -> PartState:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                reason = await check()
        except TimeoutError:
            reason = f"no answer within {_PATIENCE_S:.0f} s"
        except MrMarketError as error:
            reason = error.code
            _log.warning("a part of the instance is not ready", part=part, reason=str(error))
        except Exception as error:  # noqa: BLE001 - a check that breaks is a part that is not ready
            reason = f"the check failed ({type(error).__name__})"
            _log.error("a check of readiness failed", part=part, exc_info=error)
        return PartState(part=part, ready=not reason, reason=reason)

    def _tell(self, now: Readiness) -> None:
        before = {part.part: part.ready for part in self._last.parts} if self._last else {}
        for part in now.parts:
            if before.get(part.part, True) != part.ready:
                _log.info("ready" if part.ready else "not ready", part=part.part, reason=part.reason)
