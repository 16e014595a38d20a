"""The port of its own on which a process tells how it is: for roles without an API, and for Prometheus."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import structlog
import uvicorn

from mrmarket.core.errors import MrMarketError
from mrmarket.services.telemetry.telemetry import CONTENT_TYPE, Telemetry

_JSON: Final = "application/json"
_OK, _FORBIDDEN, _NOT_FOUND, _NOT_ALLOWED, _UNAVAILABLE = 200, 403, 404, 405, 503
_STOP_S: Final = 1

_log = structlog.get_logger("mrmarket.telemetry")


class TelemetryPortError(MrMarketError):
    """The port for figures is taken."""

    code = "telemetry_port_in_use"
    retryable = True

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host = host
        self.port = port
        super().__init__(f"cannot serve figures on {host}:{port} ({reason}); give another [telemetry] port")


class TelemetryServer:
    """Serves `/metrics`, `/healthz`, `/readyz` and `/status` to whoever reaches the port.

    A page from elsewhere must not: it could give its own name this machine's address. So a request names
    an address, `localhost`, or one of `hosts`.
    """

    def __init__(self, telemetry: Telemetry, host: str, port: int, hosts: Iterable[str] = ()) -> None:
        self._telemetry = telemetry
        self._names = frozenset({"localhost", host, *hosts})
        self._host = host
        self._port = port
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._listener: socket.socket | None = None

    @property
    def url(self) -> str:
        """Where it is; only while it serves."""
        if self._listener is None:
            raise RuntimeError("the port for figures is not open")
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """Take the port and serve.

        Raises:
            TelemetryPortError: somebody else has it.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            self._listener = socket.create_server((self._host, self._port), family=family)
        except OSError as error:
            raise TelemetryPortError(self._host, self._port, error.strerror or str(error)) from error
        self._server = _Server(
            uvicorn.Config(
                self,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=_STOP_S,
                server_header=False,
            )
        )
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listener]), name="telemetry")
        _log.info("figures are served", url=self.url)

    async def close(self) -> None:
        """Let the port go; closing twice is harmless."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        if self._listener is not None:
            self._listener.close()
        self._server, self._serving, self._listener = None, None, None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 - the shape of ASGI
        """One request."""
        if scope["type"] != "http":
            return
        if not self._names_us(dict(scope["headers"]).get(b"host", b"")):
            status, kind, body = _FORBIDDEN, _JSON, b'{"code":"foreign_origin"}'
        elif scope["method"] not in {"GET", "HEAD"}:
            status, kind, body = _NOT_ALLOWED, _JSON, b'{"code":"method_not_allowed"}'
        else:
            status, kind, body = await self._answer(scope["path"])
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _names_us(self, host: bytes) -> bool:
        try:
            name = urlsplit(f"//{host.decode('latin-1')}").hostname or ""
            if "*" in self._names or name in self._names:
                return True
            ip_address(name)
        except ValueError:
            return False
        return True

    async def _answer(self, path: str) -> tuple[int, str, bytes]:
        match path:
            case "/metrics":
                return _OK, CONTENT_TYPE, await self._telemetry.exposition()
            case "/healthz":
                return _OK, _JSON, b'{"alive":true}'
            case "/readyz":
                readiness = await self._telemetry.readiness()
                return _OK if readiness.ready else _UNAVAILABLE, _JSON, msgspec.json.encode(readiness)
            case "/status":
                return _OK, _JSON, msgspec.json.encode(await self._telemetry.status())
        return _NOT_FOUND, _JSON, b'{"code":"not_found"}'


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: whoever starts it decides when it stops."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield
