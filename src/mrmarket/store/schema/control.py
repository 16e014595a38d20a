"""Tables of `control.db`: who is signed in, and what the owner proves themselves with."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Index, MetaData, Table

from mrmarket.store.schema import shape

CONTROL: Final = MetaData()

SESSIONS: Final = Table(
    "sessions",
    CONTROL,
    shape.text("digest", primary_key=True),
    shape.text("role"),
    shape.text("account"),
    shape.whole("created_ms"),
    shape.whole("seen_ms"),
    CheckConstraint("length(digest) = 64", name="sessions_digest"),
    CheckConstraint("role IN ('user', 'admin')", name="sessions_role"),
    CheckConstraint("(role = 'user') = (account <> '')", name="sessions_account"),
    CheckConstraint("seen_ms >= created_ms", name="sessions_times"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""One row a session, under the SHA-256 of its token: who reads the file cannot sign in with it."""

Index("sessions_by_account", SESSIONS.c.account, SESSIONS.c.created_ms)

CREDENTIALS: Final = Table(
    "credentials",
    CONTROL,
    shape.text("name", primary_key=True),
    shape.text("hash"),
    shape.whole("created_ms"),
    shape.whole("expires_ms"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Hashes of what the owner knows: the password (argon2id), a one-time set-up link (SHA-256).
`expires_ms` 0 is never."""
