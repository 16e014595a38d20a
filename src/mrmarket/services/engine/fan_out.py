"""One stream for many followers: read once, from the first follower's coming to the last one's going."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Generic, TypeVar

from mrmarket.trading.venue.event_queue import EventQueue, QueueClosedError

T = TypeVar("T")


class FanOut(Generic[T]):
    """Reads a stream in a task of its own and puts every item into each follower's queue.

    When the stream ends or fails, every follower's does.
    """

    def __init__(
        self,
        source: Callable[[], AsyncIterator[T]],
        name: str,
        *,
        note: Callable[[T], None] = lambda _: None,
        welcome: Callable[[], Sequence[T]] = tuple,
        most_behind: int = 0,
    ) -> None:
        """Nothing is read before somebody follows.

        Args:
            source: opens the stream.
            name: of the task.
            note: sees each item before the followers do.
            welcome: what a follower begins with, and what takes the place of items it is too late for.
            most_behind: so many items may wait for a follower; 0 is any number.
        """
        self._source = source
        self._name = name
        self._note = note
        self._welcome = welcome
        self._most_behind = most_behind
        self._followers: dict[EventQueue[T], Callable[[T], bool]] = {}
        self._task: asyncio.Task[None] | None = None
        self._errors: dict[EventQueue[T], Exception] = {}
        """What ended the stream, for followers that have not come to its end yet."""

    @property
    def followers(self) -> int:
        """How many there are."""
        return len(self._followers)

    async def follow(self, wants: Callable[[T], bool] = lambda _: True) -> AsyncIterator[T]:
        """Everything from now on that the follower wants, after its welcome.

        Raises:
            Exception: whatever ended the stream.
        """
        queue: EventQueue[T] = EventQueue()
        for item in self._welcome():
            queue.put(item)
        if not self._followers:
            self._task = asyncio.create_task(self._read(self._task), name=self._name)
        self._followers[queue] = wants
        try:
            while True:
                try:
                    item = await queue.get()
                except QueueClosedError:
                    break
                yield item
        finally:
            self._leave(queue)
            error = self._errors.pop(queue, None)
        if error is not None:
            raise error

    async def _read(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            # The stream allows one reader: the last one must be gone.
            await asyncio.gather(before, return_exceptions=True)
        try:
            async for item in self._source():
                self._note(item)
                for queue, wants in self._followers.items():
                    if wants(item):
                        self._put(queue, item)
        except Exception as error:  # noqa: BLE001 - raised by each follower, which knows what to do
            self._errors |= dict.fromkeys(self._followers, error)
        # Whoever comes from now on begins a new stream, also while others read what was left of this one.
        ended, self._followers = self._followers, {}
        for queue in ended:
            queue.close()

    def _put(self, queue: EventQueue[T], item: T) -> None:
        if self._most_behind and len(queue) >= self._most_behind and (fresh := self._welcome()):
            queue.clear()
            for replacement in fresh:
                queue.put(replacement)
            return
        queue.put(item)

    def _leave(self, queue: EventQueue[T]) -> None:
        followed = self._followers.pop(queue, None) is not None
        if followed and not self._followers and self._task is not None:
            self._task.cancel()
