"""A scripted exchange on loopback: whatever REST answers and frames a test gives it, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from aiohttp import WSMsgType, web


@dataclass
class Answer:
    """What a REST request is answered with; `body` as JSON unless it is text."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    cut: bool = False
    """Close the connection instead of answering."""


@dataclass
class Seen:
    """A request that came in."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: str


T = TypeVar("T")
Handler = Callable[[Seen], Answer]
Listener = Callable[[str, Any], list[Any]]
"""(path, message) → frames to send back, as JSON unless they are text."""


def compact(frame: Any) -> str:
    """JSON without blanks, as exchanges send it."""
    return json.dumps(frame, separators=(",", ":"))


class LoopbackExchange:
    """Serves scripted answers; an unscripted path is answered 404."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.messages: list[tuple[str, Any]] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.listener: Listener = lambda path, message: []
        self._handlers: dict[tuple[str, str], Handler] = {}
        self._paths: dict[web.WebSocketResponse, str] = {}
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Event()
        self.port = 0

    @property
    def rest(self) -> str:
        """Address of the REST side."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        """Address of the streams; any path is taken."""
        return f"ws://127.0.0.1:{self.port}"

    def on(self, method: str, path: str, handler: Handler | Answer | Any) -> None:
        """Script a path: an answer, its body, or a function of the request."""
        if isinstance(handler, Answer):
            self._handlers[method, path] = lambda seen: handler
        elif callable(handler):
            self._handlers[method, path] = handler
        else:
            self._handlers[method, path] = lambda seen: Answer(handler)

    def requests(self, method: str, path: str) -> list[Seen]:
        """What came in for a path."""
        return [seen for seen in self.seen if (seen.method, seen.path) == (method, path)]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, looking whenever something comes in."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def push(self, *frames: Any, path: str = "") -> None:
        """Send frames to every open socket whose path contains `path`."""
        for socket in [s for s in self.sockets if path in self._paths[s] and not s.closed]:
            for frame in frames:
                await socket.send_str(frame if isinstance(frame, str) else compact(frame))

    async def drop(self, path: str = "") -> None:
        """Close every socket whose path contains `path`."""
        for socket in [s for s in self.sockets if path in self._paths[s] and not s.closed]:
            await socket.close()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for socket in self.sockets:
            await socket.close()
        assert self._runner is not None
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._stream(request)
        body = await request.text()
        params = dict(request.query)
        if body and not body.startswith(("{", "[")):
            params |= dict(await request.post())  # type: ignore[arg-type] # the tests post text alone
        seen = Seen(request.method, request.path, params, dict(request.headers), body)
        self.seen.append(seen)
        handler = self._handlers.get((request.method, request.path))
        answer = handler(seen) if handler else Answer({"msg": f"unscripted {request.path}"}, status=404)
        self._changed.set()
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        if answer.cut:
            assert request.transport is not None
            request.transport.abort()
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        return web.Response(
            text=text, status=answer.status, headers=answer.headers, content_type="application/json"
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._paths[socket] = request.path
        self.sockets.append(socket)
        self._changed.set()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                content = json.loads(message.data) if message.data[:1] in "{[" else message.data
                self.messages.append((request.path, content))
                for frame in self.listener(request.path, content):
                    await socket.send_str(frame if isinstance(frame, str) else compact(frame))
                self._changed.set()
        return socket


class Follower(Generic[T]):
    """Follows a stream in the background and waits for what a test expects of it."""

    def __init__(self, events: AsyncIterator[T]) -> None:
        self.events: list[T] = []
        self._changed = asyncio.Event()
        self._task = asyncio.ensure_future(self._follow(events))

    async def until(self, condition: Callable[[list[T]], object]) -> list[T]:
        """Everything seen, as soon as the condition holds of it."""
        while not condition(self.events):
            if self._task.done():
                self._task.result()
                raise AssertionError(f"the stream ended with {self.events}")
            self._changed.clear()
            await self._changed.wait()
        return self.events

    async def end(self) -> list[T]:
        """Everything seen until the stream ended by itself."""
        await self._task
        return self.events

    async def _follow(self, events: AsyncIterator[T]) -> None:
        try:
            async for event in events:
                self.events.append(event)
                self._changed.set()
        finally:
            self._changed.set()
