"""The one place that knows ccxt: it builds a ccxt.pro exchange and taps what flows through it.

ccxt is imported inside `connect`, because it costs half a second and 80 MB. The taps replace bound
methods of one instance, so that every exchange of ccxt is reached by the same few lines:

- `fetch`: tells the moment a request goes to the HTTP client, and what its answer's head says;
- `urlencode`: plain texts need no quoting, which takes 10 of the 75 µs of an order;
- `price_to_precision`, `amount_to_precision`: our strings lie on the grid already;
- `nonce`, `seconds`: the venue's clock instead of ours;
- the WebSocket client's text handler: frames are offered to our readers before ccxt parses them,
  and an exception in ccxt's handlers ends the connection instead of silently ending the reading;
- the WebSocket client's reading: ccxt 4.5 takes messages out of aiohttp's buffer by itself and does
  not return the 128 bytes that aiohttp 3.14 counts beside each, so that after about a thousand of
  them in bursts aiohttp stops reading for ever;
- `orders`, `myTrades`, `trades`: caches that hand every entry on at once and keep none.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from mrmarket.core.clock import Clock
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig
from mrmarket.trading.venue.ccxt_adapter.dialects.generic import Dialect
from mrmarket.trading.venue.ccxt_adapter.faults import Attempt, UnknownExchangeError
from mrmarket.trading.venue.rate_budget import RequestKind

Entry = Mapping[str, Any]
_MILLISECONDS: Final = 10**12
"""A nonce at or above this counts milliseconds, below it seconds."""
_ENDS: Final = frozenset({"CLOSE", "CLOSING", "CLOSED", "ERROR"})
"""Names of the messages after which a connection has no more."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~=&-]+", re.ASCII).fullmatch
_KEEP_ALIVE_MS: Final = 15_000
"""A dead connection is noticed within two of these; ccxt's own for Binance is 3 minutes."""

current_attempt: contextvars.ContextVar[Attempt | None] = contextvars.ContextVar(
    "current_attempt", default=None
)
"""The request that the running task is making; ccxt offers no way to pass it along."""
follows_account: contextvars.ContextVar[bool] = contextvars.ContextVar("follows_account", default=False)
"""Whether the running task follows the account; its subscriptions are the user stream's."""


class Taps:
    """What the venue learns from the exchange object; every hook runs on the event loop."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.offset_ms = 0
        """The venue's clock minus ours."""
        self.on_handed: Callable[[Attempt], None] | None = None
        self.on_answer: Callable[[str, Any], None] | None = None
        """(address, parsed answer)."""
        self.on_headers: Callable[[Mapping[str, str]], None] | None = None
        """Names in lower case."""
        self.on_frame: Callable[[Any, bytes], bool] | None = None
        """(connection, frame) → whether it was taken and ccxt need not see it."""
        self.on_order: Callable[[Entry], None] | None = None
        self.on_fill: Callable[[Entry], None] | None = None
        self.before_placing: Callable[[str], None] | None = None
        """(request) called right before a placement goes to the HTTP client; may raise, then it does not."""
        self.order_headers: Callable[[], Mapping[str, str]] | None = None
        """Further headers of a placement."""
        self.on_account_subscribed: Callable[[Any], None] | None = None
        """(connection)."""


def connect(config: CcxtVenueConfig, dialect: Dialect, taps: Taps) -> Any:
    """A ccxt.pro exchange, configured and tapped, with no connection made yet.

    Raises:
        UnknownExchangeError: ccxt has none of that id that can stream.
    """
    import ccxt.pro  # noqa: PLC0415 - half a second and 80 MB, wanted only where a venue is opened

    if config.exchange not in ccxt.pro.exchanges:
        raise UnknownExchangeError(
            config.venue_name,
            "open",
            f"ccxt.pro knows no exchange {config.exchange!r}; see `ccxt.pro.exchanges`",
        )
    exchange = getattr(ccxt.pro, config.exchange)(
        {
            "apiKey": config.api_key,
            "secret": config.secret,
            "password": config.password,
            "enableRateLimit": False,  # our own budget decides
            "timeout": config.timeout_ms,
            "options": {**dialect.options(config), **config.options},
            "newUpdates": True,
        }
    )
    exchange.has["fetchCurrencies"] = False  # deposits and withdrawals are no business of ours
    if dialect.exact_numbers:
        exchange.number = str
    keep_alive = exchange.streaming.get("keepAlive", _KEEP_ALIVE_MS)
    exchange.streaming = {**exchange.streaming, "keepAlive": min(keep_alive, _KEEP_ALIVE_MS)}
    api = exchange.urls["api"]
    if isinstance(api, dict):
        dialect.route(api, config)
    elif config.urls.rest:
        exchange.urls["api"] = config.urls.rest
    if str(config.urls.rest).startswith("http://"):
        exchange.timeout_on_exit = 0  # the pause on closing is for TLS
    _tap_requests(exchange, taps)
    _tap_texts(exchange)
    _tap_clock(exchange, taps)
    _tap_streams(exchange, taps)
    if dialect.own_snapshots:
        # ccxt would ask for a book of its own once the subscription is confirmed.
        exchange.handle_order_book_subscription = lambda *_: None
    _tap_caches(exchange, taps)
    return exchange


def keep_markets(exchange: Any, symbols: tuple[str, ...]) -> None:
    """Forget every market but these; Binance's full list costs tens of megabytes."""
    kept = [exchange.markets[symbol] for symbol in symbols]
    exchange.markets = exchange.markets_by_id = None
    exchange.set_markets(kept)
    loaded = asyncio.get_running_loop().create_future()
    loaded.set_result(exchange.markets)
    exchange.markets_loading = loaded


def drop(exchange: Any, connection: Any, reason: Exception) -> None:
    """End a connection that is still in use, so that the next subscription makes a new one."""
    if connection is None or exchange.clients.get(connection.url) is not connection:
        return
    for future in connection.futures.values():
        future.cancel()  # whoever still waits is woken; an error that nobody fetches would be logged
    connection.futures.clear()
    connection.on_error(reason)


def trades_cache(sink: Callable[[Entry], None]) -> Any:
    """A cache for ccxt's `trades[symbol]` that hands every entry on and keeps none."""
    from ccxt.async_support.base.ws.cache import ArrayCache  # noqa: PLC0415 - see `connect`

    return _handing_on(ArrayCache, sink)


def _handing_on(cache_class: Any, sink: Callable[[Entry], None]) -> Any:
    cache = cache_class(1)
    handing_on = type("HandingOn", (cache_class,), {"append": lambda _, item: sink(item)})
    cache.__class__ = handing_on
    return cache


def _tap_requests(exchange: Any, taps: Taps) -> None:
    fetch, on_rest_response = exchange.fetch, exchange.on_rest_response

    async def tapped_fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        attempt = current_attempt.get()
        # Some exchanges look something up before the first order; only the order itself has an effect.
        if attempt is not None and (method != "GET" or attempt.kind is RequestKind.READ):
            if attempt.kind is RequestKind.PLACE:
                headers = _last_look(taps, attempt, headers)
            attempt.handed_ns = taps.clock.monotonic_ns()
            if attempt.kind is RequestKind.PLACE and taps.on_handed is not None:
                taps.on_handed(attempt)
        answer = await fetch(url, method, headers, body)
        if taps.on_answer is not None:
            taps.on_answer(url, answer)
        return answer

    def tapped_response(code: int, reason: str, url: str, method: str, headers: Any, *rest: Any) -> Any:
        lowered = {name.lower(): value for name, value in headers.items()}
        attempt = current_attempt.get()
        if attempt is not None:
            attempt.status = code
            attempt.headers = lowered
        if taps.on_headers is not None:
            taps.on_headers(lowered)
        return on_rest_response(code, reason, url, method, headers, *rest)

    exchange.fetch = tapped_fetch
    exchange.on_rest_response = tapped_response


def _last_look(taps: Taps, attempt: Attempt, headers: Any) -> Any:
    """The headers with which a placement leaves, if it may."""
    if taps.before_placing is not None:
        taps.before_placing(attempt.request)
    return headers if taps.order_headers is None else {**(headers or {}), **taps.order_headers()}


def _tap_texts(exchange: Any) -> None:
    quote = exchange.urlencode

    def tapped_urlencode(params: Mapping[str, Any], *rest: Any, **named: Any) -> Any:
        if not (rest or named):
            text = _plain_query(params)
            if text is not None:
                return text
        return quote(params, *rest, **named)

    def as_it_is(_symbol: str, value: Any) -> Any:
        return value

    exchange.urlencode = tapped_urlencode
    exchange.price_to_precision = as_it_is
    exchange.amount_to_precision = as_it_is


def _plain_query(params: Mapping[str, Any]) -> str | None:
    """`a=1&b=2` where nothing in it needs quoting, else None."""
    text = "&".join([f"{name}={value}" for name, value in params.items()])
    plain = (
        _PLAIN(text)
        and text.count("=") == len(params)
        and text.count("&") == len(params) - 1
        and True not in params.values()
        and False not in params.values()
    )
    return text if plain else None


def _tap_clock(exchange: Any, taps: Taps) -> None:
    nonce, seconds = exchange.nonce, exchange.seconds

    def tapped_seconds() -> int:
        return int(seconds()) + round(taps.offset_ms / 1000)

    def tapped_nonce() -> int:
        value = int(nonce())
        return value + taps.offset_ms if value >= _MILLISECONDS else value

    exchange.seconds = tapped_seconds
    exchange.nonce = tapped_nonce


def _tap_streams(exchange: Any, taps: Taps) -> None:
    make_client, watch, watch_multiple = exchange.client, exchange.watch, exchange.watch_multiple

    def tapped_client(url: str) -> Any:
        client = make_client(url)
        if "tapped" not in client.__dict__:
            client.tapped = True
            client.receive_loop = _reading(client)
            client.handle_text_or_binary_message = _frame_handler(
                client, client.handle_text_or_binary_message, taps
            )
        return client

    def subscribed(url: str, message_hash: str) -> None:
        if (
            follows_account.get()
            and message_hash != "authenticated"
            and taps.on_account_subscribed is not None
        ):
            taps.on_account_subscribed(exchange.clients.get(url))

    def tapped_watch(url: str, message_hash: str, *rest: Any, **named: Any) -> Any:
        future = watch(url, message_hash, *rest, **named)
        subscribed(url, message_hash)
        return future

    def tapped_watch_multiple(url: str, message_hashes: Any, *rest: Any, **named: Any) -> Any:
        future = watch_multiple(url, message_hashes, *rest, **named)
        subscribed(url, str(message_hashes[0]))
        return future

    exchange.client = tapped_client
    exchange.watch = tapped_watch
    exchange.watch_multiple = tapped_watch_multiple


def _reading(client: Any) -> Callable[[], None]:
    async def read() -> None:
        while True:
            try:
                message = await client.receive()
            except Exception as error:  # noqa: BLE001 - whatever it was, nothing more can be read
                client.on_error(error)
                return
            client.handle_message(message)
            if message.type.name in _ENDS:
                client.on_close(1006)  # "closed abnormally"; ccxt keeps the first reason it was given
                return

    def start() -> None:
        client.reading = asyncio.ensure_future(read())

    return start


def _frame_handler(client: Any, handle: Callable[[Any], None], taps: Taps) -> Callable[[Any], None]:
    def tapped(data: Any) -> None:
        try:
            frame = data.encode() if isinstance(data, str) else bytes(data)
            if taps.on_frame is None or not taps.on_frame(client, frame):
                handle(data)
        except Exception as error:  # noqa: BLE001 - ccxt would drop it and never read again
            client.on_error(error)

    return tapped


def _tap_caches(exchange: Any, taps: Taps) -> None:
    from ccxt.async_support.base.ws.cache import ArrayCacheBySymbolById  # noqa: PLC0415 - see `connect`

    def take_order(order: Entry) -> None:
        if taps.on_order is not None:
            taps.on_order(order)

    def take_fill(fill: Entry) -> None:
        if taps.on_fill is not None:
            taps.on_fill(fill)

    exchange.orders = _handing_on(ArrayCacheBySymbolById, take_order)
    exchange.myTrades = _handing_on(ArrayCacheBySymbolById, take_fill)
