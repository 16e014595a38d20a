"""The writer thread: everybody gets the own answer, and nobody before the disk has it."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from money.ledger_samples import ALICE, BOB, OPENING, USD, ask, deposit, move
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger.chain import Record
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import IdempotencyConflictError, LedgerStoppedError
from mrmarket.money.ledger.group import Group, Posted
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.memory_store import MemoryStore
from mrmarket.money.ledger.rules import Holding
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.store.errors import DatabaseFullError


class GatedStore(MemoryStore):
    """A store whose commits wait for a gate, count themselves, and can fail."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []
        self.failure: Exception | None = None

    def commit(self, records: Sequence[Record], balances: Mapping[Holding, int]) -> None:
        """Commit when the gate is open."""
        self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.batches.append(len(records))
        super().commit(records, balances)


@pytest.fixture
def store() -> GatedStore:
    """The store under the writer."""
    return GatedStore()


@pytest.fixture
def writer(store: GatedStore) -> Iterator[LedgerWriter]:
    """A writer on open books."""
    writer = LedgerWriter(Ledger(store, ManualClock()))
    assert isinstance(writer.submit(OPENING).result(), Posted)
    yield writer
    store.gate.set()
    writer.close()


async def test_many_callers_share_a_commit(writer: LedgerWriter, store: GatedStore) -> None:
    """Requests that arrive while the disk is busy are committed together, each with its own answer."""
    store.gate.clear()
    first = asyncio.ensure_future(writer.post(deposit("first", 1)))
    await asyncio.sleep(0)
    others = [asyncio.ensure_future(writer.post(deposit(f"k{number}", 1))) for number in range(50)]
    await asyncio.sleep(0)
    assert not first.done()
    store.gate.set()
    answers = await asyncio.gather(first, *others)
    assert sum(store.batches[1:]) == 51
    assert len(store.batches) <= 3
    assert [answer.key for answer in answers] == ["first", *(f"k{number}" for number in range(50))]
    assert sorted(answer.seq for answer in answers) == list(range(2, 53))


async def test_one_callers_error_is_not_anothers(writer: LedgerWriter) -> None:
    """A conflict is raised where it belongs."""
    results = await asyncio.gather(
        writer.post(deposit("a", 1)),
        writer.post(deposit("a", 2)),
        writer.post(deposit("b", 1)),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [Posted, IdempotencyConflictError, Posted]


async def test_a_caller_who_gives_up_has_asked_all_the_same(writer: LedgerWriter, store: GatedStore) -> None:
    """Cancelling the wait does not cancel the posting; a repeat gets its answer."""
    store.gate.clear()
    waiting = asyncio.ensure_future(writer.post(deposit("a", 1)))
    await asyncio.sleep(0)
    waiting.cancel()
    store.gate.set()
    answer = await writer.post(deposit("a", 1))
    assert isinstance(answer, Posted)
    assert sum(store.batches) == 2


async def test_a_task_that_ends_while_its_work_waits_takes_nothing_along(writer: LedgerWriter) -> None:
    """The work is done, and the writer goes on answering everybody else."""
    done: list[str] = []
    busy = threading.Event()
    first = writer.perform(lambda _: busy.wait(60))
    waiting = asyncio.ensure_future(asyncio.wrap_future(writer.perform(lambda _: done.append("given up"))))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    busy.set()
    last = writer.perform(lambda _: done.append("last"))
    async with asyncio.timeout(60):
        await asyncio.wrap_future(first)
        await asyncio.wrap_future(last)
    assert done == ["given up", "last"]


def test_a_unit_of_work_returns_and_raises(writer: LedgerWriter) -> None:
    """Its result or its error reaches the thread that asked."""

    def read(draft: Draft) -> int:
        return draft.balance(ALICE.id, USD.id)

    def fail(draft: Draft) -> int:
        raise ZeroDivisionError

    writer.submit(deposit("a", 7)).result()
    assert writer.perform(read).result() == 7
    with pytest.raises(ZeroDivisionError):
        writer.perform(fail).result()


def test_a_full_disk_fails_the_batch_and_heals(writer: LedgerWriter, store: GatedStore) -> None:
    """Everybody in the batch has the error, nobody the effect; later requests go through."""
    store.failure = DatabaseFullError(Path("money.db"))
    with pytest.raises(DatabaseFullError):
        writer.submit(deposit("a", 1)).result()
    store.failure = None
    assert isinstance(writer.submit(deposit("a", 1)).result(), Posted)


def test_an_unknown_error_stops_the_ledger(writer: LedgerWriter, store: GatedStore) -> None:
    """After an error that nobody foresaw nothing is written past it, and callers are told."""
    store.failure = OSError("the disk is on fire")
    with pytest.raises(OSError, match="on fire"):
        writer.submit(deposit("a", 1)).result()
    store.failure = None
    with pytest.raises(LedgerStoppedError, match="on fire"):
        writer.submit(deposit("b", 1)).result()


def test_closing_finishes_what_was_asked(writer: LedgerWriter, store: GatedStore) -> None:
    """Requests in the queue are answered before the writer ends; later ones are refused."""
    store.gate.clear()
    pending = [writer.submit(deposit(f"k{number}", 1)) for number in range(5)]
    closer = threading.Thread(target=writer.close)
    closer.start()
    store.gate.set()
    closer.join()
    assert all(isinstance(future.result(), Posted) for future in pending)
    with pytest.raises(LedgerStoppedError, match="closed"):
        writer.submit(deposit("late", 1))
    writer.close()


def test_an_answer_is_on_the_disk(path: Path) -> None:
    """What was acknowledged is there for a process that opens the file while the writer still runs."""
    writer = LedgerWriter(Ledger(SqliteStore.open(path, "first"), ManualClock()))
    writer.submit(OPENING).result()
    writer.submit(deposit("a", 5)).result()
    other = Ledger(SqliteStore.open(path, "second"), ManualClock())
    assert other.state.balances[ALICE.id, USD.id] == 5
    assert isinstance(ask(other, Group("b", (move(ALICE, BOB, 5),))), Posted)
    writer.close()
    other.close()


def test_a_loop_that_is_gone_is_not_woken(store: GatedStore) -> None:
    """A caller whose event loop has ended does not bring the writer down."""
    writer = LedgerWriter(Ledger(store, ManualClock()))
    store.gate.clear()

    loop = asyncio.new_event_loop()
    task = loop.create_task(writer.post(OPENING))
    loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    store.gate.set()
    assert isinstance(writer.submit(deposit("a", 1)).result(), Posted)
    writer.close()


class _Odd(Exception):  # noqa: N818 - anything that a unit of work may raise
    """Something to hold weakly."""


def test_an_error_that_was_told_is_forgotten(writer: LedgerWriter) -> None:
    """Its traceback leads back to what holds it; the collector sees that nobody else does."""
    errors: list[weakref.ref[BaseException]] = []

    def fail(_draft: Draft) -> None:
        raise _Odd

    def ask_for_it() -> None:
        with pytest.raises(_Odd) as caught:
            writer.perform(fail).result()
        errors.append(weakref.ref(caught.value))

    ask_for_it()
    assert isinstance(writer.submit(deposit("next", 1)).result(), Posted)  # the thread holds its last batch
    gc.collect()
    assert errors[0]() is None
