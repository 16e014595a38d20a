"""What the ledger asks of a place to keep its groups. Memory and SQLite answer alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account
from mrmarket.money.ledger.chain import GENESIS, Record
from mrmarket.money.ledger.rules import Holding


@dataclass(slots=True)
class State:
    """Where the books stand after the last commit."""

    assets: dict[str, Asset] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    balances: dict[Holding, int] = field(default_factory=dict)
    seq: int = 0
    hash: bytes = GENESIS


class LedgerStore(Protocol):
    """Keeps records in order and balances beside them. One thread at a time."""

    epoch: int
    """Fence of this writer; a newer writer has a higher one."""

    def load(self) -> State:
        """Everything the rules need in memory."""
        ...

    def find(self, key: str) -> Record | None:
        """The committed record of a key."""
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
