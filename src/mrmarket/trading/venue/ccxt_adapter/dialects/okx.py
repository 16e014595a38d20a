"""OKX spot.

Source: OKX API v5 documentation, "Order Book Trading" (trade, market data) and "Trading Account".
"""

# ruff: noqa: ARG002 - a hook is given more than every exchange needs
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from mrmarket.core.decimals import format_decimal
from mrmarket.core.instrument import Instrument
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig
from mrmarket.trading.venue.ccxt_adapter.dialects.generic import Dialect, Raw
from mrmarket.trading.venue.ccxt_adapter.feeds.okx import OkxFrames
from mrmarket.trading.venue.ccxt_adapter.feeds.reader import FrameReader
from mrmarket.trading.venue.ccxt_adapter.numbers import exact
from mrmarket.trading.venue.port import KeyPermissions
from mrmarket.trading.venue.rate_budget import RateLimit

_PAGE: Final = 100


class OkxDialect(Dialect):
    """OKX spot in cash mode."""

    exact_numbers: ClassVar[bool] = True
    thin_acks: ClassVar[bool] = True
    confirms_streams: ClassVar[bool] = True

    def options(self, config: CcxtVenueConfig) -> dict[str, Any]:
        """Spot alone; single orders, which have a limit of their own beside batches."""
        return {**super().options(config), "fetchMarkets": ["spot"], "createOrder": "privatePostTradeOrder"}

    def route(self, urls: dict[str, Any], config: CcxtVenueConfig) -> None:
        """One REST host, one address of streams with `/public` and `/private` below it."""
        if config.urls.rest:
            urls["rest"] = config.urls.rest.rstrip("/")
        if config.urls.ws:
            urls["ws"] = config.urls.ws.rstrip("/")

    def rate_limits(self, client: Any) -> list[RateLimit]:
        """60 placements in 2 s for a pair; reads have 20 to 60 each in 2 s."""
        return [RateLimit("weight:2", 60, 2), RateLimit("orders:2", 60, 2)]

    def fee(self, raw: Raw) -> tuple[str, str] | None:
        """OKX shows a charge as a negative number; ccxt turns it round in REST, not in the stream."""
        info = raw.get("info")
        if not isinstance(info, Mapping) or "state" not in info:
            return super().fee(raw)
        charge, asset = info.get("fillFee"), info.get("fillFeeCcy")
        if not charge and info.get("fillSz") == info.get("accFillSz"):
            # The order's only fill so far: what the order paid is what the fill paid.
            charge, asset = info.get("fee"), info.get("feeCcy")
        if not charge:
            return None
        return format_decimal(-exact(charge)), str(asset or "")

    def order_headers(self, deadline_ms: int) -> dict[str, str]:
        """`expTime`: the order is refused from then on."""
        return {"expTime": str(deadline_ms)}

    async def permissions(self, client: Any) -> KeyPermissions:
        """`GET /api/v5/account/config`: `perm` lists what is granted, `ip` the bound addresses."""
        answer = await client.private_get_account_config()
        rows = answer.get("data") if isinstance(answer, Mapping) else None
        if not rows or not isinstance(rows[0], Mapping) or "perm" not in rows[0]:
            return KeyPermissions()
        granted = {part.strip() for part in str(rows[0]["perm"]).split(",")}
        return KeyPermissions(
            read="read_only" in granted or "trade" in granted,
            trade="trade" in granted,
            withdraw="withdraw" in granted,
            ip_restricted=bool(rows[0].get("ip")),
        )

    def frames(self, instrument: Instrument, market_id: str) -> FrameReader:
        """The `books` and `trades` channels."""
        return OkxFrames(instrument, market_id)

    def stream_is_ready(self, frame: bytes) -> bool:
        """`{"event": "subscribe", "arg": {"channel": "orders", …}}`."""
        return b'"subscribe"' in frame and b'"orders"' in frame

    async def open_orders(self, client: Any, symbol: str) -> list[Raw]:
        """Newest first, 100 a page; each page asks for what is older than the last."""
        found: list[Raw] = []
        params: dict[str, Any] = {"instType": "SPOT"}
        while True:
            page = await client.fetch_open_orders(symbol, None, _PAGE, dict(params))
            found += page
            if len(page) < _PAGE:
                return found
            params["after"] = min((str(raw["id"]) for raw in page), key=int)

    async def fills(self, client: Any, symbol: str, since_ms: int) -> list[Raw]:
        """Newest first, 100 a page, by the bill's id."""
        found: list[Raw] = []
        params: dict[str, Any] = {}
        while True:
            page = await client.fetch_my_trades(symbol, since_ms, None, dict(params))
            found += page
            if len(page) < _PAGE:
                return found
            params["after"] = min((str(raw["info"]["billId"]) for raw in page), key=int)
