"""Binance spot's documented answers for one pair, scripted onto a `LoopbackExchange`."""

from __future__ import annotations

import time
from typing import Any

from loopback_exchange import Answer, LoopbackExchange, Seen

EXCHANGE_INFO: dict[str, Any] = {
    "timezone": "UTC",
    "rateLimits": [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 6100},
    ],
    "symbols": [
        {
            "symbol": f"{base}USDT",
            "status": "TRADING",
            "baseAsset": base,
            "baseAssetPrecision": 8,
            "quoteAsset": "USDT",
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": "0.01000000",
                    "maxPrice": "1000000.00000000",
                    "tickSize": "0.01000000",
                },
                {
                    "filterType": "LOT_SIZE",
                    "minQty": "0.00001000",
                    "maxQty": "9000.00000000",
                    "stepSize": "0.00001000",
                },
                {"filterType": "NOTIONAL", "minNotional": "5.00000000"},
            ],
        }
        for base in ("BTC", "ETH")
    ],
}

ACCOUNT: dict[str, Any] = {
    "makerCommission": 10,
    "takerCommission": 12,
    "commissionRates": {"maker": "0.00080000", "taker": "0.00120000", "buyer": "0.0", "seller": "0.0"},
    "canTrade": True,
    "accountType": "SPOT",
    "balances": [
        {"asset": "BTC", "free": "9.50000000", "locked": "0.50000000"},
        {"asset": "USDT", "free": "1000000.12345678", "locked": "0.00000000"},
        {"asset": "ETH", "free": "0.00000000", "locked": "0.00000000"},
    ],
}


def order(**changes: Any) -> dict[str, Any]:
    """An order in the shape of `POST /api/v3/order` with `RESULT`."""
    return {
        "symbol": "BTCUSDT",
        "orderId": 28,
        "orderListId": -1,
        "clientOrderId": "mm-1",
        "transactTime": 1_700_000_000_123,
        "price": "61000.10000000",
        "origQty": "0.00150000",
        "executedQty": "0.00000000",
        "cummulativeQuoteQty": "0.00000000",
        "status": "NEW",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        **changes,
    }


def trade(trade_id: int, at_ms: int, **changes: Any) -> dict[str, Any]:
    """A trade in the shape of `GET /api/v3/myTrades`."""
    return {
        "symbol": "BTCUSDT",
        "id": trade_id,
        "orderId": 28,
        "orderListId": -1,
        "price": "61000.10000000",
        "qty": "0.00100000",
        "quoteQty": "61.00010000",
        "commission": "0.00000100",
        "commissionAsset": "BTC",
        "time": at_ms,
        "isBuyer": True,
        "isMaker": True,
        "isBestMatch": True,
        **changes,
    }


def execution_report(execution: str, **changes: Any) -> dict[str, Any]:
    """A user stream frame, wrapped as the WebSocket API wraps it."""
    event = {
        "e": "executionReport",
        "E": 1_700_000_000_200,
        "s": "BTCUSDT",
        "c": "mm-1",
        "S": "BUY",
        "o": "LIMIT_MAKER",
        "f": "GTC",
        "q": "0.00150000",
        "p": "61000.10000000",
        "P": "0.00000000",
        "C": "",
        "x": execution,
        "X": execution,
        "r": "NONE",
        "i": 28,
        "l": "0.00000000",
        "z": "0.00000000",
        "L": "0.00000000",
        "n": "0",
        "N": None,
        "T": 1_700_000_000_199,
        "t": -1,
        "w": True,
        "m": False,
        "O": 1_700_000_000_100,
        "Z": "0.00000000",
        "Y": "0.00000000",
        **changes,
    }
    return {"subscriptionId": 0, "event": event}


def depth_update(first: int, last: int, **changes: Any) -> dict[str, Any]:
    """A raw `depthUpdate` frame."""
    return {
        "e": "depthUpdate",
        "E": 1_700_000_000_300,
        "s": "BTCUSDT",
        "U": first,
        "u": last,
        "b": [["61000.00000000", "1.00000000"]],
        "a": [["61000.20000000", "0.00000000"]],
        **changes,
    }


def depth(last: int) -> dict[str, Any]:
    """A `GET /api/v3/depth` answer."""
    return {
        "lastUpdateId": last,
        "bids": [["60999.99000000", "2.00000000"], ["60999.00000000", "0.10000000"]],
        "asks": [["61000.20000000", "0.50000000"], ["61000.30000000", "3.00000000"]],
    }


def script(exchange: LoopbackExchange) -> None:
    """Market data, account and streams of a quiet Binance."""
    exchange.on("GET", "/api/v3/exchangeInfo", EXCHANGE_INFO)
    exchange.on("GET", "/api/v3/time", lambda seen: Answer({"serverTime": time.time_ns() // 1_000_000}))
    exchange.on("GET", "/api/v3/account", ACCOUNT)
    exchange.on("GET", "/api/v3/depth", depth(100))
    exchange.on("POST", "/api/v3/order", placed)
    exchange.listener = listen


def placed(seen: Seen) -> Answer:
    """The answer to whatever was placed."""
    params = seen.params
    return Answer(
        order(
            clientOrderId=params["newClientOrderId"],
            price=params.get("price", "0.00000000"),
            origQty=params["quantity"],
            side=params["side"],
            type=params["type"],
        ),
        headers={"X-MBX-USED-WEIGHT-1M": "11", "X-MBX-ORDER-COUNT-10S": "1"},
    )


def listen(path: str, message: Any) -> list[Any]:
    """Confirm every subscription."""
    if message.get("method") == "SUBSCRIBE":
        return [{"result": None, "id": message["id"]}]
    if message.get("method") == "userDataStream.subscribe.signature":
        return [{"id": message["id"], "status": 200, "result": {"subscriptionId": 0}}]
    return []
