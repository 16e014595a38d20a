"""The world's prices, asked by our own client of CoinGecko."""

from __future__ import annotations

from decimal import Decimal

import aiohttp
import pytest

from mrmarket.core.clock import SystemClock
from mrmarket.partners.marketdata.settings import PriceSettings, open_desk
from mrmarket.services.sandbox.prices import COIN, DOLLAR, PriceDoor


async def test_the_token_has_a_price_now_and_then() -> None:
    """In dollars, and by way of them in the markets' quote asset; an unknown coin has none."""
    wall = SystemClock()
    door = PriceDoor("0.05", wall)
    await door.start()
    settings = PriceSettings(coins={"HMT": COIN, "USDT": DOLLAR}, coingecko_url=door.url, calls_a_minute=100)
    desk = open_desk(settings, {}, wall)
    try:
        now = await desk.prices.price("HMT", "USDT")
        past = await desk.prices.price("HMT", "USD", wall.now_ns() // 1_000_000 - 3_600_000)
        async with aiohttp.ClientSession() as session:
            url = f"{door.url}/coins/bitcoin/market_chart/range?to=1"
            async with session.get(url) as answer:
                unknown = answer.status
    finally:
        await desk.close()
        await door.stop()
        await door.stop()
    assert (now.value, past.value) == (Decimal("0.05"), Decimal("0.05"))
    assert unknown == 404


async def test_what_is_listened_on_is_said() -> None:
    """A port that is taken is refused by the system, and the door is shut again."""
    first, second = PriceDoor("1", SystemClock()), PriceDoor("1", SystemClock())
    await first.start()
    with pytest.raises(OSError, match="in use"):
        await second.start(first.port)
    await second.stop()
    await first.stop()
