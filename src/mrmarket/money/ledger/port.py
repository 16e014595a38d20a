"""What the ledger asks of a place to keep its groups. Memory, SQLite and PostgreSQL answer alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account
from mrmarket.money.ledger.books import NOTHING_PENDING, Holding, Pending
from mrmarket.money.ledger.chain import GENESIS, Record
from mrmarket.money.ledger.group import Hold
from mrmarket.store.sql import Sql


@dataclass(slots=True)
class State:
    """Where the books stand after the last commit."""

    assets: dict[str, Asset] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    balances: dict[Holding, int] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    """Those that are pending."""
    pending: dict[Holding, Pending] = field(default_factory=dict)
    """What those holds set aside; no entry where nothing is."""
    at_ms: int = 0
    """When the last group was recorded. The ledger's time never goes back, whatever the clock does."""
    seq: int = 0
    hash: bytes = GENESIS

    def open_hold(self, hold: Hold) -> None:
        """Take in a pending hold that was read from a store."""
        self.holds[hold.id] = hold
        giver, taker = (hold.debit, hold.asset), (hold.credit, hold.asset)
        outgoing, incoming = self.pending.get(giver, NOTHING_PENDING)
        self.pending[giver] = Pending(outgoing + hold.units, incoming)
        outgoing, incoming = self.pending.get(taker, NOTHING_PENDING)
        self.pending[taker] = Pending(outgoing, incoming + hold.units)


class LedgerStore(Protocol):
    """Keeps records in order and balances beside them. One thread at a time."""

    epoch: int
    """Fence of this writer; a newer writer has a higher one."""

    @property
    def sql(self) -> Sql:
        """Other tables in the same database, inside the transaction that is under way.

        Raises:
            LedgerError: from a store that keeps no tables.
        """
        ...

    def load(self) -> State:
        """Everything the rules need in memory."""
        ...

    def find(self, key: str) -> Record | None:
        """The committed record of a key."""
        ...

    def find_all(self, keys: Sequence[str]) -> Mapping[str, Record]:
        """The committed records of those keys that have one."""
        ...

    def find_hold(self, hold_id: str) -> Hold | None:
        """A committed hold, pending or settled."""
        ...

    def find_reversal(self, key: str) -> str | None:
        """Key of the committed group that reverses another."""
        ...

    def begin(self) -> None:
        """Start a transaction; raises `StaleFenceError` if a newer writer took over."""
        ...

    def savepoint(self) -> AbstractContextManager[None]:
        """Inside a transaction: an error that leaves the block undoes what the block wrote."""
        ...

    def commit(self, records: Sequence[Record], balances: Mapping[Holding, int]) -> None:
        """Write and make durable, all or nothing; on an error the transaction is rolled back."""
        ...

    def rollback(self) -> None:
        """Forget the transaction."""
        ...

    def records(self, after_seq: int, limit: int) -> Iterable[Record]:
        """Committed records in order."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...
