"""A ledger store without a disk: the reference that the others are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from mrmarket.money.ledger.chain import Record
from mrmarket.money.ledger.port import State
from mrmarket.money.ledger.rules import Holding


class MemoryStore:
    """Keeps records in a list. Closing it loses nothing; it can be loaded again."""

    def __init__(self) -> None:
        self.epoch = 1
        self._records: list[Record] = []
        self._by_key: dict[str, Record] = {}
        self._reversals: dict[str, str] = {}
        self._balances: dict[Holding, int] = {}

    def load(self) -> State:
        """Everything the rules need in memory."""
        state = State(balances=dict(self._balances))
        for record in self._records:
            state.assets.update((asset.id, asset) for asset in record.assets)
            state.accounts.update((account.id, account) for account in record.accounts)
            state.seq, state.hash = record.seq, record.hash
        return state

    def find(self, key: str) -> Record | None:
        """The committed record of a key."""
        return self._by_key.get(key)

    def find_reversal(self, key: str) -> str | None:
        """Key of the committed group that reverses another."""
        return self._reversals.get(key)

    def begin(self) -> None:
        """Nothing to prepare."""

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Nothing to undo: work on a memory store writes through the draft alone."""
        yield

    def commit(self, records: Sequence[Record], balances: Mapping[Holding, int]) -> None:
        """Keep the records."""
        self._records.extend(records)
        self._by_key.update((record.key, record) for record in records)
        self._reversals.update(
            (record.reverses, record.key) for record in records if record.reverses is not None
        )
        self._balances.update(balances)

    def rollback(self) -> None:
        """Nothing was written."""

    def records(self, after_seq: int, limit: int) -> Iterable[Record]:
        """Committed records in order."""
        return self._records[after_seq : after_seq + limit]

    def close(self) -> None:
        """Nothing to release."""
