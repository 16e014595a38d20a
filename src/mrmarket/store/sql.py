"""SQL as the rooms that keep tables beside the ledger see it: one port, whatever the database."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, Self

from mrmarket.store.errors import DatabaseDisconnectedError
from mrmarket.store.sqlite import connect, store_error


class Sql(Protocol):
    """Statements inside somebody else's transaction.

    Placeholders are `?`. Statements keep to what SQLite and PostgreSQL share. Amounts go in as canonical
    decimal text and are read with `int(...)`, because the one keeps text and the other NUMERIC.
    """

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Every row of a query."""
        ...

    def run(self, statement: str, *values: object) -> int:
        """Carry out a statement; how many rows it touched."""
        ...

    def run_many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Carry out a statement for each row of values."""
        ...


class SqlReader(Protocol):
    """Reads what is committed, from any thread, one snapshot at a time."""

    def snapshot(self) -> AbstractContextManager[Sql]:
        """A block that sees one moment of the database, whatever is written meanwhile."""
        ...

    def close(self) -> None:
        """Release the connection; closing twice is harmless."""
        ...


class SqliteSql:
    """The port over a SQLite connection."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Every row of a query. Raises a StoreError by what SQLite said."""
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error

    def run(self, statement: str, *values: object) -> int:
        """Carry out a statement; how many rows it touched. Raises a StoreError by what SQLite said."""
        try:
            return self._connection.execute(statement, values).rowcount
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error

    def run_many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Carry out a statement for each row of values. Raises a StoreError by what SQLite said."""
        try:
            self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error


class SqliteReader:
    """A read-only connection of its own; readers wait for each other, never for the writer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection = connect(path, read_only=True)
        self._closed = False

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a database that exists. Raises a StoreError if it cannot be read."""
        return cls(path)

    @contextmanager
    def snapshot(self) -> Iterator[Sql]:
        """A block that sees one moment of the database."""
        with self._lock:
            if self._closed:
                raise DatabaseDisconnectedError(self._path, "it is closed")
            try:
                self._connection.execute("BEGIN")
                try:
                    yield SqliteSql(self._path, self._connection)
                finally:
                    self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise store_error(self._path, error) from error

    def close(self) -> None:
        """Release the connection."""
        with self._lock:
            self._closed = True
            self._connection.close()
