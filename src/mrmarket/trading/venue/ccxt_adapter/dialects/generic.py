"""What ccxt's unified methods give for any exchange, and the hooks where exchanges differ."""

# ruff: noqa: ARG002 - a hook is given more than every exchange needs
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from mrmarket.core.instrument import Instrument
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig
from mrmarket.trading.venue.ccxt_adapter.faults import MalformedAnswerError
from mrmarket.trading.venue.ccxt_adapter.feeds.reader import FrameReader
from mrmarket.trading.venue.port import Capability, KeyPermissions, NewOrder, OrderKind
from mrmarket.trading.venue.rate_budget import RateLimit

Raw = Mapping[str, Any]

_PARAMS: Final[Mapping[OrderKind, Mapping[str, Any]]] = {
    OrderKind.LIMIT: {},
    OrderKind.POST_ONLY: {"postOnly": True},
    OrderKind.IOC: {"timeInForce": "IOC"},
    OrderKind.FOK: {"timeInForce": "FOK"},
    OrderKind.MARKET: {},
}
_SWITCH_BY_PAIR: Final = frozenset({"whitebit"})
_WINDOW_S: Final = 10
_MAX_PAGES: Final = 10_000
_CLIENT_ID_KEYS: Final = ("clientOrderId", "clOrdId", "orderLinkId", "c")


class Dialect:
    """Any exchange, by ccxt's unified methods alone."""

    exact_numbers: ClassVar[bool] = False
    """Whether ccxt may hand out numbers as the exchange's own strings; its generic books need floats."""
    thin_acks: ClassVar[bool] = False
    """Whether an acknowledged cancel says nothing of the order, so that it must be queried."""
    confirms_streams: ClassVar[bool] = False
    """Whether `stream_is_ready` can tell; else the user stream is up once its connection is."""
    own_snapshots: ClassVar[bool] = False
    """Whether our frame reader asks for the book itself, so that ccxt must not."""
    weights: ClassVar[Mapping[str, float]] = {}
    """What a request costs, by its name here, where it is not 1."""
    fills_page: ClassVar[int] = 100
    transfers_page: ClassVar[int] = 100
    counts_down: ClassVar[bool] = True
    """Whether ccxt's `cancelAllOrdersAfter` is a countdown that each call sets anew."""

    def options(self, config: CcxtVenueConfig) -> dict[str, Any]:
        """What goes into ccxt's `options`."""
        return {"recvWindow": config.recv_window_ms, "defaultType": "spot", "fetchCurrencies": False}

    def route(self, urls: dict[str, Any], config: CcxtVenueConfig) -> None:
        """Point ccxt's `urls['api']` at other hosts, in place."""
        streams = urls.pop("ws", None)
        if config.urls.rest:
            for name, address in urls.items():
                urls[name] = _replace(address, config.urls.rest)
        if streams is not None:
            urls["ws"] = _replace(streams, config.urls.ws) if config.urls.ws else streams

    def rate_limits(self, client: Any) -> list[RateLimit]:
        """What is known of the limits before the exchange says anything."""
        per_window = int(_WINDOW_S * 1000 / max(float(client.rateLimit or 1000), 1.0))
        return [RateLimit(f"weight:{_WINDOW_S}", max(per_window, 1), _WINDOW_S)]

    def published_limits(self, url: str, answer: Any) -> list[RateLimit]:
        """Limits that an answer publishes; empty for any other answer."""
        return []

    def used(self, headers: Mapping[str, str]) -> dict[str, float]:
        """What the headers (names in lower case) say we have used, by limit name."""
        return {}

    def weight(self, request: str) -> float:
        """What a request costs."""
        return self.weights.get(request, 1.0)

    def order_params(self, order: NewOrder) -> dict[str, Any]:
        """What goes into ccxt's `params` for an order."""
        return {"clientOrderId": order.client_order_id, **_PARAMS[order.kind]}

    def client_id(self, raw: Raw) -> str:
        """The client order id of a unified order; empty where it names none."""
        return str(raw.get("clientOrderId") or "")

    def fill_client_id(self, raw: Raw) -> str:
        """The client order id behind a unified trade; empty where it names none."""
        info = raw.get("info")
        if isinstance(info, Mapping):
            for key in _CLIENT_ID_KEYS:
                value = info.get(key)
                if isinstance(value, str) and value:
                    return value
        return ""

    def fee(self, raw: Raw) -> tuple[str, str] | None:
        """(cost as decimal text, asset) of a unified trade, negative for a rebate; None if unknown."""
        fee = raw.get("fee")
        if not isinstance(fee, Mapping) or fee.get("cost") is None:
            return None
        return str(fee["cost"]), str(fee.get("currency") or "")

    def account_fees(self, balance: Raw) -> tuple[str, str] | None:
        """(maker, taker) fractions, where the answer about balances holds them."""
        return None

    def book_limit(self, config: CcxtVenueConfig) -> int | None:
        """Levels to subscribe to."""
        return config.book_limit or None

    def frames(self, instrument: Instrument, market_id: str) -> FrameReader | None:
        """A reader of the exchange's own frames; None leaves them to ccxt."""
        return None

    def stream_is_ready(self, frame: bytes) -> bool:
        """Whether a private frame confirms a subscription, where `confirms_streams`."""
        return False

    def skips(self, frame: bytes) -> bool:
        """Whether ccxt must not see a frame."""
        return False

    async def place(self, client: Any, order: NewOrder, instrument: Instrument) -> Raw:
        """Send an order through ccxt's unified call."""
        at_market = order.kind is OrderKind.MARKET
        raw: Raw = await client.create_order(
            order.symbol,
            "market" if at_market else "limit",
            order.side.value,
            instrument.size_text(order.size_lots),
            None if at_market else instrument.price_text(order.price_ticks),
            self.order_params(order),
        )
        return raw

    async def cancel(self, client: Any, symbol: str, client_order_id: str, venue_order_id: str) -> Raw:
        """Cancel by the venue's id if known, else by ours."""
        params = {} if venue_order_id else {"clientOrderId": client_order_id}
        raw: Raw = await client.cancel_order(venue_order_id or client_order_id, symbol, params)
        return raw

    async def query(self, client: Any, symbol: str, client_order_id: str, venue_order_id: str) -> Raw:
        """One order; ccxt's `OrderNotFound` if the venue knows none."""
        params = {} if venue_order_id else {"clientOrderId": client_order_id}
        raw: Raw = await client.fetch_order(venue_order_id or client_order_id, symbol, params)
        return raw

    def order_headers(self, deadline_ms: int) -> dict[str, str]:
        """HTTP headers of a placement, after which (by the venue's clock) it must have no effect."""
        return {}

    def capabilities(self, client: Any) -> frozenset[Capability]:
        """What the exchange offers besides orders, by what ccxt says it has."""
        has = client.has
        found = set()
        if self.counts_down and has.get("cancelAllOrdersAfter"):
            found.add(Capability.DEAD_MAN_SWITCH)
        if has.get("fetchDeposits") and has.get("fetchWithdrawals"):
            found.add(Capability.TRANSFERS)
        if has.get("cancelAllOrders") is True:
            found.add(Capability.CANCEL_ALL)
        return frozenset(found)

    async def cancel_all(self, client: Any, symbol: str) -> list[Raw]:
        """Cancel every open order of a pair; what the answer names of them."""
        answer = await client.cancel_all_orders(symbol)
        rows = answer if isinstance(answer, list) else []
        return [raw for raw in rows if isinstance(raw, Mapping) and raw.get("id") and raw.get("symbol")]

    async def cancel_all_after(self, client: Any, symbol: str, countdown_ms: int) -> None:
        """Set the countdown; some exchanges have one for the whole account and ignore the pair."""
        params = {"symbol": symbol} if client.id in _SWITCH_BY_PAIR else {}
        await client.cancel_all_orders_after(countdown_ms, params)

    async def permissions(self, client: Any) -> KeyPermissions:
        """What our key may do, as far as the exchange tells."""
        return KeyPermissions()

    async def transfers(self, client: Any, since_ms: int) -> list[Raw]:
        """Deposits and withdrawals from a time on, in no order."""
        deposits = await client.fetch_deposits(None, since_ms, self.transfers_page)
        withdrawals = await client.fetch_withdrawals(None, since_ms, self.transfers_page)
        return [*deposits, *withdrawals]

    async def open_orders(self, client: Any, symbol: str) -> list[Raw]:
        """Every live order."""
        raws: list[Raw] = await client.fetch_open_orders(symbol)
        return raws

    async def fills(self, client: Any, symbol: str, since_ms: int) -> list[Raw]:
        """Every trade of ours from a time on, by pages that start where the last one ended."""
        found: list[Raw] = []
        seen: set[str] = set()
        for _ in range(_MAX_PAGES):
            page = await client.fetch_my_trades(symbol, since_ms, self.fills_page)
            fresh = [raw for raw in page if str(raw["id"]) not in seen]
            seen.update(str(raw["id"]) for raw in fresh)
            found += fresh
            if len(page) < self.fills_page:
                return found
            last_ms = max(int(raw["timestamp"]) for raw in page)
            if last_ms == since_ms and not fresh:
                raise MalformedAnswerError(
                    str(client.id), f"page fills of {symbol}", "one millisecond holds more than a page"
                )
            since_ms = last_ms
        raise MalformedAnswerError(str(client.id), f"page fills of {symbol}", "the pages do not end")


def _replace(address: Any, host: str) -> Any:
    """Every address in a tree of them, moved to another host with its path kept."""
    if isinstance(address, dict):
        return {name: _replace(part, host) for name, part in address.items()}
    if not isinstance(address, str):
        return address
    _, _, rest = address.partition("://")
    _, slash, path = rest.partition("/")
    return host.rstrip("/") + slash + path
