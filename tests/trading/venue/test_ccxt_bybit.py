"""Bybit spot through the real ccxt code path, against documented and recorded payloads on loopback."""

from __future__ import annotations

import json
import tarfile
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

import bybit_script
from bybit_script import reply
from loopback_exchange import Answer, Follower, LoopbackExchange, Seen, compact
from mrmarket.core.clock import SystemClock
from mrmarket.core.side import Side
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind
from mrmarket.trading.venue.ccxt_adapter import CcxtVenue, CcxtVenueConfig, VenueUrls
from mrmarket.trading.venue.port import (
    BalanceReport,
    FillReport,
    NewOrder,
    OrderKind,
    OrderRefusedError,
    OrderReport,
    OrderStatus,
    OutcomeUnknownError,
    RateLimitedError,
    StreamState,
    UnknownOrderError,
)
from shared_data import SHARED, needs_shared

PAIR = "BTC/USDT"


@asynccontextmanager
async def opened(
    *, instruments: Any = None, **changes: Any
) -> AsyncIterator[tuple[LoopbackExchange, CcxtVenue]]:
    """A scripted Bybit and a venue opened on it."""
    async with LoopbackExchange() as exchange:
        bybit_script.script(exchange)
        if instruments is not None:
            exchange.on("GET", "/v5/market/instruments-info", instruments)
        config = CcxtVenueConfig(
            **{
                "exchange": "bybit",
                "symbols": (PAIR,),
                "api_key": "KEY",
                "secret": "SECRET",
                "urls": VenueUrls(rest=exchange.rest, ws=exchange.ws),
                **changes,
            }
        )
        venue = CcxtVenue(config, SystemClock(), random=lambda: 0.0)
        await venue.open()
        try:
            yield exchange, venue
        finally:
            await venue.close()


def new_order(kind: OrderKind = OrderKind.POST_ONLY) -> NewOrder:
    """A buy of 0.0015 at 61000.1."""
    return NewOrder(
        symbol=PAIR,
        client_order_id="mm-1",
        side=Side.BUY,
        kind=kind,
        price_ticks=0 if kind is OrderKind.MARKET else 610_001,
        size_lots=15,
    )


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        (OrderKind.LIMIT, {"orderType": "Limit", "price": "61000.1"}),
        (OrderKind.POST_ONLY, {"orderType": "Limit", "timeInForce": "PostOnly", "price": "61000.1"}),
        (OrderKind.IOC, {"orderType": "Limit", "timeInForce": "IOC", "price": "61000.1"}),
        (OrderKind.FOK, {"orderType": "Limit", "timeInForce": "FOK", "price": "61000.1"}),
        (OrderKind.MARKET, {"orderType": "Market", "marketUnit": "baseCoin"}),
    ],
)
async def test_an_order_is_sent_exactly_and_acknowledged(kind: OrderKind, sent: dict[str, str]) -> None:
    """A thin acknowledgement becomes a full report of the order as it was sent."""
    async with opened() as (exchange, venue):
        exchange.on("POST", "/v5/order/create", reply({"orderId": "18300001", "orderLinkId": "mm-1"}))
        report = await venue.place(new_order(kind))
        body = json.loads(exchange.requests("POST", "/v5/order/create")[0].body)
        assert {name: body[name] for name in sent} == sent
        assert (body["symbol"], body["orderLinkId"], body["qty"], body["category"], body["side"]) == (
            "BTCUSDT",
            "mm-1",
            "0.0015",
            "spot",
            "Buy",
        )
        assert (report.venue_order_id, report.status, report.size_lots) == ("18300001", OrderStatus.OPEN, 15)


@pytest.mark.parametrize(
    ("code", "wanted"),
    [(170131, OrderRefusedError), (170007, OutcomeUnknownError), (10006, RateLimitedError)],
)
async def test_each_refusal_becomes_the_ports_error(code: int, wanted: type[Exception]) -> None:
    """`retCode` decides: insufficient balance, backend time-out, too many visits."""
    async with opened() as (exchange, venue):
        exchange.on("POST", "/v5/order/create", reply({}, code, "no"))
        with pytest.raises(wanted):
            await venue.place(new_order())


async def test_a_cancel_is_confirmed_by_a_query_of_live_then_of_old_orders() -> None:
    """An order that has left the live list is found in the history; one in neither is unknown."""
    async with opened() as (exchange, venue):
        exchange.on("POST", "/v5/order/cancel", reply({"orderId": "1", "orderLinkId": "mm-1"}))
        exchange.on("GET", "/v5/order/realtime", reply({"list": []}))
        gone = bybit_script.order(orderStatus="PartiallyFilledCanceled", cumExecQty="0.0005", leavesQty="0")
        exchange.on("GET", "/v5/order/history", reply({"list": [gone]}))
        report = await venue.cancel(PAIR, "mm-1", "")
        assert (report.status, report.filled_lots, report.size_lots) == (OrderStatus.CANCELLED, 5, 15)
        assert json.loads(exchange.requests("POST", "/v5/order/cancel")[0].body)["orderLinkId"] == "mm-1"
        exchange.on("GET", "/v5/order/history", reply({"list": []}))
        with pytest.raises(UnknownOrderError):
            await venue.query(PAIR, "", "1830000000000000001")
        assert exchange.seen[-1].params["orderId"] == "1830000000000000001"


async def test_open_orders_are_paged_by_cursor() -> None:
    """Three pages of 50 come back whole, without what is no longer open."""
    orders = [bybit_script.order(orderId=str(number), orderLinkId=f"mm-{number}") for number in range(120)]
    orders[3] = bybit_script.order(orderId="3", orderLinkId="mm-3", orderStatus="Cancelled")

    def page(seen: Seen) -> Answer:
        start = int(seen.params.get("cursor", 0))
        end = start + int(seen.params["limit"])
        cursor = str(end) if end < len(orders) else ""
        return Answer(reply({"list": orders[start:end], "nextPageCursor": cursor}))

    async with opened() as (exchange, venue):
        exchange.on("GET", "/v5/order/realtime", page)
        found = {order.client_order_id for order in await venue.open_orders(PAIR)}
        assert found == {f"mm-{number}" for number in range(120)} - {"mm-3"}


async def test_fills_are_paged_by_week_and_cursor() -> None:
    """250 trades of today and one of ten days ago come back whole and in order."""
    now_ms = time.time_ns() // 1_000_000
    fills = [bybit_script.execution(0, now_ms - 10 * 86_400_000)]
    fills += [bybit_script.execution(number, now_ms - 250 + number) for number in range(1, 251)]

    def page(seen: Seen) -> Answer:
        start_ms, end_ms = int(seen.params["startTime"]), int(seen.params["endTime"])
        assert end_ms - start_ms <= 7 * 86_400_000
        window = [fill for fill in reversed(fills) if start_ms <= int(fill["execTime"]) <= end_ms]
        start = int(seen.params.get("cursor", 0))
        end = start + int(seen.params["limit"])
        return Answer(
            reply({"list": window[start:end], "nextPageCursor": str(end) if end < len(window) else ""})
        )

    async with opened() as (exchange, venue):
        exchange.on("GET", "/v5/execution/list", page)
        found = await venue.fills_since(PAIR, (now_ms - 20 * 86_400_000) * 1_000_000)
        assert [fill.trade_id for fill in found] == [str(2_290_000_000_000_000_000 + n) for n in range(251)]
        assert (found[0].fee, found[0].fee_asset, found[0].maker, found[0].client_order_id) == (
            "0.000001",
            "BTC",
            True,
            "mm-1",
        )


async def test_balances_split_into_free_and_locked() -> None:
    """Where the free part is left blank it is what remains of the wallet."""
    async with opened() as (_, venue):
        assert await venue.balances() == [BalanceReport(asset="USDT", free="2408.62", locked="91.5")]


async def test_the_user_stream_gives_orders_fills_and_balances() -> None:
    """Frames of the topics `order`, `execution` and `wallet` become reports."""
    async with opened() as (exchange, venue):
        stream = Follower(venue.user_events())
        await stream.until(lambda seen: seen == [StreamState(connected=True)])
        await exchange.until(
            lambda: (
                {"order", "execution", "wallet"}
                <= {
                    topic
                    for _, message in exchange.messages
                    if message["op"] == "subscribe"
                    for topic in message["args"]
                }
            )
        )
        await exchange.push(
            {"topic": "order", "id": "1", "creationTime": 1, "data": [bybit_script.order()]},
            {
                "topic": "execution",
                "id": "2",
                "creationTime": 1,
                "data": [
                    bybit_script.execution(5, 1_700_000_006_000),
                    bybit_script.execution(6, 1_700_000_006_000, execType="Funding"),
                ],
            },
            {"topic": "wallet", "id": "3", "creationTime": 1, "data": bybit_script.WALLET["list"]},
            path="private",
        )
        seen = await stream.until(lambda seen: any(isinstance(event, BalanceReport) for event in seen))
        (order,) = [event for event in seen if isinstance(event, OrderReport)]
        (fill,) = [event for event in seen if isinstance(event, FillReport)]
        assert (order.client_order_id, order.price_ticks, order.status) == ("mm-1", 610_001, OrderStatus.OPEN)
        assert (fill.price_ticks, fill.size_lots, fill.fee, fill.fee_asset) == (
            610_001,
            10,
            "0.000001",
            "BTC",
        )


async def test_the_book_follows_its_sequence_and_a_gap_reconnects() -> None:
    """`u` counts up by one; a jump closes the connection and a new snapshot heals the book."""
    bid, ask = ["61000.1", "1"], ["61000.3", "2"]
    async with opened(public_only=True) as (exchange, venue):
        stream = Follower(venue.market_events(PAIR))
        topics = "orderbook.200.BTCUSDT"
        await exchange.until(lambda: sum(topics in compact(m) for _, m in exchange.messages) == 1)
        await exchange.push(
            bybit_script.book("snapshot", 10, [bid], [ask]),
            bybit_script.book("delta", 11, [["61000.1", "0"], ["61000.0", "3"]], []),
            {
                "topic": "publicTrade.BTCUSDT",
                "type": "snapshot",
                "ts": 1,
                "data": [
                    {
                        "T": 1_700_000_000_020,
                        "s": "BTCUSDT",
                        "S": "Sell",
                        "v": "0.2",
                        "p": "61000.0",
                        "i": "2290000000067",
                        "L": "MinusTick",
                        "BT": False,
                    }
                ],
            },
            bybit_script.book("delta", 13, [], [["61000.4", "9"]]),
        )
        await stream.until(lambda seen: seen and seen[-1].kind is EventKind.SNAPSHOT and not seen[-1].bids)
        await exchange.until(lambda: sum(topics in compact(m) for _, m in exchange.messages) == 2)
        await exchange.push(bybit_script.book("snapshot", 40, [bid], [ask]))
        seen = await stream.until(lambda seen: seen[-1].last_id == 40)
        assert [(event.kind, event.last_id) for event in seen] == [
            (EventKind.SNAPSHOT, 10),
            (EventKind.DEPTH, 11),
            (EventKind.TRADE, 2_290_000_000_067),
            (EventKind.DEPTH, 13),
            (EventKind.SNAPSHOT, 0),
            (EventKind.SNAPSHOT, 40),
        ]
        assert (seen[2].taker_buys, seen[2].price_ticks, seen[2].size_lots) == (False, 610_000, 2000)
        assert seen[1].exchange_ns == 1_700_000_000_007_000_000


@needs_shared
@pytest.mark.shared
async def test_documented_instruments_orders_and_fills_are_read() -> None:
    """The payloads that another project collected from Bybit's documentation pass through ccxt exactly."""
    with tarfile.open(SHARED / "market/nautilus_adapter_payloads/bybit.tar.xz") as archive:

        def documented(name: str) -> Any:
            content = archive.extractfile(f"./bybit/test_data/{name}")
            assert content is not None
            return json.loads(content.read())

        instruments = documented("http_get_instruments_spot.json")
        realtime = documented("http_get_orders_realtime.json")
        executions = documented("http_get_executions.json")
        wallet = documented("http_get_wallet_balance_spot_short.json")
    async with opened(instruments=instruments, symbols=("ETH/USDT",)) as (exchange, venue):
        instrument = venue.instrument("ETH/USDT")
        assert (instrument.tick_size, instrument.lot_size, instrument.min_notional) == (
            Decimal("0.01"),
            Decimal("0.00001"),
            Decimal(10),
        )
        exchange.on("GET", "/v5/order/realtime", realtime)
        orders = await venue.open_orders("ETH/USDT")
        assert [(order.client_order_id, order.price_ticks, order.size_lots) for order in orders][:2] == [
            ("client-open-1", 393_041, 1000),
            ("client-open-2", 394_042, 1000),
        ]
        # One trade of the documented list is of this pair; the exchange would send no other.
        result = executions["result"]
        result["list"] = [entry for entry in result["list"] if entry["symbol"] == "ETHUSDT"]
        exchange.on("GET", "/v5/execution/list", executions)
        fills = await venue.fills_since("ETH/USDT", (time.time_ns() // 10**9 - 86_400) * 10**9)
        assert fills == []  # it is older than what was asked for
        exchange.on("GET", "/v5/account/wallet-balance", wallet)
        assert await venue.balances() == [BalanceReport(asset="USDT", free="2500", locked="0")]


@needs_shared
@pytest.mark.shared
async def test_a_recorded_book_keeps_its_sequence_and_never_crosses() -> None:
    """Fed with real frames over a socket, the book is rebuilt without a gap and stays uncrossed."""
    path = SHARED / "market/bybit_ob500_xrpusdt_20241201/xrpusdt-ob500.data.zip"
    with zipfile.ZipFile(path) as archive:
        frames = archive.read(archive.namelist()[0]).decode().splitlines()
    assert len(frames) >= 50
    grid = bybit_script.instrument("XRPUSDT", "XRP", "0.0001", "1")
    listed = reply({"category": "spot", "list": [grid]})
    async with opened(public_only=True, instruments=listed, symbols=("XRP/USDT",)) as (exchange, venue):
        stream = Follower(venue.market_events("XRP/USDT"))
        await exchange.until(lambda: any("orderbook" in compact(m) for _, m in exchange.messages))
        await exchange.push(*frames)
        events = await stream.until(lambda seen: len(seen) == len(frames))
        book = OrderBook(venue.instrument("XRP/USDT"))
        levels: dict[str, dict[Decimal, Decimal]] = {"b": {}, "a": {}}
        for event, frame in zip(events, frames, strict=True):
            assert book.apply(event)
            assert not book.crossed
            content = json.loads(frame)
            for side, known in levels.items():
                if content["type"] == "snapshot":
                    known.clear()
                known.update({Decimal(p): Decimal(s) for p, s in content["data"][side]})
        best_bid = max(price for price, size in levels["b"].items() if size)
        best_ask = min(price for price, size in levels["a"].items() if size)
        assert book.best_bid is not None
        assert book.best_ask is not None
        instrument = venue.instrument("XRP/USDT")
        assert (instrument.price(book.best_bid[0]), instrument.price(book.best_ask[0])) == (
            best_bid,
            best_ask,
        )
        assert venue.feeds["XRP/USDT"].gaps == 0
