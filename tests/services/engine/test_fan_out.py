"""One stream, many followers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from mrmarket.services.engine.fan_out import FanOut


class Streams:
    """Opens streams; each gives what is put into it, and ends or fails when told."""

    def __init__(self) -> None:
        self.items: list[asyncio.Queue[int | Exception | None]] = []

    async def open(self) -> AsyncIterator[int]:
        """The next stream."""
        queue: asyncio.Queue[int | Exception | None] = asyncio.Queue()
        self.items.append(queue)
        while (item := await queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item


async def settle() -> None:
    """Let everything that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_comes_while_others_read_the_rest_begins_a_new_stream() -> None:
    """A stream that has failed is nobody's to wait for: each of its followers hears of it, no other does."""
    streams = Streams()
    fan = FanOut(streams.open, "numbers")
    old = fan.follow()
    first = asyncio.ensure_future(anext(old))
    await settle()
    for item in (1, 2, ConnectionError("cut")):
        streams.items[0].put_nowait(item)
    assert await first == 1
    await settle()
    assert fan.followers == 0

    new = fan.follow()
    fresh = asyncio.ensure_future(anext(new))
    await settle()
    assert len(streams.items) == 2
    assert await anext(old) == 2
    with pytest.raises(ConnectionError, match="cut"):
        await anext(old)
    streams.items[1].put_nowait(7)
    assert await fresh == 7
    streams.items[1].put_nowait(None)
    with pytest.raises(StopAsyncIteration):
        await anext(new)


async def test_who_is_too_late_is_given_a_welcome_in_place_of_the_rest() -> None:
    """Where newer replaces older nobody works off the past."""
    streams = Streams()
    seen: list[int] = []
    fan = FanOut(streams.open, "numbers", note=seen.append, welcome=lambda: seen[-1:], most_behind=3)
    slow = fan.follow()
    first = asyncio.ensure_future(anext(slow))
    await settle()
    for item in range(1, 9):
        streams.items[0].put_nowait(item)
    await settle()
    assert await first == 7
    assert await anext(slow) == 8
    assert seen == list(range(1, 9))
    await slow.aclose()  # type: ignore[attr-defined]  # it is a generator
