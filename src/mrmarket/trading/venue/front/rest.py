"""HTTP in, JSON out: routes, weights, authentication, latency and faults of REST calls."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import msgspec
import structlog
from aiohttp import web

from mrmarket.core.clock import NS_PER_MS
from mrmarket.trading.venue.front import errors
from mrmarket.trading.venue.front.access import admit_rest
from mrmarket.trading.venue.front.endpoints import Call, Endpoint
from mrmarket.trading.venue.front.faults import FaultKind, FaultRule
from mrmarket.trading.venue.front.gateway import Gateway
from mrmarket.trading.venue.front.latency import Latency
from mrmarket.trading.venue.front.parameters import Parameters, parse_form
from mrmarket.trading.venue.front.rest_public import PUBLIC
from mrmarket.trading.venue.front.rest_signed import SIGNED
from mrmarket.trading.venue.front.rest_wallet import WALLET
from mrmarket.trading.venue.front.signature import KeyRing

_LOG: Final = structlog.get_logger("mrmarket.venue")
_MAX_BODY: Final = 64 * 1024
_MS_PER_S: Final = 1_000

ROUTES: Final = MappingProxyType(
    {("GET", path): endpoint for path, endpoint in PUBLIC.items()} | SIGNED | WALLET
)
"""(method, path) → endpoint."""

_PATHS: Final = frozenset(path for _, path in ROUTES)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer before it is sent."""

    body: bytes
    status: int = HTTPStatus.OK
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class Rest:
    """Answers REST calls. `extra` adds routes of the simulation itself."""

    def __init__(
        self,
        gateway: Gateway,
        keys: KeyRing,
        latency: Latency,
        extra: dict[tuple[str, str], Endpoint] | None = None,
    ) -> None:
        self._gateway = gateway
        self._keys = keys
        self._latency = latency
        self._routes = dict(ROUTES) | (extra or {})

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One HTTP request."""
        body = ""
        if request.can_read_body:
            if (request.content_length or 0) > _MAX_BODY:
                return _respond(_refusal(errors.DialectError(-1101, "Too many parameters.")))
            body = (await request.read()).decode("utf-8", "replace")
        name = f"{request.method} {request.path}"
        rule = self._gateway.faults.request(name, self._gateway.now_ns())
        if rule is not None:
            forged = await self._fault_before(rule)
            if forged is not None:
                return forged
        await self._latency.entry()
        answer = self.answer(
            request.method,
            request.path,
            query=request.rel_url.raw_query_string,
            body=body,
            header=request.headers.get("X-MBX-APIKEY"),
            address=request.remote or "",
            time_unit=request.headers.get("X-MBX-TIME-UNIT", ""),
        )
        await self._latency.response()
        if rule is not None and rule.kind is FaultKind.TIMEOUT_AFTER:
            return await _never()
        if rule is not None and rule.kind is FaultKind.SERVER_ERROR_AFTER:
            return _respond(_refusal(_unknown_outcome()))
        return _respond(answer)

    def answer(
        self,
        method: str,
        path: str,
        *,
        query: str,
        body: str,
        header: str | None,
        address: str,
        time_unit: str = "",
    ) -> Answer:
        """What a request is answered; all its effects happen in this one step."""
        gateway = self._gateway
        meter = gateway.meters.weight(address)
        headers: dict[str, str] = {}
        endpoint: Endpoint | None = None
        account = ""
        try:
            endpoint = self._endpoint(method, path, time_unit)
            parameters = Parameters({"body": body} if body.startswith("{") else parse_form(query, body))
            meter.charge(endpoint.weigh(parameters), gateway.now_ns())
            now_ns = gateway.seen_now_ns()
            key = admit_rest(
                self._keys,
                endpoint,
                parameters,
                header=header,
                query=query,
                body=body,
                now_ns=now_ns,
            )
            account = key.account if key else ""
            call = Call(
                gateway=gateway,
                parameters=parameters,
                now_ns=now_ns,
                account=account,
                use=key.use if key else "trade",
                address=address,
            )
            answer = Answer(body=msgspec.json.encode(endpoint.handler(call)), headers=headers)
        except errors.DialectError as refused:
            answer = _refusal(refused, headers)
        except Exception:  # noqa: BLE001 - the last line of defence: a client must get JSON, the log the trace
            _LOG.exception("a request broke", method=method, path=path)
            answer = _refusal(errors.unknown_error(), headers)
        used = str(meter.used)
        headers["X-MBX-USED-WEIGHT"] = used
        headers["X-MBX-USED-WEIGHT-1M"] = used
        if endpoint is not None and endpoint.places_order and account:
            orders = gateway.meters.orders(account)
            headers["X-MBX-ORDER-COUNT-10S"] = str(orders.used_10s)
            headers["X-MBX-ORDER-COUNT-1D"] = str(orders.used_1d)
        return answer

    def _endpoint(self, method: str, path: str, time_unit: str) -> Endpoint:
        endpoint = self._routes.get((method, path))
        if endpoint is None:
            known = path in _PATHS
            raise errors.unsupported_operation(
                HTTPStatus.METHOD_NOT_ALLOWED if known else HTTPStatus.NOT_FOUND
            )
        if time_unit.upper() not in ("", "MILLISECOND"):
            raise errors.DialectError(-1194, "Invalid value for time unit; expected MILLISECOND.")
        return endpoint

    async def _fault_before(self, rule: FaultRule) -> web.StreamResponse | None:
        match rule.kind:
            case FaultKind.TIMEOUT_BEFORE:
                return await _never()
            case FaultKind.DELAY:
                await asyncio.sleep(rule.delay_ms / _MS_PER_S)
            case _:
                refused = fault_refusal(rule, self._gateway.now_ns())
                if refused is not None:
                    return _respond(_refusal(refused))
        return None


def fault_refusal(rule: FaultRule, now_ns: int) -> errors.DialectError | None:
    """What a rule answers instead of having an effect; None if it lets the request through."""
    match rule.kind:
        case FaultKind.SERVER_ERROR:
            return errors.DialectError(
                -1008,
                "Server is currently overloaded with other requests. Please try again in a few minutes.",
                status=HTTPStatus.SERVICE_UNAVAILABLE,
            )
        case FaultKind.TOO_MANY_REQUESTS:
            return errors.too_much_weight(0, rule.retry_after_s)
        case FaultKind.BAN:
            return errors.banned(now_ns // NS_PER_MS + rule.retry_after_s * _MS_PER_S, rule.retry_after_s)
        case _:
            return None


def _unknown_outcome() -> errors.DialectError:
    return errors.DialectError(
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        status=HTTPStatus.GATEWAY_TIMEOUT,
    )


def _refusal(refused: errors.DialectError, headers: dict[str, str] | None = None) -> Answer:
    fields = {} if headers is None else headers
    if refused.retry_after_s:
        fields["Retry-After"] = str(refused.retry_after_s)
    return Answer(body=msgspec.json.encode(refused.body()), status=refused.status, headers=fields)


def _respond(answer: Answer) -> web.Response:
    return web.Response(
        body=answer.body, status=answer.status, headers=answer.headers, content_type="application/json"
    )


async def _never() -> web.Response:
    """Answer nothing; the server cancels this when the client has given up."""
    await asyncio.Event().wait()
    return web.Response(status=HTTPStatus.GATEWAY_TIMEOUT)
