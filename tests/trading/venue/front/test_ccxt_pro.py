"""Acceptance: ccxt.pro's streams against the venue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import ccxt.pro as ccxt_pro
import pytest

from mrmarket.trading.venue.front.faults import FaultConfig, FaultKind, FaultRule
from mrmarket.trading.venue.front.server import VenueServer


def streaming(server: VenueServer, account: int = 0) -> Any:
    """A ccxt.pro client pointed at the venue by the overrides a user would make."""
    key = server.keys[account]
    client = ccxt_pro.binance(
        {
            "apiKey": key.key,
            "secret": key.secret,
            "options": {
                "defaultType": "spot",
                "fetchMarkets": ["spot"],
                "fetchCurrencies": False,
                "fetchMargins": False,
            },
        }
    )
    for name in ("public", "private", "v1"):
        client.urls["api"][name] = f"{server.rest_url}/api/v3"
    client.urls["api"]["ws"]["spot"] = server.ws_url
    client.urls["api"]["ws"]["ws-api"]["spot"] = server.ws_api_url
    return client


@pytest.fixture
async def exchange(venue: VenueServer) -> AsyncIterator[Any]:
    """The client as alice."""
    client = streaming(venue)
    await client.load_markets()
    yield client
    await client.close()


@pytest.fixture
async def counterparty(venue: VenueServer) -> AsyncIterator[Any]:
    """The client as bob."""
    client = streaming(venue, account=1)
    await client.load_markets()
    yield client
    await client.close()


async def test_the_watched_book_equals_the_venues(exchange: Any) -> None:
    """Snapshot and updates fit together, and an own order appears in the public book."""
    book = await exchange.watch_order_book("BTC/USDT")
    assert (book["bids"][0], book["asks"][0]) == ([60_000.0, 2.0], [60_010.0, 2.0])
    await exchange.create_order("BTC/USDT", "limit", "buy", 0.5, 60_003)
    async with asyncio.timeout(10):
        while book["bids"][0] != [60_003.0, 0.5]:
            book = await exchange.watch_order_book("BTC/USDT")
    await exchange.cancel_all_orders("BTC/USDT")
    async with asyncio.timeout(10):
        while book["bids"][0] != [60_000.0, 2.0]:
            book = await exchange.watch_order_book("BTC/USDT")


async def test_orders_trades_and_balance_follow_a_fill(exchange: Any, counterparty: Any) -> None:
    """The user stream tells a maker of the order, the fill with its fee, and the new balance."""
    watching = asyncio.create_task(exchange.watch_orders("BTC/USDT"))
    balance = asyncio.create_task(exchange.watch_balance())
    fills = asyncio.create_task(exchange.watch_my_trades("BTC/USDT"))
    prints = asyncio.create_task(exchange.watch_trades("BTC/USDT"))
    async with asyncio.timeout(20):
        # The first call opens the connection, on which the subscription follows; an answer to the second
        # proves that the subscription stands.
        await exchange.fetch_open_orders_ws("BTC/USDT")
        await exchange.fetch_open_orders_ws("BTC/USDT")
        placed = await exchange.create_order("BTC/USDT", "limit", "buy", 0.02, 60_005)
        first = (await watching)[-1]
        assert (first["id"], first["status"]) == (placed["id"], "open")
        assert (await balance)["USDT"]["used"] == pytest.approx(1_200.1)
        await counterparty.create_order("BTC/USDT", "market", "sell", 0.02)
        trade = (await fills)[-1]
        assert (trade["order"], trade["takerOrMaker"], trade["price"]) == (placed["id"], "maker", 60_005.0)
        assert trade["fee"] == {"cost": 0.00002, "currency": "BTC"}
        order = first
        while order["status"] != "closed":
            order = (await exchange.watch_orders("BTC/USDT"))[-1]
        assert order["filled"] == 0.02
        while (await exchange.watch_balance())["BTC"]["free"] != pytest.approx(10.01998):
            continue
        assert (await prints)[-1]["price"] == 60_005.0


async def test_a_lost_message_is_noticed_as_on_binance(exchange: Any, venue: VenueServer) -> None:
    """A dropped depth message is a sequence gap: the client refuses the book and starts anew."""
    await exchange.watch_order_book("BTC/USDT")
    # The first message may only repeat what the snapshot had, so two are dropped.
    rule = FaultRule(kind=FaultKind.DROP, match="*@depth@100ms", times=2)
    venue.gateway.faults.reset(FaultConfig(rules=[rule]), venue.gateway.now_ns())
    with pytest.raises(ccxt_pro.ChecksumError):
        await asyncio.wait_for(_watch_for_ever(exchange), 20)
    assert (await exchange.watch_order_book("BTC/USDT"))["bids"][0][0] == 60_000.0


async def test_orders_travel_over_the_websocket_api(exchange: Any) -> None:
    """Place, query and cancel without REST."""
    placed = await exchange.create_order_ws("BTC/USDT", "limit", "sell", 0.01, 61_000)
    assert placed["status"] == "open"
    assert (await exchange.fetch_order_ws(placed["id"], "BTC/USDT"))["side"] == "sell"
    assert len(await exchange.fetch_open_orders_ws("BTC/USDT")) == 1
    assert (await exchange.cancel_order_ws(placed["id"], "BTC/USDT"))["status"] == "canceled"
    # ccxt 4.5.64 parses this answer as a futures account; what the venue sent is under `info`.
    account = (await exchange.fetch_balance_ws())["info"]
    assert {"asset": "BTC", "free": "10.00000000", "locked": "0.00000000"} in account["balances"]
    assert await exchange.fetch_my_trades_ws("BTC/USDT") == []


async def test_candles_and_tickers_stream(exchange: Any) -> None:
    """Candle, ticker and bookTicker streams parse."""
    async with asyncio.timeout(30):
        candles = asyncio.create_task(exchange.watch_ohlcv("BTC/USDT", "1m"))
        ticker = asyncio.create_task(exchange.watch_ticker("BTC/USDT"))
        best = await _best_after_an_order(exchange)
        while not ticker.done():
            await exchange.create_order("BTC/USDT", "market", "buy", 0.001)
    assert (await candles)[-1][4] == 60_010.0
    assert (await ticker)["last"] == 60_010.0
    assert best["BTC/USDT"]["bid"] >= 60_000.0


async def _watch_for_ever(exchange: Any) -> None:
    while True:
        await exchange.watch_order_book("BTC/USDT")


async def _best_after_an_order(exchange: Any) -> Any:
    best = asyncio.create_task(exchange.watch_bids_asks(["BTC/USDT"]))
    async with asyncio.timeout(20):
        while not best.done():
            await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 60_001)
            await exchange.cancel_all_orders("BTC/USDT")
        return await best
