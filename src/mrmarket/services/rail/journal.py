"""The network's memory: one SQLite file in which every step is one synced transaction."""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from mrmarket.services.rail.errors import RailStateError
from mrmarket.services.rail.payment import (
    FAUCET,
    FEES,
    FLIGHT,
    IN_FLIGHT,
    FeedEntry,
    Payment,
    PaymentKind,
    Stage,
)
from mrmarket.store.sqlite import connect, create_private, store_error

_VERSION: Final = 1
_PRIVATE: Final = 0o600
_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE payments (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    sender TEXT NOT NULL, destination TEXT NOT NULL, asset TEXT NOT NULL,
    units TEXT NOT NULL, fee TEXT NOT NULL, memo TEXT NOT NULL,
    stage TEXT NOT NULL, confirmations INTEGER NOT NULL, required INTEGER NOT NULL, reason TEXT NOT NULL,
    created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL, due_ms INTEGER
) STRICT;
CREATE INDEX payments_due ON payments (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX payments_waiting ON payments (stage) WHERE stage IN ('asked', 'crediting');
CREATE INDEX payments_of_sender ON payments (sender, seq);
CREATE INDEX payments_of_destination ON payments (destination, seq);
CREATE TABLE balances (
    account TEXT NOT NULL, asset TEXT NOT NULL, units TEXT NOT NULL, PRIMARY KEY (account, asset)
) STRICT, WITHOUT ROWID;
CREATE TABLE feed (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    payment TEXT NOT NULL, state TEXT NOT NULL, confirmations INTEGER NOT NULL, at_ms INTEGER NOT NULL
) STRICT;
"""
_SELECT: Final = (
    "SELECT id, key, kind, sender, destination, asset, units, fee, memo,"
    " stage, confirmations, required, reason, created_ms, changed_ms, due_ms FROM payments"
)
_PUT: Final = (
    "INSERT INTO payments (id, key, kind, sender, destination, asset, units, fee, memo,"
    " stage, confirmations, required, reason, created_ms, changed_ms, due_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, confirmations = excluded.confirmations,"
    " reason = excluded.reason, changed_ms = excluded.changed_ms, due_ms = excluded.due_ms"
)


class Journal:
    """Payments, balances and the feed. One process and one thread use it."""

    def __init__(self, directory: Path) -> None:
        """Open or create it, and compare every balance with the payments it comes from.

        Raises:
            RailStateError: it is in use, of another version, or does not add up.
            StoreError: SQLite cannot use the file.
        """
        self.path = directory / "rail.db"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(directory / "rail.lock", os.O_RDWR | os.O_CREAT, _PRIVATE)
        except OSError as failed:
            raise RailStateError(directory, f"cannot be written ({failed.strerror})", "choose another") from (
                failed
            )
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            os.close(self._lock)
            raise RailStateError(
                directory, "is in use by another rail", "stop that one or choose another folder"
            ) from taken
        try:
            create_private(self.path)
            self._connection = connect(self.path, synchronous="FULL")
        except BaseException:
            os.close(self._lock)
            raise
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the files."""
        self._connection.close()
        os.close(self._lock)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what is done inside, or none of it. Raises a StoreError where the disk takes nothing."""
        try:
            self._rows("BEGIN IMMEDIATE")
            yield
            self._rows("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._rows("ROLLBACK")
            raise

    # What the network is told once.

    def meta(self, name: str) -> str:
        """A value kept by name, empty if there is none."""
        rows = self._rows("SELECT value FROM meta WHERE name = ?", name)
        return str(rows[0][0]) if rows else ""

    def keep_meta(self, name: str, value: str) -> None:
        """Keep a value by name."""
        self._rows(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            name,
            value,
        )

    def secret(self, name: str) -> str:
        """A token kept by name, drawn at the first question."""
        kept = self.meta(name)
        if not kept:
            kept = secrets.token_hex(32)
            self.keep_meta(name, kept)
        return kept

    # Payments.

    def find(self, key: str) -> Payment | None:
        """The payment under a key."""
        return self._one(_SELECT + " WHERE key = ?", key)

    def by_id(self, payment_id: str) -> Payment | None:
        """The payment of an id."""
        return self._one(_SELECT + " WHERE id = ?", payment_id)

    def put(self, payment: Payment) -> None:
        """Write a payment, new or as it now stands."""
        self._rows(
            _PUT,
            *(payment.id, payment.key, payment.kind.value, payment.sender, payment.destination),
            *(payment.asset, str(payment.units), str(payment.fee), payment.memo, payment.stage.value),
            *(payment.confirmations, payment.required, payment.reason),
            *(payment.created_ms, payment.changed_ms, payment.due_ms),
        )

    def due(self, now_ms: int, limit: int) -> list[Payment]:
        """Payments whose next step is due, the longest due first."""
        return self._many(_SELECT + " WHERE due_ms <= ? ORDER BY due_ms, seq LIMIT ?", now_ms, limit)

    def next_due_ms(self) -> int | None:
        """When the next step of any payment is due."""
        ((due_ms,),) = self._rows("SELECT min(due_ms) FROM payments WHERE due_ms IS NOT NULL")
        return None if due_ms is None else int(due_ms)

    def waiting(self, limit: int) -> list[Payment]:
        """Payments that wait for the venue, oldest first."""
        return self._many(_SELECT + " WHERE stage IN ('asked', 'crediting') ORDER BY seq LIMIT ?", limit)

    def history(self, account: str, limit: int) -> list[Payment]:
        """Payments from and to an account, newest first."""
        return self._many(
            _SELECT + " WHERE sender = ? OR destination = ? ORDER BY seq DESC LIMIT ?",
            account,
            account,
            limit,
        )

    def given(self, address: str, asset: str, since_ms: int) -> int:
        """What the faucet gave an address since a time."""
        rows = self._rows(
            "SELECT units FROM payments WHERE destination = ? AND kind = 'faucet' AND asset = ?"
            " AND created_ms > ?",
            *(address, asset, since_ms),
        )
        return sum(int(units) for (units,) in rows)

    # Balances.

    def balance(self, account: str, asset: str) -> int:
        """Units that an account has."""
        rows = self._rows("SELECT units FROM balances WHERE account = ? AND asset = ?", account, asset)
        return int(rows[0][0]) if rows else 0

    def balances(self, account: str) -> dict[str, int]:
        """Units by asset."""
        rows = self._rows("SELECT asset, units FROM balances WHERE account = ? ORDER BY asset", account)
        return {asset: int(units) for asset, units in rows}

    def move(self, asset: str, source: str, target: str, units: int) -> None:
        """Take from one account and give to another; who asks has checked that it is there."""
        for account, change in ((source, -units), (target, units)):
            self._rows(
                "INSERT INTO balances VALUES (?, ?, ?)"
                " ON CONFLICT (account, asset) DO UPDATE SET units = excluded.units",
                *(account, asset, str(self.balance(account, asset) + change)),
            )

    # The feed.

    def tell(self, payment_id: str, state: str, confirmations: int, at_ms: int) -> None:
        """Put an update at the end of the feed."""
        self._rows(
            "INSERT INTO feed (payment, state, confirmations, at_ms) VALUES (?, ?, ?, ?)",
            *(payment_id, state, confirmations, at_ms),
        )

    def feed(self, after: int, limit: int) -> list[FeedEntry]:
        """Updates after a place, in their order."""
        rows = self._rows(
            "SELECT seq, state, confirmations, at_ms, payment FROM feed WHERE seq > ? ORDER BY seq LIMIT ?",
            *(after, limit),
        )
        entries = []
        for seq, state, confirmations, at_ms, payment_id in rows:
            payment = self.by_id(payment_id)
            if payment is None:
                raise RailStateError(self.path, f"has no payment {payment_id}", "restore a backup")
            entries.append(
                FeedEntry(seq=seq, payment=payment, state=state, confirmations=confirmations, at_ms=at_ms)
            )
        return entries

    def feed_end(self) -> int:
        """Place of the last update, 0 in an empty feed."""
        ((end,),) = self._rows("SELECT max(seq) FROM feed")
        return int(end or 0)

    # Opening.

    def _prepare(self) -> None:
        ((version,),) = self._rows("PRAGMA user_version")
        if version == 0:
            with self.transaction():
                for statement in _SCHEMA.split(";"):
                    self._rows(statement)
                self._rows(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            raise RailStateError(
                self.path, f"has version {version}", f"this release reads {_VERSION}, update"
            )
        self._audit()

    def _audit(self) -> None:
        expected: dict[tuple[str, str], int] = {}

        def move(asset: str, source: str, target: str, units: int) -> None:
            for account, change in ((source, -units), (target, units)):
                expected[account, asset] = expected.get((account, asset), 0) + change

        for payment in self._many(_SELECT):
            for asset, source, target, units in flows(payment):
                move(asset, source, target, units)
        rows = self._rows("SELECT account, asset, units FROM balances")
        held = {(account, asset): int(units) for account, asset, units in rows}
        wrong = [key for key in held.keys() | expected.keys() if held.get(key, 0) != expected.get(key, 0)]
        if wrong:
            account, asset = min(wrong)
            raise RailStateError(
                self.path,
                f"says that {account} has {held.get((account, asset), 0)} units of {asset},"
                f" its payments say {expected.get((account, asset), 0)}",
                "restore a backup or delete the folder",
            )

    def _one(self, statement: str, *values: object) -> Payment | None:
        found = self._many(statement, *values)
        return found[0] if found else None

    def _many(self, statement: str, *values: object) -> list[Payment]:
        return [_payment(row) for row in self._rows(statement, *values)]

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Carry a statement out. Raises a StoreError by what SQLite said."""
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error


def flows(payment: Payment) -> list[tuple[str, str, str, int]]:
    """(asset, from, to, units) of everything that a payment in its stage has moved."""
    asset, units = payment.asset, payment.units
    if payment.kind is PaymentKind.FAUCET:
        return [(asset, FAUCET, payment.destination, units)]
    moved = []
    if payment.stage in IN_FLIGHT:
        moved = [(asset, payment.sender, FLIGHT, units)]
    elif payment.stage is Stage.CONFIRMED:
        moved = [(asset, payment.sender, payment.destination, units)]
    return [*moved, (asset, payment.sender, FEES, payment.fee)] if moved and payment.fee else moved


def _payment(row: tuple[Any, ...]) -> Payment:
    return Payment(
        id=row[0],
        key=row[1],
        kind=PaymentKind(row[2]),
        sender=row[3],
        destination=row[4],
        asset=row[5],
        units=int(row[6]),
        fee=int(row[7]),
        memo=row[8],
        stage=Stage(row[9]),
        confirmations=row[10],
        required=row[11],
        reason=row[12],
        created_ms=row[13],
        changed_ms=row[14],
        due_ms=row[15],
    )
