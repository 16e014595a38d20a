"""What choosing between strategies remembers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mrmarket.store.schema import shape

revision = "control_0003"
down_revision = "control_0002"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "selection_notes",
        shape.text("name", primary_key=True),
        shape.text("payload"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "selection_log",
        shape.text("kind", primary_key=True),
        shape.whole("at_ms", primary_key=True),
        shape.whole("number", primary_key=True),
        shape.text("payload"),
        sa.CheckConstraint("kind IN ('decision', 'scores')", name="selection_log_kind"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
