"""Trades are asked for by time, and the venue's time is not ours."""

from __future__ import annotations

import time

import pytest

import binance_script
from loopback_exchange import Answer, LoopbackExchange, Seen
from mrmarket.core.clock import SystemClock
from mrmarket.trading.venue.ccxt_adapter import CcxtVenue, CcxtVenueConfig, VenueUrls

PAIR = "BTC/USDT"


@pytest.mark.parametrize("skew_ms", [-600_000, 0, 600_000])
async def test_a_trade_is_found_whatever_the_venues_clock_says(skew_ms: int) -> None:
    """A trade of this moment is among those since a minute ago, ten minutes of skew notwithstanding."""
    now_ms = time.time_ns() // 1_000_000
    made = binance_script.trade(7, now_ms + skew_ms)

    def server_time(seen: Seen) -> Answer:
        return Answer({"serverTime": time.time_ns() // 1_000_000 + skew_ms})

    def page(seen: Seen) -> Answer:
        return Answer([made] if made["time"] >= int(seen.params["startTime"]) else [])

    async with LoopbackExchange() as exchange:
        binance_script.script(exchange)
        exchange.on("GET", "/api/v3/time", server_time)
        exchange.on("GET", "/api/v3/myTrades", page)
        urls = VenueUrls(rest=exchange.rest)
        config = CcxtVenueConfig(symbols=(PAIR,), api_key="key", secret="SECRET", urls=urls)
        venue = CcxtVenue(config, SystemClock())
        await venue.open()
        try:
            fills = await venue.fills_since(PAIR, (now_ms - 60_000) * 1_000_000)
            assert [fill.trade_id for fill in fills] == ["7"]
        finally:
            await venue.close()
