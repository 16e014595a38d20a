"""The one writer of a run's event log: batches in order, off the event loop, then tells who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import msgspec

from mrmarket.core import crash
from mrmarket.core.events import Fact
from mrmarket.store.errors import StoreError
from mrmarket.store.event_log import LoggedFact, natural_key
from mrmarket.store.run_fold import RunFold
from mrmarket.trading.execution.journal import OrderJournal

_LINGER_S: Final = 0.05
_LARGEST_BATCH: Final = 500

Then = Callable[[bool], None]
"""Called on the event loop once a fact is durable; False if the log held it already."""


class Fold(Protocol):
    """Adds up what the log has taken."""

    def take(self, row: LoggedFact) -> None:
        """A row that was just appended."""
        ...

    def due(self, *, now: bool = False) -> RunFold | None:
        """What is to be kept of it, if it is time."""
        ...


class _Entry(msgspec.Struct, frozen=True):
    fact: Fact
    urgent: bool
    then: Then | None


class FactWriter:
    """Appends facts in the order they were given.

    An urgent fact (a fill) goes to the disk at once with everything before it; the others wait a
    moment for company. After the first failure nothing more is written: the run must stop, and
    recovery asks the venue for what is missing.
    """

    def __init__(self, journal: OrderJournal, stream: str, on_failure: Callable[[Exception], None]) -> None:
        self.written = 0
        """Facts appended so far."""
        self.told: Callable[[Fact], None] | None = None
        """Hears of each fact when it is queued; must return at once and never raise."""
        self.fold_failures = 0
        """Folds that could not be kept; the next start then reads more of the log."""
        self.failure: Exception | None = None
        self._journal = journal
        self._stream = stream
        self._on_failure = on_failure
        self._queue: list[_Entry] = []
        self._urgent = 0
        self._thread = ThreadPoolExecutor(1, "event-log")
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._linger: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._fold: Fold | None = None
        self._keep: Callable[[RunFold], None] | None = None

    def fold_into(self, fold: Fold, keep: Callable[[RunFold], None]) -> None:
        """Add up every row from now on, and keep the sum when it is due."""
        self._fold, self._keep = fold, keep

    @property
    def urgent_pending(self) -> int:
        """Urgent facts that are not durable yet."""
        return self._urgent

    def write(self, fact: Fact, *, urgent: bool = False, then: Then | None = None) -> None:
        """Queue a fact; returns at once.

        What an answer under way tells a closed writer is left to the next life, which asks the venue for it.
        """
        if self.failure is not None or self._closed:
            return
        self._queue.append(_Entry(fact, urgent, then))
        if self.told is not None:
            self.told(fact)
        self._urgent += urgent
        self._idle.clear()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="event-log")
        if urgent:
            self._wake.set()
        elif self._linger is None:
            self._linger = asyncio.get_running_loop().call_later(_LINGER_S, self._wake.set)

    async def flush(self) -> None:
        """Wait until everything queued is durable, or the writer has failed."""
        if self._closed:
            return
        self._wake.set()
        await self._idle.wait()

    async def close(self) -> None:
        """Write what is queued and release the thread; once closed, it has nothing left to wait for."""
        if self._closed:
            return
        if self._queue and self.failure is None:
            await self.flush()
        if self.failure is None:
            await self._keep_fold(now=True)
        if self._linger is not None:
            self._linger.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._closed = True
        self._thread.shutdown()

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._linger is not None:
                    self._linger.cancel()
                    self._linger = None
                while self._queue:
                    await self._write_batch()
                self._idle.set()
        except Exception as error:  # noqa: BLE001 - whatever stops the writer must stop the run, not the task alone
            self._fail(error)

    async def _write_batch(self) -> None:
        batch, self._queue = self._queue[:_LARGEST_BATCH], self._queue[_LARGEST_BATCH:]
        facts = [entry.fact for entry in batch]
        loop = asyncio.get_running_loop()
        logged = await loop.run_in_executor(self._thread, self._journal.append_facts, self._stream, facts)
        crash.reach("execution.facts_written")
        self.written += len(logged)
        appended = {natural_key(row.fact) for row in logged}
        for entry in batch:
            self._urgent -= entry.urgent
            if entry.then is not None:
                entry.then(natural_key(entry.fact) in appended)
        if self._fold is not None:
            for row in logged:
                self._fold.take(row)
            await self._keep_fold()

    async def _keep_fold(self, *, now: bool = False) -> None:
        fold = None if self._fold is None else self._fold.due(now=now)
        if fold is None or self._keep is None:
            return
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._keep, fold)
        except StoreError:
            self.fold_failures += 1

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self._queue.clear()
        self._idle.set()
        self._on_failure(error)
