"""Operations in `control.db`, which several processes write."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any, Final, Self

from mrmarket.store.migration import CONTROL_SCHEMA, prepare
from mrmarket.store.selection_log import SelectionLog
from mrmarket.store.sql_operations import SqlOperations
from mrmarket.store.sqlite import connect, store_error

_BUSY_TIMEOUT_MS: Final = 500


class SqliteStatements:
    """One connection whose every statement is a transaction; waits 500 ms for other processes."""

    def __init__(self, path: Path) -> None:
        self.place = path
        self._lock = threading.Lock()
        self._connection = connect(path, busy_timeout_ms=_BUSY_TIMEOUT_MS)

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Every row of a query. Raises a StoreError by what SQLite said."""
        with self._lock:
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise store_error(self.place, error) from error

    def run(self, statement: str, *values: object) -> int:
        """Carry out a statement; how many rows it touched. Raises a StoreError by what SQLite said."""
        with self._lock:
            try:
                return self._connection.execute(statement, values).rowcount
            except sqlite3.Error as error:
                raise store_error(self.place, error) from error

    def close(self) -> None:
        """Release the file; closing twice is harmless."""
        with self._lock:
            self._connection.close()


class SqliteOperations(SqlOperations):
    """`OperationsStore` in a SQLite file."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open `control.db`, created or upgraded if need be. Raises a StoreError if it cannot be used."""
        prepare(path, CONTROL_SCHEMA)
        return cls(SqliteStatements(path))


def open_sqlite_selection(path: Path) -> SelectionLog:
    """What choosing between strategies remembers. Raises a StoreError as `SqliteOperations.open`."""
    prepare(path, CONTROL_SCHEMA)
    return SelectionLog(SqliteStatements(path))
