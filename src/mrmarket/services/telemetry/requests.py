"""How long the API takes to answer, and under which id a request stands in the log."""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from mrmarket.core.clock import SystemClock
from mrmarket.core.ids import uuid7
from mrmarket.services.telemetry.reading import Distribution

_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_BOUND_TEXTS: Final = (*map(str, _BOUNDS_S), "+Inf")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HEADER: Final = b"x-request-id"
_GIVEN: Final = re.compile(rb"[A-Za-z0-9_\-.]{8,64}")


class RequestFigures:
    """Durations by method and class of status: 35 series at most."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], list[int]] = {}
        self._sums: dict[tuple[str, str], float] = {}

    def count(self, method: str, status: int, seconds: float) -> None:
        """Take in one answer."""
        key = (method if method in _METHODS else "OTHER", f"{status // 100}xx")
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = [0] * len(_BOUND_TEXTS)
        counts[bisect_left(_BOUNDS_S, seconds)] += 1
        self._sums[key] = self._sums.get(key, 0.0) + seconds

    def distributions(self) -> Iterator[Distribution]:
        """What was counted."""
        for key, counts in list(self._counts.items()):
            below, buckets = 0, []
            for bound, count in zip(_BOUND_TEXTS, counts, strict=True):
                below += count
                buckets.append((bound, float(below)))
            yield Distribution("mm_request_seconds", tuple(buckets), self._sums[key], key)


class RequestWatch:
    """ASGI middleware: times each HTTP request, and gives it an id for the log and for `X-Request-Id`.

    An id that a proxy has given is kept if it is of a bearable form.
    """

    def __init__(self, app: ASGIApp, figures: RequestFigures) -> None:
        self._app = app
        self._figures = figures
        self._clock = SystemClock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; whatever comes of it is counted."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        request_id = _given(scope) or str(uuid7(self._clock)).encode()
        method, status = str(dict[str, Any](scope)["method"]), 500
        began_s = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (_HEADER, request_id)]
            await send(message)

        try:
            with bound_contextvars(request_id=request_id.decode("ascii")):
                await self._app(scope, receive, send_with_id)
        finally:
            self._figures.count(method, status, time.perf_counter() - began_s)


def _given(scope: Any) -> bytes | None:
    for name, value in scope["headers"]:
        if name == _HEADER:
            return bytes(value) if _GIVEN.fullmatch(value) else None
    return None
