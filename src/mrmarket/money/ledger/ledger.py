"""The ledger: batches of requests become one durable commit each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.crash import reach
from mrmarket.core.errors import MrMarketError
from mrmarket.money.ledger.chain import Record
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.money.ledger.group import Group
from mrmarket.money.ledger.port import LedgerStore, State

Work = Callable[[Draft], Any]
"""A unit of work inside the writer's transaction: it may post groups and write tables of its own."""


class Outcome(msgspec.Struct, frozen=True):
    """What one request of a batch came to.

    The collector has to see it: an error leads by its traceback to the frame that holds its outcome.
    """

    value: Any = None
    """An `Answer` for a group, what it returned for a unit of work."""
    error: Exception | None = None


class Ledger:
    """Decides and commits. Synchronous and single-threaded: the writer thread drives it, or a test does."""

    def __init__(self, store: LedgerStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._state = store.load()
        self._stopped: str | None = None
        self._closed = False

    @property
    def state(self) -> State:
        """Where the books stand after the last commit. To be read by the thread that drains only."""
        return self._state

    def drain(self, batch: Sequence[Group | Work]) -> list[Outcome]:
        """Carry out requests in order and commit them together; when this returns they are on the disk.

        A request that fails has no effect and does not disturb the others. If the commit itself fails,
        every request of the batch has the error and none has an effect; after an error that is not
        retryable the ledger takes no more, because the disk can no longer be trusted.
        """
        if self._stopped is not None:
            return [Outcome(error=LedgerStoppedError(self._stopped))] * len(batch)
        try:
            return self._commit(batch)
        except Exception as error:  # noqa: BLE001 - every caller of the batch is handed it
            if not (isinstance(error, MrMarketError) and error.retryable):
                self._stopped = str(error)
            return [Outcome(error=error)] * len(batch)

    def close(self) -> None:
        """Release the store; closing twice is harmless."""
        if not self._closed:
            self._closed = True
            self._stopped = self._stopped or "closed"
            self._store.close()

    def _commit(self, batch: Sequence[Group | Work]) -> list[Outcome]:
        self._store.begin()
        reach("ledger.begun")
        try:
            keys = [request.key for request in batch if isinstance(request, Group)]
            looked_up: dict[str, Record | None] = dict.fromkeys(keys)
            looked_up.update(self._store.find_all(keys))
            now_ms = max(self._clock.now_ns() // NS_PER_MS, self._state.at_ms)
            draft = Draft(self._state, self._store, now_ms, looked_up)
            outcomes = [self._carry_out(draft, request) for request in batch]
            wrote = bool(draft.records) or any(not isinstance(request, Group) for request in batch)
            if wrote:
                reach("ledger.decided")
                self._store.commit(draft.records, draft.balances)
                draft.settle_into(self._state)
            return outcomes
        finally:
            # Harmless after a commit; after an error it leaves the store as it was.
            self._store.rollback()

    def _carry_out(self, draft: Draft, request: Group | Work) -> Outcome:
        if isinstance(request, Group):
            try:
                return Outcome(draft.post(request))
            except MrMarketError as error:
                return Outcome(error=error)
        mark = draft.mark()
        try:
            with self._store.savepoint():
                return Outcome(request(draft))
        except Exception as error:  # noqa: BLE001 - handed to whoever asked, who alone knows what it means
            draft.rewind(mark)
            return Outcome(error=error)
