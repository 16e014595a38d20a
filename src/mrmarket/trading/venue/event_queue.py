"""A queue between a stream's reader and whoever follows it, on one event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class QueueClosedError(Exception):
    """Nothing more will come; the follower's loop ends."""


class EventQueue(Generic[T]):
    """Unbounded and never dropping by itself; `clear` is for what may be conflated."""

    __slots__ = ("_closed", "_items", "_waiter", "highest")

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self.highest = 0
        """How many items have waited at most: the lag of the follower."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Add an item; the follower runs next."""
        self._items.append(item)
        waiting = len(self._items)
        self.highest = max(self.highest, waiting)
        self._wake()

    def clear(self) -> int:
        """Forget what waits; say how many items that were."""
        count = len(self._items)
        self._items.clear()
        return count

    def close(self) -> None:
        """End the follower once it has taken what waits."""
        self._closed = True
        self._wake()

    async def get(self) -> T:
        """The next item; one follower at a time.

        Raises:
            QueueClosedError: the queue is closed and empty.
        """
        while not self._items:
            if self._closed:
                raise QueueClosedError
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._items.popleft()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
