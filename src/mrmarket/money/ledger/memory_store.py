"""A ledger store without a disk: the reference that the others are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from mrmarket.money.ledger.books import Holding
from mrmarket.money.ledger.chain import Record
from mrmarket.money.ledger.errors import LedgerError
from mrmarket.money.ledger.group import Hold, HoldState
from mrmarket.money.ledger.holds import made_holds, settled_holds
from mrmarket.money.ledger.port import State
from mrmarket.store.sql import Sql


class MemoryStore:
    """Keeps records in a list. Closing it loses nothing; it can be loaded again."""

    def __init__(self) -> None:
        self.epoch = 1
        self._records: list[Record] = []
        self._by_key: dict[str, Record] = {}
        self._reversals: dict[str, str] = {}
        self._balances: dict[Holding, int] = {}
        self._holds: dict[str, Hold] = {}

    @property
    def sql(self) -> Sql:
        """There are no tables here."""
        raise LedgerError("a ledger in memory keeps no tables; open it on SQLite or PostgreSQL")

    def load(self) -> State:
        """Everything the rules need in memory."""
        state = State(balances=dict(self._balances))
        for record in self._records:
            state.assets.update((asset.id, asset) for asset in record.assets)
            state.accounts.update((account.id, account) for account in record.accounts)
            state.seq, state.at_ms, state.hash = record.seq, record.at_ms, record.hash
        for hold in self._holds.values():
            if hold.state is HoldState.PENDING:
                state.open_hold(hold)
        return state

    def find(self, key: str) -> Record | None:
        """The committed record of a key."""
        return self._by_key.get(key)

    def find_all(self, keys: Sequence[str]) -> Mapping[str, Record]:
        """The committed records of those keys that have one."""
        return {key: self._by_key[key] for key in keys if key in self._by_key}

    def find_hold(self, hold_id: str) -> Hold | None:
        """A committed hold."""
        return self._holds.get(hold_id)

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
        for record in records:
            self._holds.update((hold.id, hold) for _, hold in made_holds(record))
            for name, state in settled_holds(record):
                self._holds[name] = replace(self._holds[name], state=state)

    def rollback(self) -> None:
        """Nothing was written."""

    def records(self, after_seq: int, limit: int) -> Iterable[Record]:
        """Committed records in order."""
        return self._records[after_seq : after_seq + limit]

    def close(self) -> None:
        """Nothing to release."""
