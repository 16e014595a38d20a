"""The one thread that writes money: it empties a queue, commits once, and answers everybody."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.money.ledger.group import Answer, Group
from mrmarket.money.ledger.ledger import Ledger, Outcome, Work

_MAX_BATCH: Final = 1_024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Request:
    item: Group | Work
    future: Future[Any] | asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop | None
    """Where the caller waits; None for a caller that waits in a thread."""


class LedgerWriter:
    """Group commit: requests that arrive while the disk is busy share the next sync."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._queue: deque[_Request] = deque()
        self._wake = threading.Condition()
        self._closing = False
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
        future: Future[Answer] = Future()
        self._put(_Request(group, future, None))
        return future

    def perform(self, work: Callable[[Draft], T]) -> Future[T]:
        """Carry out a unit of work in the writer's transaction, all or nothing."""
        future: Future[T] = Future()
        self._put(_Request(work, future, None))
        return future

    def close(self) -> None:
        """Finish what was asked, then release the ledger; closing twice is harmless."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        self._ledger.close()

    def _put(self, request: _Request) -> None:
        with self._wake:
            if self._closing:
                raise LedgerStoppedError("closed")
            self._queue.append(request)
            self._wake.notify()

    def _run(self) -> None:
        while batch := self._take():
            outcomes = self._ledger.drain([request.item for request in batch])
            self._answer(batch, outcomes)

    def _take(self) -> list[_Request]:
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            count = min(len(self._queue), _MAX_BATCH)
            return [self._queue.popleft() for _ in range(count)]

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


def _resolve(answers: list[tuple[asyncio.Future[Any], Outcome]]) -> None:
    for future, outcome in answers:
        if future.done():  # the caller gave up waiting; what it asked for has happened all the same
            continue
        if outcome.error is not None:
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome.value)
