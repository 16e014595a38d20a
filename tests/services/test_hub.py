"""Updates reach every watcher; slow ones cost nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from mrmarket.services.api.face import Update
from mrmarket.services.hub import UpdateHub


async def first(updates: AsyncIterator[Update], count: int) -> list[object]:
    """The data of the first few updates."""
    return [(await anext(updates)).data for _ in range(count)]


async def test_values_are_conflated_and_rows_are_not() -> None:
    """Of a value only the latest is delivered, of rows every one, in order."""
    hub = UpdateHub()
    updates = hub.subscribe(frozenset({"status", "fill"}))
    waiting = asyncio.ensure_future(anext(updates))
    await asyncio.sleep(0)
    for number in range(3):
        hub.publish("status", number)
        hub.publish("fill", number)
    hub.publish("pool", "not watched")
    seen = [(await waiting).data, *await first(updates, 3)]
    assert seen == [0, 1, 2, 2]


async def test_what_happens_before_anybody_reads_is_not_missed() -> None:
    """Whoever subscribes and then reads the present hears of every change since, however long that takes."""
    hub = UpdateHub()
    updates = hub.subscribe(frozenset({"orders"}))
    assert hub.wants("orders")
    hub.publish("orders", [])
    assert await first(updates, 1) == [[]]
    await updates.aclose()
    assert not hub.wants("orders")


async def test_nobody_watching_is_known() -> None:
    """A topic is wanted from the first subscriber until the last has gone."""
    hub = UpdateHub()
    assert not hub.wants("market")
    updates = hub.subscribe(frozenset({"market"}))
    waiting = asyncio.ensure_future(anext(updates))
    await asyncio.sleep(0)
    assert hub.wants("market")
    hub.publish("market", 1)
    await waiting
    await updates.aclose()
    await updates.aclose()
    assert not hub.wants("market")


async def test_who_falls_too_far_behind_is_ended() -> None:
    """After 2,000 unread rows the subscription ends, so that memory stays bounded."""
    hub = UpdateHub()
    updates = hub.subscribe(frozenset({"fill"}))
    waiting = asyncio.ensure_future(anext(updates))
    await asyncio.sleep(0)
    for number in range(2001):
        hub.publish("fill", number)
    rest = [(await waiting).data] + [update.data async for update in updates]
    assert rest == list(range(2001))


async def test_closing_the_hub_ends_every_subscription() -> None:
    """Watchers do not keep a stopping instance alive."""
    hub = UpdateHub()
    updates = hub.subscribe(frozenset({"status"}))
    waiting = asyncio.ensure_future(anext(updates, None))
    await asyncio.sleep(0)
    hub.close()
    assert await waiting is None
