"""The one thread that writes money: it empties a queue, commits once, and answers everybody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Final, TypeVar

import msgspec

from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.money.ledger.group import Answer, Group
from mrmarket.money.ledger.ledger import Ledger, Outcome, Work

_MAX_BATCH: Final = 4_096

T = TypeVar("T")


class _Request(msgspec.Struct, frozen=True):
    item: Group | Work
    future: Future[Any] | asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop | None
    """Where the caller waits; None for a caller that waits in a thread."""


class LedgerWriter:
    """Group commit: requests that arrive while the disk is busy share the next sync."""

    def __init__(self, ledger: Ledger, *, threaded: bool = True) -> None:
        """Without a thread of its own every request is carried out at once, by whoever asks."""
        self._ledger = ledger
        self._queue: SimpleQueue[_Request | None] = SimpleQueue()
        self._door = threading.Lock()
        self._closing = False
        self._open = True
        self._thread: threading.Thread | None = None
        if threaded:
            self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
            self._thread.start()

    async def post(self, group: Group) -> Answer:
        """Post a group and wait until it is on the disk.

        Raises:
            IdempotencyConflictError: if the key was used for other content.
            StoreError, LedgerStoppedError: if the commit failed; the group has no effect.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._put(_Request(group, future, loop))
        return await future

    def submit(self, group: Group) -> Future[Answer]:
        """Post a group from a thread; the future has what `post` would return or raise."""
        future: Future[Answer] = _promise()
        self._put(_Request(group, future, None))
        return future

    def perform(self, work: Callable[[Draft], T]) -> Future[T]:
        """Carry out a unit of work in the writer's transaction, all or nothing.

        Whoever stops waiting takes nothing back: the future cannot be cancelled.
        """
        future: Future[T] = _promise()
        self._put(_Request(work, future, None))
        return future

    def close(self) -> None:
        """Finish what was asked, then release the ledger; closing twice is harmless."""
        with self._door:
            if not self._closing:
                self._closing = True
                self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
        self._ledger.close()

    def drain(self) -> None:
        """Carry out what waits, here and now."""
        while not self._queue.empty():
            if batch := self._take():
                self._answer(batch, self._ledger.drain([request.item for request in batch]))

    def _put(self, request: _Request) -> None:
        with self._door:
            if self._closing:
                raise LedgerStoppedError("closed")
            self._queue.put(request)
        if self._thread is None:
            self.drain()

    def _run(self) -> None:
        while batch := self._take():
            outcomes = self._ledger.drain([request.item for request in batch])
            self._answer(batch, outcomes)

    def _take(self) -> list[_Request]:
        """Whatever waits, at least one; empty when closed. What closes comes after every request."""
        batch: list[_Request] = []
        request = self._queue.get() if self._open else None
        while request is not None:
            batch.append(request)
            if len(batch) == _MAX_BATCH or self._queue.empty():
                return batch
            request = self._queue.get()
        self._open = False
        return batch

    def _answer(self, batch: list[_Request], outcomes: list[Outcome]) -> None:
        waiting: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Outcome]]] = {}
        for request, outcome in zip(batch, outcomes, strict=True):
            if isinstance(request.future, Future):
                if outcome.error is not None:
                    request.future.set_exception(outcome.error)
                else:
                    request.future.set_result(outcome.value)
            elif request.loop is not None:
                waiting.setdefault(request.loop, []).append((request.future, outcome))
        for loop, answers in waiting.items():
            # One wake-up a loop and a drain: waking it for every caller would cost more than the posting.
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, answers)


def _promise() -> Future[Any]:
    """A future that nobody can cancel: the answer to it is what has happened.

    A task that waits for it by `asyncio.wrap_future` and ends would cancel it otherwise, and the writer's
    thread would end with an answer that nobody may have.
    """
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future


def _resolve(answers: list[tuple[asyncio.Future[Any], Outcome]]) -> None:
    for future, outcome in answers:
        if future.done():  # the caller gave up waiting; what it asked for has happened all the same
            continue
        if outcome.error is not None:
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome.value)
