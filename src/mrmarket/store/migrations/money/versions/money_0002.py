"""Holds, ceilings and clamped transfers."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from mrmarket.store.schema import shape

revision = "money_0002"
down_revision = "money_0001"

PHASES = "phase IS NULL OR phase = 'pending' OR phase = 'post' OR phase = 'void' OR phase = 'expire'"


def upgrade() -> None:
    """Widen accounts and transfers; create the tables."""
    _add("accounts", "ceiling", shape.UNITS, shape.SIGNED_UNITS.format("ceiling"))
    _add("transfers", "phase", sa.Text(), PHASES)
    _add("transfers", "hold", sa.Text())
    _add("transfers", "expires_ms", shape.WHOLE)
    _add("transfers", "asked", shape.UNITS, f"asked IS NULL OR ({shape.POSITIVE_UNITS.format('asked')})")
    if op.get_bind().dialect.name == "sqlite":
        _write_anew("accounts")
        _write_anew("transfers")
    op.create_index("transfers_debit", "transfers", ["debit", "group_seq", "position"])
    op.create_index("transfers_credit", "transfers", ["credit", "group_seq", "position"])
    op.create_table(
        "holds",
        shape.text("id", primary_key=True),
        shape.whole("group_seq"),
        shape.whole("position"),
        shape.text("state"),
        sa.Column("settled_seq", shape.WHOLE),
        sa.CheckConstraint("state IN ('pending', 'posted', 'voided', 'expired')", name="holds_state"),
        sa.CheckConstraint("(state = 'pending') = (settled_seq IS NULL)", name="holds_settled"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "holds_pending",
        "holds",
        ["id"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )


def _add(table: str, name: str, kind: sa.types.TypeEngine[Any], check: str | None = None) -> None:
    constraints = [] if check is None else [sa.CheckConstraint(check)]
    op.add_column(table, sa.Column(name, kind, *constraints))


def _write_anew(table: str) -> None:
    """Give every row its new columns on the disk, as new rows have them; SQLite leaves old rows short."""
    for verb in ("update", "delete"):
        op.execute(f"DROP TRIGGER {table}_never_{verb}")
    op.execute(f"UPDATE {table} SET kind = kind")  # noqa: S608 - constants
    for statement in shape.append_only_triggers(table):
        op.execute(statement)
