"""Acceptance: Binance's own Python client (`binance-sdk-spot`), REST, streams and WebSocket API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.errors import BadRequestError, UnauthorizedError
from binance_sdk_spot.rest_api.models import (
    NewOrderNewOrderRespTypeEnum,
    NewOrderSideEnum,
    NewOrderTimeInForceEnum,
    NewOrderTypeEnum,
)
from binance_sdk_spot.spot import Spot
from binance_sdk_spot.websocket_api.models import (
    OrderPlaceSideEnum,
    OrderPlaceTimeInForceEnum,
    OrderPlaceTypeEnum,
)

from mrmarket.trading.venue.front.server import VenueServer
from mrmarket.trading.venue.front.signature import ApiKey

BUY, SELL = NewOrderSideEnum.BUY, NewOrderSideEnum.SELL


def spot(server: VenueServer, account: int = 0, key: ApiKey | None = None) -> Spot:
    """Binance's client pointed at the venue."""
    key = key or server.keys[account]
    return Spot(
        config_rest_api=ConfigurationRestAPI(
            api_key=key.key, api_secret=key.secret, base_path=server.rest_url, timeout=5_000
        ),
        config_ws_api=ConfigurationWebSocketAPI(
            api_key=key.key, api_secret=key.secret, stream_url=server.ws_api_url
        ),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=server.ws_url),
    )


class Rest:
    """The synchronous client, called off the loop that serves it."""

    def __init__(self, client: Spot) -> None:
        self._api = client.rest_api

    async def __call__(self, method: str, **fields: Any) -> Any:
        """The answer to one call, as the client's model."""
        answer = await asyncio.to_thread(getattr(self._api, method), **fields)
        return answer.data()


@pytest.fixture
def alice(venue: VenueServer) -> Rest:
    """REST as alice."""
    return Rest(spot(venue))


@pytest.fixture
def bob(venue: VenueServer) -> Rest:
    """REST as bob."""
    return Rest(spot(venue, account=1))


@pytest.fixture
async def api(venue: VenueServer) -> AsyncIterator[Any]:
    """The WebSocket API as alice."""
    client = spot(venue).websocket_api
    connection = await client.create_connection()
    yield connection
    await connection.close_connection(close_session=True)


@pytest.fixture
async def streams(venue: VenueServer) -> AsyncIterator[Any]:
    """The market streams."""
    client = spot(venue).websocket_streams
    connection = await client.create_connection()
    yield connection
    await connection.close_connection(close_session=True)


async def test_general_and_market_answers_parse(alice: Rest) -> None:
    """Every public answer fits Binance's own models."""
    await alice("ping")
    info = await alice("exchange_info", symbol="BTCUSDT")
    assert info.symbols[0].symbol == "BTCUSDT"
    assert {limit.rate_limit_type for limit in info.rate_limits} == {"REQUEST_WEIGHT", "ORDERS"}
    assert (await alice("depth", symbol="BTCUSDT", limit=5)).bids[0] == ["60000.00000000", "2.00000000"]
    assert (await alice("avg_price", symbol="BTCUSDT")).mins == 5
    for method in ("get_trades", "agg_trades", "historical_trades"):
        assert isinstance(await alice(method, symbol="BTCUSDT"), list)
    assert (await alice("time")).server_time > 0


async def test_an_order_lives_and_dies(alice: Rest) -> None:
    """Place, query, list, cancel; every answer fits Binance's own models."""
    placed = await alice(
        "new_order",
        symbol="BTCUSDT",
        side=BUY,
        type=NewOrderTypeEnum.LIMIT,
        time_in_force=NewOrderTimeInForceEnum.GTC,
        quantity=0.01,
        price=59_000.0,
        new_client_order_id="sdk-1",
        new_order_resp_type=NewOrderNewOrderRespTypeEnum.FULL,
    )
    assert (placed.status, placed.client_order_id, placed.fills) == ("NEW", "sdk-1", [])
    assert (await alice("get_order", symbol="BTCUSDT", order_id=placed.order_id)).is_working is True
    assert [order.order_id for order in await alice("get_open_orders", symbol="BTCUSDT")] == [placed.order_id]
    account = await alice("get_account", omit_zero_balances=True)
    assert {held.asset: held.locked for held in account.balances}["USDT"] == "590.00000000"
    assert (account.account_type, account.commission_rates.maker) == ("SPOT", "0.00100000")
    cancelled = await alice("delete_order", symbol="BTCUSDT", orig_client_order_id="sdk-1")
    assert (cancelled.status, cancelled.orig_client_order_id) == ("CANCELED", "sdk-1")
    assert [order.status for order in await alice("all_orders", symbol="BTCUSDT")] == ["CANCELED"]
    commission = await alice("account_commission", symbol="BTCUSDT")
    assert commission.standard_commission.taker == "0.00100000"


async def test_fills_are_read_by_both_sides(alice: Rest, bob: Rest) -> None:
    """A post-only order is filled by another account's market order."""
    placed = await alice(
        "new_order",
        symbol="BTCUSDT",
        side=SELL,
        type=NewOrderTypeEnum.LIMIT_MAKER,
        quantity=0.02,
        price=60_004.0,
    )
    taken = await bob("new_order", symbol="BTCUSDT", side=BUY, type=NewOrderTypeEnum.MARKET, quantity=0.02)
    assert (taken.status, taken.fills[0].price, taken.fills[0].commission) == (
        "FILLED",
        "60004.00000000",
        "0.00002000",
    )
    (trade,) = await alice("my_trades", symbol="BTCUSDT")
    assert (trade.order_id, trade.is_maker, trade.is_buyer) == (placed.order_id, True, False)
    assert (trade.commission, trade.commission_asset) == ("1.20008000", "USDT")


async def test_refusals_are_binances(alice: Rest, venue: VenueServer) -> None:
    """Errors arrive as the client's own exceptions with Binance's codes."""
    with pytest.raises(BadRequestError) as unknown:
        await alice("get_order", symbol="BTCUSDT", order_id=999)
    assert unknown.value.status_code == -2013
    with pytest.raises(BadRequestError) as symbol:
        await alice("depth", symbol="NOPE")
    assert symbol.value.status_code == -1121
    stranger = spot(venue, key=ApiKey(account="", key="f" * 64, secret="f" * 64))
    with pytest.raises(UnauthorizedError):
        await Rest(stranger)("get_account")


async def test_market_streams_parse(streams: Any, alice: Rest) -> None:
    """Depth, partial depth, trades, book ticker, candles and tickers fit Binance's own models."""
    seen: dict[str, asyncio.Future[Any]] = {}
    loop = asyncio.get_running_loop()

    async def watch(name: str, subscribing: Any) -> None:
        future: asyncio.Future[Any] = loop.create_future()
        seen[name] = future

        def tell(event: Any) -> None:
            if not future.done():
                future.set_result(event)

        (await subscribing).on("message", tell)

    await asyncio.gather(
        watch("depth", streams.diff_book_depth(symbol="btcusdt", update_speed="100ms")),
        watch("partial", streams.partial_book_depth(symbol="btcusdt", levels=5)),
        watch("trade", streams.trade(symbol="btcusdt")),
        watch("aggregate", streams.agg_trade(symbol="btcusdt")),
        watch("top", streams.book_ticker(symbol="btcusdt")),
        watch("candle", streams.kline(symbol="btcusdt", interval="1m")),
        watch("ticker", streams.ticker(symbol="btcusdt")),
        watch("mini", streams.mini_ticker(symbol="btcusdt")),
    )
    await alice(
        "new_order",
        symbol="BTCUSDT",
        side=BUY,
        type=NewOrderTypeEnum.LIMIT,
        time_in_force=NewOrderTimeInForceEnum.GTC,
        quantity=0.01,
        price=60_001.0,
    )
    await alice("new_order", symbol="BTCUSDT", side=BUY, type=NewOrderTypeEnum.MARKET, quantity=0.01)
    async with asyncio.timeout(20):
        got = dict(zip(seen, await asyncio.gather(*seen.values()), strict=True))
    assert got["depth"].e == "depthUpdate"
    assert got["partial"].asks[0][0] == "60010.00000000"
    assert (got["trade"].p, got["trade"].m) == ("60010.00000000", False)
    assert got["aggregate"].l >= got["aggregate"].f
    assert got["top"].b == "60001.00000000"
    assert got["candle"].k.i == "1m"
    assert got["ticker"].s == got["mini"].s == "BTCUSDT"


async def test_the_user_stream_tells_of_orders_and_balances(api: Any, bob: Rest) -> None:
    """Orders placed over the WebSocket API come back as events on the subscribed user stream."""
    subscribed = await api.user_data_stream_subscribe_signature()
    events: asyncio.Queue[Any] = asyncio.Queue()
    subscribed.stream.on("message", lambda event: events.put_nowait(event.actual_instance))
    placed = (
        await api.order_place(
            symbol="BTCUSDT",
            side=OrderPlaceSideEnum.BUY,
            type=OrderPlaceTypeEnum.LIMIT,
            time_in_force=OrderPlaceTimeInForceEnum.GTC,
            quantity=0.02,
            price=60_005.0,
        )
    ).data()
    order_id = placed.result.order_id
    async with asyncio.timeout(20):
        report = await events.get()
        assert (report.i, report.x, report.X, report.w) == (order_id, "NEW", "NEW", True)
        position = await events.get()
        assert {entry.a: entry.l for entry in position.B} == {"USDT": "1200.10000000"}
        await bob("new_order", symbol="BTCUSDT", side=SELL, type=NewOrderTypeEnum.MARKET, quantity=0.01)
        fill = await events.get()
        assert (fill.x, fill.X, fill.l, fill.m) == ("TRADE", "PARTIALLY_FILLED", "0.01000000", True)
        assert (fill.n, fill.N) == ("0.00001000", "BTC")
        await events.get()
        status = (await api.order_status(symbol="BTCUSDT", order_id=order_id)).data()
        assert status.result.executed_qty == "0.01000000"
        await api.order_cancel(symbol="BTCUSDT", order_id=order_id)
        gone = await events.get()
        assert (gone.x, gone.X, gone.C) == ("CANCELED", "CANCELED", placed.result.client_order_id)
    trades = (await api.my_trades(symbol="BTCUSDT")).data()
    assert [trade.is_maker for trade in trades.result] == [True]
    assert (await api.account_status()).data().result.can_trade is True
    assert (await api.session_status()).data().result.user_data_stream is True
    await api.user_data_stream_unsubscribe()
