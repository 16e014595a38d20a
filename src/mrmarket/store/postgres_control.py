"""The `control` schema of a PostgreSQL database for the rooms that keep tables of their own in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

from mrmarket.store.errors import DatabaseDisconnectedError
from mrmarket.store.migration import CONTROL_SCHEMA, prepare_postgres
from mrmarket.store.postgres import Connection, PostgresSql, connect, postgres_errors, shown
from mrmarket.store.postgres_operations import CONTROL
from mrmarket.store.sql import Sql

_LISTEN: Final = b"LISTEN mrmarket_control"
_NOTIFY: Final = b"NOTIFY mrmarket_control"


class PostgresControl:
    """The port `ControlDatabase` over a server, which tells every process of the others' commits.

    A lost connection is made again by the next block that may wait; until then there are no news.
    """

    def __init__(self, address: str, schema: str) -> None:
        """Connects; the tables must be there (see `open`)."""
        self._address = address
        self._schema = schema
        self._place = shown(address)
        self._lock = threading.Lock()
        self._missed = False
        self._closed = False
        self._connection = self._connect()

    @classmethod
    def open(cls, address: str, schema: str = CONTROL) -> Self:
        """Open or create the tables. Raises a StoreError if the server refuses or cannot be reached."""
        prepare_postgres(address, CONTROL_SCHEMA, schema)
        return cls(address, schema)

    @contextmanager
    def transaction(self) -> Iterator[Sql]:
        """A block that writes: committed at its end, nothing of it on any error."""
        with self._begun(b"BEGIN") as connection:
            yield PostgresSql(self._place, connection)
            connection.execute(_NOTIFY)

    @contextmanager
    def reading(self) -> Iterator[Sql]:
        """A block that only reads."""
        with self._begun(b"BEGIN READ ONLY") as connection:
            yield PostgresSql(self._place, connection)

    @contextmanager
    def news(self) -> Iterator[Sql | None]:
        """A block that reads if another process has written since this was last asked; never waits."""
        if not self._lock.acquire(blocking=False):
            yield None
            return
        try:
            yield PostgresSql(self._place, self._connection) if self._has_news() else None
        finally:
            self._lock.release()

    def close(self) -> None:
        """Release the connection; closing twice is harmless."""
        with self._lock:
            self._closed = True
            self._connection.close()

    def _has_news(self) -> bool:
        if self._connection.closed:
            return False
        ours = self._connection.info.backend_pid
        try:
            with postgres_errors(self._place):
                others = [notice for notice in self._connection.notifies(timeout=0) if notice.pid != ours]
        except DatabaseDisconnectedError:
            return False  # whoever may wait connects anew, and then everything counts as news
        missed, self._missed = self._missed, False
        return bool(others) or missed

    @contextmanager
    def _begun(self, begin: bytes) -> Iterator[Connection]:
        with self._lock, postgres_errors(self._place):
            self._begin(begin)
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if not self._connection.closed and self._connection.info.transaction_status:
                    self._connection.rollback()

    def _begin(self, begin: bytes) -> None:
        if not self._connection.closed:
            try:
                with postgres_errors(self._place):
                    self._connection.execute(begin)
            except DatabaseDisconnectedError:
                self._connection.close()
            else:
                return
        if self._closed:
            raise DatabaseDisconnectedError(self._place, "it is closed")
        self._connection = self._connect()
        self._missed = True
        self._connection.execute(begin)

    def _connect(self) -> Connection:
        connection = connect(self._address, self._schema)
        with postgres_errors(self._place):
            connection.execute(_LISTEN)
        return connection
