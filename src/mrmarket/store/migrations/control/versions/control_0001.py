"""Sessions and the owner's credentials."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mrmarket.store.schema import shape

revision = "control_0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "sessions",
        shape.text("digest", primary_key=True),
        shape.text("role"),
        shape.text("account"),
        shape.whole("created_ms"),
        shape.whole("seen_ms"),
        sa.CheckConstraint("length(digest) = 64", name="sessions_digest"),
        sa.CheckConstraint("role IN ('user', 'admin')", name="sessions_role"),
        sa.CheckConstraint("(role = 'user') = (account <> '')", name="sessions_account"),
        sa.CheckConstraint("seen_ms >= created_ms", name="sessions_times"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("sessions_by_account", "sessions", ["account", "created_ms"])
    op.create_table(
        "credentials",
        shape.text("name", primary_key=True),
        shape.text("hash"),
        shape.whole("created_ms"),
        shape.whole("expires_ms"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
