"""The ledger in PostgreSQL: a commit is a handful of statements whatever the number of groups."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Self

from mrmarket.core.crash import reach
from mrmarket.money.ledger import archive, rows
from mrmarket.money.ledger.books import Holding
from mrmarket.money.ledger.chain import Record
from mrmarket.money.ledger.group import Hold
from mrmarket.money.ledger.lease import LEASE, TAKE_LEASE, lease_values
from mrmarket.money.ledger.port import State
from mrmarket.store.errors import CommitUnknownError, DatabaseDisconnectedError, StaleFenceError, StoreError
from mrmarket.store.migration import MONEY_SCHEMA, prepare_postgres
from mrmarket.store.postgres import (
    MONEY,
    Connection,
    PostgresSql,
    connect,
    copy_text,
    postgres_errors,
    shown,
    translated,
)
from mrmarket.store.sql import Sql

_CHECK_FENCE: Final = "SELECT fence, pg_current_xact_id()::text FROM leases WHERE name = %s FOR UPDATE"
_FIND_ALL: Final = f"{archive.SELECT_GROUP} WHERE key = ANY(%s)"

_TYPES: Final = {
    "groups": "bigint text bytea bigint bigint text text text text bytea",
    "transfers": "bigint bigint text text text numeric text text text bigint numeric",
    "assets": "text bigint bigint bigint",
    "accounts": "text text numeric numeric bigint bigint",
    "holds": "text bigint bigint text",
    "balances": "text text numeric",
}

PATIENCE_S: Final = 15.0
"""How long a server that was lost during a commit is given to come back."""
STILL_MS: Final = 30_000
"""A transaction that waits for us for so long is ended by the server: whoever is frozen keeps no heir out."""
_PAUSE_S: Final = 0.1
_BULK: Final = 400
"""From so many rows on they are streamed."""


def _insert(table: str, columns: str) -> bytes:
    arrays = ", ".join(f"%s::{kind}[]" for kind in _TYPES[table].split()[: len(columns.split(","))])
    return f"INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays})".encode()  # noqa: S608 - constants


_INSERT_GROUPS: Final = _insert("groups", rows.GROUP_COLUMNS)
_INSERT_PLAIN: Final = _insert("transfers", rows.PLAIN_COLUMNS)
_INSERT_TRANSFERS: Final = _insert("transfers", rows.TRANSFER_COLUMNS)
_COPY_GROUPS: Final = f"COPY groups ({rows.GROUP_COLUMNS}) FROM STDIN".encode()
_COPY_PLAIN: Final = f"COPY transfers ({rows.PLAIN_COLUMNS}) FROM STDIN".encode()
_INSERT_ASSETS: Final = _insert("assets", rows.ASSET_COLUMNS)
_INSERT_ACCOUNTS: Final = _insert("accounts", rows.ACCOUNT_COLUMNS)
_INSERT_HOLDS: Final = _insert("holds", rows.HOLD_COLUMNS)
_SETTLE_HOLDS: Final = (
    b"UPDATE holds SET state = s.state, settled_seq = s.seq"
    b" FROM unnest(%s::text[], %s::bigint[], %s::text[]) AS s (state, seq, id) WHERE holds.id = s.id"
)
_UPSERT_BALANCES: Final = (
    _insert("balances", "account, asset, units")
    + b" ON CONFLICT (account, asset) DO UPDATE SET units = excluded.units"
)


class PostgresStore:
    """The `money` schema of a PostgreSQL database. Every commit is synced and carries this writer's fence.

    Each transaction locks the lease's row first and holds it to the end, so that no other writer can take
    over in the middle of one, and a deposed writer's commit fails whole.

    A connection that is lost before COMMIT was sent means that nothing was written: the error is retryable
    and the next transaction connects anew. If it is lost while COMMIT is under way, nobody knows yet: the
    store connects anew and asks the server what became of that very transaction, and answers accordingly.
    Only if the server does not come back in time is the error `CommitUnknownError`, which stops the ledger.
    """

    def __init__(
        self,
        address: str,
        schema: str,
        connection: Connection,
        epoch: int,
        patience_s: float,
        still_ms: int = STILL_MS,
    ) -> None:
        self.place = shown(address)
        self.epoch = epoch
        self._address = address
        self._schema = schema
        self._connection = connection
        self._sql = PostgresSql(self.place, connection)
        self._transaction = ""
        self._patience_s = patience_s
        self._still_ms = still_ms

    @classmethod
    def open(
        cls,
        address: str,
        owner: str,
        schema: str = MONEY,
        *,
        patience_s: float = PATIENCE_S,
        still_ms: int = STILL_MS,
    ) -> Self:
        """Open or create the tables and take the writer's lease, deposing whoever held it.

        Args:
            address: a connection string or URL of libpq's.
            owner: who we are, for people who look at the lease.
            schema: where the tables are.
            patience_s: how long a server that was lost during a commit is given to come back.
            still_ms: how long the server lets a transaction wait for us.

        Raises:
            DatabaseTooNewError: if a newer version wrote them; nothing is changed.
            StoreError: by what the server said.
        """
        prepare_postgres(address, MONEY_SCHEMA, schema)
        connection = connect(address, schema, idle_timeout_ms=still_ms)
        try:
            with postgres_errors(shown(address)):
                row = connection.execute(translated(TAKE_LEASE).encode(), lease_values(owner)).fetchone()
        except StoreError:
            connection.close()
            raise
        return cls(address, schema, connection, row[0] if row else 0, patience_s, still_ms)

    @property
    def sql(self) -> Sql:
        """Other tables of the schema, inside the transaction that is under way."""
        return self._sql

    def load(self) -> State:
        """Everything the rules need in memory."""
        return archive.load_state(self._sql)

    def find(self, key: str) -> Record | None:
        """The committed record of a key."""
        return archive.find_record(self._sql, key)

    def find_all(self, keys: Sequence[str]) -> Mapping[str, Record]:
        """The committed records of those keys that have one, asked for in one statement."""
        with self._errors():
            known = self._connection.execute(_FIND_ALL.encode(), (list(keys),)).fetchall()
        return {record.key: record for record in archive.records_of(self._sql, known)} if known else {}

    def find_hold(self, hold_id: str) -> Hold | None:
        """A committed hold."""
        return archive.find_hold(self._sql, hold_id)

    def find_reversal(self, key: str) -> str | None:
        """Key of the committed group that reverses another."""
        return archive.find_reversal(self._sql, key)

    def begin(self) -> None:
        """Start a transaction, on a new connection if need be; raises `StaleFenceError` if deposed."""
        try:
            fence = self._begin()
        except DatabaseDisconnectedError:
            self._reconnect()
            fence = self._begin()
        if fence != self.epoch:
            self.rollback()
            raise StaleFenceError(self.place, LEASE, self.epoch)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """An error that leaves the block undoes what the block wrote."""
        with self._errors():
            self._connection.execute("SAVEPOINT work")
            try:
                yield
            except BaseException:
                if not self._connection.broken:
                    self._connection.execute("ROLLBACK TO SAVEPOINT work")
                    self._connection.execute("RELEASE SAVEPOINT work")
                raise
            self._connection.execute("RELEASE SAVEPOINT work")

    def commit(self, records: Sequence[Record], balances: Mapping[Holding, int]) -> None:
        """Write and make durable, all or nothing; on an error the transaction is rolled back."""
        try:
            with self._errors():
                self._write(records, balances)
        except StoreError:
            self.rollback()
            raise
        reach("ledger.balances_written")
        try:
            with self._errors():
                self._connection.execute("COMMIT")
        except DatabaseDisconnectedError as error:
            self._find_out(error)
        reach("ledger.committed")

    def rollback(self) -> None:
        """Forget the transaction, if there is one. Where the connection is lost, the server does it."""
        if not self._connection.broken and not self._connection.closed:
            with self._errors():
                self._connection.rollback()

    def records(self, after_seq: int, limit: int) -> Iterable[Record]:
        """Committed records in order."""
        return archive.read_records(self._sql, after_seq, limit)

    def close(self) -> None:
        """Release the connection."""
        self._connection.close()

    def _begin(self) -> int:
        with self._errors():
            self._connection.execute("BEGIN")
            row = self._connection.execute(_CHECK_FENCE, (LEASE,)).fetchone()
        fence, self._transaction = row or (0, "")
        return int(fence)

    def _write(self, records: Sequence[Record], balances: Mapping[Holding, int]) -> None:
        plain, others = rows.transfer_rows(records)
        groups = [rows.group_row(record) for record in records]
        bulk = len(groups) + len(plain) >= _BULK
        if bulk:
            self._copy(_COPY_GROUPS, groups)
            reach("ledger.groups_written")
            self._copy(_COPY_PLAIN, plain)
        # No pipeline: its end sends a flush, after which the server no longer ends a transaction whose client
        # stands still, and a frozen process would keep every other one from the ledger for ever.
        if not bulk:
            self._append(_INSERT_GROUPS, groups)
            reach("ledger.groups_written")
            self._append(_INSERT_PLAIN, plain)
        if others:
            self._append(_INSERT_TRANSFERS, others)
            self._append(_INSERT_HOLDS, rows.hold_rows(records))
            self._append(_SETTLE_HOLDS, rows.settled_rows(records))
        reach("ledger.transfers_written")
        self._append(_INSERT_ASSETS, rows.asset_rows(records))
        self._append(_INSERT_ACCOUNTS, rows.account_rows(records))
        self._append(
            _UPSERT_BALANCES,
            [(account, asset, str(units)) for (account, asset), units in balances.items()],
        )

    def _copy(self, statement: bytes, some: list[rows.Row]) -> None:
        """Insert many rows as a stream: half the work of arrays, but a round trip of its own."""
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(copy_text(some))

    def _append(self, statement: bytes, some: list[rows.Row]) -> None:
        """Insert rows as one statement with an array a column."""
        if some:
            self._connection.execute(statement, [list(column) for column in zip(*some, strict=True)])

    def _find_out(self, cause: DatabaseDisconnectedError) -> None:
        """Return if the transaction whose COMMIT got no answer has happened, raise what is known if not."""
        give_up = time.monotonic() + self._patience_s
        while True:
            try:
                status = self._asked(self._transaction)
            except StoreError as error:
                status = None
                if not error.retryable:
                    raise CommitUnknownError(self.place) from error
            if status == "committed":
                return
            if status == "aborted":
                raise cause
            if time.monotonic() >= give_up:
                raise CommitUnknownError(self.place) from cause
            time.sleep(_PAUSE_S)

    def _asked(self, transaction: str) -> str | None:
        """What the server says of a transaction of a connection that is lost; None while it does not know."""
        self._reconnect()
        with self._errors():
            # Waits for the lost session, should it still be at work: it holds this row.
            self._connection.execute("SELECT 1 FROM leases WHERE name = %s FOR UPDATE", (LEASE,))
            row = self._connection.execute("SELECT pg_xact_status(%s::xid8)", (transaction,)).fetchone()
        return row[0] if row else None

    def _reconnect(self) -> None:
        self._connection.close()
        self._connection = connect(self._address, self._schema, idle_timeout_ms=self._still_ms)
        self._sql = PostgresSql(self.place, self._connection)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        with postgres_errors(self.place):
            yield
