"""Binance spot.

Source: Binance spot API documentation, "REST API" (rate limits, account endpoints), "WebSocket
Streams" and "User Data Stream".
"""

# ruff: noqa: ARG002 - a hook is given more than every exchange needs
from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from mrmarket.core.instrument import Instrument
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig
from mrmarket.trading.venue.ccxt_adapter.dialects.binance_orders import OrderTemplates, order_fields
from mrmarket.trading.venue.ccxt_adapter.dialects.generic import Dialect, Raw
from mrmarket.trading.venue.ccxt_adapter.feeds.binance import BinanceFrames
from mrmarket.trading.venue.ccxt_adapter.feeds.reader import FrameReader
from mrmarket.trading.venue.port import Capability, KeyPermissions, NewOrder
from mrmarket.trading.venue.rate_budget import RateLimit

_DAY_MS: Final = 86_400_000
_MAX_LOOKBACK_DAYS: Final = 90
_HEAD: Final = 120
_SECONDS: Final = {"S": 1, "M": 60, "H": 3600, "D": 86_400}
_INTERVALS: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
_USED: Final = re.compile(r"x-mbx-(used-weight|order-count)-(\d+)([smhd])", re.ASCII)
_KINDS: Final = {"used-weight": "weight", "order-count": "orders"}


class BinanceDialect(Dialect):
    """Binance spot, and whatever speaks its dialect."""

    exact_numbers: ClassVar[bool] = True
    confirms_streams: ClassVar[bool] = True
    own_snapshots: ClassVar[bool] = True
    weights: ClassVar[Mapping[str, float]] = {
        "query": 4.0,
        "open orders": 6.0,
        "fills": 20.0,
        "balances": 20.0,
        "book": 50.0,
        "markets": 20.0,
    }
    fills_page: ClassVar[int] = 1000
    transfers_page: ClassVar[int] = 1000

    def __init__(self) -> None:
        self._dead_man_url = ""
        self._signer: Any = None
        """The client whose orders `_templates` signs."""
        self._templates: OrderTemplates | None = None

    def options(self, config: CcxtVenueConfig) -> dict[str, Any]:
        """Spot alone, one stream connection."""
        return {
            **super().options(config),
            "fetchMarkets": ["spot"],
            "fetchMargins": False,
            "warnOnFetchOpenOrdersWithoutSymbol": False,
            # Depth and trades on one connection arrive in the order in which they were sent.
            "streamLimits": {"spot": 1},
        }

    def route(self, urls: dict[str, Any], config: CcxtVenueConfig) -> None:
        """REST paths are `/api/v3`, `/api/v1` and `/sapi/v1` below the host."""
        rest = config.urls.rest.rstrip("/").removesuffix("/api/v3").removesuffix("/api")
        if rest:
            urls["public"] = urls["private"] = f"{rest}/api/v3"
            urls["v1"] = f"{rest}/api/v1"
            urls["sapi"] = f"{rest}/sapi/v1"
            self._dead_man_url = f"{rest}{config.dead_man_path}" if config.dead_man_path else ""
        if config.urls.ws:
            urls["ws"]["spot"] = config.urls.ws
        if config.urls.ws_api:
            urls["ws"]["ws-api"]["spot"] = config.urls.ws_api

    def rate_limits(self, client: Any) -> list[RateLimit]:
        """Binance's limits of 2025; `exchangeInfo` replaces them."""
        return [
            RateLimit("weight:60", 6000, 60),
            RateLimit("orders:10", 100, 10),
            RateLimit("orders:86400", 200_000, 86_400),
        ]

    def published_limits(self, url: str, answer: Any) -> list[RateLimit]:
        """`rateLimits` of `exchangeInfo`."""
        if "/exchangeInfo" not in url or not isinstance(answer, Mapping):
            return []
        limits = []
        for entry in answer.get("rateLimits") or ():
            window_s = _INTERVALS.get(entry.get("interval"), 0) * int(entry.get("intervalNum", 0))
            kind = {"REQUEST_WEIGHT": "weight", "ORDERS": "orders"}.get(entry.get("rateLimitType"))
            if kind and window_s:
                limits.append(RateLimit(f"{kind}:{window_s}", int(entry["limit"]), window_s))
        return limits

    def used(self, headers: Mapping[str, str]) -> dict[str, float]:
        """`X-MBX-USED-WEIGHT-1M`, `X-MBX-ORDER-COUNT-10S` and their like."""
        found = {}
        for name, value in headers.items():
            if name.startswith("x-mbx-") and (match := _USED.fullmatch(name)) and value.isdigit():
                kind, count, unit = match.groups()
                found[f"{_KINDS[kind]}:{int(count) * _SECONDS[unit.upper()]}"] = float(value)
        return found

    def client_id(self, raw: Raw) -> str:
        """The answer to a cancel names the cancel's own id; ours is the original one."""
        info = raw.get("info")
        original = info.get("origClientOrderId") if isinstance(info, Mapping) else None
        return str(original) if original else super().client_id(raw)

    def account_fees(self, balance: Raw) -> tuple[str, str] | None:
        """`commissionRates` of `account`."""
        info = balance.get("info")
        rates = info.get("commissionRates") if isinstance(info, Mapping) else None
        return (str(rates["maker"]), str(rates["taker"])) if isinstance(rates, Mapping) else None

    def frames(self, instrument: Instrument, market_id: str) -> FrameReader:
        """`depthUpdate` and `trade` frames."""
        return BinanceFrames(instrument, market_id)

    def stream_is_ready(self, frame: bytes) -> bool:
        """`{"status": 200, "result": {"subscriptionId": 0}, …}`, or any event of the subscription."""
        return b'"subscriptionId"' in frame

    def skips(self, frame: bytes) -> bool:
        """`balanceUpdate`: ccxt adds its delta to what it has and forgets what is locked.

        Every change of a balance is told as an `outboundAccountPosition` too, deposits and withdrawals
        included, and that one is absolute.
        """
        return b'"balanceUpdate"' in frame[:_HEAD]

    async def place(self, client: Any, order: NewOrder, instrument: Instrument) -> Raw:
        """`POST order` as the exchange documents it: the unified call takes twice as long to get there."""
        market = client.market(order.symbol)
        if self._signer is not client:
            self._signer, self._templates = client, OrderTemplates.of(client)
        signed = self._templates and self._templates.sign(market["id"], order, instrument)
        answer = await (
            client.fetch(signed.url, "POST", signed.headers, signed.body)
            if signed
            else client.private_post_order(order_fields(market["id"], order, instrument))
        )
        raw: Raw = client.parse_order(answer, market)
        return raw

    def capabilities(self, client: Any) -> frozenset[Capability]:
        """Spot has no countdown of its own; a host that adds one is told so by its address."""
        switch = {Capability.DEAD_MAN_SWITCH} if self._dead_man_url else set()
        return super().capabilities(client) | switch

    async def cancel_all_after(self, client: Any, symbol: str, countdown_ms: int) -> None:
        """A signed `POST` with `symbol` and `countdownTime`."""
        fields = {"symbol": client.market(symbol)["id"], "countdownTime": countdown_ms}
        signed = client.sign("order/test", "private", "POST", fields)
        await client.fetch(self._dead_man_url, "POST", signed["headers"], signed["body"])

    async def permissions(self, client: Any) -> KeyPermissions:
        """`GET /sapi/v1/account/apiRestrictions`."""
        rights = await client.sapi_get_account_apirestrictions()
        return KeyPermissions(
            read=_right(rights, "enableReading"),
            trade=_right(rights, "enableSpotAndMarginTrading"),
            withdraw=_right(rights, "enableWithdrawals"),
            ip_restricted=_right(rights, "ipRestrict"),
        )

    async def transfers(self, client: Any, since_ms: int) -> list[Raw]:
        """Both lists page by page; each answers for at most 90 days."""
        since_ms = max(since_ms, client.milliseconds() - (_MAX_LOOKBACK_DAYS - 1) * _DAY_MS)
        since_ms -= since_ms % 1_000  # withdrawals are stamped in whole seconds
        found: list[Raw] = []
        limit = self.transfers_page
        for fetch in (client.fetch_deposits, client.fetch_withdrawals):
            offset = 0
            while True:
                page = await fetch(None, since_ms, limit, {"offset": offset})
                found += page
                if len(page) < limit:
                    break
                offset += limit
        return found

    async def fills(self, client: Any, symbol: str, since_ms: int) -> list[Raw]:
        """By time up to the first page with a trade, then by trade id, which no page can split.

        A window given by its start alone may be cut at 24 h, so empty windows are walked through.
        """
        limit = self.fills_page
        now_ms = client.milliseconds()
        since_ms = max(since_ms, now_ms - _MAX_LOOKBACK_DAYS * _DAY_MS)
        page: list[Raw] = await client.fetch_my_trades(symbol, since_ms, limit)
        while not page and since_ms + _DAY_MS < now_ms:
            since_ms += _DAY_MS
            page = await client.fetch_my_trades(symbol, since_ms, limit)
        found = list(page)
        while len(page) >= limit or (page and int(page[-1]["timestamp"]) < now_ms - _DAY_MS):
            page = await client.fetch_my_trades(
                symbol, None, limit, {"fromId": str(int(found[-1]["id"]) + 1)}
            )
            found += page
        return found


def _right(rights: Any, name: str) -> bool | None:
    value = rights.get(name) if isinstance(rights, Mapping) else None
    return value if isinstance(value, bool) else None
