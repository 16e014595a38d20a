"""All SQL of sessions and credentials in `control.db`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self, cast

from mrmarket.store.control_database import ControlDatabase, SqliteControl
from mrmarket.store.sql import Sql

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

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open `control.db`, created or upgraded if need be. Raises a StoreError if it cannot be used."""
        return cls(SqliteControl.open(path))

    @classmethod
    def in_memory(cls) -> Self:
        """The same tables, gone when closed."""
        return cls(SqliteControl.in_memory())

    def sessions(self) -> list[SessionRow]:
        """Every session there is, the oldest first."""
        with self._database.reading() as sql:
            return _sessions(sql)

    def add(self, row: SessionRow, replaces: str | None) -> None:
        """Keep a session instead of another; of an account's sessions only the newest stay."""
        with self._database.transaction() as sql:
            sql.run("DELETE FROM sessions WHERE digest = ?", replaces or "")
            sql.run(
                "INSERT INTO sessions (digest, role, account, created_ms, seen_ms) VALUES (?, ?, ?, ?, ?)",
                *(row.digest, row.role, row.account, row.created_ms, row.seen_ms),
            )
            sql.run(
                "DELETE FROM sessions WHERE account = ? AND digest NOT IN (SELECT digest FROM sessions"
                " WHERE account = ? ORDER BY digest = ? DESC, created_ms DESC, digest LIMIT ?)",
                *(row.account, row.account, row.digest, _PER_ACCOUNT),
            )

    def touch(self, seen: Iterable[tuple[str, int]]) -> None:
        """Note when sessions were last seen; never backwards, and never one that has gone."""
        with self._database.transaction() as sql:
            sql.run_many(
                "UPDATE sessions SET seen_ms = ? WHERE digest = ? AND seen_ms < ?",
                [(at_ms, digest, at_ms) for digest, at_ms in seen],
            )

    def remove(self, digests: Iterable[str]) -> None:
        """Forget sessions; ones that have gone already are none of the caller's concern."""
        with self._database.transaction() as sql:
            sql.run_many("DELETE FROM sessions WHERE digest = ?", [(digest,) for digest in digests])

    def credential(self, name: Credential, now_ms: int) -> str | None:
        """The hash under a name, or None if there is none or it has expired."""
        with self._database.reading() as sql:
            rows = sql.rows(
                "SELECT hash FROM credentials WHERE name = ? AND (expires_ms = 0 OR expires_ms > ?)",
                *(name, now_ms),
            )
        return cast("str", rows[0][0]) if rows else None

    def put_credential(self, name: Credential, hashed: str, now_ms: int, expires_ms: int = 0) -> None:
        """Keep a hash under a name, instead of what was there."""
        with self._database.transaction() as sql:
            _put(sql, name, hashed, now_ms, expires_ms)

    def set_password(self, hashed: str, now_ms: int) -> None:
        """A new password ends every session of the owner and every set-up link."""
        with self._database.transaction() as sql:
            _put(sql, "password", hashed, now_ms, 0)
            sql.run("DELETE FROM credentials WHERE name = ?", "setup")
            sql.run("DELETE FROM sessions WHERE role = ?", "admin")

    def take_setup(self, digest: str, hashed: str, now_ms: int) -> bool:
        """Use up a set-up link and set the password with it; False, and nothing done, if it is not the link.

        Two who use one link at the same time: one wins.
        """
        with self._database.transaction() as sql:
            taken = sql.run(
                "DELETE FROM credentials WHERE name = ? AND hash = ? AND expires_ms > ?",
                *("setup", digest, now_ms),
            )
            if taken:
                _put(sql, "password", hashed, now_ms, 0)
                sql.run("DELETE FROM sessions WHERE role = ?", "admin")
        return bool(taken)

    def sessions_changed_elsewhere(self) -> list[SessionRow] | None:
        """Every session, if another process has written since this was last asked; never waits."""
        with self._database.news() as sql:
            return None if sql is None else _sessions(sql)

    def close(self) -> None:
        """Release the database; closing twice is harmless."""
        self._database.close()


def _put(sql: Sql, name: Credential, hashed: str, now_ms: int, expires_ms: int) -> None:
    sql.run(
        "INSERT INTO credentials (name, hash, created_ms, expires_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, created_ms = excluded.created_ms,"
        " expires_ms = excluded.expires_ms",
        *(name, hashed, now_ms, expires_ms),
    )


def _sessions(sql: Sql) -> list[SessionRow]:
    rows = sql.rows("SELECT digest, role, account, created_ms, seen_ms FROM sessions")
    return sorted((SessionRow(*row) for row in rows), key=lambda row: (row.created_ms, row.digest))
