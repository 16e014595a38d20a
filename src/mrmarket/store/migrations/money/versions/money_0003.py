"""Payments that are owed, on their way, or coming in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mrmarket.store.schema import shape

revision = "money_0003"
down_revision = "money_0002"


def upgrade() -> None:
    """Create the tables."""
    _payouts()
    _payments()
    _moves()


def _payouts() -> None:
    op.create_table(
        "payouts",
        shape.text("id", primary_key=True),
        shape.text("cause"),
        shape.text("cause_key"),
        shape.text("rail"),
        shape.text("account"),
        shape.text("asset"),
        sa.Column("units", shape.UNITS, nullable=False),
        shape.text("destination"),
        shape.text("memo"),
        shape.text("state"),
        shape.whole("round"),
        shape.text("key"),
        shape.text("hold"),
        shape.whole("sends"),
        shape.whole("polls"),
        shape.whole("absences"),
        shape.whole("absent_ms"),
        shape.whole("acknowledged"),
        shape.whole("refusals"),
        shape.text("reference"),
        shape.text("reason"),
        sa.Column("fee_units", shape.UNITS, nullable=False),
        shape.whole("due_ms"),
        shape.whole("queued_ms"),
        shape.whole("changed_ms"),
        shape.whole("ended_ms"),
        shape.blob("seal"),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'sent', 'unknown', 'confirmed', 'refused', 'cancelled')",
            name="payouts_state",
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("payouts_cause", "payouts", ["cause", "cause_key"], unique=True)
    op.create_index("payouts_due", "payouts", ["state", "due_ms"])
    op.create_index("payouts_account", "payouts", ["account", "queued_ms"])
    op.create_table(
        "receipts",
        shape.text("payout_id", primary_key=True),
        shape.text("rail"),
        shape.text("key"),
        shape.text("reference"),
        shape.text("asset"),
        sa.Column("units", shape.UNITS, nullable=False),
        shape.text("destination"),
        shape.text("fee_asset"),
        sa.Column("fee_units", shape.UNITS, nullable=False),
        shape.whole("rail_ms"),
        shape.whole("at_ms"),
        shape.text("posting"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    for statement in shape.append_only_triggers("receipts"):
        op.execute(statement)
    op.create_table(
        "payout_blocks",
        shape.text("asset_code", primary_key=True),
        shape.text("reason"),
        shape.whole("since_ms"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _payments() -> None:
    op.create_table(
        "payments",
        shape.text("rail", primary_key=True),
        shape.text("id", primary_key=True),
        shape.text("asset_code"),
        sa.Column("units", shape.UNITS, nullable=False),
        shape.text("sender"),
        shape.text("memo"),
        shape.text("standing"),
        shape.text("claim"),
        shape.text("ref"),
        shape.text("reason"),
        shape.whole("receipts"),
        shape.whole("booked"),
        shape.whole("confirmations"),
        shape.whole("required"),
        shape.whole("first_ms"),
        shape.whole("rail_ms"),
        shape.whole("seen_ms"),
        shape.whole("received_ms"),
        shape.whole("settled_ms"),
        shape.whole("due_ms"),
        shape.whole("attempts"),
        shape.blob("seal"),
        sa.CheckConstraint(
            "standing IN ('seen', 'received', 'claimed', 'refunding', 'refunded', 'parked', 'retracted')",
            name="payments_standing",
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("payments_due", "payments", ["standing", "due_ms"])
    op.create_index("payments_seen", "payments", ["seen_ms"])
    op.create_index("payments_ref", "payments", ["ref"])
    op.create_table(
        "payment_cursors",
        shape.text("rail", primary_key=True),
        shape.text("cursor"),
        shape.whole("failures"),
        shape.text("reason"),
        shape.whole("due_ms"),
        shape.whole("polled_ms"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "payment_incidents",
        shape.text("id", primary_key=True),
        shape.text("kind"),
        shape.text("rail"),
        shape.text("payment_id"),
        shape.text("asset"),
        sa.Column("units", shape.UNITS, nullable=False),
        shape.text("state"),
        shape.text("reason"),
        shape.whole("opened_ms"),
        shape.whole("closed_ms"),
        shape.blob("seal"),
        sa.CheckConstraint("state IN ('open', 'closed')", name="payment_incidents_state"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("payment_incidents_state", "payment_incidents", ["state", "opened_ms"])


def _moves() -> None:
    op.create_table(
        "custody_moves",
        shape.text("id", primary_key=True),
        shape.text("cause_key"),
        shape.text("account"),
        shape.text("direction"),
        shape.text("rail"),
        shape.text("venue"),
        shape.text("asset_code"),
        sa.Column("rail_units", shape.UNITS, nullable=False),
        sa.Column("venue_units", shape.UNITS, nullable=False),
        shape.text("state"),
        shape.text("hold"),
        shape.text("payout_id"),
        shape.whole("sends"),
        shape.whole("polls"),
        shape.whole("absences"),
        shape.whole("absent_ms"),
        shape.whole("acknowledged"),
        shape.text("reference"),
        shape.text("reason"),
        sa.Column("fee_units", shape.UNITS, nullable=False),
        shape.whole("final_ms"),
        shape.whole("due_ms"),
        shape.whole("planned_ms"),
        shape.whole("changed_ms"),
        shape.whole("ended_ms"),
        shape.blob("seal"),
        sa.CheckConstraint("direction IN ('to_venue', 'to_rail')", name="custody_moves_direction"),
        sa.CheckConstraint(
            "state IN ('planned', 'moving', 'unknown', 'done', 'refused')", name="custody_moves_state"
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("custody_moves_due", "custody_moves", ["state", "due_ms"])
    op.create_index("custody_moves_account", "custody_moves", ["account", "planned_ms"])
