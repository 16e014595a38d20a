"""All SQL of `control.db`, and its one connection."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self, cast

from mrmarket.store.migration import CONTROL_SCHEMA, prepare
from mrmarket.store.sql import SqliteSql
from mrmarket.store.sqlite import connect, store_error

_BUSY_TIMEOUT_MS: Final = 500
_PER_ACCOUNT: Final = 20

Credential = Literal["password", "setup"]


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session as it is kept."""

    digest: str
    role: Literal["user", "admin"]
    account: str
    """Empty for the admin."""
    created_ms: int
    seen_ms: int


class ControlStore:
    """Sessions and credentials of one instance. Every method is one short transaction, from any thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection = connection
        self._sql = SqliteSql(path, connection)
        self._version = self._data_version()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open `control.db`, created or upgraded if need be. Raises a StoreError if it cannot be used."""
        prepare(path, CONTROL_SCHEMA)
        return cls(path, connect(path, busy_timeout_ms=_BUSY_TIMEOUT_MS))

    @classmethod
    def in_memory(cls) -> Self:
        """The same tables, gone when closed."""
        from sqlalchemy import create_engine  # noqa: PLC0415 - a real start never needs it
        from sqlalchemy.pool import StaticPool  # noqa: PLC0415 - the same

        from mrmarket.store.schema.control import CONTROL  # noqa: PLC0415 - the same

        raw = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        CONTROL.create_all(create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool))
        return cls(Path(":memory:"), raw)

    def sessions(self) -> list[SessionRow]:
        """Every session there is, the oldest first."""
        with self._lock:
            return self._sessions()

    def add(self, row: SessionRow, replaces: str | None) -> None:
        """Keep a session instead of another; of an account's sessions only the newest stay."""
        with self._transaction():
            self._sql.run("DELETE FROM sessions WHERE digest = ?", replaces or "")
            self._sql.run(
                "INSERT INTO sessions (digest, role, account, created_ms, seen_ms) VALUES (?, ?, ?, ?, ?)",
                *(row.digest, row.role, row.account, row.created_ms, row.seen_ms),
            )
            self._sql.run(
                "DELETE FROM sessions WHERE account = ? AND digest NOT IN (SELECT digest FROM sessions"
                " WHERE account = ? ORDER BY digest = ? DESC, created_ms DESC, digest LIMIT ?)",
                *(row.account, row.account, row.digest, _PER_ACCOUNT),
            )

    def touch(self, seen: Iterable[tuple[str, int]]) -> None:
        """Note when sessions were last seen; never backwards, and never one that has gone."""
        with self._transaction():
            self._sql.run_many(
                "UPDATE sessions SET seen_ms = ? WHERE digest = ? AND seen_ms < ?",
                [(at_ms, digest, at_ms) for digest, at_ms in seen],
            )

    def remove(self, digests: Iterable[str]) -> None:
        """Forget sessions; ones that have gone already are none of the caller's concern."""
        with self._transaction():
            self._sql.run_many("DELETE FROM sessions WHERE digest = ?", [(digest,) for digest in digests])

    def credential(self, name: Credential, now_ms: int) -> str | None:
        """The hash under a name, or None if there is none or it has expired."""
        with self._lock:
            rows = self._sql.rows(
                "SELECT hash FROM credentials WHERE name = ? AND (expires_ms = 0 OR expires_ms > ?)",
                *(name, now_ms),
            )
        return cast("str", rows[0][0]) if rows else None

    def put_credential(self, name: Credential, hashed: str, now_ms: int, expires_ms: int = 0) -> None:
        """Keep a hash under a name, instead of what was there."""
        with self._transaction():
            self._put(name, hashed, now_ms, expires_ms)

    def set_password(self, hashed: str, now_ms: int) -> None:
        """A new password ends every session of the owner and every set-up link."""
        with self._transaction():
            self._put("password", hashed, now_ms, 0)
            self._sql.run("DELETE FROM credentials WHERE name = ?", "setup")
            self._sql.run("DELETE FROM sessions WHERE role = ?", "admin")

    def take_setup(self, digest: str, hashed: str, now_ms: int) -> bool:
        """Use up a set-up link and set the password with it; False, and nothing done, if it is not the link.

        Two who use one link at the same time: one wins.
        """
        with self._transaction():
            taken = self._sql.run(
                "DELETE FROM credentials WHERE name = ? AND hash = ? AND expires_ms > ?",
                *("setup", digest, now_ms),
            )
            if taken:
                self._put("password", hashed, now_ms, 0)
                self._sql.run("DELETE FROM sessions WHERE role = ?", "admin")
        return bool(taken)

    def sessions_changed_elsewhere(self) -> list[SessionRow] | None:
        """Every session, if another process has written since this was last asked; never waits."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            version = self._data_version()
            if version == self._version:
                return None
            self._version = version
            return self._sessions()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Release the file; closing twice is harmless."""
        with self._lock:
            self._connection.close()

    def _put(self, name: Credential, hashed: str, now_ms: int, expires_ms: int) -> None:
        self._sql.run(
            "INSERT INTO credentials (name, hash, created_ms, expires_ms) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, created_ms = excluded.created_ms,"
            " expires_ms = excluded.expires_ms",
            *(name, hashed, now_ms, expires_ms),
        )

    def _sessions(self) -> list[SessionRow]:
        rows = self._sql.rows(
            "SELECT digest, role, account, created_ms, seen_ms FROM sessions ORDER BY created_ms, digest"
        )
        return [SessionRow(*row) for row in rows]

    def _data_version(self) -> int:
        return int(self._sql.rows("PRAGMA data_version")[0][0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise store_error(self._path, error) from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
