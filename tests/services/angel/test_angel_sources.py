"""Where signs of life are read over HTTP."""

from __future__ import annotations

import pytest

from loopback_exchange import Answer, LoopbackExchange
from mrmarket.services.angel.sources import HeartbeatUnreadError, HttpBeat

SIGN = {"node": "n", "role": "all", "seq": 7, "started_ms": 1, "at_ms": 2}


async def test_a_heartbeat_is_read_as_a_beat() -> None:
    """The five fields that the instance serves."""
    async with LoopbackExchange() as server:
        server.on("GET", "/heartbeat", SIGN)
        source = HttpBeat(f"{server.rest}/heartbeat")
        (beat,) = await source.read()
        assert (beat.node, beat.role, beat.seq) == ("n", "all", 7)
        assert not source.authoritative
        await source.close()
        await source.close()


@pytest.mark.parametrize(
    "answer",
    [Answer("<html>", status=200), Answer({}, status=200), Answer(SIGN, status=503), Answer(cut=True)],
)
async def test_anything_else_is_no_heartbeat(answer: Answer) -> None:
    """A page, an empty object, an error or a broken connection is said, never taken for life."""
    async with LoopbackExchange() as server:
        server.on("GET", "/heartbeat", answer)
        source = HttpBeat(f"{server.rest}/heartbeat")
        with pytest.raises(HeartbeatUnreadError):
            await source.read()
        await source.close()


async def test_nobody_there_is_said() -> None:
    """A refused connection."""
    source = HttpBeat("http://127.0.0.1:9/heartbeat")
    with pytest.raises(HeartbeatUnreadError):
        await source.read()
    await source.close()
