"""Binance's new orders, written from a template: ccxt's bytes without ccxt's work for each of them.

Source: Binance spot API documentation, "REST API": signed endpoints, `POST /api/v3/order`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.venue.port import NewOrder, OrderKind

TYPES: Final[Mapping[OrderKind, Mapping[str, str]]] = MappingProxyType(
    {
        OrderKind.LIMIT: {"type": "LIMIT", "timeInForce": "GTC"},
        OrderKind.POST_ONLY: {"type": "LIMIT_MAKER"},
        OrderKind.IOC: {"type": "LIMIT", "timeInForce": "IOC"},
        OrderKind.FOK: {"type": "LIMIT", "timeInForce": "FOK"},
        OrderKind.MARKET: {"type": "MARKET"},
    }
)
"""Fields by which Binance tells the kinds of orders apart."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]+", re.ASCII).fullmatch
"""Text that needs no quoting."""


class SignedOrder(NamedTuple):
    """A request that is ready for the HTTP client."""

    url: str
    headers: dict[str, str]
    body: str


def order_fields(market_id: str, order: NewOrder, instrument: Instrument) -> dict[str, str]:
    """The fields of `POST order`, in the order in which they are sent."""
    fields = {
        "symbol": market_id,
        "side": order.side.name,
        **TYPES[order.kind],
        "quantity": instrument.size_text(order.size_lots),
        "newClientOrderId": order.client_order_id,
        "newOrderRespType": "RESULT",
    }
    if order.kind is not OrderKind.MARKET:
        fields["price"] = instrument.price_text(order.price_ticks)
    return fields


class OrderTemplates:
    """Signs the orders of one account with a key and a secret of HMAC's kind.

    The parts of an order's text that stay are written once for each market, side and kind.
    """

    __slots__ = ("_headers", "_heads", "_nonce", "_secret", "_tail", "_url")

    def __init__(self, client: Any) -> None:
        """Takes the account and the address from a ccxt exchange whose settings stay as they are."""
        self._url = f"{client.urls['api']['private']}/order"
        self._secret: bytes = client.secret.encode()
        self._nonce = client.nonce
        window_ms = client.options.get("recvWindow")
        self._tail = "" if window_ms is None else f"&recvWindow={window_ms}"
        self._headers = {
            "X-MBX-APIKEY": client.apiKey,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self._heads: dict[tuple[str, Side, OrderKind], str] = {}

    @classmethod
    def of(cls, client: Any) -> OrderTemplates | None:
        """Templates for a ccxt exchange; None where it signs in another way or has no key."""
        if not (client.apiKey and client.secret) or "PRIVATE KEY" in client.secret:
            return None
        return cls(client)

    def sign(self, market_id: str, order: NewOrder, instrument: Instrument) -> SignedOrder | None:
        """The request; None where something in it needs quoting, which is left to ccxt."""
        if not _PLAIN(order.client_order_id):
            return None
        head = self._heads.get((market_id, order.side, order.kind))
        if head is None:
            if not _PLAIN(market_id):
                return None
            kind = "".join(f"&{name}={value}" for name, value in TYPES[order.kind].items())
            head = f"&symbol={market_id}&side={order.side.name}{kind}&quantity="
            self._heads[market_id, order.side, order.kind] = head
        price = "" if order.kind is OrderKind.MARKET else f"&price={instrument.price_text(order.price_ticks)}"
        query = (
            f"timestamp={self._nonce()}{head}{instrument.size_text(order.size_lots)}"
            f"&newClientOrderId={order.client_order_id}&newOrderRespType=RESULT{price}{self._tail}"
        )
        signature = hmac.digest(self._secret, query.encode(), "sha256").hex()
        return SignedOrder(self._url, dict(self._headers), f"{query}&signature={signature}")
