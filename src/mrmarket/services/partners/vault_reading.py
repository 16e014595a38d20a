"""The vault's file as others read it: beside whoever writes it, or through the same book."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self

from mrmarket.partners.chains import payments
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.payment import Payment
from mrmarket.store.sql import SqliteReader


class VaultBook(Protocol):
    """What a vault has written down."""

    def payment(self, key: str) -> Payment | None:
        """The transfer that was asked for under a key; None where it never was."""
        ...


class ReadVault:
    """`chains.db` on a connection that cannot write: beside a running instance, or without one."""

    def __init__(self, reader: SqliteReader) -> None:
        self._reader = reader

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """The file; None where there is none. Raises a StoreError if it cannot be read."""
        return cls(SqliteReader.open(path)) if path.exists() else None

    def payment(self, key: str) -> Payment | None:
        """The transfer that was asked for under a key; None where it never was."""
        with self._reader.snapshot() as sql:
            return payments.find_payment(sql, key)

    def close(self) -> None:
        """Release the file; closing twice is harmless."""
        self._reader.close()


class LiveVault:
    """The same through the book of a running instance."""

    def __init__(self, book: ChainBook) -> None:
        self._book = book

    def payment(self, key: str) -> Payment | None:
        """The transfer that was asked for under a key; None where it never was."""
        with self._book.reading() as sql:
            return payments.find_payment(sql, key)
