"""Partners' campaigns and their payouts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mrmarket.store.schema import shape

revision = "money_0007"
down_revision = "money_0006"


def upgrade() -> None:
    """Create the tables."""
    _offers()
    _goals()
    _payouts()


def _offers() -> None:
    op.create_table(
        "campaign_offers",
        shape.text("id", primary_key=True),
        shape.text("partner"),
        shape.whole("chain_id"),
        shape.text("address"),
        shape.text("stage"),
        shape.text("wallet"),
        shape.text("account"),
        shape.text("terms"),
        shape.whole("joined_ms"),
        shape.text("reason"),
        shape.whole("changed_ms"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("campaign_offers_escrow", "campaign_offers", ["chain_id", "address"], unique=True)
    op.create_index("campaign_offers_stage", "campaign_offers", ["stage", "changed_ms"])
    op.create_table(
        "campaign_steps",
        shape.text("campaign", primary_key=True),
        shape.whole("seq", primary_key=True),
        shape.text("event"),
        shape.text("stage"),
        shape.text("reason"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        sa.CheckConstraint("seq > 0", name="campaign_steps_seq"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    _append_only("campaign_steps")


def _goals() -> None:
    op.create_table(
        "campaign_goals",
        shape.text("campaign", primary_key=True),
        shape.whole("cycle", primary_key=True),
        shape.text("pause"),
        shape.text("goal"),
        shape.whole("told"),
        shape.whole("changed_ms"),
        shape.blob("seal"),
        sa.CheckConstraint("told IN (0, 1)", name="campaign_goals_told"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("campaign_goals_told", "campaign_goals", ["told"])
    op.create_table(
        "campaign_estimates",
        shape.text("campaign", primary_key=True),
        shape.whole("cycle", primary_key=True),
        shape.whole("seq", primary_key=True),
        sa.Column("expected_units", shape.UNITS, nullable=False),
        shape.text("reward_value"),
        shape.text("cost"),
        shape.text("price_source"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        sa.CheckConstraint("seq > 0", name="campaign_estimates_seq"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    _append_only("campaign_estimates")


def _payouts() -> None:
    op.create_table(
        "campaign_payouts",
        shape.text("id", primary_key=True),
        shape.whole("chain_id"),
        shape.text("tx"),
        shape.whole("log"),
        shape.text("campaign"),
        shape.whole("cycle"),
        shape.text("token"),
        sa.Column("units", shape.UNITS, nullable=False),
        shape.text("batch"),
        shape.whole("block_ms"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        sa.CheckConstraint("cycle >= 0 AND log >= 0", name="campaign_payouts_place"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("campaign_payouts_name", "campaign_payouts", ["chain_id", "tx", "log"], unique=True)
    op.create_index("campaign_payouts_cycle", "campaign_payouts", ["campaign", "cycle"])
    _append_only("campaign_payouts")
    op.create_table(
        "campaign_payout_steps",
        shape.text("payout", primary_key=True),
        shape.text("step", primary_key=True),
        shape.text("ref", primary_key=True),
        sa.Column("units", shape.UNITS, nullable=False),
        shape.text("why"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        sa.CheckConstraint(
            "step IN ('parked', 'entered', 'remainder', 'sweeping', 'arrived', 'sweep_failed', 'cost',"
            " 'retracted')",
            name="campaign_payout_steps_step",
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("campaign_payout_steps_ref", "campaign_payout_steps", ["step", "ref"])
    _append_only("campaign_payout_steps")
    op.create_table(
        "campaign_cursors",
        shape.text("feed", primary_key=True),
        shape.text("cursor"),
        shape.whole("changed_ms"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _append_only(table: str) -> None:
    for statement in shape.append_only_triggers(table):
        op.execute(statement)
