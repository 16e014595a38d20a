"""A local HTTP server that takes notices, and misbehaves as it is told."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Letter:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What to answer once."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    hang: bool = False
    """Never answer."""


class Mailbox:
    """Listens on the loopback address; answers by `script`, and 200 when that is used up."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.script: deque[Answer] = deque()
        self.changed = asyncio.Condition()
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Begin to listen."""
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def count(self, wanted: int) -> list[Letter]:
        """Wait until so many letters have come."""
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: len(self.letters) >= wanted)
        return self.letters

    async def _take(self, request: web.Request) -> web.Response:
        letter = Letter(request.path, dict(request.headers), await request.read())
        async with self.changed:
            self.letters.append(letter)
            self.changed.notify_all()
        answer = self.script.popleft() if self.script else Answer()
        if answer.hang:
            await asyncio.Event().wait()
        headers: dict[str, Any] = answer.headers
        return web.Response(status=answer.status, headers=headers, body=answer.body)
