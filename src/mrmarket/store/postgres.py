"""PostgreSQL the one way this project uses it: one connection, own statements, amounts as text.

Importing this module without the driver raises `DriverMissingError`, so import it where it is needed.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, Self, TypeVar

from mrmarket.store.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseDisconnectedError,
    DatabaseFullError,
    DatabaseUnavailableError,
    DriverMissingError,
    StoreError,
)
from mrmarket.store.sql import Sql

try:
    import psycopg
    from psycopg import conninfo, errors, sql
    from psycopg.types.string import TextLoader
except ImportError as error:
    raise DriverMissingError from error

MONEY: Final = "money"
"""The schema that holds the tables of `money.db`."""

_LOOK_S: Final = 0.1

_V = TypeVar("_V")


class ServerSilentError(psycopg.OperationalError):
    """The server did not answer in time; the connection is closed, and what was asked may still happen."""


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits `answer_s` for each answer; None for ever.

    The kernel goes on acknowledging for a server that stands still, so no setting of the link tells.
    """

    answer_s: float | None = None
    is_silent = False
    """Whether it was given up on."""

    def wait(
        self, gen: Generator[Any, Any, _V], interval: float = _LOOK_S, timeout: float | None = None
    ) -> _V:
        """Drive one exchange with the server; raises `ServerSilentError`."""
        # Drivers before 3.3 have no such time-out, so it is passed on only where one was given.
        more: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        if self.answer_s is None:
            return super().wait(gen, interval, **more)
        try:
            return super().wait(_until(gen, time.monotonic() + self.answer_s), min(interval, _LOOK_S), **more)
        except ServerSilentError:
            self.is_silent = True
            self.close()
            raise


def _until(gen: Generator[Any, Any, _V], deadline: float) -> Generator[Any, Any, _V]:
    """The same exchange, given up at a time of the monotonic clock."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= deadline:
                raise ServerSilentError("it did not answer in time")
            wanted = gen.send(ready)
    except StopIteration as done:
        value: _V = done.value
        return value


DUPLICATE: Final = errors.UniqueViolation
"""What the driver raises where a key is taken."""

REFUSED: Final = (errors.IntegrityError, errors.DataError)
"""What the driver raises where a row breaks a rule of its table."""

_CONNECT_TIMEOUT_S: Final = 10
_LOCK_TIMEOUT_MS: Final = 2_000
_NO_ANSWER_MS: Final = 30_000

_BUSY: Final = (
    errors.LockNotAvailable,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.TooManyConnections,
    errors.QueryCanceled,
)
_GONE: Final = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleSessionTimeout,
    errors.IdleInTransactionSessionTimeout,
)
_DAMAGED: Final = (errors.DataCorrupted, errors.IndexCorrupted)

_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|\?|%")


def connect(
    address: str,
    schema: str = MONEY,
    *,
    durable: bool = True,
    connect_timeout_s: int = _CONNECT_TIMEOUT_S,
    lock_timeout_ms: int = _LOCK_TIMEOUT_MS,
    idle_timeout_ms: int = 0,
    answer_s: float | None = None,
) -> Connection:
    """Open a connection without implicit transactions, whose commits are durable when they return.

    Args:
        address: a connection string or URL of libpq's.
        schema: where unqualified names are looked up.
        durable: False for commits that do not wait for the server's disk.
        connect_timeout_s: how long to wait for the server, at least 2.
        lock_timeout_ms: how long to wait for others' locks.
        idle_timeout_ms: how long a transaction may wait for its client before the server ends it; 0 for ever.
        answer_s: how long to wait for each answer; more than for locks. None for ever.

    Raises:
        StoreError: one of its subclasses, by what the server or the driver said.
    """
    place = shown(address)
    try:
        connection = Connection.connect(
            address,
            autocommit=True,
            connect_timeout=connect_timeout_s,
            tcp_user_timeout=_NO_ANSWER_MS,
            fallback_application_name="mrmarket",
        )
    except psycopg.Error as error:
        raise postgres_error(place, error) from error
    connection.answer_s = answer_s
    try:
        connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))
        connection.execute(f"SET lock_timeout = {int(lock_timeout_ms)}".encode())
        connection.execute(f"SET idle_in_transaction_session_timeout = {int(idle_timeout_ms)}".encode())
        # A server may be set up to acknowledge commits before they are on its disk.
        connection.execute(b"SET synchronous_commit = on" if durable else b"SET synchronous_commit = off")
        # Amounts come as the text that SQLite would have kept, not as Decimal.
        connection.adapters.register_loader("numeric", TextLoader)
    except psycopg.Error as error:
        connection.close()
        raise postgres_error(place, error) from error
    return connection


def shown(address: str) -> str:
    """An address as it may be shown: host, port and database, without user and password."""
    try:
        parts = conninfo.conninfo_to_dict(address)
    except psycopg.Error:
        return "postgresql"
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    return f"postgresql://{host}:{parts.get('port') or 5432}/{parts.get('dbname') or ''}"


def postgres_error(place: str, error: psycopg.Error) -> StoreError:
    """The error of ours that says what PostgreSQL's means."""
    detail = (error.diag.message_primary or str(error)).strip() or type(error).__name__
    if isinstance(error, errors.DiskFull):
        return DatabaseFullError(place)
    if isinstance(error, _BUSY):
        return DatabaseBusyError(place)
    if isinstance(error, _DAMAGED):
        return DatabaseDamagedError(place, detail)
    lost = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
    if lost or isinstance(error, _GONE) or (error.sqlstate or "").startswith("08"):
        return DatabaseDisconnectedError(place, detail)
    return DatabaseUnavailableError(place, detail)


@lru_cache(maxsize=1_024)
def translated(statement: str) -> str:
    """A statement with `?` placeholders in the driver's own form; text in quotes and comments stays."""

    def replace(match: re.Match[str]) -> str:
        found = match[0]
        return "%s" if found == "?" else found.replace("%", "%%")

    return _TOKEN.sub(replace, statement)


def copy_text(rows: Iterable[tuple[object, ...]]) -> bytes:
    """Rows of text, whole numbers, bytes and nulls in the text format of COPY."""
    lines = ("\t".join([_field(value) for value in row]) for row in rows)
    return "".join([f"{line}\n" for line in lines]).encode()


def _field(value: object) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return f"\\\\x{value.hex()}"
    text = str(value)
    if "\\" not in text and text.isprintable():
        return text
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


class PostgresSql:
    """The port over a PostgreSQL connection.

    After a statement has failed, the transaction takes no other until its savepoint is rolled back: a unit
    of work lets the error go through.
    """

    def __init__(self, place: str, connection: Connection) -> None:
        self._place = place
        self._connection = connection

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Every row of a query. Raises a StoreError by what the server said."""
        with postgres_errors(self._place):
            return self._connection.execute(_query(statement), values).fetchall()

    def run(self, statement: str, *values: object) -> int:
        """Carry out a statement; how many rows it touched. Raises a StoreError by what the server said."""
        with postgres_errors(self._place):
            return self._connection.execute(_query(statement), values).rowcount

    def run_many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Carry out a statement for each row of values. Raises a StoreError by what the server said."""
        with postgres_errors(self._place), self._connection.cursor() as cursor:
            cursor.executemany(_query(statement), rows)


class PostgresReader:
    """A connection of its own for reading; readers wait for each other, never for the writer."""

    def __init__(self, address: str, schema: str = MONEY) -> None:
        self._address = address
        self._schema = schema
        self._place = shown(address)
        self._lock = threading.Lock()
        self._connection = connect(address, schema)

    @classmethod
    def open(cls, address: str, schema: str = MONEY) -> Self:
        """Open a database that exists. Raises a StoreError if it cannot be read."""
        return cls(address, schema)

    @contextmanager
    def snapshot(self) -> Iterator[Sql]:
        """A block that sees one moment of the database. A lost connection is made again."""
        with self._lock, postgres_errors(self._place):
            connection = self._begun()
            try:
                yield PostgresSql(self._place, connection)
            finally:
                if not connection.broken:
                    connection.execute("COMMIT")

    def close(self) -> None:
        """Release the connection; closing twice is harmless."""
        with self._lock:
            self._connection.close()

    def _begun(self) -> Connection:
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        try:
            self._connection.execute(begin)
        except psycopg.OperationalError:
            if not self._connection.broken:
                raise
            self._connection.close()
            self._connection = connect(self._address, self._schema)
            self._connection.execute(begin)
        return self._connection


@contextmanager
def postgres_errors(place: str) -> Iterator[None]:
    """Name what PostgreSQL complains about in the block."""
    try:
        yield
    except psycopg.Error as error:
        raise postgres_error(place, error) from error


def _query(statement: str) -> bytes:
    # Bytes, because the driver accepts text only where a type checker can see that nobody can inject any.
    return translated(statement).encode()
