"""The simulated exchange as a recording oracle sees it: windows of world time, keys, balances."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from front_desk import RawClient, quiet_events, quiet_instrument
from mrmarket.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from mrmarket.partners.hufi.score import SCALE
from mrmarket.services.sandbox import venue_feed
from mrmarket.services.sandbox.errors import SandboxExchangeError
from mrmarket.services.sandbox.venue_feed import PERMISSIONS, VenueFeed
from mrmarket.services.sandbox.world_time import WorldHistory, WorldTime
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.server import VenueServer


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[VenueServer]:
    """A quiet market with the accounts alice and bob."""
    with TapeWriter(tmp_path / "quiet.tape.gz", quiet_instrument()) as writer:
        for event in quiet_events():
            writer.write(event)
    server = VenueServer(
        VenueConfig(tapes=[str(tmp_path / "quiet.tape.gz")], accounts={"alice": {}, "bob": {}})
    )
    await server.start()
    yield server
    await server.stop()


async def test_trades_are_told_in_world_time(venue: VenueServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everyone's own, inside of the window's half-open ends, over several pages."""
    monkeypatch.setattr(venue_feed, "_PAGE", 2)
    wall = SystemClock()
    origin = wall.now_ns() - 10 * NS_PER_S
    time = WorldHistory([WorldTime(origin, origin, 4.0)])
    secrets = {key.key: key.secret for key in (*venue.keys, *venue.angel_keys)}
    feed = VenueFeed(venue.rest_url, secrets.get, time, wall)
    async with aiohttp.ClientSession() as session:
        alice, bob = (RawClient(venue, session, key) for key in venue.keys)
        for _ in range(5):
            await alice.place(quantity="0.001", price="60005", type="LIMIT_MAKER", timeInForce=None)
            await bob.place(side="SELL", quantity="0.001", price="60005")
        _, listed, _ = await alice.call("GET", "/api/v3/myTrades", signed=True, symbol="BTCUSDT")
    stamps = [time.world_ns(one["time"] * NS_PER_MS) // NS_PER_MS for one in listed]
    identity, first = venue.angel_keys[0].key, origin // NS_PER_MS
    try:
        found = await feed.trades("mexc", identity, "BTC/USDT", first, stamps[-1] + 1)
        assert [one.at_ms for one in found] == stamps
        assert {(one.is_buy, one.is_maker) for one in found} == {(True, True)}
        worth = sum(int(float(one["quoteQty"]) * 10**8) for one in listed)
        assert sum(one.cost_units for one in found) == worth * SCALE // 10**8
        before = await feed.trades("mexc", identity, "BTC/USDT", first, stamps[-1])
        assert len(before) == sum(stamp < stamps[-1] for stamp in stamps)
        other = await feed.trades("mexc", venue.keys[1].key, "BTC/USDT", first, stamps[-1] + 1)
        assert {(one.is_buy, one.is_maker) for one in other} == {(False, False)}
    finally:
        await feed.close()


async def test_a_key_is_what_the_exchange_says(venue: VenueServer) -> None:
    """A key that may read sees everything; a strange one, and one with a wrong secret, see nothing."""
    time = WorldHistory([WorldTime(0, 0, 1.0)])
    reader, trader = venue.angel_keys[0], venue.keys[1]
    secrets = {reader.key: reader.secret, trader.key: "wrong", "f" * 64: "f"}
    feed = VenueFeed(venue.rest_url, secrets.get, time, SystemClock())
    try:
        assert await feed.permissions("mexc", reader.key) == PERMISSIONS
        assert await feed.balance("mexc", reader.key, "USDT") == 1_000_000 * SCALE
        ours = await feed.deposit_address("mexc", reader.key)
        assert ours.startswith("mexc:")
        for strange in (trader.key, "f" * 64, "nobody"):
            assert await feed.permissions("mexc", strange) is None
            assert await feed.balance("mexc", strange, "USDT") == 0
            assert await feed.trades("mexc", strange, "BTC/USDT", 0, 1) == []
            assert await feed.deposit_address("mexc", strange) == f"mexc:{strange}"
        with pytest.raises(SandboxExchangeError, match="-1121"):
            await feed.trades("mexc", reader.key, "DOGE/USDT", 0, 1)
        await venue.stop()
        with pytest.raises(SandboxExchangeError):
            await feed.permissions("mexc", reader.key)
    finally:
        await feed.close()
