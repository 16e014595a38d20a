"""How commands reach the books of a data folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mrmarket.core.errors import InvalidInputError

if TYPE_CHECKING:
    from mrmarket.store.sql import Sql


@contextmanager
def open_books(data: Path) -> Iterator[Sql]:
    """One snapshot of a folder's ledger, whether an instance runs or not; leaves nothing behind.

    Raises:
        DatabaseMissingError: if there is no ledger.
        DatabaseTooNewError: if a newer version wrote it.
        LedgerOutdatedError: if an older version wrote it.
    """
    from mrmarket.money.ledger.verification import LedgerOutdatedError
    from mrmarket.services.data_directory import DataDirectory
    from mrmarket.store.migration import MONEY_SCHEMA, check_version
    from mrmarket.store.sql import SqliteSql
    from mrmarket.store.sqlite import connect, is_at_rest, store_error

    path = DataDirectory(data).money_db
    found = check_version(path, MONEY_SCHEMA)
    if found != MONEY_SCHEMA.head:
        raise LedgerOutdatedError(path, found or "nothing")
    connection = connect(path, read_only=True, at_rest=is_at_rest(path))
    try:
        connection.execute("BEGIN")
        yield SqliteSql(path, connection)
    except sqlite3.Error as error:
        raise store_error(path, error) from error
    finally:
        connection.close()


def account_id(name: str) -> str:
    """A person's account: `alice` is `user:alice`; other accounts are named with their kind."""
    return name if ":" in name else f"user:{name}"


def moment_ms(text: str, field: str) -> int:
    """UTC milliseconds of a date (`2026-01-31`), an ISO 8601 time, or milliseconds since 1970.

    Raises:
        InvalidInputError: if it is none of these.
    """
    if text.isascii() and text.isdigit() and len(text) > len("20260131"):
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(field, text, "a date such as 2026-01-31, or 2026-01-31T12:00:00Z") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return round(found.timestamp() * 1_000)
