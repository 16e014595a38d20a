"""Where an instance keeps its books: SQLite files in its data folder, or one PostgreSQL database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.errors import InvalidInputError, MrMarketError
from mrmarket.store.migration import (
    CONTROL_SCHEMA,
    MONEY_SCHEMA,
    TRADING_SCHEMA,
    SchemaFamily,
    check_postgres_version,
    check_version,
    prepare,
    prepare_postgres,
)

if TYPE_CHECKING:
    from mrmarket.money.ledger.port import LedgerStore
    from mrmarket.store.control_database import ControlDatabase
    from mrmarket.store.errors import Place
    from mrmarket.store.operations import OperationsStore
    from mrmarket.store.selection_log import SelectionLog
    from mrmarket.store.sql import Sql, SqlReader
    from mrmarket.store.trading_port import TradingLog

_POSTGRES: Final = re.compile(r"postgres(ql)?://\S+", re.ASCII)
_USER: Final = re.compile(r"(?<=://)[^/?#\s]*@")
_PARAMETER: Final = re.compile(r"(?i)(password|passfile|sslpassword|sslkey)=[^&\s]*")
_WANTED: Final = "an address such as postgresql://user@host:5432/mrmarket, or nothing for SQLite files"
_KEEPERS: Final = ("all", "api")
"""Roles that write to the ledger."""
_RECENT_NS: Final = 60 * 10**9
_FAMILIES: Final = (TRADING_SCHEMA, MONEY_SCHEMA, CONTROL_SCHEMA)


def masked(text: str) -> str:
    """A text in which no address tells its user or password."""
    return _PARAMETER.sub(r"\1=********", _USER.sub("********@", text))


class StoreInUseError(MrMarketError):
    """An instance writes to the books that were to be written to from outside."""

    code = "store_in_use"
    retryable = True

    def __init__(self, place: str, node: str, host: str) -> None:
        self.place = place
        self.node = node
        self.host = host
        super().__init__(
            f"{place}: {node} on {host or 'another host'} keeps these books;"
            " ask it, or stop it and wait a minute"
        )


class StoreSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[store]`: where the books are kept."""

    url: str = ""
    """A PostgreSQL address; empty for SQLite files in the data folder. One with a password is better given in
    the environment, as MRMARKET_STORE."""

    def __post_init__(self) -> None:
        if self.url and not _POSTGRES.fullmatch(self.url):
            raise ValueError(f"url: give {_WANTED}")


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Opens each of an instance's stores where they are. Never shows a password."""

    folder: Path
    """The data folder: keys and tokens stay in it wherever the books are."""
    url: str = field(default="", repr=False)
    """A PostgreSQL address; empty for SQLite."""

    def __post_init__(self) -> None:
        if self.url and not _POSTGRES.fullmatch(self.url):
            raise InvalidInputError("store", masked(self.url), _WANTED)

    @property
    def is_postgres(self) -> bool:
        """Whether the books are on a server."""
        return bool(self.url)

    @property
    def money_place(self) -> Place:
        """Where the ledger is, as it may be shown."""
        if not self.is_postgres:
            return self._path(MONEY_SCHEMA)
        from mrmarket.store.postgres import shown  # noqa: PLC0415 - an extra

        return shown(self.url)

    def require_current(self) -> None:
        """Look at the databases before anything is touched.

        Raises:
            StoreError: one is of a newer version, of another program, or damaged, or the server refuses.
        """
        for family in _FAMILIES:
            if self.is_postgres:
                check_postgres_version(self.url, family, family.name)
            elif (path := self._path(family)).is_file() and path.stat().st_size:
                check_version(path, family)

    def require_rest(self, now_ns: int) -> None:
        """Refuse where an instance in another folder, or on another host, writes to the same server.

        Args:
            now_ns: the wall's time.

        Raises:
            StoreInUseError: a node that keeps books has given a sign of life within the last minute.
        """
        if not self.is_postgres:
            return  # the folder's own lock keeps others out
        operations = self.open_operations()
        try:
            for beat in operations.beats():
                if beat.role in _KEEPERS and now_ns - beat.at_ms * NS_PER_MS < _RECENT_NS:
                    raise StoreInUseError(str(self.money_place), beat.node, beat.host)
        finally:
            operations.close()

    def has_books(self) -> bool:
        """Whether there is a ledger, of whatever version."""
        if self.is_postgres:
            return check_postgres_version(self.url, MONEY_SCHEMA, MONEY_SCHEMA.name) is not None
        path = self._path(MONEY_SCHEMA)
        return path.is_file() and path.stat().st_size > 0

    def prepare_books(self) -> None:
        """Bring the ledger's tables to today's."""
        if self.is_postgres:
            prepare_postgres(self.url, MONEY_SCHEMA, MONEY_SCHEMA.name)
        else:
            prepare(self._path(MONEY_SCHEMA), MONEY_SCHEMA)

    def open_trading(self) -> TradingLog:
        """The execution core's log, created or upgraded if need be. Raises a StoreError."""
        if self.is_postgres:
            from mrmarket.store.postgres_trading_store import PostgresTradingStore  # noqa: PLC0415 - an extra

            return PostgresTradingStore.open(self.url)
        from mrmarket.store.trading_store import TradingStore  # noqa: PLC0415 - only where it is the one

        return TradingStore.open(self._path(TRADING_SCHEMA))

    def open_operations(self) -> OperationsStore:
        """What the roles tell each other, created or upgraded if need be. Raises a StoreError."""
        if self.is_postgres:
            from mrmarket.store.postgres_operations import PostgresOperations  # noqa: PLC0415 - an extra

            return PostgresOperations.open(self.url)
        from mrmarket.store.sqlite_operations import SqliteOperations  # noqa: PLC0415 - the same

        return SqliteOperations.open(self._path(CONTROL_SCHEMA))

    def open_selection(self) -> SelectionLog:
        """What choosing between strategies remembers, created or upgraded if need be. Raises a StoreError."""
        if self.is_postgres:
            from mrmarket.store.postgres_operations import open_postgres_selection  # noqa: PLC0415 - an extra

            return open_postgres_selection(self.url)
        from mrmarket.store.sqlite_operations import open_sqlite_selection  # noqa: PLC0415 - the same

        return open_sqlite_selection(self._path(CONTROL_SCHEMA))

    def open_control(self) -> ControlDatabase:
        """Sessions and credentials, created or upgraded if need be. Raises a StoreError."""
        if self.is_postgres:
            from mrmarket.store.postgres_control import PostgresControl  # noqa: PLC0415 - an extra

            return PostgresControl.open(self.url)
        from mrmarket.store.control_database import SqliteControl  # noqa: PLC0415 - the same

        return SqliteControl.open(self._path(CONTROL_SCHEMA))

    def open_ledger(self, owner: str) -> LedgerStore:
        """The ledger, created or upgraded if need be, deposing whoever wrote to it. Raises a StoreError."""
        if self.is_postgres:
            from mrmarket.money.ledger.postgres_store import PostgresStore  # noqa: PLC0415 - an extra

            return PostgresStore.open(self.url, owner)
        from mrmarket.money.ledger.sqlite_store import SqliteStore  # noqa: PLC0415 - the same

        return SqliteStore.open(self._path(MONEY_SCHEMA), owner)

    def open_reader(self) -> SqlReader:
        """Reads the ledger's database beside its writer. Raises a StoreError."""
        if self.is_postgres:
            from mrmarket.store.postgres import PostgresReader  # noqa: PLC0415 - an extra

            return PostgresReader.open(self.url)
        from mrmarket.store.sql import SqliteReader  # noqa: PLC0415 - the same

        return SqliteReader.open(self._path(MONEY_SCHEMA))

    @contextmanager
    def read_books(self) -> Iterator[Sql]:
        """One snapshot of the ledger, whether an instance runs or not; leaves nothing behind.

        Raises:
            DatabaseMissingError: if there is no ledger.
            DatabaseTooNewError: if a newer version wrote it.
            LedgerOutdatedError: if an older version wrote it.
        """
        self._require_todays_books()
        if self.is_postgres:
            reader = self.open_reader()
            try:
                with reader.snapshot() as sql:
                    yield sql
            finally:
                reader.close()
        else:
            with _resting(self._path(MONEY_SCHEMA)) as sql:
                yield sql

    def _require_todays_books(self) -> None:
        from mrmarket.money.ledger.verification import LedgerOutdatedError  # noqa: PLC0415 - as above
        from mrmarket.store.errors import DatabaseMissingError  # noqa: PLC0415 - as above

        if self.is_postgres:
            found = check_postgres_version(self.url, MONEY_SCHEMA, MONEY_SCHEMA.name)
            if found is None:
                raise DatabaseMissingError(self.money_place)
        else:
            found = check_version(self._path(MONEY_SCHEMA), MONEY_SCHEMA)
        if found != MONEY_SCHEMA.head:
            raise LedgerOutdatedError(self.money_place, found or "nothing")

    def _path(self, family: SchemaFamily) -> Path:
        return self.folder / f"{family.name}.db"


@contextmanager
def _resting(path: Path) -> Iterator[Sql]:
    import sqlite3  # noqa: PLC0415 - only where it is the one

    from mrmarket.store.sql import SqliteSql  # noqa: PLC0415 - the same
    from mrmarket.store.sqlite import connect, is_at_rest, store_error  # noqa: PLC0415 - the same

    connection = connect(path, read_only=True, at_rest=is_at_rest(path))
    try:
        connection.execute("BEGIN")
        yield SqliteSql(path, connection)
    except sqlite3.Error as error:
        raise store_error(path, error) from error
    finally:
        connection.close()
