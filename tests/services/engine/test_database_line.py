"""Calls to a database that may not answer."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mrmarket.core.clock import SystemClock
from mrmarket.services.engine.database_line import DatabaseLine, DatabaseSilentError
from mrmarket.store.errors import DatabaseDisconnectedError, LeaseHeldError


def is_silent(line: DatabaseLine) -> bool:
    """Whether nothing has been answered since a call failed."""
    return line.silent_ns is not None


async def test_a_hung_call_is_given_up_and_not_followed_by_more_of_its_kind() -> None:
    """Each of them would take a thread; other calls go on, and an answer ends the silence."""
    line = DatabaseLine(SystemClock(), 0.05)
    let, calls = threading.Event(), []

    def hang() -> None:
        calls.append("hang")
        let.wait()

    for _ in range(3):
        with pytest.raises(DatabaseSilentError, match="no answer to hang"):
            await line.call(hang)
    assert calls == ["hang"]
    assert is_silent(line)
    assert await line.call(lambda: 7, name="other") == 7
    assert not is_silent(line)
    let.set()
    async with asyncio.timeout(60):
        while True:
            try:
                await line.call(hang)
            except DatabaseSilentError:
                await asyncio.sleep(0.01)
            else:
                break
    assert line.failures >= 3


async def test_a_refusal_shows_a_database_at_work_and_a_lost_one_does_not() -> None:
    """Both are raised; only the second begins a silence."""
    line = DatabaseLine(SystemClock(), 5)

    def refuse() -> None:
        raise LeaseHeldError("here", "run", "another", 1)

    def lose() -> None:
        raise DatabaseDisconnectedError("here", "cut")

    with pytest.raises(DatabaseDisconnectedError):
        await line.call(lose)
    assert is_silent(line)
    with pytest.raises(LeaseHeldError):
        await line.call(refuse)
    assert not is_silent(line)
    assert line.failures == 1
