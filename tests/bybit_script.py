"""Bybit spot's documented answers for one pair, scripted onto a `LoopbackExchange`."""

from __future__ import annotations

import time
from typing import Any

from loopback_exchange import Answer, LoopbackExchange


def reply(result: Any, code: int = 0, message: str = "OK") -> dict[str, Any]:
    """The envelope of every REST answer."""
    return {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": 1_700_000_000_000}


def instrument(
    pair: str = "BTCUSDT", base: str = "BTC", tick: str = "0.1", lot: str = "0.0001"
) -> dict[str, Any]:
    """An entry of `GET /v5/market/instruments-info` for spot."""
    return {
        "symbol": pair,
        "baseCoin": base,
        "quoteCoin": "USDT",
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "utaOnly",
        "lotSizeFilter": {
            "basePrecision": lot,
            "quotePrecision": "0.01",
            "minOrderQty": lot,
            "maxOrderQty": "100.0",
            "minOrderAmt": "10",
            "maxOrderAmt": "1000000",
        },
        "priceFilter": {"tickSize": tick},
    }


def order(**changes: Any) -> dict[str, Any]:
    """An order in the shape of `GET /v5/order/realtime` and of the `order` topic."""
    return {
        "category": "spot",
        "symbol": "BTCUSDT",
        "orderId": "1830000000000000001",
        "orderLinkId": "mm-1",
        "side": "Buy",
        "orderType": "Limit",
        "cancelType": "",
        "price": "61000.1",
        "qty": "0.0015",
        "timeInForce": "PostOnly",
        "orderStatus": "New",
        "avgPrice": "",
        "leavesQty": "0.0015",
        "leavesValue": "91.50015",
        "cumExecQty": "0.0000",
        "cumExecValue": "0",
        "cumExecFee": "0",
        "rejectReason": "EC_NoError",
        "stopOrderType": "",
        "triggerPrice": "0.0",
        "takeProfit": "0.0",
        "stopLoss": "0.0",
        "triggerDirection": 0,
        "reduceOnly": False,
        "createdTime": "1700000000000",
        "updatedTime": "1700000005000",
        **changes,
    }


def execution(number: int, at_ms: int, **changes: Any) -> dict[str, Any]:
    """A trade in the shape of `GET /v5/execution/list` and of the `execution` topic."""
    return {
        "category": "spot",
        "symbol": "BTCUSDT",
        "orderId": "1830000000000000001",
        "orderLinkId": "mm-1",
        "side": "Buy",
        "orderPrice": "61000.1",
        "orderQty": "0.0015",
        "leavesQty": "0.0005",
        "orderType": "Limit",
        "execFee": "0.000001",
        "feeCurrency": "BTC",
        "execId": str(2_290_000_000_000_000_000 + number),
        "execPrice": "61000.1",
        "execQty": "0.0010",
        "execType": "Trade",
        "execValue": "61.0001",
        "execTime": str(at_ms),
        "isMaker": True,
        "feeRate": "0.001",
        **changes,
    }


def book(kind: str, update: int, bids: list[Any], asks: list[Any]) -> dict[str, Any]:
    """A frame of the `orderbook` topic."""
    return {
        "topic": "orderbook.200.BTCUSDT",
        "ts": 1_700_000_000_010,
        "type": kind,
        "data": {"s": "BTCUSDT", "b": bids, "a": asks, "u": update, "seq": 7_961_638_724},
        "cts": 1_700_000_000_007,
    }


WALLET: dict[str, Any] = {
    "list": [
        {
            "accountType": "UNIFIED",
            "totalEquity": "3000.00",
            "coin": [
                {
                    "coin": "USDT",
                    "equity": "2500.00",
                    "walletBalance": "2500.12",
                    "availableToWithdraw": "",
                    "locked": "91.5",
                },
                {
                    "coin": "ETH",
                    "equity": "0",
                    "walletBalance": "0",
                    "availableToWithdraw": "0",
                    "locked": "0",
                },
            ],
        }
    ]
}


def script(exchange: LoopbackExchange) -> None:
    """Market data, account and streams of a quiet Bybit."""
    exchange.on("GET", "/v5/market/instruments-info", reply({"category": "spot", "list": [instrument()]}))
    exchange.on(
        "GET",
        "/v5/market/time",
        lambda seen: Answer(
            {
                **reply({"timeSecond": str(time.time_ns() // 10**9), "timeNano": str(time.time_ns())}),
                "time": time.time_ns() // 1_000_000,
            }
        ),
    )
    exchange.on("GET", "/v5/user/query-api", reply({"unified": 0, "uta": 1}))
    exchange.on("GET", "/v5/account/info", reply({"unifiedMarginStatus": 5}))
    exchange.on("GET", "/v5/account/wallet-balance", reply(WALLET))
    exchange.listener = listen


def listen(path: str, message: Any) -> list[Any]:
    """Confirm logins and subscriptions; answer pings."""
    if message.get("op") == "auth":
        return [{"success": True, "ret_msg": "", "op": "auth", "conn_id": "cejreaspqfm9"}]
    if message.get("op") == "ping":
        return [{"success": True, "ret_msg": "pong", "op": "ping", "conn_id": "cejreaspqfm9"}]
    return [
        {
            "success": True,
            "ret_msg": "",
            "op": "subscribe",
            "req_id": str(message.get("req_id")),
            "conn_id": "x",
        }
    ]
