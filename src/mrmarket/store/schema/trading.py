"""Tables of `trading.db`: leases, order journal, event log."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, MetaData, Table, Text, text

from mrmarket.store.schema import shape

TRADING: Final = MetaData()

_OPEN: Final = text("state NOT IN ('filled', 'cancelled', 'rejected', 'expired')")


def leases(metadata: MetaData) -> Table:
    """Who may write, under which fence. A row is never deleted, so that fences only rise."""
    return Table(
        "leases",
        metadata,
        shape.text("name", primary_key=True),
        shape.whole("fence"),
        shape.text("owner"),
        shape.whole("expires_ns"),
        CheckConstraint("fence > 0", name="leases_fence"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


LEASES: Final = leases(TRADING)

SEQUENCES: Final = Table(
    "sequences",
    TRADING,
    shape.text("stream", primary_key=True),
    shape.whole("reserved_through"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""How far the order sequence of each stream has been handed out, in blocks."""

ORDERS: Final = shape.numbered(
    Table(
        "orders",
        TRADING,
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
        CheckConstraint("side IN ('buy', 'sell')", name="orders_side"),
        CheckConstraint("size_lots > 0 AND filled_lots >= 0", name="orders_lots"),
        sqlite_strict=True,
    )
)
Index("orders_by_time", ORDERS.c.stream, ORDERS.c.created_ns)
Index(
    "orders_open",
    ORDERS.c.stream,
    ORDERS.c.created_ns,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)

EVENTS: Final = shape.append_only(
    Table(
        "events",
        TRADING,
        shape.text("stream", primary_key=True),
        shape.whole("seq", primary_key=True),
        shape.whole("epoch"),
        shape.whole("at_ns"),
        shape.text("kind"),
        Column("natural_key", Text()),
        shape.blob("payload"),
        shape.blob("hash"),
        CheckConstraint("seq > 0", name="events_seq"),
        CheckConstraint("length(hash) = 32", name="events_hash"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
"""The event log. `natural_key` is set for facts that must not repeat."""
Index(
    "events_natural_key",
    EVENTS.c.natural_key,
    unique=True,
    sqlite_where=text("natural_key IS NOT NULL"),
    postgresql_where=text("natural_key IS NOT NULL"),
)
Index("events_by_kind", EVENTS.c.stream, EVENTS.c.kind, EVENTS.c.seq)

RUN_FOLDS: Final = Table(
    "run_folds",
    TRADING,
    shape.text("stream", primary_key=True),
    shape.whole("seq"),
    shape.blob("hash"),
    shape.whole("at_ns"),
    shape.blob("fold"),
    CheckConstraint("seq >= 0", name="run_folds_seq"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What each stream added up to when it was last folded: a help for restarts, never a truth of its own."""
