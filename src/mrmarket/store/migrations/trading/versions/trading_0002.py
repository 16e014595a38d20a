"""What a stream adds up to, and the order in which PostgreSQL took orders in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mrmarket.store.schema import shape

revision = "trading_0002"
down_revision = "trading_0001"


def upgrade() -> None:
    """Create the table; SQLite numbers its orders by itself."""
    op.create_table(
        "run_folds",
        shape.text("stream", primary_key=True),
        shape.whole("seq"),
        shape.blob("hash"),
        shape.whole("at_ns"),
        shape.blob("fold"),
        sa.CheckConstraint("seq >= 0", name="run_folds_seq"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute(shape.RowNumbers("orders"))
