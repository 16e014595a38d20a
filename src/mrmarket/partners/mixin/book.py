"""The book of transfers: what was built, signed and sent under which key, and which coins it binds.

One SQLite file beside the platform's books. Every step is one synced transaction, made before the step it
speaks of leaves the process, so that a crash finds the bytes that may be on their way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.partners.mixin.order import Leg, TransferOrder
from mrmarket.store.sqlite import connect, create_private, store_error

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS transfers (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, request TEXT NOT NULL,
    stage TEXT NOT NULL, legs TEXT NOT NULL, reference TEXT NOT NULL, reason TEXT NOT NULL,
    fee_units TEXT NOT NULL, fee_asset TEXT NOT NULL, at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bound (coin TEXT PRIMARY KEY, key TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS bound_by ON bound (key);
CREATE INDEX IF NOT EXISTS transfers_open ON transfers (stage) WHERE stage IN ('drafted', 'signed');
"""


class Stage(StrEnum):
    """How far a transfer is."""

    OPEN = "open"
    """Asked for; nothing is built that could still apply."""
    DRAFTED = "drafted"
    """Its bytes are fixed and its coins bound; nothing is signed."""
    SIGNED = "signed"
    """Signed: it may be on its way."""
    DONE = "done"
    REFUSED = "refused"
    """Will never happen under this key."""


class TransferRow(msgspec.Struct, frozen=True):
    """A transfer in the book."""

    order: TransferOrder
    stage: Stage = Stage.OPEN
    legs: tuple[Leg, ...] = ()
    reference: str = ""
    """Hash of the transaction; of a withdrawal that arrived, the hash on its chain."""
    reason: str = ""
    fee_units: int = 0
    """Of 10⁻⁸ of `fee_asset`."""
    fee_asset: str = ""
    at_ms: int = 0
    """When it came to this stage; UTC ms."""


class CoinTakenError(Exception):
    """Another transfer bound one of the coins first; choose again."""


class TransferBook:
    """Keeps transfers. Several processes may hold the same file; a coin is bound once."""

    def __init__(self, path: Path) -> None:
        """Opens the file, making it where there is none. Raises StoreError."""
        create_private(path)
        self._path = path
        self._sql = connect(path, synchronous="FULL", busy_timeout_ms=5_000)
        self._sql.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._sql.close()

    def find(self, key: str) -> TransferRow | None:
        """The transfer under a key."""
        found = self._sql.execute(
            "SELECT request, stage, legs, reference, reason, fee_units, fee_asset, at_ms FROM transfers"
            " WHERE key = ?",
            (key,),
        ).fetchone()
        if found is None:
            return None
        return TransferRow(
            order=msgspec.json.decode(found[0], type=TransferOrder),
            stage=Stage(found[1]),
            legs=msgspec.json.decode(found[2], type=tuple[Leg, ...]),
            reference=found[3],
            reason=found[4],
            fee_units=int(found[5]),
            fee_asset=found[6],
            at_ms=found[7],
        )

    def pending(self) -> list[str]:
        """Keys of what is drafted or signed and not known to be done."""
        rows = self._sql.execute(
            "SELECT key FROM transfers WHERE stage IN ('drafted', 'signed') ORDER BY key"
        )
        return [row[0] for row in rows]

    def bound_coins(self) -> set[str]:
        """Ids of the outputs that transfers under way spend."""
        return {row[0] for row in self._sql.execute("SELECT coin FROM bound")}

    def put(self, row: TransferRow, *, bind: Sequence[str] = ()) -> None:
        """Keep a transfer as it is now.

        `bind` are the coins of a draft. Coins stay bound while it is drafted or signed, and are free after.
        Raises CoinTakenError if another transfer has one of them.
        """
        with self._transaction():
            self._sql.execute(
                "INSERT INTO transfers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
                " stage = excluded.stage, legs = excluded.legs, reference = excluded.reference,"
                " reason = excluded.reason, fee_units = excluded.fee_units,"
                " fee_asset = excluded.fee_asset, at_ms = excluded.at_ms",
                (
                    row.order.key,
                    row.order.fingerprint,
                    msgspec.json.encode(row.order).decode(),
                    row.stage.value,
                    msgspec.json.encode(row.legs).decode(),
                    row.reference,
                    row.reason,
                    str(row.fee_units),
                    row.fee_asset,
                    row.at_ms,
                ),
            )
            if row.stage not in {Stage.DRAFTED, Stage.SIGNED}:
                self._sql.execute("DELETE FROM bound WHERE key = ?", (row.order.key,))
            for coin in bind:
                try:
                    self._sql.execute("INSERT INTO bound VALUES (?, ?)", (coin, row.order.key))
                except sqlite3.IntegrityError as taken:
                    raise CoinTakenError(coin) from taken

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._sql.execute("ROLLBACK")
                raise
            self._sql.execute("COMMIT")
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error
