"""Acceptance: ccxt's async REST client against the venue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import ccxt.async_support as ccxt
import pytest

from mrmarket.trading.venue.front.server import VenueServer


def binance(module: Any, server: VenueServer, account: int = 0) -> Any:
    """A ccxt client pointed at the venue by the overrides a user would make."""
    key = server.keys[account]
    client = module.binance(
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
    client.urls["api"]["sapi"] = f"{server.rest_url}/sapi/v1"
    return client


@pytest.fixture
async def exchange(venue: VenueServer) -> AsyncIterator[Any]:
    """The client as alice, markets loaded."""
    client = binance(ccxt, venue)
    await client.load_markets()
    yield client
    await client.close()


@pytest.fixture
async def counterparty(venue: VenueServer) -> AsyncIterator[Any]:
    """The client as bob."""
    client = binance(ccxt, venue, account=1)
    await client.load_markets()
    yield client
    await client.close()


async def test_markets_carry_the_grid_and_limits(exchange: Any) -> None:
    """Tick, lot and minimum notional are read from exchangeInfo."""
    market = exchange.market("BTC/USDT")
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 1e-05)
    assert (market["limits"]["cost"]["min"], market["active"], market["spot"]) == (5.0, True, True)
    assert (await exchange.fetch_status())["status"] == "ok"
    assert (await exchange.fetch_trading_fee("BTC/USDT"))["maker"] == 0.001


async def test_market_data_reads_as_on_binance(exchange: Any) -> None:
    """Book, tickers and server time come through ccxt's parsers."""
    book = await exchange.fetch_order_book("BTC/USDT", 5)
    assert book["bids"][0] == [60_000.0, 2.0]
    assert book["asks"][0] == [60_010.0, 2.0]
    assert len(book["bids"]) == 5
    ticker = await exchange.fetch_ticker("BTC/USDT")
    assert (ticker["bid"], ticker["ask"]) == (60_000.0, 60_010.0)
    assert (await exchange.fetch_bids_asks(["BTC/USDT"]))["BTC/USDT"]["ask"] == 60_010.0
    assert abs(await exchange.fetch_time() - exchange.milliseconds()) < 5_000


async def test_an_order_is_placed_queried_listed_and_cancelled(exchange: Any) -> None:
    """The whole life of a resting order, and the balance it locks."""
    placed = await exchange.create_order(
        "BTC/USDT", "limit", "buy", 0.01, 59_000, {"clientOrderId": "mine-1", "postOnly": True}
    )
    assert (placed["clientOrderId"], placed["id"]) == ("mine-1", "1")
    queried = await exchange.fetch_order(placed["id"], "BTC/USDT")
    assert (queried["status"], queried["postOnly"], queried["price"]) == ("open", True, 59_000.0)
    assert [order["id"] for order in await exchange.fetch_open_orders("BTC/USDT")] == ["1"]
    assert (await exchange.fetch_balance())["USDT"] == {
        "free": 999_410.0,
        "used": 590.0,
        "total": 1_000_000.0,
    }
    cancelled = await exchange.cancel_order(placed["id"], "BTC/USDT")
    assert (cancelled["status"], cancelled["info"]["origClientOrderId"]) == ("canceled", "mine-1")
    assert [order["status"] for order in await exchange.fetch_orders("BTC/USDT")] == ["canceled"]
    assert (await exchange.fetch_balance())["USDT"]["used"] == 0


async def test_a_maker_fill_and_a_taker_fill_show_in_the_trades(exchange: Any, counterparty: Any) -> None:
    """Bob hits alice's bid inside the spread; both read their half with fees."""
    placed = await exchange.create_order("BTC/USDT", "limit", "buy", 0.02, 60_005)
    taken = await counterparty.create_order("BTC/USDT", "market", "sell", 0.02)
    assert (taken["status"], taken["average"]) == ("closed", 60_005.0)
    mine = await exchange.fetch_my_trades("BTC/USDT")
    assert [(trade["order"], trade["takerOrMaker"], trade["amount"]) for trade in mine] == [
        (placed["id"], "maker", 0.02)
    ]
    assert mine[0]["fee"] == {"currency": "BTC", "cost": 0.00002}
    theirs = await counterparty.fetch_my_trades("BTC/USDT")
    assert (theirs[0]["takerOrMaker"], theirs[0]["fee"]["currency"]) == ("taker", "USDT")
    assert (await exchange.fetch_order(placed["id"], "BTC/USDT"))["status"] == "closed"
    assert (await exchange.fetch_trades("BTC/USDT"))[-1]["price"] == 60_005.0
    candles = await exchange.fetch_ohlcv("BTC/USDT", "1m")
    assert candles[-1][5] >= 0.02


async def test_ioc_and_fok_and_quote_size_behave(exchange: Any) -> None:
    """IOC fills what it can, FOK all or nothing, a quote size buys what it pays for."""
    ioc = await exchange.create_order("BTC/USDT", "limit", "buy", 3, 60_010, {"timeInForce": "IOC"})
    assert (ioc["status"], ioc["filled"]) == ("expired", 2.0)
    fok = await exchange.create_order("BTC/USDT", "limit", "buy", 10, 60_012, {"timeInForce": "FOK"})
    assert (fok["status"], fok["filled"]) == ("expired", 0.0)
    spent = await exchange.create_order("BTC/USDT", "market", "sell", None, None, {"quoteOrderQty": 600.0})
    assert (spent["status"], spent["filled"]) == ("closed", 0.01)


async def test_refusals_become_ccxts_own_errors(exchange: Any) -> None:
    """Each refusal maps to the exception ccxt raises for the real exchange."""
    with pytest.raises(ccxt.InsufficientFunds):
        await exchange.create_order("BTC/USDT", "limit", "buy", 100, 59_000)
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 60_010, {"postOnly": True})
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order("999", "BTC/USDT")
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order("999", "BTC/USDT")
    with pytest.raises(ccxt.BadRequest, match="NOTIONAL"):
        await exchange.create_order("BTC/USDT", "limit", "buy", 0.0001, 30_000)
    exchange.secret = "0" * 64
    with pytest.raises(ccxt.AuthenticationError):
        await exchange.fetch_balance()


async def test_all_open_orders_are_cancelled_at_once(exchange: Any) -> None:
    """cancel_all_orders ends every order of the pair."""
    for price in (59_000, 59_100):
        await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, price)
    assert len(await exchange.cancel_all_orders("BTC/USDT")) == 2
    assert await exchange.fetch_open_orders("BTC/USDT") == []
