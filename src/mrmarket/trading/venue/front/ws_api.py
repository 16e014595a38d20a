"""The WebSocket API: requests by method name over one connection, and the user data stream.

Source: https://developers.binance.com/docs/binance-spot-api-docs/websocket-api
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

import msgspec
import structlog

from mrmarket.core.clock import NS_PER_MS
from mrmarket.trading.venue.front import errors
from mrmarket.trading.venue.front.access import admit_websocket
from mrmarket.trading.venue.front.endpoints import Call, Endpoint, Handler, Security
from mrmarket.trading.venue.front.faults import FaultKind, FaultRule
from mrmarket.trading.venue.front.gateway import Gateway
from mrmarket.trading.venue.front.latency import Latency
from mrmarket.trading.venue.front.outbox import Outbox
from mrmarket.trading.venue.front.parameters import Parameters, parse_object
from mrmarket.trading.venue.front.rest import ROUTES, fault_refusal
from mrmarket.trading.venue.front.signature import KeyRing
from mrmarket.trading.venue.front.user_stream import UserStreams, wrapped

Json = dict[str, Any]

_LOG: Final = structlog.get_logger("mrmarket.venue")
_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,36}", re.ASCII)
_CONNECT_WEIGHT: Final = 2
_MS_PER_S: Final = 1_000
_SUBSCRIBE_WEIGHT: Final = 2
_SUBSCRIPTION: Final = Endpoint(handler=lambda _: None, weight=_SUBSCRIBE_WEIGHT, security=Security.SIGNED)

METHODS: Final = MappingProxyType(
    {
        "ping": ("GET", "/api/v3/ping"),
        "time": ("GET", "/api/v3/time"),
        "exchangeInfo": ("GET", "/api/v3/exchangeInfo"),
        "depth": ("GET", "/api/v3/depth"),
        "trades.recent": ("GET", "/api/v3/trades"),
        "trades.historical": ("GET", "/api/v3/historicalTrades"),
        "trades.aggregate": ("GET", "/api/v3/aggTrades"),
        "klines": ("GET", "/api/v3/klines"),
        "uiKlines": ("GET", "/api/v3/uiKlines"),
        "avgPrice": ("GET", "/api/v3/avgPrice"),
        "ticker.24hr": ("GET", "/api/v3/ticker/24hr"),
        "ticker.price": ("GET", "/api/v3/ticker/price"),
        "ticker.book": ("GET", "/api/v3/ticker/bookTicker"),
        "order.place": ("POST", "/api/v3/order"),
        "order.test": ("POST", "/api/v3/order/test"),
        "order.status": ("GET", "/api/v3/order"),
        "order.cancel": ("DELETE", "/api/v3/order"),
        "openOrders.status": ("GET", "/api/v3/openOrders"),
        "openOrders.cancelAll": ("DELETE", "/api/v3/openOrders"),
        "allOrders": ("GET", "/api/v3/allOrders"),
        "myTrades": ("GET", "/api/v3/myTrades"),
        "account.status": ("GET", "/api/v3/account"),
        "account.commission": ("GET", "/api/v3/account/commission"),
        "account.rateLimits.orders": ("GET", "/api/v3/rateLimit/order"),
    }
)
"""Method → the REST call that does the same."""


class ApiSession:
    """One connection to the WebSocket API. Knows no socket."""

    def __init__(
        self,
        gateway: Gateway,
        keys: KeyRing,
        users: UserStreams,
        outbox: Outbox,
        latency: Latency,
        address: str,
    ) -> None:
        self._gateway = gateway
        self._keys = keys
        self._users = users
        self._outbox = outbox
        self._latency = latency
        self._address = address
        self._connected_ns = gateway.now_ns()
        self._subscriptions: dict[int, str] = {}
        """Subscription → account."""
        self._next_subscription = 0
        self._own: dict[str, tuple[Callable[[Parameters], Any], int]] = {
            "session.status": (self._status, _CONNECT_WEIGHT),
            "session.subscriptions": (self._list_subscriptions, _SUBSCRIBE_WEIGHT),
            "session.logon": (_refuse_logon, _CONNECT_WEIGHT),
            "session.logout": (self._logout, _CONNECT_WEIGHT),
            "userDataStream.subscribe": (_refuse_logon, _SUBSCRIBE_WEIGHT),
            "userDataStream.subscribe.signature": (self._subscribe, _SUBSCRIBE_WEIGHT),
            "userDataStream.unsubscribe": (self._unsubscribe, _SUBSCRIBE_WEIGHT),
        }

    def open(self) -> None:
        """Charge the connection; raises DialectError."""
        self._gateway.meters.weight(self._address).charge(_CONNECT_WEIGHT, self._gateway.now_ns())

    def close(self) -> None:
        """End every subscription."""
        for subscription_id, account in self._subscriptions.items():
            self._users.unsubscribe(account, self, subscription_id)
        self._subscriptions.clear()

    def send_event(self, subscription_id: int, event: Json) -> None:
        """Queue one event of a user stream."""
        self._outbox.put(wrapped(subscription_id, event), name=f"user:{event['e']}")

    def announce_end(self) -> None:
        """Tell the client that the venue stops."""
        event = {"event": {"e": "serverShutdown", "E": self._gateway.seen_now_ns() // NS_PER_MS}}
        self._outbox.put(msgspec.json.encode(event), name="serverShutdown")

    async def receive(self, text: str | bytes) -> None:
        """Answer one request."""
        request = _read(text)
        refused = request.refused
        rule: FaultRule | None = None
        if refused is None:
            rule = self._gateway.faults.request(f"WS {request.method}", self._gateway.now_ns())
            if rule is not None:
                if rule.kind is FaultKind.TIMEOUT_BEFORE:
                    return
                if rule.kind is FaultKind.DELAY:
                    await asyncio.sleep(rule.delay_ms / _MS_PER_S)
                refused = fault_refusal(rule, self._gateway.now_ns())
        await self._latency.entry()
        reply = self.answer(request.id, request.method, request.values, refused)
        await self._latency.response()
        if rule is not None and rule.kind in (FaultKind.TIMEOUT_AFTER, FaultKind.SERVER_ERROR_AFTER):
            return
        self._outbox.put(reply, name="reply")

    def answer(
        self,
        request_id: str | int | None,
        method: str,
        values: dict[str, str],
        refused: errors.DialectError | None = None,
    ) -> bytes:
        """What a request is answered; all its effects happen in this one step."""
        parameters = Parameters(values)
        reply: Json = {"id": request_id, "status": int(HTTPStatus.OK)}
        with_limits = True
        account = ""
        try:
            _raise_if(refused)
            with_limits = parameters.boolean("returnRateLimits", default=True)
            if method in self._own:
                handler, weight = self._own[method]
                self._charge(weight)
                reply["result"] = handler(parameters)
            else:
                call, handle = self._admit(method, parameters)
                account = call.account
                reply["result"] = handle(call)
        except errors.DialectError as failed:
            reply |= self._failure(failed)
        except Exception:  # noqa: BLE001 - the last line of defence: a client must get JSON, the log the trace
            _LOG.exception("a request broke", method=method)
            reply |= self._failure(errors.unknown_error())
        if with_limits:
            reply["rateLimits"] = self._limits(method, account)
        return msgspec.json.encode(reply)

    def _admit(self, method: str, parameters: Parameters) -> tuple[Call, Handler]:
        """Authenticate a method that REST has too."""
        if method not in METHODS:
            raise errors.unsupported_operation()
        endpoint = ROUTES[METHODS[method]]
        self._charge(endpoint.weigh(parameters))
        now_ns = self._gateway.seen_now_ns()
        parameters.raw("apiKey")
        key = admit_websocket(self._keys, endpoint, parameters, now_ns)
        call = Call(
            gateway=self._gateway,
            parameters=parameters,
            now_ns=now_ns,
            account=key.account if key else "",
            use=key.use if key else "trade",
            address=self._address,
        )
        return call, endpoint.handler

    def _charge(self, weight: int) -> None:
        self._gateway.meters.weight(self._address).charge(weight, self._gateway.now_ns())

    def _failure(self, failed: errors.DialectError) -> Json:
        body = failed.body()
        if failed.retry_after_s:
            now_ms = self._gateway.seen_now_ns() // NS_PER_MS
            body["data"] = {"serverTime": now_ms, "retryAfter": now_ms + failed.retry_after_s * 1000}
        return {"status": failed.status, "error": body}

    def _limits(self, method: str, account: str) -> list[Any]:
        meters = self._gateway.meters
        weight = meters.weight(self._address).report()
        if account and ROUTES[METHODS[method]].places_order:
            return [*meters.orders(account).report(self._gateway.now_ns()), weight]
        return [weight]

    def _subscribe(self, parameters: Parameters) -> Json:
        key = admit_websocket(self._keys, _SUBSCRIPTION, parameters, self._gateway.seen_now_ns())
        parameters.finish()
        if key is None:
            raise errors.key_malformed()
        subscription_id = self._next_subscription
        self._next_subscription += 1
        self._subscriptions[subscription_id] = key.account
        self._users.subscribe(key.account, self, subscription_id)
        return {"subscriptionId": subscription_id}

    def _unsubscribe(self, parameters: Parameters) -> Json:
        chosen = parameters.integer("subscriptionId", -1)
        parameters.finish()
        ids = list(self._subscriptions) if chosen < 0 else [chosen]
        for subscription_id in ids:
            account = self._subscriptions.pop(subscription_id, None)
            if account is None:
                raise errors.invalid_data("subscriptionId")
            self._users.unsubscribe(account, self, subscription_id)
        return {}

    def _list_subscriptions(self, parameters: Parameters) -> list[Json]:
        parameters.finish()
        return [{"subscriptionId": number} for number in self._subscriptions]

    def _status(self, parameters: Parameters) -> Json:
        parameters.finish()
        return {
            "apiKey": None,
            "authorizedSince": None,
            "connectedSince": self._connected_ns // NS_PER_MS,
            "returnRateLimits": True,
            "serverTime": self._gateway.seen_now_ns() // NS_PER_MS,
            "userDataStream": bool(self._subscriptions),
        }

    def _logout(self, parameters: Parameters) -> Json:
        """Nobody is logged on, so there is nothing to end."""
        parameters.finish()
        return self._status(parameters)


def _refuse_logon(_parameters: Parameters) -> Json:
    """Binance logs sessions on with Ed25519 keys only; this venue's keys are HMAC, as told there."""
    raise errors.DialectError(-4056, "HMAC_SHA256 API key is not supported.")


def _raise_if(refused: errors.DialectError | None) -> None:
    if refused is not None:
        raise refused


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as read; `refused` says why it is none."""

    id: str | int | None = None
    method: str = ""
    values: dict[str, str] = msgspec.field(default_factory=dict)
    refused: errors.DialectError | None = None


def _read(text: str | bytes) -> _Request:
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        message = None
    if not isinstance(message, dict):
        return _Request(refused=errors.DialectError(-1135, "Invalid JSON Request."))
    request_id, method, params = message.get("id"), message.get("method"), message.get("params", {})
    if isinstance(request_id, str) and not _ID.fullmatch(request_id):
        return _Request(refused=errors.illegal_characters("id", "^[a-zA-Z0-9-_]{1,36}$"))
    if request_id is not None and type(request_id) not in (int, str):
        return _Request(refused=errors.missing_parameter("id"))
    if not isinstance(method, str):
        return _Request(id=request_id, refused=errors.missing_parameter("method"))
    if not isinstance(params, dict):
        return _Request(id=request_id, refused=errors.missing_parameter("params"))
    return _Request(id=request_id, method=method, values=parse_object(params))
