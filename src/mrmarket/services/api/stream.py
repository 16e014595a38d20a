"""`/api/v1/stream`: one WebSocket with sequence numbers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final, get_args

import anyio
import msgspec
from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect

from mrmarket.services.api import schema
from mrmarket.services.api.face import InstanceFace

_ALL: Final[frozenset[schema.Topic]] = frozenset(get_args(schema.Topic))
_BAD_TOPIC: Final = 4400
_BOOK_LEVELS: Final = 15
_encode = msgspec.json.Encoder().encode


async def _first_values(
    face: InstanceFace, topics: frozenset[schema.Topic]
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


@websocket("/stream")
async def stream(socket: WebSocket[Any, Any, Any], face: NamedDependency[InstanceFace]) -> None:
    """Send the current values, then every change of the topics asked for (all, if none is named)."""
    asked = frozenset(filter(None, socket.query_params.get("topics", "").split(","))) or _ALL
    await socket.accept()
    if unknown := asked - _ALL:
        await socket.close(code=_BAD_TOPIC, reason=f"unknown topics: {', '.join(sorted(unknown))}"[:120])
        return
    topics: frozenset[schema.Topic] = frozenset(t for t in _ALL if t in asked)
    sequence = 0

    async def send(topic: schema.Topic, data: object) -> None:
        nonlocal sequence
        sequence += 1
        message = schema.StreamMessage(
            seq=sequence, topic=topic, at_ms=time.time_ns() // 1_000_000, data=msgspec.Raw(_encode(data))
        )
        await socket.send_text(_encode(message).decode())

    async def watch_for_goodbye() -> None:
        try:
            while True:
                await socket.receive_data(mode="text")
        except WebSocketDisconnect:
            group.cancel_scope.cancel()

    async def send_all() -> None:
        # Subscribed before the first values are read: a change in between is sent twice, never missed.
        async with aclosing(face.updates(topics)) as updates:  # type: ignore[type-var] # an async generator behind the Protocol
            async for topic, data in _first_values(face, topics):
                await send(topic, data)
            async for update in updates:
                await send(update.topic, update.data)
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch_for_goodbye)
        group.start_soon(send_all)
