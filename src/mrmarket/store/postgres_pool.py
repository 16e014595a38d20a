"""A few PostgreSQL connections that threads share, and that are made again when they are lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from mrmarket.store.errors import (
    CommitUnknownError,
    DatabaseBusyError,
    DatabaseDisconnectedError,
    StoreError,
)
from mrmarket.store.postgres import Connection, connect, postgres_errors, shown, translated

_T = TypeVar("_T")

_SHUN_S: Final = 1.0
"""After a server was found silent nobody else waits for it within this time."""
_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 1.0
_CONNECT_TIMEOUT_S: Final = 2
_LOCK_TIMEOUT_MS: Final = 2_500
_IDLE_TIMEOUT_MS: Final = 1_500
"""A process that freezes inside a transaction loses it before others' patience with its locks ends."""


class PostgresPool:
    """Up to `size` connections to one schema, opened when they are first needed.

    A lost connection is replaced and the work done again until `patience_s` have passed, with pauses that
    double; then the caller hears of it. Nothing is ever written twice: work that has no keys of its own
    goes through `transact`, which asks the server what became of a commit that got no answer.
    """

    def __init__(
        self,
        address: str,
        schema: str,
        *,
        size: int,
        patience_s: float,
        durable: bool = True,
        answer_s: float | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            address: a connection string or URL of libpq's.
            schema: where the tables are.
            size: most connections at a time; further threads wait.
            patience_s: how long a server that does not answer is asked again.
            durable: whether commits wait for the server's disk.
            answer_s: how long a server that stands still is waited for at a time; None for ever. Whoever
                comes within a second of that is refused at once, so that many do not wait one by one.
        """
        self.place = shown(address)
        self._address = address
        self._schema = schema
        self._patience_s = patience_s
        self._durable = durable
        self._answer_s = answer_s
        self._shun_until = 0.0
        self._idle: list[Connection] = []
        self._free = size
        self._changed = threading.Condition()
        self._closed = False

    def repeat(self, work: Callable[[Connection, bool], _T]) -> _T:
        """Do work of one statement, which is known by its keys, again where its connection is lost.

        Args:
            work: is told whether an earlier try may have happened.
        """
        return self._patiently(lambda again: self._once(work, again=again))

    def transact(self, work: Callable[[Connection], _T]) -> _T:
        """Do work as one transaction, exactly once.

        Raises:
            CommitUnknownError: if the server was lost during the commit and did not come back in time.
        """
        return self._patiently(lambda _: self._transaction(work))

    def close(self) -> None:
        """Release the connections; closing twice is harmless. Work under way ends first."""
        with self._changed:
            self._closed = True
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _patiently(self, attempt: Callable[[bool], _T]) -> _T:
        if time.monotonic() < self._shun_until:
            raise DatabaseDisconnectedError(self.place, "it did not answer a moment ago")
        give_up = time.monotonic() + self._patience_s
        pause = _FIRST_PAUSE_S
        again = False
        while True:
            try:
                return attempt(again)
            except DatabaseDisconnectedError:
                if self._closed or time.monotonic() + pause >= give_up:
                    raise
            self._drop_idle()
            again = True
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _once(self, work: Callable[[Connection, bool], _T], *, again: bool) -> _T:
        with self._connection() as connection, postgres_errors(self.place):
            return work(connection, again)

    def _transaction(self, work: Callable[[Connection], _T]) -> _T:
        with self._connection() as connection:
            with postgres_errors(self.place):
                connection.execute("BEGIN")
                done = work(connection)
                row = connection.execute("SELECT pg_current_xact_id_if_assigned()::text").fetchone()
            try:
                with postgres_errors(self.place):
                    connection.execute("COMMIT")
            except DatabaseDisconnectedError as error:
                transaction = row[0] if row else None
                if transaction is not None and not self._happened(transaction, error):
                    raise
            return done

    def _happened(self, transaction: str, cause: DatabaseDisconnectedError) -> bool:
        """Whether a transaction whose COMMIT got no answer was committed."""
        give_up = time.monotonic() + self._patience_s
        pause = _FIRST_PAUSE_S
        while True:
            status = self._asked(transaction)
            if status in {"committed", "aborted"}:
                return status == "committed"
            if time.monotonic() + pause >= give_up:
                raise CommitUnknownError(self.place) from cause
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _asked(self, transaction: str) -> str | None:
        try:
            connection = self._connect()
        except StoreError as error:
            if error.retryable:
                return None
            raise CommitUnknownError(self.place) from error
        try:
            with postgres_errors(self.place):
                row = connection.execute("SELECT pg_xact_status(%s::xid8)", (transaction,)).fetchone()
            return str(row[0]) if row else None
        except DatabaseDisconnectedError:
            return None
        finally:
            connection.close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        connection = self._take()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def _take(self) -> Connection:
        with self._changed:
            if not self._changed.wait_for(lambda: self._free or self._closed, self._patience_s):
                raise DatabaseBusyError(self.place)
            if self._closed:
                raise DatabaseDisconnectedError(self.place, "it is closed")
            self._free -= 1
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            return connection
        began = time.monotonic()
        try:
            return self._connect()
        except BaseException:
            if self._answer_s is not None and time.monotonic() - began >= _SHUN_S:
                self._shun_until = time.monotonic() + _SHUN_S
            self._give_back(None)
            raise

    def _give_back(self, connection: Connection | None) -> None:
        if connection is not None and not connection.closed and connection.info.transaction_status:
            # Whatever failed in the middle is undone before anybody else comes.
            try:
                with postgres_errors(self.place):
                    connection.rollback()
            except StoreError:
                connection.close()
        with self._changed:
            self._free += 1
            if connection is not None and connection.is_silent:
                self._shun_until = time.monotonic() + _SHUN_S
            if connection is not None and not connection.closed:
                if self._closed:
                    connection.close()
                else:
                    self._idle.append(connection)
            self._changed.notify()

    def _drop_idle(self) -> None:
        # They were lost together with the one that was in use.
        with self._changed:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _connect(self) -> Connection:
        return connect(
            self._address,
            self._schema,
            durable=self._durable,
            connect_timeout_s=_CONNECT_TIMEOUT_S,
            lock_timeout_ms=_LOCK_TIMEOUT_MS,
            idle_timeout_ms=_IDLE_TIMEOUT_MS,
            answer_s=self._answer_s,
        )


class PooledStatements:
    """Statements that are each a transaction of their own, done once even where the server is lost."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool
        self.place = pool.place

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Every row of a query. Raises a StoreError by what the server said."""
        query = translated(statement).encode()
        return self._pool.repeat(lambda connection, _: connection.execute(query, values).fetchall())

    def run(self, statement: str, *values: object) -> int:
        """Carry out a statement; how many rows it touched. Raises a StoreError by what the server said."""
        query = translated(statement).encode()
        return self._pool.transact(lambda connection: connection.execute(query, values).rowcount)

    def close(self) -> None:
        """Release the connections; closing twice is harmless."""
        self._pool.close()
