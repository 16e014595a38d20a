"""Bybit spot.

Source: Bybit API v5 documentation, "Trade", "Order book", "Public trade" and "Execution".
"""

# ruff: noqa: ARG002 - a hook is given more than every exchange needs
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from mrmarket.core.instrument import Instrument
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig
from mrmarket.trading.venue.ccxt_adapter.dialects.generic import Dialect, Raw
from mrmarket.trading.venue.ccxt_adapter.feeds.bybit import BybitFrames
from mrmarket.trading.venue.ccxt_adapter.feeds.reader import FrameReader
from mrmarket.trading.venue.port import KeyPermissions
from mrmarket.trading.venue.rate_budget import RateLimit

_ORDERS_PAGE: Final = 50
_WEEK_MS: Final = 7 * 86_400_000
_DEFAULT_LEVELS: Final = 200


class BybitDialect(Dialect):
    """Bybit spot, unified account."""

    exact_numbers: ClassVar[bool] = True
    thin_acks: ClassVar[bool] = True
    confirms_streams: ClassVar[bool] = True
    counts_down: ClassVar[bool] = False
    """Its switch waits for a lost private stream, for an account that asked for it; no call refreshes it."""
    transfers_page: ClassVar[int] = 50

    def options(self, config: CcxtVenueConfig) -> dict[str, Any]:
        """Spot alone."""
        return {**super().options(config), "fetchMarkets": ["spot"]}

    def route(self, urls: dict[str, Any], config: CcxtVenueConfig) -> None:
        """One REST host; the streams' paths are `/v5/public/spot` and `/v5/private`."""
        if config.urls.rest:
            for name in ("spot", "futures", "v2", "public", "private"):
                urls[name] = config.urls.rest.rstrip("/")
        if config.urls.ws:
            host = config.urls.ws.rstrip("/")
            urls["ws"]["public"]["spot"] = f"{host}/v5/public/spot"
            urls["ws"]["private"]["contract"] = f"{host}/v5/private"

    def rate_limits(self, client: Any) -> list[RateLimit]:
        """600 requests in 5 s for an address, 20 orders a second for a pair of a unified account."""
        return [RateLimit("weight:5", 600, 5), RateLimit("orders:1", 20, 1)]

    def fee(self, raw: Raw) -> tuple[str, str] | None:
        """`feeCurrency` says what ccxt infers from the side and the sign."""
        fee = super().fee(raw)
        info = raw.get("info")
        if fee is not None and isinstance(info, Mapping) and info.get("feeCurrency"):
            return fee[0], str(info["feeCurrency"])
        return fee

    def book_limit(self, config: CcxtVenueConfig) -> int:
        """1, 50, 200 or 1000 levels."""
        return config.book_limit or _DEFAULT_LEVELS

    def frames(self, instrument: Instrument, market_id: str) -> FrameReader:
        """The `orderbook` and `publicTrade` topics."""
        return BybitFrames(instrument, market_id)

    def stream_is_ready(self, frame: bytes) -> bool:
        """`{"success": true, "op": "subscribe", …}`."""
        return b'"subscribe"' in frame and b'"success":true' in frame.replace(b" ", b"")

    async def permissions(self, client: Any) -> KeyPermissions:
        """`GET /v5/user/query-api`: what is granted, by product."""
        answer = await client.private_get_v5_user_query_api()
        result = answer.get("result") if isinstance(answer, Mapping) else None
        if not isinstance(result, Mapping) or not isinstance(result.get("permissions"), Mapping):
            return KeyPermissions()
        granted = result["permissions"]
        addresses = [str(address) for address in result.get("ips") or ()]
        return KeyPermissions(
            read=True,
            trade="SpotTrade" in (granted.get("Spot") or ()) and str(result.get("readOnly", "0")) == "0",
            withdraw="Withdraw" in (granted.get("Wallet") or ()),
            ip_restricted=bool(addresses) and addresses != ["*"],
        )

    async def cancel(self, client: Any, symbol: str, client_order_id: str, venue_order_id: str) -> Raw:
        """By `orderId` or `orderLinkId`."""
        params = {} if venue_order_id else {"orderLinkId": client_order_id}
        raw: Raw = await client.cancel_order(venue_order_id or None, symbol, params)
        return raw

    async def query(self, client: Any, symbol: str, client_order_id: str, venue_order_id: str) -> Raw:
        """Live and recent orders first, then the history; each by itself forgets the other's."""
        params = {"orderId": venue_order_id} if venue_order_id else {"orderLinkId": client_order_id}
        raws = await client.fetch_open_orders(symbol, None, None, dict(params))
        if not raws:
            raws = await client.fetch_canceled_and_closed_orders(symbol, None, None, dict(params))
        if not raws:
            raise OrderNotFound(f"bybit knows no order {params}")
        raw: Raw = raws[0]
        return raw

    async def open_orders(self, client: Any, symbol: str) -> list[Raw]:
        """50 a page, by cursor; `openOnly` keeps closed ones out."""
        found: list[Raw] = []
        params: dict[str, Any] = {"openOnly": 0}
        while True:
            page = await client.fetch_open_orders(symbol, None, _ORDERS_PAGE, dict(params))
            found += [raw for raw in page if raw.get("status") == "open"]
            params["cursor"] = _cursor(page)
            if len(page) < _ORDERS_PAGE or not params["cursor"]:
                return found

    async def fills(self, client: Any, symbol: str, since_ms: int) -> list[Raw]:
        """Windows of a week, each by cursor."""
        found: list[Raw] = []
        now_ms = client.milliseconds()
        while since_ms <= now_ms:
            params: dict[str, Any] = {"endTime": min(since_ms + _WEEK_MS, now_ms + _WEEK_MS)}
            while True:
                page = await client.fetch_my_trades(symbol, since_ms, self.fills_page, dict(params))
                found += page
                params["cursor"] = _cursor(page)
                if len(page) < self.fills_page or not params["cursor"]:
                    break
            since_ms += _WEEK_MS
        return found


class OrderNotFound(Exception):  # noqa: N818 - the name by which ccxt's own error is told apart
    """No order of that id, in the sense of ccxt's error of this name."""


def _cursor(page: list[Raw]) -> str:
    """Bybit puts the next page's cursor beside the list; ccxt moves it into one entry's `info`."""
    for raw in page:
        info = raw.get("info")
        if isinstance(info, Mapping) and info.get("nextPageCursor"):
            return str(info["nextPageCursor"])
    return ""
