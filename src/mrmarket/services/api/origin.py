"""Keeps other web sites away from an instance on the loopback address.

A page from anywhere can make the owner's browser send requests to 127.0.0.1. Two checks stop it:
the `Host` header must name this instance (against DNS rebinding), and what changes state or opens
a stream must come from our own origin (against cross-site requests).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST_HOSTS: Final = 64


class OriginGuard:
    """ASGI middleware; `hosts` are the host names (without port) this instance answers to."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts
        self._met: set[bytes] = set()
        """Host headers that were found good; with a port, so that there may be a few of each name."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse with 403 (a WebSocket is closed before it opens)."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        host, origin = b"", None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
        allowed = host in self._met or self._names_us(host)
        changes = scope["type"] == ScopeType.WEBSOCKET or scope.get("method") not in _SAFE_METHODS
        if allowed and changes and origin is not None:
            allowed = _netloc(origin) == host
        if allowed:
            await self._app(scope, receive, send)
        elif scope["type"] == ScopeType.WEBSOCKET:
            await receive()
            await send({"type": "websocket.close", "code": 4403, "reason": "foreign origin"})
        else:
            await self._refuse(send)

    def _names_us(self, host: bytes) -> bool:
        try:
            name = urlsplit(f"//{host.decode('latin-1')}").hostname or ""
        except ValueError:
            return False
        if "*" not in self._hosts and name not in self._hosts:
            return False
        if len(self._met) < _MOST_HOSTS:
            self._met.add(host)
        return True

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


def _netloc(origin: bytes) -> bytes | None:
    """Host and port of an origin; None for `null` and for what is none."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None
