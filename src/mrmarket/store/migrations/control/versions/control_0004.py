"""What campaigns want traded."""

from __future__ import annotations

from alembic import op

from mrmarket.store.schema import shape

revision = "control_0004"
down_revision = "control_0003"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "goals",
        shape.text("campaign", primary_key=True),
        shape.whole("cycle"),
        shape.whole("ends_ms"),
        shape.text("goal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
