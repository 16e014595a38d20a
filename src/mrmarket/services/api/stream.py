"""`/api/v1/stream`: one WebSocket with sequence numbers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final, cast, get_args

import anyio
import msgspec
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect

from mrmarket.services.access.access import Access
from mrmarket.services.access.identity import Identity
from mrmarket.services.api import schema
from mrmarket.services.api.face import InstanceFace
from mrmarket.services.api.guards import DESK
from mrmarket.services.api.operations_face import OperationsFace
from mrmarket.services.api.parameters import Door, Face, OperationsHere
from mrmarket.services.api.pool_privacy import for_eyes_of

_ALL: Final[frozenset[schema.Topic]] = frozenset(get_args(schema.Topic))
_OWNERS: Final[frozenset[schema.Topic]] = frozenset({"operations"})
"""Topics that the owner alone may hear."""
_BAD_TOPIC: Final = 4400
_SIGNED_OUT: Final = 4401
_FORBIDDEN: Final = 4403
_BOOK_LEVELS: Final = 15
_encode = msgspec.json.Encoder().encode


async def _first_values(
    face: InstanceFace, operations: OperationsFace | None, topics: frozenset[schema.Topic]
) -> AsyncIterator[tuple[schema.Topic, object]]:
    """The current value of every topic that has one."""
    if "status" in topics:
        yield "status", face.status()
    if "market" in topics:
        yield "market", face.market(_BOOK_LEVELS)
    if "quotes" in topics:
        yield "quotes", face.quotes()
    if "orders" in topics:
        yield "orders", await face.orders("open", 100)
    if "pool" in topics:
        yield "pool", await face.pool()
    if "performance" in topics:
        yield "performance", face.performance()
    if "operations" in topics and operations is not None:
        yield "operations", await operations.operations()


class _Connection:
    """One page's stream: numbers what it sends, and ends with the page's session."""

    def __init__(self, socket: WebSocket[Any, Any, Any], access: Access) -> None:
        self._socket = socket
        self._access = access
        self._identity: Identity = socket.scope["user"]
        self._sequence = 0

    async def send(self, topic: schema.Topic, data: object) -> None:
        """Send one message, unless the session has ended: then nothing more is for its eyes."""
        if not self._access.alive(self._identity):
            raise _SignedOutError
        if topic == "pool":
            data = for_eyes_of(self._identity, cast("schema.PoolView", data))
        self._sequence += 1
        message = schema.StreamMessage(
            seq=self._sequence,
            topic=topic,
            at_ms=time.time_ns() // 1_000_000,
            data=msgspec.Raw(_encode(data)),
        )
        await self._socket.send_text(_encode(message).decode())

    async def send_all(
        self, face: InstanceFace, operations: OperationsFace | None, topics: frozenset[schema.Topic]
    ) -> None:
        """The current values, then every change."""
        # Subscribed before the first values are read: a change in between is sent twice, never missed.
        async with aclosing(face.updates(topics)) as updates:  # type: ignore[type-var] # an async generator behind the Protocol
            async for topic, data in _first_values(face, operations, topics):
                await self.send(topic, data)
            async for update in updates:
                await self.send(update.topic, update.data)


class _SignedOutError(Exception):
    """The session has ended while its stream was open."""


@websocket("/stream", opt=DESK)
async def stream(
    socket: WebSocket[Any, Any, Any], face: Face, access: Door, operations_here: OperationsHere
) -> None:
    """Send the current values, then every change of the topics asked for (all one may hear, if none is)."""
    is_owner = socket.scope["user"].role == "admin"
    heard = _ALL if is_owner else _ALL - _OWNERS
    asked = frozenset(filter(None, socket.query_params.get("topics", "").split(","))) or heard
    await socket.accept()
    if unknown := asked - _ALL:
        await socket.close(code=_BAD_TOPIC, reason=f"unknown topics: {', '.join(sorted(unknown))}"[:120])
        return
    if asked & _OWNERS and not is_owner:
        await socket.close(code=_FORBIDDEN, reason="only the owner may hear this")
        return
    topics: frozenset[schema.Topic] = frozenset(t for t in _ALL if t in asked)
    connection = _Connection(socket, access)

    async def watch_for_goodbye() -> None:
        try:
            while True:
                await socket.receive_data(mode="text")
        except WebSocketDisconnect:
            group.cancel_scope.cancel()

    async def speak() -> None:
        try:
            await connection.send_all(face, operations_here, topics)
        except _SignedOutError:
            await socket.close(code=_SIGNED_OUT, reason="the session has ended")
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch_for_goodbye)
        group.start_soon(speak)
