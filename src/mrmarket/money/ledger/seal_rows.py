"""Seals as rows."""

from __future__ import annotations

from typing import Any

from mrmarket.money.ledger.seal import GENESIS, Document, RotationDocument, SealDocument, Signed, opened
from mrmarket.store.sql import Sql


class SealRows:
    """The chain of seals in somebody else's transaction."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def all(self) -> list[Signed]:
        """Every document, in order."""
        rows = self._sql.rows("SELECT document, signature FROM seals ORDER BY number")
        return [_signed(row) for row in rows]

    def find(self, number: int) -> Signed | None:
        """One document."""
        rows = self._sql.rows("SELECT document, signature FROM seals WHERE number = ?", number)
        return _signed(rows[0]) if rows else None

    def last(self) -> Signed | None:
        """The newest document, seal or rotation."""
        rows = self._sql.rows("SELECT document, signature FROM seals ORDER BY number DESC LIMIT 1")
        return _signed(rows[0]) if rows else None

    def last_seal(self) -> Signed | None:
        """The newest seal."""
        rows = self._sql.rows(
            "SELECT document, signature FROM seals WHERE seq > 0 ORDER BY number DESC LIMIT 1"
        )
        return _signed(rows[0]) if rows else None

    def rotations(self) -> list[Signed]:
        """Every hand-over from one key to the next, in order."""
        rows = self._sql.rows("SELECT document, signature FROM seals WHERE seq = 0 ORDER BY number")
        return [_signed(row) for row in rows]

    def append(self, signed: Signed, document: Document) -> None:
        """Add the next document."""
        self._sql.run(
            "INSERT INTO seals (number, at_ms, seq, document, signature) VALUES (?, ?, ?, ?, ?)",
            document.number,
            document.at_ms,
            document.seq if isinstance(document, SealDocument) else 0,
            signed.document,
            bytes.fromhex(signed.signature),
        )

    def next(self) -> tuple[int, str, str | None]:
        """Number of the next document, what it is chained to, and the key that must sign it."""
        last = self.last()
        if last is None:
            return 1, GENESIS, None
        document = opened(last)
        key = document.new_public_key if isinstance(document, RotationDocument) else document.public_key
        return document.number + 1, last.hash, key


def _signed(row: tuple[Any, ...]) -> Signed:
    return Signed(row[0], bytes(row[1]).hex())
