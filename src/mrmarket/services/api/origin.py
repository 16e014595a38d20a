"""Keeps other web sites away from an instance on the loopback address.

A page from anywhere can make the owner's browser send requests to 127.0.0.1. Two checks stop it:
the `Host` header must name this instance (against DNS rebinding), and what changes state or opens
a stream must come from our own origin (against cross-site requests).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class OriginGuard:
    """ASGI middleware; `hosts` are the host names (without port) this instance answers to."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse with 403 (a WebSocket is closed before it opens)."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        allowed = "*" in self._hosts or (urlsplit(f"//{host}").hostname or "") in self._hosts
        origin = headers.get(b"origin")
        changes = scope["type"] == ScopeType.WEBSOCKET or scope.get("method") not in _SAFE_METHODS
        if allowed and changes and origin is not None:
            allowed = urlsplit(origin).netloc == host
        if allowed:
            await self._app(scope, receive, send)
        elif scope["type"] == ScopeType.WEBSOCKET:
            await receive()
            await send({"type": "websocket.close", "code": 4403, "reason": "foreign origin"})
        else:
            await self._refuse(send)

    @staticmethod
    async def _refuse(send: Send) -> None:
        body = b'{"code":"foreign_origin","message":"open this instance by its own address"}'
        await send(
            {
                "type": "http.response.start",
                "status": 403,
                "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body, "more_body": False})
