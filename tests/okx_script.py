"""OKX spot's documented answers for one pair, scripted onto a `LoopbackExchange`."""

from __future__ import annotations

import time
from typing import Any

from loopback_exchange import Answer, LoopbackExchange


def instrument(pair: str = "BTC-USDT", tick: str = "0.1", lot: str = "0.00000001") -> dict[str, Any]:
    """An entry of `GET /api/v5/public/instruments`."""
    base, quote = pair.split("-")
    return {
        "alias": "",
        "baseCcy": base,
        "category": "1",
        "ctMult": "",
        "ctType": "",
        "ctVal": "",
        "ctValCcy": "",
        "expTime": "",
        "instFamily": "",
        "instId": pair,
        "instType": "SPOT",
        "lever": "10",
        "listTime": "1548133413000",
        "lotSz": lot,
        "maxLmtSz": "9999999999",
        "maxMktSz": "1000000",
        "minSz": "0.00001",
        "optType": "",
        "quoteCcy": quote,
        "settleCcy": "",
        "state": "live",
        "stk": "",
        "tickSz": tick,
        "uly": "",
    }


def order(**changes: Any) -> dict[str, Any]:
    """An order in the shape of `GET /api/v5/trade/order` and of the `orders` channel."""
    return {
        "accFillSz": "0",
        "avgPx": "",
        "cTime": "1746947317401",
        "category": "normal",
        "ccy": "",
        "clOrdId": "mm1",
        "execType": "",
        "fee": "0",
        "feeCcy": "BTC",
        "fillFee": "0",
        "fillFeeCcy": "",
        "fillPx": "",
        "fillSz": "0",
        "fillTime": "",
        "instId": "BTC-USDT",
        "instType": "SPOT",
        "ordId": "2497956918703120384",
        "ordType": "post_only",
        "px": "61000.1",
        "side": "buy",
        "state": "live",
        "sz": "0.0015",
        "tdMode": "cash",
        "tgtCcy": "",
        "tradeId": "",
        "uTime": "1746947317402",
        **changes,
    }


def fill(number: int, at_ms: int, **changes: Any) -> dict[str, Any]:
    """A trade in the shape of `GET /api/v5/trade/fills-history`."""
    return {
        "instType": "SPOT",
        "instId": "BTC-USDT",
        "tradeId": str(number),
        "ordId": "2497956918703120384",
        "clOrdId": "mm1",
        "billId": str(10**18 + number),
        "fillPx": "61000.1",
        "fillSz": "0.001",
        "side": "buy",
        "execType": "M",
        "feeCcy": "BTC",
        "fee": "-0.000001",
        "ts": str(at_ms),
        **changes,
    }


def books(action: str, seq: int, previous: int, bids: list[Any], asks: list[Any]) -> dict[str, Any]:
    """A frame of the `books` channel."""
    return {
        "arg": {"channel": "books", "instId": "BTC-USDT"},
        "action": action,
        "data": [
            {
                "asks": asks,
                "bids": bids,
                "ts": "1746947317500",
                "checksum": 0,
                "seqId": seq,
                "prevSeqId": previous,
            }
        ],
    }


BALANCE: dict[str, Any] = {
    "code": "0",
    "msg": "",
    "data": [
        {
            "uTime": "1744499648556",
            "totalEq": "1",
            "details": [
                {
                    "ccy": "USDT",
                    "availBal": "94.42612990333333",
                    "availEq": "94.42612990333333",
                    "cashBal": "99.89469657",
                    "frozenBal": "5.46856666666667",
                    "eq": "99.89469657000000",
                    "ordFrozen": "0",
                    "uTime": "1744498994783",
                }
            ],
        }
    ],
}


def script(exchange: LoopbackExchange) -> None:
    """Market data, account and streams of a quiet OKX."""
    exchange.on("GET", "/api/v5/public/instruments", {"code": "0", "msg": "", "data": [instrument()]})
    exchange.on(
        "GET",
        "/api/v5/public/time",
        lambda seen: Answer({"code": "0", "msg": "", "data": [{"ts": str(time.time_ns() // 1_000_000)}]}),
    )
    exchange.on("GET", "/api/v5/account/balance", BALANCE)
    exchange.listener = listen


def listen(path: str, message: Any) -> list[Any]:
    """Confirm logins and subscriptions; answer pings."""
    if message == "ping":
        return ["pong"]
    if message.get("op") == "login":
        return [{"event": "login", "msg": "", "code": "0", "connId": "a4d3ae55"}]
    return [{"event": "subscribe", "arg": arg, "connId": "a4d3ae55"} for arg in message.get("args", ())]
