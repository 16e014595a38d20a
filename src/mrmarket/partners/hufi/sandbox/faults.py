"""Ways in which the sandbox misbehaves on request."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

import msgspec
from aiohttp import web

from mrmarket.partners.hufi.line import Route
from mrmarket.partners.hufi.sandbox.answers import Refusal

Handler = Callable[[web.Request], Awaitable[web.Response]]


class FaultKind(StrEnum):
    """What goes wrong."""

    LATE = "late"
    """The request is carried out at once, and the answer comes late."""
    LOST = "lost"
    """The request is carried out, and the answer never comes."""
    DROPPED = "dropped"
    """The request is lost: it is not carried out."""
    DUPLICATED = "duplicated"
    """The request arrives twice; the second answer counts."""
    BROKEN = "broken"
    """500; it is not carried out."""
    RATE_LIMITED = "rate_limited"
    EXTRA_FIELD = "extra_field"
    """The answer has a field that nobody knows."""
    RETIRED = "retired"
    """The route is gone."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One fault: on which route, how often."""

    route: Route
    kind: FaultKind
    times: int = 1
    delay_s: float = 0.0
    """Of `LATE`, and the `Retry-After` of `RATE_LIMITED`."""


class Faults:
    """The faults in force, and how often each has struck."""

    def __init__(self) -> None:
        self._rules: tuple[FaultRule, ...] = ()
        self._struck: Counter[FaultRule] = Counter()

    def set(self, *rules: FaultRule) -> None:
        """Replace the faults; none takes them all away."""
        self._rules = rules
        self._struck.clear()

    @property
    def struck(self) -> int:
        """How many have struck since they were set."""
        return self._struck.total()

    async def carry_out(self, route: Route, request: web.Request, handle: Handler) -> web.Response:
        """Carry a request out, with the fault that is due."""
        rule = self._due(route)
        if rule is None:
            return await handle(request)
        self._struck[rule] += 1
        match rule.kind:
            case FaultKind.RETIRED:
                raise Refusal(HTTPStatus.NOT_FOUND, f"Cannot {request.method} {request.path}")
            case FaultKind.BROKEN:
                raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal server error")
            case FaultKind.RATE_LIMITED:
                raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "Too Many Requests", rule.delay_s)
            case FaultKind.DROPPED:
                return _hang_up(request)
            case FaultKind.DUPLICATED:
                await _quietly(handle, request)
        response = await handle(request)
        match rule.kind:
            case FaultKind.LOST:
                return _hang_up(request)
            case FaultKind.LATE:
                await asyncio.sleep(rule.delay_s)
            case FaultKind.EXTRA_FIELD:
                return _with_extra(response)
        return response

    def _due(self, route: Route) -> FaultRule | None:
        for rule in self._rules:
            if str(rule.route) == str(route) and self._struck[rule] < rule.times:
                return rule
        return None


async def _quietly(handle: Handler, request: web.Request) -> None:
    """The first of two deliveries: what it answers reaches nobody."""
    try:
        await handle(request)
    except Refusal:
        return


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _with_extra(response: web.Response) -> web.Response:
    body = response.body
    told = msgspec.json.decode(body if isinstance(body, bytes) else b"null")
    if isinstance(told, dict):
        told["invented_field"] = 1
    return web.json_response(body=msgspec.json.encode(told), status=response.status)
