"""The ledger in SQLite: hand-written SQL for appending, and for reading it all back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.chain import Record
from mrmarket.money.ledger.group import Transfer, TransferKind
from mrmarket.money.ledger.port import State
from mrmarket.money.ledger.rules import Holding
from mrmarket.store.errors import DatabaseFullError, StaleFenceError
from mrmarket.store.migration import MONEY_SCHEMA, prepare
from mrmarket.store.sqlite import connect, store_error

LEASE: Final = "ledger-writer"

_GROUP_COLUMNS: Final = "seq, key, content_hash, at_ms, epoch, outcome, message, memo, reverses, hash"
_FIND: Final = f"SELECT {_GROUP_COLUMNS} FROM groups WHERE key = ?"  # noqa: S608 - constants
_INSERT_GROUP: Final = f"INSERT INTO groups ({_GROUP_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constants
_TRANSFER_COLUMNS: Final = "group_seq, position, debit, credit, asset, units, kind"
_INSERT_TRANSFER: Final = f"INSERT INTO transfers ({_TRANSFER_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constants
_INSERT_ACCOUNT: Final = "INSERT INTO accounts (id, kind, floor, group_seq, position) VALUES (?, ?, ?, ?, ?)"
_INSERT_ASSET: Final = "INSERT INTO assets (id, decimals, group_seq, position) VALUES (?, ?, ?, ?)"
_UPSERT_BALANCE: Final = (
    "INSERT INTO balances (account, asset, units) VALUES (?, ?, ?)"
    " ON CONFLICT (account, asset) DO UPDATE SET units = excluded.units"
)


class SqliteStore:
    """`money.db`. Every commit is synced before it returns, and carries this writer's fence."""

    def __init__(self, path: Path, connection: sqlite3.Connection, epoch: int) -> None:
        self.path = path
        self.epoch = epoch
        self._connection = connection

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
            row = connection.execute(
                "INSERT INTO leases (name, fence, owner, expires_ns) VALUES (?, 1, ?, 0) ON CONFLICT (name)"
                " DO UPDATE SET fence = fence + 1, owner = excluded.owner RETURNING fence",
                (LEASE, owner),
            ).fetchone()
        except sqlite3.Error as error:
            connection.close()
            raise store_error(path, error) from error
        return cls(path, connection, row[0])

    @property
    def connection(self) -> sqlite3.Connection:
        """The writer's connection, for units of work that keep tables of their own in this database."""
        return self._connection

    def load(self) -> State:
        """Everything the rules need in memory."""
        state = State()
        with self._errors():
            for asset_id, decimals in self._connection.execute("SELECT id, decimals FROM assets"):
                state.assets[asset_id] = _asset(asset_id, decimals)
            for row in self._connection.execute("SELECT id, kind, floor FROM accounts"):
                state.accounts[row[0]] = _account(*row)
            for account, asset, units in self._connection.execute(
                "SELECT account, asset, units FROM balances"
            ):
                state.balances[account, asset] = int(units)
            last = self._connection.execute(
                "SELECT seq, hash FROM groups ORDER BY seq DESC LIMIT 1"
            ).fetchone()
        if last is not None:
            state.seq, state.hash = last
        return state

    def find(self, key: str) -> Record | None:
        """The committed record of a key."""
        try:  # written out, because this runs for every posting
            row = self._connection.execute(_FIND, (key,)).fetchone()
            return self._record(row) if row else None
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error

    def find_reversal(self, key: str) -> str | None:
        """Key of the committed group that reverses another."""
        with self._errors():
            row = self._connection.execute("SELECT key FROM groups WHERE reverses = ?", (key,)).fetchone()
        return row[0] if row else None

    def begin(self) -> None:
        """Start a transaction; raises `StaleFenceError` if a newer writer took over."""
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            (fence,) = self._connection.execute(
                "SELECT fence FROM leases WHERE name = ?", (LEASE,)
            ).fetchone()
        if fence != self.epoch:
            self.rollback()
            raise StaleFenceError(self.path, LEASE, self.epoch)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """An error that leaves the block undoes what the block wrote."""
        self._require_transaction()
        with self._errors():
            self._connection.execute("SAVEPOINT work")
            try:
                yield
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK TO work")
                    self._connection.execute("RELEASE work")
                raise
            self._connection.execute("RELEASE work")

    def commit(self, records: Sequence[Record], balances: Mapping[Holding, int]) -> None:
        """Write and make durable, all or nothing; on an error the transaction is rolled back."""
        self._require_transaction()
        connection = self._connection
        try:
            connection.executemany(_INSERT_GROUP, [_group_row(record) for record in records])
            connection.executemany(_INSERT_TRANSFER, _transfer_rows(records))
            connection.executemany(_INSERT_ASSET, _asset_rows(records))
            connection.executemany(_INSERT_ACCOUNT, _account_rows(records))
            connection.executemany(
                _UPSERT_BALANCE,
                [(account, asset, str(units)) for (account, asset), units in balances.items()],
            )
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.rollback()
            raise store_error(self.path, error) from error

    def rollback(self) -> None:
        """Forget the transaction, if there is one."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def records(self, after_seq: int, limit: int) -> Iterable[Record]:
        """Committed records in order."""
        with self._errors():
            rows = self._connection.execute(
                f"SELECT {_GROUP_COLUMNS} FROM groups WHERE seq > ? ORDER BY seq LIMIT ?",  # noqa: S608 - constants
                (after_seq, limit),
            ).fetchall()
            return [self._record(row) for row in rows]

    def close(self) -> None:
        """Fold the write-ahead log into the file and release it."""
        with self._errors():
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    def _record(self, row: tuple[Any, ...]) -> Record:
        seq = row[0]
        transfers = self._connection.execute(
            "SELECT debit, credit, asset, units, kind FROM transfers WHERE group_seq = ? ORDER BY position",
            (seq,),
        )
        assets = self._connection.execute(
            "SELECT id, decimals FROM assets WHERE group_seq = ? ORDER BY position", (seq,)
        )
        accounts = self._connection.execute(
            "SELECT id, kind, floor FROM accounts WHERE group_seq = ? ORDER BY position", (seq,)
        )
        key, content_hash, at_ms, epoch, outcome, message, memo, reverses, digest = row[1:]
        return Record(
            seq,
            key,
            content_hash,
            at_ms,
            epoch,
            outcome,
            message,
            memo,
            reverses,
            tuple(_asset(*asset) for asset in assets),
            tuple(_account(*account) for account in accounts),
            tuple(
                Transfer(debit, credit, asset, int(units), TransferKind(kind))
                for debit, credit, asset, units, kind in transfers
            ),
            digest,
        )

    def _require_transaction(self) -> None:
        # When the disk is full SQLite may end a transaction by itself; what follows would then be
        # committed statement by statement.
        if not self._connection.in_transaction:
            raise DatabaseFullError(self.path)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error


def _asset(asset_id: str, decimals: int) -> Asset:
    namespace, _, code = asset_id.partition(":")
    return Asset(namespace, code, decimals)


def _account(account_id: str, kind: str, floor: str | None) -> Account:
    return Account(account_id, AccountKind(kind), None if floor is None else int(floor))


def _group_row(record: Record) -> tuple[object, ...]:
    return (
        record.seq,
        record.key,
        record.content_hash,
        record.at_ms,
        record.epoch,
        record.outcome,
        record.message,
        record.memo,
        record.reverses,
        record.hash,
    )


def _transfer_rows(records: Sequence[Record]) -> list[tuple[object, ...]]:
    return [
        (record.seq, position, item.debit, item.credit, item.asset, str(item.units), item.kind.value)
        for record in records
        for position, item in enumerate(record.transfers)
    ]


def _asset_rows(records: Sequence[Record]) -> list[tuple[object, ...]]:
    return [
        (asset.id, asset.decimals, record.seq, position)
        for record in records
        for position, asset in enumerate(record.assets)
    ]


def _account_rows(records: Sequence[Record]) -> list[tuple[object, ...]]:
    return [
        (
            account.id,
            account.kind.value,
            None if account.floor is None else str(account.floor),
            record.seq,
            position,
        )
        for record in records
        for position, account in enumerate(record.accounts)
    ]
