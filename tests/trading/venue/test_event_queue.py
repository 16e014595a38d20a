"""The queue between a stream and its follower, and the wait before a return."""

from __future__ import annotations

import asyncio

import pytest

from mrmarket.trading.venue.ccxt_adapter.backoff import Backoff
from mrmarket.trading.venue.event_queue import EventQueue, QueueClosedError


async def test_items_come_in_order_and_the_end_after_the_last() -> None:
    """Closing lets the follower take what waits."""
    queue: EventQueue[int] = EventQueue()
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    queue.put(1)
    queue.put(2)
    assert await waiting == 1
    queue.close()
    assert await queue.get() == 2
    with pytest.raises(QueueClosedError):
        await queue.get()


async def test_closing_wakes_a_waiting_follower() -> None:
    """A follower that waits for the next item learns that there is none."""
    queue: EventQueue[int] = EventQueue()
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    queue.close()
    with pytest.raises(QueueClosedError):
        await waiting


async def test_a_cancelled_follower_loses_nothing() -> None:
    """An item that comes after a cancelled wait is still there."""
    queue: EventQueue[int] = EventQueue()
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    queue.put(1)
    assert await queue.get() == 1


def test_clear_says_how_much_was_dropped() -> None:
    """Conflation is counted."""
    queue: EventQueue[int] = EventQueue()
    queue.put(1)
    queue.put(2)
    assert (queue.clear(), len(queue)) == (2, 0)


def test_waits_double_are_jittered_bounded_and_begin_anew() -> None:
    """From an eighth to a quarter of a second at first, never beyond half a minute."""
    low, high = Backoff(lambda: 0.0), Backoff(lambda: 1.0)
    assert [low.next_s() for _ in range(4)] == [0.125, 0.25, 0.5, 1.0]
    assert [high.next_s() for _ in range(20)][-1] == 30.0
    high.reset()
    assert high.next_s() == 0.25
