"""Opening SQLite files the one way this project does it, and naming what SQLite complains about."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final, Literal

from mrmarket.store.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseFullError,
    DatabaseMissingError,
    DatabaseUnavailableError,
    StoreError,
)

_PRIMARY_CODE: Final = 0xFF
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def create_private(path: Path) -> None:
    """Make sure that the file exists and only its owner may read it; SQLite's side files inherit that.

    Raises:
        DatabaseUnavailableError: if it cannot be created.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise DatabaseUnavailableError(path, error.strerror or str(error)) from error


def connect(
    path: Path,
    *,
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
    read_only: bool = False,
    at_rest: bool = False,
    busy_timeout_ms: int = 2_000,
) -> sqlite3.Connection:
    """Open an existing file in WAL mode without implicit transactions, usable from any thread under a lock.

    Reading a file `at_rest` (see `is_at_rest`) leaves nothing behind, not even an empty write-ahead log,
    and works on media that cannot be written. Otherwise a reader joins the writers of the moment.

    Raises:
        StoreError: one of its subclasses, by what SQLite said.
    """
    if not path.is_file():
        raise DatabaseUnavailableError(path, "not a file") if path.exists() else DatabaseMissingError(path)
    mode = "ro" if read_only or at_rest else "rw"
    immutable = "&immutable=1" if at_rest else ""
    connection = None
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}{immutable}",
            uri=True,
            timeout=busy_timeout_ms / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        if mode == "rw":
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        # Without this, INSERT OR REPLACE would delete rows behind the append-only triggers' back.
        connection.execute("PRAGMA recursive_triggers = ON")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise store_error(path, error) from error
    return connection


def is_at_rest(path: Path) -> bool:
    """Whether nobody has the file open for writing, as far as one can see: it has no write-ahead log.

    SQLite keeps the log beside the file itself, not beside a link to it.
    """
    file = path.resolve()
    return not file.with_name(f"{file.name}-wal").exists()


def store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """The error of ours that says what SQLite's means."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    if code == sqlite3.SQLITE_FULL:
        return DatabaseFullError(path)
    if code in _BUSY:
        return DatabaseBusyError(path)
    if code in _DAMAGED:
        return DatabaseDamagedError(path, str(error))
    return DatabaseUnavailableError(path, str(error))


def sync_file(descriptor: int) -> None:
    """Force a file's content to the disk."""
    getattr(os, "fdatasync", os.fsync)(descriptor)
