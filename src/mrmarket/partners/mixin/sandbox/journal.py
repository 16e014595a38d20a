"""The sandbox's memory: one SQLite file, each step one transaction, so that a kill is survived."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from mrmarket.store.sqlite import connect, create_private, store_error

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS users (
    user_id TEXT PRIMARY KEY, number INTEGER NOT NULL, name TEXT NOT NULL, session_id TEXT NOT NULL,
    session_key TEXT NOT NULL, spend_key TEXT NOT NULL, view_secret TEXT NOT NULL, keystore TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hints (
    hint TEXT PRIMARY KEY, place INTEGER NOT NULL, receivers TEXT NOT NULL, mask TEXT NOT NULL,
    keys TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ghosts (
    key TEXT PRIMARY KEY, user_id TEXT NOT NULL, mask TEXT NOT NULL, place INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outputs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, hash TEXT NOT NULL,
    place INTEGER NOT NULL, asset TEXT NOT NULL, units TEXT NOT NULL, mask TEXT NOT NULL,
    keys TEXT NOT NULL, members TEXT NOT NULL, members_hash TEXT NOT NULL, threshold INTEGER NOT NULL,
    senders TEXT NOT NULL, extra TEXT NOT NULL, state TEXT NOT NULL, signed_by TEXT NOT NULL,
    request_id TEXT NOT NULL, created_ns INTEGER NOT NULL, spent_ns INTEGER NOT NULL, UNIQUE (hash, place)
) STRICT;
CREATE INDEX IF NOT EXISTS outputs_of ON outputs (members_hash, asset, state, sequence);
CREATE TABLE IF NOT EXISTS requests (
    request_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, hash TEXT NOT NULL, asset TEXT NOT NULL,
    units TEXT NOT NULL, raw TEXT NOT NULL, state TEXT NOT NULL, views TEXT NOT NULL, extra TEXT NOT NULL,
    snapshot_id TEXT NOT NULL, created_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshots (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL,
    opponent_id TEXT NOT NULL, asset TEXT NOT NULL, units TEXT NOT NULL, hash TEXT NOT NULL,
    memo TEXT NOT NULL, request_id TEXT NOT NULL, created_ns INTEGER NOT NULL,
    deposit_hash TEXT NOT NULL, deposit_sender TEXT NOT NULL, receiver TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS snapshots_of ON snapshots (user_id, created_ns, number);
CREATE TABLE IF NOT EXISTS entries (
    destination TEXT PRIMARY KEY, entry_id TEXT NOT NULL, chain TEXT NOT NULL, user_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deposits (
    hash TEXT PRIMARY KEY, id TEXT NOT NULL, asset TEXT NOT NULL, units TEXT NOT NULL,
    destination TEXT NOT NULL, sender TEXT NOT NULL, done INTEGER NOT NULL, created_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS withdrawals (
    number INTEGER PRIMARY KEY AUTOINCREMENT, snapshot_id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL,
    asset TEXT NOT NULL, units TEXT NOT NULL, address TEXT NOT NULL, tag TEXT NOT NULL,
    chain_hash TEXT NOT NULL, created_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS codes (
    code TEXT PRIMARY KEY, app_id TEXT NOT NULL, user_id TEXT NOT NULL, challenge TEXT NOT NULL,
    scope TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS grants (
    authorization_id TEXT PRIMARY KEY, app_id TEXT NOT NULL, user_id TEXT NOT NULL, scope TEXT NOT NULL,
    key TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, recipient_id TEXT NOT NULL,
    sender_id TEXT NOT NULL, conversation_id TEXT NOT NULL, category TEXT NOT NULL, data TEXT NOT NULL,
    status TEXT NOT NULL, created_ns INTEGER NOT NULL, UNIQUE (message_id, recipient_id)
) STRICT;
"""

Row = sqlite3.Row


class SandboxJournal:
    """Rows of the sandbox's world."""

    def __init__(self, path: Path) -> None:
        """Opens the file, making it where there is none. Raises StoreError."""
        create_private(path)
        self._path = path
        self._sql = connect(path)
        self._sql.row_factory = sqlite3.Row
        self._sql.executescript(_SCHEMA)
        self._depth = 0

    def close(self) -> None:
        """Close the file."""
        self._sql.close()

    def one(self, question: str, *values: object) -> Row | None:
        """The first row of an answer."""
        found: Row | None = self._sql.execute(question, values).fetchone()
        return found

    def all(self, question: str, *values: object) -> list[Row]:
        """Every row of an answer."""
        return self._sql.execute(question, values).fetchall()

    def insert(self, table: str, **values: Any) -> None:
        """Add a row. Tables and columns are the code's own names."""
        names, marks = ", ".join(values), ", ".join("?" for _ in values)
        self._sql.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))  # noqa: S608

    def change(self, statement: str, *values: object) -> int:
        """Change rows; how many."""
        return self._sql.execute(statement, values).rowcount

    @contextmanager
    def step(self) -> Iterator[None]:
        """All or nothing. A step within a step is part of it."""
        if self._depth:
            yield
            return
        self._depth += 1
        try:
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._sql.execute("ROLLBACK")
                raise
            self._sql.execute("COMMIT")
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error
        finally:
            self._depth -= 1
