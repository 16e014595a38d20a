"""Signed seals and what was seen of the assets."""

from __future__ import annotations

from hashlib import sha256

import sqlalchemy as sa
from alembic import op

from mrmarket.store.schema import shape

revision = "money_0006"
down_revision = "money_0005"


def upgrade() -> None:
    """Create the tables."""
    _signed("seals", [shape.whole("seq")])
    _observations()
    _incidents()
    _signed("solvency_reports", [])
    _mark_leases()


def _mark_leases() -> None:
    """Give leases of before the digest and the fence in their owner's text, as taking one does today."""
    bind = op.get_bind()
    for name, fence, owner in bind.execute(sa.text("SELECT name, fence, owner FROM leases")).fetchall():
        digest = sha256(f"{name}\0{owner}".encode()).hexdigest()[:16]
        bind.execute(
            sa.text("UPDATE leases SET owner = :owner WHERE name = :name"),
            {"owner": f"{owner} {digest} #{fence}", "name": name},
        )


def _signed(table: str, more: list[sa.Column[int]]) -> None:
    op.create_table(
        table,
        shape.whole("number", primary_key=True),
        shape.whole("at_ms"),
        *more,
        shape.text("document"),
        shape.blob("signature"),
        sa.CheckConstraint("length(signature) = 64", name=f"{table}_signature"),
        sqlite_strict=True,
    )
    for statement in shape.append_only_triggers(table):
        op.execute(statement)


def _observations() -> None:
    op.create_table(
        "asset_observations",
        shape.text("place", primary_key=True),
        shape.text("code", primary_key=True),
        sa.Column("units", shape.UNITS, nullable=False),
        shape.whole("decimals"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("units"), name="asset_observations_units"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "solvency_looks",
        shape.text("asset", primary_key=True),
        shape.whole("good"),
        shape.whole("bad"),
        shape.whole("at_ms"),
        shape.text("why"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _incidents() -> None:
    op.create_table(
        "solvency_incidents",
        shape.text("id", primary_key=True),
        shape.text("asset"),
        shape.text("place"),
        shape.text("why"),
        sa.Column("difference_units", shape.UNITS, nullable=False),
        shape.text("state"),
        shape.whole("opened_ms"),
        shape.whole("closed_ms"),
        shape.text("closed_by"),
        shape.text("closed_why"),
        shape.blob("seal"),
        sa.CheckConstraint("state IN ('open', 'closed')", name="solvency_incidents_state"),
        sa.CheckConstraint(
            shape.SIGNED_UNITS.format("difference_units"), name="solvency_incidents_difference"
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "solvency_incidents_open",
        "solvency_incidents",
        ["asset"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
