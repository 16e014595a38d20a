"""The same tests run on every store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mrmarket.money.ledger.memory_store import MemoryStore
from mrmarket.money.ledger.port import LedgerStore
from mrmarket.money.ledger.postgres_store import PostgresStore
from mrmarket.money.ledger.sqlite_store import SqliteStore
from postgres_server import postgres, postgres_server

Opener = Callable[[], LedgerStore]

__all__ = ["postgres", "postgres_server"]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the same store again and again, as restarts do."""
    with ExitStack() as opened:
        if request.param == "memory":
            memory = MemoryStore()
            yield lambda: memory
        elif request.param == "sqlite":

            def reopen_file() -> LedgerStore:
                store = SqliteStore.open(tmp_path / "money.db", "test")
                opened.callback(store.connection.close)
                return store

            yield reopen_file
        else:
            address: str = request.getfixturevalue("postgres")

            def reconnect() -> LedgerStore:
                store = PostgresStore.open(address, "test")
                opened.callback(store.close)
                return store

            yield reconnect


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the SQLite ledger is."""
    return tmp_path / "money.db"
