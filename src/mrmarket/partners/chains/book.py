"""`chains.db`: one file, written in transactions that are on the disk when they end."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from mrmarket.partners.chains.schema import CHAINS, VERSION
from mrmarket.store.errors import DatabaseForeignError, DatabaseTooNewError
from mrmarket.store.sql import Sql, SqliteSql
from mrmarket.store.sqlite import connect, create_private, store_error

_BUSY_TIMEOUT_MS: Final = 5_000


class ChainBook:
    """One connection under a lock, from any thread.

    Every commit waits for the disk: a nonce that is reserved and bytes that are signed must survive a power
    cut, or the same money could leave twice.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._sql = SqliteSql(path, connection)
        self._lock = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file, created if need be. Raises a StoreError if it cannot be used."""
        create_private(path)
        connection = connect(path, synchronous="FULL", busy_timeout_ms=_BUSY_TIMEOUT_MS)
        try:
            _prepare(path, connection)
        except sqlite3.Error as error:
            connection.close()
            raise store_error(path, error) from error
        except BaseException:
            connection.close()
            raise
        return cls(path, connection)

    @contextmanager
    def transaction(self) -> Iterator[Sql]:
        """A block that writes: committed and durable at its end, nothing of it on any error."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._sql
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise store_error(self.path, error) from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[Sql]:
        """A block that sees one moment of the file."""
        with self._lock:
            try:
                self._connection.execute("BEGIN")
                yield self._sql
            except sqlite3.Error as error:
                raise store_error(self.path, error) from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Release the file; closing twice is harmless."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._connection.close()


def _prepare(path: Path, connection: sqlite3.Connection) -> None:
    found = _version(path, connection)
    if found is None:
        _create(connection)
    elif found > VERSION:
        raise DatabaseTooNewError(path, found, VERSION)


def _create(connection: sqlite3.Connection) -> None:
    from sqlalchemy import create_engine, event  # noqa: PLC0415 - a file that is current never needs it
    from sqlalchemy.engine import Connection  # noqa: PLC0415 - the same
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415 - the same

    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)

    def begin_at_once(shared: Connection) -> None:
        # One transaction for all tables, and of two that start at once one waits and finds them.
        shared.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "begin", begin_at_once)
    with engine.begin() as shared:
        if _tables(connection):
            return
        CHAINS.create_all(shared, checkfirst=False)
        shared.exec_driver_sql("INSERT INTO schema_version (version_num) VALUES (?)", (VERSION,))


def _version(path: Path, connection: sqlite3.Connection) -> str | None:
    tables = _tables(connection)
    if not tables:
        return None
    row = (
        connection.execute("SELECT version_num FROM schema_version").fetchone()
        if "schema_version" in tables
        else None
    )
    if row is None or not str(row[0]).startswith("chains_"):
        raise DatabaseForeignError(path, "chains")
    return str(row[0])


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
