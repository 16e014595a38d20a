"""A CoinGecko of the world's own: it knows what the chain's token is worth, and that a dollar is one."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from mrmarket.core.clock import NS_PER_S, Clock

COIN: Final = "human-protocol"
DOLLAR: Final = "tether"
_HOST: Final = "127.0.0.1"


class PriceDoor:
    """Two routes of CoinGecko's API, on loopback. Prices never change."""

    def __init__(self, price_usd: str, wall: Clock) -> None:
        self._prices = {COIN: float(price_usd), DOLLAR: 1.0}
        self._wall = wall
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Root of the API."""
        return f"http://{_HOST}:{self.port}"

    async def start(self, port: int = 0) -> None:
        """Listen; 0 takes a free port. Raises OSError."""
        app = web.Application()
        app.router.add_get("/simple/price", self._now)
        app.router.add_get("/coins/{coin}/market_chart/range", self._then)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._runner = runner
        await web.TCPSite(runner, _HOST, port).start()
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening; twice is harmless."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _now(self, request: web.Request) -> web.Response:
        asked = request.query.get("ids", "").split(",")
        currencies = request.query.get("vs_currencies", "usd").split(",")
        now_s = self._wall.now_ns() // NS_PER_S
        return _json(
            {
                coin: {**dict.fromkeys(currencies, self._prices[coin]), "last_updated_at": now_s}
                for coin in asked
                if coin in self._prices
            }
        )

    async def _then(self, request: web.Request) -> web.Response:
        price = self._prices.get(request.match_info["coin"])
        if price is None:
            raise web.HTTPNotFound
        until_ms = int(float(request.query.get("to", "0")) * 1_000)
        return _json({"prices": [[until_ms - 1_000, price]]})


def _json(content: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(content), content_type="application/json")
