"""A CoinGecko on loopback that answers with recorded files, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

RECORDED = Path(__file__).parent / "partners" / "marketdata" / "recorded"


@dataclass
class Desk:
    """What it answers, and what it heard."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    file: str | None = None
    """Instead of what the path asks for."""
    body: bytes | None = None
    """Instead of any file."""
    hold: asyncio.Event | None = None
    """Answers only when it is set."""
    asked: list[web.Request] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Any path."""
        self.asked.append(request)
        if self.hold is not None:
            await self.hold.wait()
        default = "simple_price" if request.path.endswith("/simple/price") else "market_chart_range"
        body = self.body
        if body is None:
            body = (RECORDED / f"{self.file or default}.json").read_bytes()
        return web.Response(
            status=self.status, body=body, headers={"Content-Type": "application/json", **self.headers}
        )


@asynccontextmanager
async def coingecko_desk() -> AsyncIterator[Desk]:
    """It, on a port of its own."""
    desk = Desk()
    app = web.Application()
    app.router.add_get("/{path:.*}", desk.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    desk.url = f"http://{host}:{port}/api/v3"
    try:
        yield desk
    finally:
        await runner.cleanup()
