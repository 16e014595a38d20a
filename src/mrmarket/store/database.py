"""One SQLite file shared by threads and processes: one writer, one reader, durability on demand."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from mrmarket.store.errors import DatabaseUnavailableError
from mrmarket.store.sqlite import connect, store_error, sync_file

_CHECKPOINT_BYTES: Final = 8 * 2**20
_BUSY_TIMEOUT_MS: Final = 500
"""How long another process's write is waited for: longer, and the caller had better know."""
_OPENING_TIMEOUT_MS: Final = 20_000
"""The same while opening, when another process may be folding the log into the file."""


class Database:
    """A write connection and a read connection, each under its own lock.

    Commits go to the write-ahead log without waiting for the disk: a killed process loses nothing, a
    power cut may lose the last moments. Whoever needs more calls `make_durable` after its commit. That
    call syncs the log through a descriptor of its own, outside the write lock, so that a thread which
    must not wait for the disk can commit in the meantime. Copying the log back into the file needs the
    disk too and is left to the same callers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._broken: str | None = None
        self._writer = connect(path, busy_timeout_ms=_OPENING_TIMEOUT_MS)
        self._reader = connect(path, busy_timeout_ms=_OPENING_TIMEOUT_MS)
        self._log = -1
        try:
            self._writer.execute("PRAGMA wal_autocheckpoint = 0")
            self._reader.execute("PRAGMA wal_autocheckpoint = 0")
            self._open_log()
            for connection in (self._writer, self._reader):
                connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        except (sqlite3.Error, OSError) as error:
            self._writer.close()
            self._reader.close()
            raise (
                store_error(path, error)
                if isinstance(error, sqlite3.Error)
                else DatabaseUnavailableError(path, str(error))
            ) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: committed at the end, rolled back whole on any error.

        Raises:
            StoreError: by what SQLite said; nothing of the transaction remains.
        """
        with self._write_lock:
            self.require_sound()
            connection = self._writer
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise store_error(self.path, error) from error
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def write_one(self, statement: str, values: tuple[object, ...]) -> int:
        """One statement as a transaction of its own; the number of rows it changed.

        Raises:
            sqlite3.IntegrityError: left to the caller, who knows what the constraint means.
            StoreError: by what else SQLite said.
        """
        with self._write_lock:
            self.require_sound()
            try:
                return self._writer.execute(statement, values).rowcount
            except sqlite3.IntegrityError:
                raise
            except sqlite3.Error as error:
                raise store_error(self.path, error) from error

    def write_all(self, statement: str, rows: Sequence[tuple[object, ...]]) -> bool:
        """One statement for several rows as one transaction; False, and none of it, if a row changed nothing.

        Raises:
            sqlite3.IntegrityError: left to the caller, who knows what the constraint means; none is written.
            StoreError: by what else SQLite said; none is written.
        """
        if len(rows) == 1:
            return self.write_one(statement, rows[0]) == 1
        with self._write_lock:
            self.require_sound()
            connection = self._writer
            try:
                connection.execute("BEGIN IMMEDIATE")
                changed = all(connection.execute(statement, row).rowcount == 1 for row in rows)
                connection.execute("COMMIT" if changed else "ROLLBACK")
            except sqlite3.IntegrityError:
                raise
            except sqlite3.Error as error:
                raise store_error(self.path, error) from error
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            return changed

    def read(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query, as of the last commit.

        Raises:
            StoreError: by what SQLite said.
        """
        with self._read_lock:
            try:
                return self._reader.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise store_error(self.path, error) from error

    def make_durable(self) -> None:
        """Wait until everything committed so far is on the disk.

        Raises:
            DatabaseUnavailableError: if the disk refuses. The kernel may have dropped the data then, so
                this object refuses every further write until it is opened anew.
        """
        with self._sync_lock:
            self.require_sound()
            try:
                sync_file(self._log)
            except OSError as error:
                self._broken = f"sync failed: {error.strerror or error}"
                self.require_sound()
            if os.fstat(self._log).st_size > _CHECKPOINT_BYTES:
                self._checkpoint("PASSIVE")

    @property
    def is_sound(self) -> bool:
        """Whether the disk has kept every write so far."""
        return self._broken is None

    def require_sound(self) -> None:
        """Refuse to go on after the disk has lost a write.

        Raises:
            DatabaseUnavailableError: after a failed sync.
        """
        if self._broken is not None:
            raise DatabaseUnavailableError(self.path, self._broken)

    def define(self, name: str, function: Callable[[str], int]) -> None:
        """Let write statements call a function of one argument by name."""
        self._writer.create_function(name, 1, function)

    def close(self) -> None:
        """Copy the log back into the file and release it; closing twice is harmless."""
        with self._sync_lock, self._read_lock, self._write_lock:
            if self._log < 0:
                return
            try:
                if self._broken is None:
                    self._reader.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error as error:
                raise store_error(self.path, error) from error
            finally:
                os.close(self._log)
                self._log = -1
                self._reader.close()
                self._writer.close()

    def _open_log(self) -> None:
        # A commit makes SQLite create the log file, which then lives as long as our connections do.
        version = self._writer.execute("PRAGMA user_version").fetchone()[0]
        self._writer.execute(f"PRAGMA user_version = {int(version)}")
        file = self.path.resolve()  # SQLite keeps the log beside the file itself, not beside a link to it
        self._log = os.open(f"{file}-wal", os.O_RDONLY | os.O_CLOEXEC)
        sync_file(self._log)
        directory = os.open(file.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _checkpoint(self, mode: str) -> None:
        with self._read_lock:
            try:
                self._reader.execute(f"PRAGMA wal_checkpoint({mode})")
            except sqlite3.Error as error:
                raise store_error(self.path, error) from error
