"""The ledger in SQLite: hand-written SQL for appending, and for reading it all back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import msgspec

from mrmarket.core.crash import reach
from mrmarket.money.ledger import archive, rows
from mrmarket.money.ledger.books import Holding
from mrmarket.money.ledger.chain import Record
from mrmarket.money.ledger.group import Hold
from mrmarket.money.ledger.lease import LEASE, TAKE_LEASE, lease_values
from mrmarket.money.ledger.port import State
from mrmarket.store.errors import DatabaseFullError, StaleFenceError
from mrmarket.store.migration import MONEY_SCHEMA, prepare
from mrmarket.store.sql import Sql, SqliteSql
from mrmarket.store.sqlite import connect, store_error

_CACHE_KIB: Final = 64 * 1024
_CHECKPOINT_PAGES: Final = 4_000


def _insert(table: str, columns: str) -> str:
    marks = ", ".join("?" * len(columns.split(",")))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - constants


_INSERT_GROUP: Final = _insert("groups", rows.GROUP_COLUMNS)
_INSERT_PLAIN: Final = _insert("transfers", rows.PLAIN_COLUMNS)
_INSERT_TRANSFER: Final = _insert("transfers", rows.TRANSFER_COLUMNS)
_INSERT_ASSET: Final = _insert("assets", rows.ASSET_COLUMNS)
_INSERT_ACCOUNT: Final = _insert("accounts", rows.ACCOUNT_COLUMNS)
_INSERT_HOLD: Final = _insert("holds", rows.HOLD_COLUMNS)
_SETTLE_HOLD: Final = "UPDATE holds SET state = ?, settled_seq = ? WHERE id = ?"
_UPDATE_BALANCE: Final = "UPDATE balances SET units = ? WHERE account = ? AND asset = ?"
_UPSERT_BALANCE: Final = (
    "INSERT INTO balances (units, account, asset) VALUES (?, ?, ?)"
    " ON CONFLICT (account, asset) DO UPDATE SET units = excluded.units"
)
_FENCE: Final = "SELECT fence FROM leases WHERE name = ?"
_FIND_ALL: Final = f"{archive.SELECT_GROUP} WHERE key IN (SELECT value FROM json_each(?))"  # noqa: S608 - constants


class SqliteStore:
    """`money.db`. Every commit is synced before it returns, and carries this writer's fence."""

    def __init__(self, path: Path, connection: sqlite3.Connection, epoch: int) -> None:
        self.path = path
        self.epoch = epoch
        self._connection = connection
        self._sql = SqliteSql(path, connection)

    @classmethod
    def open(cls, path: Path, owner: str) -> Self:
        """Open or create the file and take the writer's lease, deposing whoever held it.

        Raises:
            DatabaseTooNewError: if a newer version wrote the file; nothing is changed.
            StoreError: by what SQLite said.
        """
        prepare(path, MONEY_SCHEMA)
        connection = connect(path, synchronous="FULL")
        try:
            # Appending touches a page of the index for every account of a batch: let them stay in memory,
            # and copy them back to the file once for many batches.
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            row = connection.execute(TAKE_LEASE, lease_values(owner)).fetchone()
        except sqlite3.Error as error:
            connection.close()
            raise store_error(path, error) from error
        return cls(path, connection, row[0])

    @property
    def connection(self) -> sqlite3.Connection:
        """The writer's connection, for units of work that keep tables of their own in this database."""
        return self._connection

    @property
    def sql(self) -> Sql:
        """Other tables of this file, inside the transaction that is under way."""
        return self._sql

    def load(self) -> State:
        """Everything the rules need in memory."""
        return archive.load_state(self._sql)

    def find(self, key: str) -> Record | None:
        """The committed record of a key."""
        return archive.find_record(self._sql, key)

    def find_all(self, keys: Sequence[str]) -> Mapping[str, Record]:
        """The committed records of those keys that have one, asked for in one statement."""
        if not keys:
            return {}
        known = self._sql.rows(_FIND_ALL, msgspec.json.encode(keys).decode())
        return {record.key: record for record in archive.records_of(self._sql, known)} if known else {}

    def find_hold(self, hold_id: str) -> Hold | None:
        """A committed hold."""
        return archive.find_hold(self._sql, hold_id)

    def find_reversal(self, key: str) -> str | None:
        """Key of the committed group that reverses another."""
        return archive.find_reversal(self._sql, key)

    def begin(self) -> None:
        """Start a transaction; raises `StaleFenceError` if a newer writer took over."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            (fence,) = self._connection.execute(_FENCE, (LEASE,)).fetchone()
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error
        if fence != self.epoch:
            self.rollback()
            raise StaleFenceError(self.path, LEASE, self.epoch)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """An error that leaves the block undoes what the block wrote."""
        self._require_transaction()
        try:
            self._connection.execute("SAVEPOINT work")
            try:
                yield
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK TO work")
                    self._connection.execute("RELEASE work")
                raise
            self._connection.execute("RELEASE work")
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error

    def commit(self, records: Sequence[Record], balances: Mapping[Holding, int]) -> None:
        """Write and make durable, all or nothing; on an error the transaction is rolled back."""
        self._require_transaction()
        connection = self._connection
        plain, others = rows.transfer_rows(records)
        try:
            if records:  # units of work often write to tables of their own alone
                connection.executemany(_INSERT_GROUP, map(rows.group_row, records))
            reach("ledger.groups_written")
            if plain:
                connection.executemany(_INSERT_PLAIN, plain)
            if others:
                connection.executemany(_INSERT_TRANSFER, others)
                connection.executemany(_INSERT_HOLD, rows.hold_rows(records))
                connection.executemany(_SETTLE_HOLD, rows.settled_rows(records))
            reach("ledger.transfers_written")
            for statement, opened in (
                (_INSERT_ASSET, rows.asset_rows(records)),
                (_INSERT_ACCOUNT, rows.account_rows(records)),
            ):
                if opened:
                    connection.executemany(statement, opened)
            if balances:
                self._write_balances(balances)
            reach("ledger.balances_written")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.rollback()
            raise store_error(self.path, error) from error
        reach("ledger.committed")

    def rollback(self) -> None:
        """Forget the transaction, if there is one."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def records(self, after_seq: int, limit: int) -> Iterable[Record]:
        """Committed records in order."""
        return archive.read_records(self._sql, after_seq, limit)

    def close(self) -> None:
        """Fold the write-ahead log into the file and release it."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error
        self._connection.close()

    def _write_balances(self, balances: Mapping[Holding, int]) -> None:
        changed = [(str(units), *holding) for holding, units in balances.items()]
        # An upsert checks every limit and reference twice; most holdings are there already.
        before = self._connection.total_changes
        self._connection.executemany(_UPDATE_BALANCE, changed)
        if self._connection.total_changes - before < len(changed):
            self._connection.executemany(_UPSERT_BALANCE, changed)

    def _require_transaction(self) -> None:
        # When the disk is full SQLite may end a transaction by itself; what follows would then be
        # committed statement by statement.
        if not self._connection.in_transaction:
            raise DatabaseFullError(self.path)
