"""Ends tasks for certain: a cancellation may be lost on its way to whoever waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

_AGAIN_S: Final = 1.0
"""A task that was cancelled has its last steps, an answer from a thread for instance, done by then."""


async def end_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel them and return when each has ended, whatever with.

    Whoever does not end is cancelled again: in Python 3.11 `asyncio.wait_for`, which libraries of exchanges
    use, drops a cancellation that comes in the same turn as the answer, and its caller goes on for ever.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=_AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()  # seen: nobody is to be told that it was not
