"""A venue opened on a scripted Binance."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import binance_script
from loopback_exchange import LoopbackExchange
from mrmarket.core.clock import SystemClock
from mrmarket.trading.venue.ccxt_adapter import CcxtVenue, CcxtVenueConfig, VenueUrls

PAIR = "BTC/USDT"


def config_for(exchange: LoopbackExchange, **changes: Any) -> CcxtVenueConfig:
    """A configuration that reaches the scripted exchange."""
    urls = VenueUrls(rest=exchange.rest, ws=f"{exchange.ws}/ws", ws_api=f"{exchange.ws}/ws-api/v3")
    return CcxtVenueConfig(
        **{"symbols": (PAIR,), "api_key": "KEY", "secret": "SECRET", "urls": urls, **changes}
    )


@asynccontextmanager
async def opened(**changes: Any) -> AsyncIterator[tuple[LoopbackExchange, CcxtVenue]]:
    """A scripted Binance and a venue opened on it."""
    async with LoopbackExchange() as exchange:
        binance_script.script(exchange)
        venue = CcxtVenue(config_for(exchange, **changes), SystemClock(), random=lambda: 0.0)
        await venue.open()
        try:
            yield exchange, venue
        finally:
            await venue.close()
