"""The ledger, and what the pool remembers beside it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mrmarket.store.schema import shape

revision = "money_0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    _ledger()
    _settlement()
    _pool()


def _ledger() -> None:
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
        "groups",
        shape.whole("seq", primary_key=True),
        shape.text("key"),
        shape.blob("content_hash"),
        shape.whole("at_ms"),
        shape.whole("epoch"),
        shape.text("outcome"),
        shape.text("message"),
        shape.text("memo"),
        sa.Column("reverses", sa.Text()),
        shape.blob("hash"),
        sa.CheckConstraint("length(hash) = 32 AND length(content_hash) = 32", name="groups_hash"),
        sqlite_strict=True,
    )
    op.create_index("groups_key", "groups", ["key"], unique=True)
    op.create_index(
        "groups_reverses", "groups", ["reverses"], unique=True, sqlite_where=sa.text("reverses IS NOT NULL")
    )
    op.create_table(
        "assets",
        shape.text("id", primary_key=True),
        shape.whole("decimals"),
        shape.whole("group_seq"),
        shape.whole("position"),
        sa.CheckConstraint("decimals BETWEEN 0 AND 38", name="assets_decimals"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("assets_group", "assets", ["group_seq", "position"], unique=True)
    op.create_table(
        "accounts",
        shape.text("id", primary_key=True),
        shape.text("kind"),
        sa.Column("floor", shape.UNITS),
        shape.whole("group_seq"),
        shape.whole("position"),
        sa.CheckConstraint(f"floor IS NULL OR {shape.SIGNED_UNITS.format('floor')}", name="accounts_floor"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("accounts_group", "accounts", ["group_seq", "position"], unique=True)
    op.create_table(
        "transfers",
        shape.whole("group_seq", primary_key=True),
        shape.whole("position", primary_key=True),
        shape.text("debit"),
        shape.text("credit"),
        shape.text("asset"),
        sa.Column("units", shape.UNITS, nullable=False),
        shape.text("kind"),
        sa.CheckConstraint(shape.POSITIVE_UNITS.format("units"), name="transfers_units"),
        sa.CheckConstraint("debit <> credit", name="transfers_two_accounts"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "balances",
        sa.Column("account", sa.Text(), sa.ForeignKey("accounts.id"), primary_key=True, nullable=False),
        sa.Column("asset", sa.Text(), sa.ForeignKey("assets.id"), primary_key=True, nullable=False),
        sa.Column("units", shape.UNITS, nullable=False),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("units"), name="balances_units"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    for table in ("groups", "assets", "accounts", "transfers"):
        for statement in shape.append_only_triggers(table):
            op.execute(statement)


def _settlement() -> None:
    op.create_table(
        "settlement_cursors",
        shape.text("stream", primary_key=True),
        shape.whole("epoch"),
        shape.whole("seq"),
        shape.blob("hash"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "parked_fills",
        shape.text("key", primary_key=True),
        shape.text("stream"),
        shape.whole("seq"),
        shape.blob("payload"),
        shape.text("code"),
        shape.text("reason"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "marks",
        shape.text("venue", primary_key=True),
        shape.text("symbol", primary_key=True),
        shape.text("base"),
        shape.text("quote"),
        shape.text("bid"),
        shape.text("ask"),
        shape.whole("at_ns"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "observed_balances",
        shape.text("venue", primary_key=True),
        shape.text("asset", primary_key=True),
        shape.text("free"),
        shape.text("locked"),
        shape.whole("at_ns"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _pool() -> None:
    op.create_table(
        "equity_points",
        shape.text("pool", primary_key=True),
        shape.whole("at_s", primary_key=True),
        sa.Column("nav", shape.UNITS, nullable=False),
        sa.Column("shares", shape.UNITS, nullable=False),
        sa.Column("pnl", shape.UNITS, nullable=False),
        shape.blob("seal"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("nav"), name="equity_nav"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("shares"), name="equity_shares"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("pnl"), name="equity_pnl"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "stakes",
        shape.text("pool", primary_key=True),
        shape.text("account", primary_key=True),
        sa.Column("paid_in", shape.UNITS, nullable=False),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("paid_in"), name="stakes_paid_in"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
