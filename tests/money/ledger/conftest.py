"""The same tests run on every store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mrmarket.money.ledger.memory_store import MemoryStore
from mrmarket.money.ledger.port import LedgerStore
from mrmarket.money.ledger.sqlite_store import SqliteStore

Opener = Callable[[], LedgerStore]


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the same store again and again, as restarts do."""
    memory = MemoryStore()
    opened: list[SqliteStore] = []

    def reopen() -> LedgerStore:
        if request.param == "memory":
            return memory
        store = SqliteStore.open(tmp_path / "money.db", "test")
        opened.append(store)
        return store

    yield reopen
    for store in opened:
        store.connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the SQLite ledger is."""
    return tmp_path / "money.db"
