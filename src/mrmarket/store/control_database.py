"""`control.db` for rooms that keep tables of their own in it: transactions, and news of what others wrote."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol, Self

from mrmarket.store.migration import CONTROL_SCHEMA, prepare
from mrmarket.store.sql import Sql, SqliteSql
from mrmarket.store.sqlite import connect, store_error

_BUSY_TIMEOUT_MS: Final = 500


class ControlDatabase(Protocol):
    """One connection under a lock, from any thread."""

    def transaction(self) -> AbstractContextManager[Sql]:
        """A block that writes: committed at its end, nothing of it on any error. Raises a StoreError."""
        ...

    def reading(self) -> AbstractContextManager[Sql]:
        """A block that only reads. Raises a StoreError."""
        ...

    def news(self) -> AbstractContextManager[Sql | None]:
        """A block that reads if another process has written since this was last asked; never waits.

        None if there is nothing new, or somebody else is using the connection just now.
        """
        ...

    def close(self) -> None:
        """Release it; closing twice is harmless."""
        ...


class SqliteControl:
    """The port over a SQLite file."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection = connection
        self._sql = SqliteSql(path, connection)
        self._version = self._data_version()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open `control.db`, created or upgraded if need be. Raises a StoreError if it cannot be used."""
        prepare(path, CONTROL_SCHEMA)
        return cls(path, connect(path, busy_timeout_ms=_BUSY_TIMEOUT_MS))

    @classmethod
    def in_memory(cls) -> Self:
        """The same tables, gone when closed."""
        from sqlalchemy import create_engine  # noqa: PLC0415 - a real start never needs it
        from sqlalchemy.pool import StaticPool  # noqa: PLC0415 - the same

        from mrmarket.store.schema.control import CONTROL  # noqa: PLC0415 - the same

        raw = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        CONTROL.create_all(create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool))
        return cls(Path(":memory:"), raw)

    @contextmanager
    def transaction(self) -> Iterator[Sql]:
        """A block that writes: committed at its end, nothing of it on any error."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._sql
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise store_error(self._path, error) from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[Sql]:
        """A block that only reads."""
        with self._lock:
            yield self._sql

    @contextmanager
    def news(self) -> Iterator[Sql | None]:
        """A block that reads if another process has written since this was last asked; never waits."""
        if not self._lock.acquire(blocking=False):
            yield None
            return
        try:
            version = self._data_version()
            changed, self._version = version != self._version, version
            yield self._sql if changed else None
        finally:
            self._lock.release()

    def close(self) -> None:
        """Release the file; closing twice is harmless."""
        with self._lock:
            self._connection.close()

    def _data_version(self) -> int:
        return int(self._sql.rows("PRAGMA data_version")[0][0])
