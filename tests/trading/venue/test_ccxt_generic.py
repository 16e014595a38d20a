"""An exchange without a dialect of its own, by ccxt's unified methods alone.

`binanceus` stands for all of them: ccxt knows it, this adapter does not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import binance_script
from loopback_exchange import Answer, Follower, LoopbackExchange, Seen
from mrmarket.core.clock import SystemClock
from mrmarket.core.side import Side
from mrmarket.trading.market.event import EventKind
from mrmarket.trading.venue.ccxt_adapter import CcxtVenue, CcxtVenueConfig, MalformedAnswerError, VenueUrls
from mrmarket.trading.venue.ccxt_adapter.dialects.generic import Dialect
from mrmarket.trading.venue.port import (
    BalanceReport,
    FillReport,
    NewOrder,
    OrderKind,
    OrderReport,
    OrderStatus,
    StreamState,
)

PAIR = "BTC/USDT"


@asynccontextmanager
async def opened(**changes: Any) -> AsyncIterator[tuple[LoopbackExchange, CcxtVenue]]:
    """A scripted exchange and a venue opened on it."""
    async with LoopbackExchange() as exchange:
        binance_script.script(exchange)
        # ccxt tells Binance's spot streams by "/stream" in the address.
        urls = VenueUrls(rest=exchange.rest, ws=f"{exchange.ws}/stream")
        config = CcxtVenueConfig(
            **{
                "exchange": "binanceus",
                "symbols": (PAIR,),
                "api_key": "KEY",
                "secret": "SECRET",
                "urls": urls,
                **changes,
            }
        )
        venue = CcxtVenue(config, SystemClock(), random=lambda: 0.0)
        await venue.open()
        try:
            yield exchange, venue
        finally:
            await venue.close()


async def test_orders_are_placed_queried_cancelled_and_listed_exactly() -> None:
    """The unified methods alone carry an order's whole life, with floats read by their shortest text."""
    async with opened() as (exchange, venue):
        order = NewOrder(
            symbol=PAIR,
            client_order_id="mm-1",
            side=Side.SELL,
            kind=OrderKind.LIMIT,
            price_ticks=6_100_010,
            size_lots=150,
        )
        placed = await venue.place(order)
        assert (placed.client_order_id, placed.side, placed.size_lots) == ("mm-1", Side.SELL, 150)
        params = exchange.requests("POST", "/api/v3/order")[0].params
        assert (params["price"], params["quantity"]) == ("61000.1", "0.0015")
        exchange.on(
            "GET", "/api/v3/order", binance_script.order(executedQty="0.0005", status="PARTIALLY_FILLED")
        )
        found = await venue.query(PAIR, "mm-1", "")
        assert (found.price_ticks, found.filled_lots, found.status) == (
            6_100_010,
            50,
            OrderStatus.PARTIALLY_FILLED,
        )
        exchange.on("DELETE", "/api/v3/order", binance_script.order(status="CANCELED"))
        assert (await venue.cancel(PAIR, "mm-1", "28")).status is OrderStatus.CANCELLED
        exchange.on("GET", "/api/v3/openOrders", [binance_script.order()])
        assert [report.venue_order_id for report in await venue.open_orders(PAIR)] == ["28"]


async def test_fills_are_paged_by_time() -> None:
    """Pages begin where the last one ended and trades seen twice count once."""
    trades = [binance_script.trade(number, 1_700_000_000_000 + number // 60) for number in range(250)]

    def page(seen: Seen) -> Answer:
        later = [trade for trade in trades if trade["time"] >= int(seen.params["startTime"])]
        return Answer(later[: int(seen.params["limit"])])

    async with opened() as (exchange, venue):
        exchange.on("GET", "/api/v3/myTrades", page)
        fills = await venue.fills_since(PAIR, 1_700_000_000_000_000_000)
        assert [fill.trade_id for fill in fills] == [str(number) for number in range(250)]
        assert len(exchange.requests("GET", "/api/v3/myTrades")) > 2


async def test_a_page_of_one_millisecond_is_an_error_and_not_a_loss() -> None:
    """More trades in one millisecond than a page holds cannot be read, and that is said."""
    same = [binance_script.trade(number, 1_700_000_000_000) for number in range(150)]

    async with opened() as (exchange, venue):
        exchange.on("GET", "/api/v3/myTrades", same[: Dialect.fills_page])
        with pytest.raises(MalformedAnswerError, match="one millisecond"):
            await venue.fills_since(PAIR, 1_700_000_000_000_000_000)


async def test_each_book_of_ccxt_becomes_a_snapshot() -> None:
    """Without a frame reader the follower gets whole books of the best levels, and trades."""
    async with opened(public_only=True, book_limit=100) as (exchange, venue):
        stream = Follower(venue.market_events(PAIR))
        wanted = {"btcusdt@depth@100ms", "btcusdt@trade"}
        await exchange.until(
            lambda: wanted <= {name for _, message in exchange.messages for name in message["params"]}
        )
        await exchange.until(lambda: bool(exchange.requests("GET", "/api/v3/depth")))
        trade = {
            "e": "trade",
            "E": 1,
            "s": "BTCUSDT",
            "t": 5,
            "p": "61000.10",
            "q": "0.25",
            "T": 1_700_000_000_301,
            "m": True,
        }
        path = {name: path for path, message in exchange.messages for name in message["params"]}
        await exchange.push(binance_script.depth_update(101, 101), path=path["btcusdt@depth@100ms"])
        await exchange.push(trade, path=path["btcusdt@trade"])
        await stream.until(lambda seen: any(event.kind is EventKind.SNAPSHOT for event in seen))
        await stream.until(lambda seen: any(event.kind is EventKind.TRADE for event in seen))
        book = next(event for event in stream.events if event.kind is EventKind.SNAPSHOT)
        assert book.bids == [(6_100_000, 100_000), (6_099_999, 200_000), (6_099_900, 10_000)]
        assert book.asks == [(6_100_030, 300_000)]
        sold = next(event for event in stream.events if event.kind is EventKind.TRADE)
        assert (sold.price_ticks, sold.size_lots, sold.taker_buys, sold.last_id) == (
            6_100_010,
            25_000,
            False,
            5,
        )


async def test_the_user_stream_is_up_with_its_connection() -> None:
    """Where the exchange's confirmation is not known, the connection itself is what can be told."""
    async with opened() as (exchange, venue):
        stream = Follower(venue.user_events())
        await stream.until(lambda seen: seen == [StreamState(connected=True)])
        await exchange.until(
            lambda: any("userDataStream" in str(message) for _, message in exchange.messages)
        )
        await exchange.push(
            binance_script.execution_report(
                "TRADE",
                X="FILLED",
                l="0.0015",
                z="0.0015",
                L="61000.10",
                n="0.00000150",
                N="BTC",
                t=9,
                m=True,
            ),
            {
                "subscriptionId": 0,
                "event": {"e": "outboundAccountPosition", "E": 1, "B": [{"a": "BTC", "f": "1.5", "l": "0"}]},
            },
            path="ws-api",
        )
        seen = await stream.until(lambda seen: isinstance(seen[-1], BalanceReport))
        fill = next(event for event in seen if isinstance(event, FillReport))
        assert (fill.fee, fill.fee_asset, fill.size_lots) == ("0.0000015", "BTC", 150)
        assert any(isinstance(event, OrderReport) for event in seen)
