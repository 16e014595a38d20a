"""The simulated payment network on a port: its clock, its bridge to the venue, and HTTP in front."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web

from mrmarket.core.clock import Clock, SystemClock
from mrmarket.services.rail.bridge import VenueBridge
from mrmarket.services.rail.config import RailConfig
from mrmarket.services.rail.errors import RailPortTakenError, WorldRefusal
from mrmarket.services.rail.faults import FaultDice, RailFaultKind, RailFaultRule
from mrmarket.services.rail.journal import Journal
from mrmarket.services.rail.messages import RailEndpoints, Refusal
from mrmarket.services.rail.requests import Requests
from mrmarket.services.rail.world import World

_LOG: Final = structlog.get_logger("mrmarket.rail")
_MAX_BODY: Final = 16 * 1024
_LONGEST_NAP_S: Final = 0.25
_SHUTDOWN_S: Final = 0.5
_MS_PER_S: Final = 1_000
_FAULTS: Final = "/v1/faults"
_HEALTH: Final = "GET /v1/health"


class RailServer:
    """One rail: `await start()`, then clients; `await stop()` ends it.

    Raises on construction:
        MrMarketError: the folder cannot be used, or a setting is wrong.
    """

    def __init__(self, config: RailConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._journal = Journal(Path(config.state_dir))
        try:
            clock = clock or SystemClock()
            self.dice = FaultDice(config.faults, 0)
            self.world = World(config, self._journal, clock, self.dice)
            self.dice.reset(config.faults, self.world.now_ms())
            self._requests = Requests(
                self.world, self.dice, self._journal.secret("token"), self._journal.secret("wallet_token")
            )
        except BaseException:
            self._journal.close()
            raise
        self._bridge = VenueBridge(self.world)
        self._wake = asyncio.Event()
        self._runner: web.ServerRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.url = ""
        """Where it listens, once started."""

    @property
    def endpoints(self) -> RailEndpoints:
        """Where it is and how to get in."""
        return self._requests.about(self.url)

    async def start(self) -> None:
        """Listen, and let time pass; `stop` also after an error. Raises RailPortTakenError."""
        host, port = self._config.host, self._config.port
        # A client that gives up must not take back what its request does.
        self._runner = web.ServerRunner(
            web.Server(self._handle, access_log=None, handler_cancellation=False),
            shutdown_timeout=_SHUTDOWN_S,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as taken:
            await self._runner.cleanup()
            self._journal.close()
            reason = os.strerror(taken.errno) if taken.errno and taken.errno > 0 else str(taken)
            raise RailPortTakenError(host, port, reason) from taken
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        self._tasks = [
            asyncio.create_task(self._pass_time(), name="time"),
            asyncio.create_task(self._bridge.run(), name="bridge"),
        ]

    async def wait(self) -> None:
        """Return never; raises what broke the network, after which it may promise nothing more."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task

    async def stop(self) -> None:
        """Close every connection, let go of port and folder."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        self._journal.close()

    async def _pass_time(self) -> None:
        while True:
            self._wake.clear()
            next_ms = self.world.advance()
            self._bridge.wake()
            nap_s = _LONGEST_NAP_S
            if next_ms is not None:
                nap_s = min(max((next_ms - self.world.now_ms()) / _MS_PER_S, 0.0), nap_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(nap_s):
                    await self._wake.wait()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if f"{request.method} {request.path}" == _HEALTH:
            return _respond(HTTPStatus.OK, {"ok": True})
        came_ms = self.world.now_ms()
        body = await _body(request)
        if body is None:
            return _refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "invalid_request", "the body is too large")
        name = self._requests.name(request.method, request.path)
        # Faults must not keep anybody from taking them away.
        rule = None if request.path == _FAULTS else self.dice.request(name, came_ms)
        if rule is not None:
            forged = await self._before(request, rule, came_ms)
            if forged is not None:
                return forged
        response = self._answer(request, body)
        return response if rule is None else await _after(request, rule, response)

    def _answer(self, request: web.BaseRequest, body: bytes) -> web.Response:
        """Carry a request out; all its effects happen in this one step."""
        try:
            answer = self._requests.answer(
                request.method,
                request.path,
                request.query,
                body,
                request.headers.get("Authorization", ""),
            )
        except WorldRefusal as refused:
            return _refuse(refused.status, refused.code, str(refused))
        except Exception:  # noqa: BLE001 - the last line of defence: a client must get JSON, the log the trace
            _LOG.exception("a request broke", method=request.method, path=request.path)
            return _refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "the rail broke; ask it again")
        self._wake.set()
        self._bridge.wake()
        return _respond(HTTPStatus.OK, answer)

    async def _before(
        self, request: web.BaseRequest, rule: RailFaultRule, came_ms: int
    ) -> web.Response | None:
        match rule.kind:
            case RailFaultKind.DELAY:
                await asyncio.sleep(rule.delay_ms / _MS_PER_S)
                if self.world.now_ms() - came_ms > self._config.settle_ms:
                    return _refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too_late", "the request became too old")
                return None
            case RailFaultKind.SILENT_BEFORE:
                await asyncio.sleep(rule.delay_ms / _MS_PER_S)
                return _cut(request)
            case RailFaultKind.LOST_BEFORE:
                return _cut(request)
            case RailFaultKind.SERVER_ERROR:
                return _refuse(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "try again later")
            case _:
                return None


async def _after(request: web.BaseRequest, rule: RailFaultRule, response: web.Response) -> web.Response:
    match rule.kind:
        case RailFaultKind.SILENT_AFTER:
            await asyncio.sleep(rule.delay_ms / _MS_PER_S)
            return _cut(request)
        case RailFaultKind.LOST_AFTER:
            return _cut(request)
        case RailFaultKind.SERVER_ERROR_AFTER:
            return _refuse(HTTPStatus.BAD_GATEWAY, "unclear", "the outcome is unknown")
        case RailFaultKind.GARBAGE:
            return web.Response(body=b'{"state": "sen', content_type="application/json")
        case _:
            return response


def _cut(request: web.BaseRequest) -> web.Response:
    """Drop the connection under the client."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=HTTPStatus.GATEWAY_TIMEOUT)


async def _body(request: web.BaseRequest) -> bytes | None:
    """The body; None if it is larger than any that means something."""
    if not request.can_read_body:
        return b""
    if (request.content_length or 0) > _MAX_BODY:
        return None
    body = await request.content.read(_MAX_BODY + 1)
    while len(body) <= _MAX_BODY and not request.content.at_eof():
        body += await request.content.read(_MAX_BODY + 1)
    return body if len(body) <= _MAX_BODY else None


def _respond(status: int, answer: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(answer), status=status, content_type="application/json")


def _refuse(status: int, code: str, message: str) -> web.Response:
    return _respond(status, Refusal(code=code, message=message))
