"""WebSocket connections: a reader, a writer, and an end for both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import WSMsgType, web

from mrmarket.core.clock import Clock
from mrmarket.trading.venue.front.errors import DialectError
from mrmarket.trading.venue.front.gateway import Gateway
from mrmarket.trading.venue.front.hub import Hub
from mrmarket.trading.venue.front.latency import Latency
from mrmarket.trading.venue.front.outbox import GOING_AWAY, Outbox
from mrmarket.trading.venue.front.signature import KeyRing
from mrmarket.trading.venue.front.user_stream import UserStreams
from mrmarket.trading.venue.front.ws_api import ApiSession
from mrmarket.trading.venue.front.ws_streams import StreamSession, stream_names

_HEARTBEAT_S: Final = 20.0
_MAX_MESSAGE: Final = 64 * 1024
_API_PATH: Final = "/ws-api/v3"

Receive = Callable[[str], Awaitable[None]]


class Sockets:
    """Accepts WebSocket connections and ends them all when the venue stops."""

    def __init__(
        self,
        gateway: Gateway,
        hub: Hub,
        users: UserStreams,
        keys: KeyRing,
        latency: Latency,
        clock: Clock,
    ) -> None:
        self._gateway = gateway
        self._hub = hub
        self._users = users
        self._keys = keys
        self._latency = latency
        self._clock = clock
        self._open: dict[Outbox, Callable[[], None]] = {}
        """Every connection's outbox and what to say at the end."""
        self._travelling: set[asyncio.Task[None]] = set()
        """Requests on their way in or out."""

    @staticmethod
    def wanted(request: web.BaseRequest) -> bool:
        """Whether a request asks to become a WebSocket."""
        return request.headers.get("Upgrade", "").lower() == "websocket"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One connection, until it ends."""
        outbox = Outbox(self._gateway.faults, self._clock)
        if request.path.rstrip("/") == _API_PATH:
            return await self._api(request, outbox)
        return await self._streams(request, outbox)

    def end(self) -> None:
        """Say goodbye on every connection and close it; what still travels is lost."""
        for task in list(self._travelling):
            task.cancel()
        for outbox, goodbye in list(self._open.items()):
            goodbye()
            outbox.close(GOING_AWAY)

    async def _streams(self, request: web.BaseRequest, outbox: Outbox) -> web.WebSocketResponse:
        combined, names = stream_names(request.path, request.rel_url.query.get("streams", ""))
        session = StreamSession(self._hub, outbox, frozenset(self._gateway.grids), combined=combined)

        async def receive(text: str) -> None:
            session.receive(text)

        def start() -> None:
            session.open(names)

        return await self._serve(request, outbox, start, receive, session.close, _nothing)

    async def _api(self, request: web.BaseRequest, outbox: Outbox) -> web.StreamResponse:
        session = ApiSession(
            self._gateway, self._keys, self._users, outbox, self._latency, request.remote or ""
        )
        try:
            session.open()
        except DialectError as refused:
            return web.Response(status=refused.status, headers={"Retry-After": str(refused.retry_after_s)})

        async def receive(text: str) -> None:
            if self._latency.instant and not self._gateway.faults.config.rules:
                await session.receive(text)
                return
            # Requests travel side by side: a second one does not wait for the first one's answer.
            travelling = asyncio.create_task(session.receive(text))
            self._travelling.add(travelling)
            travelling.add_done_callback(self._travelling.discard)

        return await self._serve(request, outbox, _nothing, receive, session.close, session.announce_end)

    async def _serve(
        self,
        request: web.BaseRequest,
        outbox: Outbox,
        start: Callable[[], None],
        receive: Receive,
        close: Callable[[], None],
        goodbye: Callable[[], None],
    ) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, compress=False, max_msg_size=_MAX_MESSAGE)
        await socket.prepare(request)
        self._open[outbox] = goodbye
        writer = asyncio.create_task(outbox.run(socket))
        start()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await receive(message.data)
        finally:
            close()
            self._open.pop(outbox, None)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return socket


def _nothing() -> None:
    return
