"""How long a request travels to the matching engine, and its answer back."""

from __future__ import annotations

import asyncio
import random
from typing import Final

import msgspec

_MS_PER_S: Final = 1_000


class LatencyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Milliseconds of wall time; each way draws evenly from its mean plus or minus the jitter."""

    entry_ms: float = 0.0
    response_ms: float = 0.0
    jitter_ms: float = 0.0
    seed: int = 1


class Latency:
    """Waits, reproducibly for a seed."""

    def __init__(self, config: LatencyConfig) -> None:
        self._config = config
        # Reproducible, not secret.
        self._rng = random.Random(config.seed)  # noqa: S311

    @property
    def instant(self) -> bool:
        """Whether nothing takes any time."""
        return not (self._config.entry_ms or self._config.response_ms)

    async def entry(self) -> None:
        """The way in."""
        await self._wait(self._config.entry_ms)

    async def response(self) -> None:
        """The way out."""
        await self._wait(self._config.response_ms)

    async def _wait(self, mean_ms: float) -> None:
        if not mean_ms:
            return
        jitter_ms = self._config.jitter_ms
        delay_ms = mean_ms + self._rng.uniform(-jitter_ms, jitter_ms)
        if delay_ms > 0:
            await asyncio.sleep(delay_ms / _MS_PER_S)
