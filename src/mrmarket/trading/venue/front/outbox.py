"""What waits to be sent on one WebSocket: bounded, conflated where newer replaces older."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from aiohttp import WSMsgType, web

from mrmarket.core.clock import Clock
from mrmarket.trading.venue.front.faults import FaultKind, Faults

_CONFLATE_FROM: Final = 32
_LIMIT: Final = 4_096
POLICY_VIOLATION: Final = 1008
GOING_AWAY: Final = 1001
_MS_PER_S: Final = 1_000


class Outbox:
    """Messages of one connection, in order. Filled synchronously, emptied by `run`."""

    def __init__(self, faults: Faults, clock: Clock, limit: int = _LIMIT) -> None:
        self._faults = faults
        self._clock = clock
        self._limit = limit
        self._waiting: deque[list[bytes]] = deque()
        self._latest: dict[str, list[bytes]] = {}
        self._held: tuple[bytes, str] | None = None
        self._wake = asyncio.Event()
        self._closing = 0
        self.conflated = 0
        """Messages that a newer one replaced before they were sent."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, data: bytes, *, name: str, conflate: bool = False) -> None:
        """Queue a message of a stream, unless a fault takes it.

        Args:
            data: the JSON text.
            name: the stream or event, for fault rules and for conflation.
            conflate: whether a newer message of the same name replaces an unsent one.
        """
        if not self._faults.config.rules:
            self._append(data, name if conflate else "")
            return
        self._put_with_faults(data, name, name if conflate else "")

    def close(self, code: int) -> None:
        """Send what waits no more; end the connection."""
        self._closing = code
        self._wake.set()

    @property
    def close_code(self) -> int:
        """The close code once the connection is to end, else 0."""
        return self._closing

    async def filled(self) -> None:
        """Return when something waits, or the connection is to end."""
        await self._wake.wait()

    def take(self) -> list[bytes]:
        """Everything that waits, oldest first."""
        self._wake.clear()
        taken = [cell[0] for cell in self._waiting]
        self._waiting.clear()
        self._latest.clear()
        return taken

    async def run(self, socket: web.WebSocketResponse) -> None:
        """Send until the connection ends; closes it when this side wants to."""
        while not self._closing:
            await self.filled()
            for data in self.take():
                await socket.send_frame(data, WSMsgType.TEXT)
        await socket.close(code=self._closing)

    def _append(self, data: bytes, key: str) -> None:
        if self._closing:
            return
        if key and len(self._waiting) >= _CONFLATE_FROM and key in self._latest:
            self._latest[key][0] = data
            self.conflated += 1
            return
        if len(self._waiting) >= self._limit:
            # A reader this slow would only ever see the past.
            self.close(POLICY_VIOLATION)
            return
        cell = [data]
        self._waiting.append(cell)
        if key:
            self._latest[key] = cell
        self._wake.set()

    def _put_with_faults(self, data: bytes, name: str, key: str) -> None:
        rule = self._faults.message(name, self._clock.now_ns())
        held, self._held = self._held, None
        match rule.kind if rule else None:
            case FaultKind.DROP:
                pass
            case FaultKind.DUPLICATE:
                self._append(data, "")
                self._append(data, "")
            case FaultKind.REORDER:
                self._held = (data, key)
            case FaultKind.DELAY if rule:
                self._later(rule.delay_ms / _MS_PER_S, lambda: self._append(data, ""))
            case FaultKind.DISCONNECT:
                self.close(GOING_AWAY)
            case _:
                self._append(data, key)
        if held:
            self._append(*held)

    @staticmethod
    def _later(delay_s: float, then: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(delay_s, then)
