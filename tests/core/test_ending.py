"""Tasks end, also those that a cancellation passed by."""

from __future__ import annotations

import asyncio

from mrmarket.core.ending import end_all


async def deaf(times: int, heard: list[int]) -> None:
    """Goes on after so many cancellations."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.append(len(heard))
            if len(heard) > times:
                raise


async def test_a_lost_cancellation_is_sent_again() -> None:
    """One that goes on after its first cancellation is cancelled a second time."""
    heard: list[int] = []
    task = asyncio.create_task(deaf(1, heard))
    await asyncio.sleep(0)
    await end_all([task])
    assert (task.cancelled(), heard) == (True, [0, 1])


async def test_what_a_task_fails_with_is_its_own() -> None:
    """A task that answers its cancellation with an error has ended; so has one that had before."""

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("at the end")

    async def quick() -> int:
        return 1

    tasks: list[asyncio.Task[object]] = [asyncio.create_task(stubborn()), asyncio.create_task(quick())]
    await asyncio.sleep(0)
    await end_all(tasks)
    assert isinstance(tasks[0].exception(), ValueError)
    assert tasks[1].result() == 1
    await end_all([])
