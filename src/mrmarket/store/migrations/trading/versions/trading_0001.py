"""Leases, order journal and event log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mrmarket.store.schema import shape

revision = "trading_0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "leases",
        shape.text("name", primary_key=True),
        shape.whole("fence"),
        shape.text("owner"),
        shape.whole("expires_ns"),
        sa.CheckConstraint("fence > 0", name="leases_fence"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sequences",
        shape.text("stream", primary_key=True),
        shape.whole("reserved_through"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "orders",
        shape.text("client_order_id", primary_key=True),
        shape.text("stream"),
        shape.text("symbol"),
        shape.text("slot"),
        shape.text("side"),
        shape.text("kind"),
        shape.whole("price_ticks"),
        shape.whole("size_lots"),
        shape.whole("created_ns"),
        shape.text("venue_order_id"),
        shape.text("state"),
        shape.whole("filled_lots"),
        shape.whole("updated_ns"),
        sa.CheckConstraint("side IN ('buy', 'sell')", name="orders_side"),
        sa.CheckConstraint("size_lots > 0 AND filled_lots >= 0", name="orders_lots"),
        sqlite_strict=True,
    )
    op.create_index("orders_by_time", "orders", ["stream", "created_ns"])
    still_open = sa.text("state NOT IN ('filled', 'cancelled', 'rejected', 'expired')")
    op.create_index(
        "orders_open",
        "orders",
        ["stream", "created_ns"],
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
    op.create_table(
        "events",
        shape.text("stream", primary_key=True),
        shape.whole("seq", primary_key=True),
        shape.whole("epoch"),
        shape.whole("at_ns"),
        shape.text("kind"),
        sa.Column("natural_key", sa.Text()),
        shape.blob("payload"),
        shape.blob("hash"),
        sa.CheckConstraint("seq > 0", name="events_seq"),
        sa.CheckConstraint("length(hash) = 32", name="events_hash"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "events_natural_key",
        "events",
        ["natural_key"],
        unique=True,
        sqlite_where=sa.text("natural_key IS NOT NULL"),
        postgresql_where=sa.text("natural_key IS NOT NULL"),
    )
    op.create_index("events_by_kind", "events", ["stream", "kind", "seq"])
    for statement in shape.append_only_triggers("events"):
        op.execute(statement)
