"""Terms, deposits, withdrawals and fees of several pools."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mrmarket.store.schema import shape

revision = "money_0004"
down_revision = "money_0003"


def upgrade() -> None:
    """Create the tables."""
    _terms()
    _flows()
    _shares()


def _terms() -> None:
    op.create_table(
        "pool_terms",
        shape.text("pool", primary_key=True),
        shape.whole("version", primary_key=True),
        shape.whole("effective_ms"),
        shape.whole("at_ms"),
        shape.text("document"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pool_flags",
        shape.text("pool", primary_key=True),
        shape.text("deposits_paused"),
        shape.text("withdrawals_paused"),
        shape.whole("changed_ms"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pool_members",
        shape.text("pool", primary_key=True),
        shape.text("account", primary_key=True),
        shape.whole("added_ms"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _flows() -> None:
    op.create_table(
        "pool_deposits",
        shape.text("id", primary_key=True),
        shape.text("pool"),
        shape.text("account"),
        shape.text("rail"),
        shape.text("asset"),
        sa.Column("units", shape.UNITS, nullable=False),
        shape.text("tier"),
        shape.whole("terms_version"),
        shape.text("memo"),
        shape.text("state"),
        shape.text("reason"),
        shape.whole("created_ms"),
        shape.whole("expires_ms"),
        shape.whole("seen_ms"),
        shape.whole("credited_ms"),
        shape.whole("ended_ms"),
        shape.text("payment"),
        sa.Column("share_units", shape.UNITS, nullable=False),
        sa.Column("value_units", shape.UNITS, nullable=False),
        sa.Column("fee_units", shape.UNITS, nullable=False),
        shape.whole("locked_until_ms"),
        shape.text("priced"),
        shape.blob("seal"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("units"), name="pool_deposits_units"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("share_units"), name="pool_deposits_share_units"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("value_units"), name="pool_deposits_value_units"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("fee_units"), name="pool_deposits_fee_units"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("pool_deposits_memo", "pool_deposits", ["memo"], unique=True)
    op.create_index("pool_deposits_account", "pool_deposits", ["account", "created_ms"])
    op.create_index("pool_deposits_state", "pool_deposits", ["state", "pool"])
    op.create_table(
        "pool_withdrawals",
        shape.text("id", primary_key=True),
        shape.text("account"),
        shape.text("pool"),
        sa.Column("share_units", shape.UNITS, nullable=False),
        shape.text("parts"),
        shape.text("asset"),
        sa.Column("units", shape.UNITS, nullable=False),
        shape.text("rail"),
        shape.text("destination"),
        shape.text("state"),
        shape.text("reason"),
        shape.whole("terms_version"),
        shape.whole("created_ms"),
        shape.whole("ready_ms"),
        shape.whole("burned_ms"),
        shape.whole("changed_ms"),
        shape.whole("ended_ms"),
        shape.text("payout"),
        shape.whole("attempt"),
        sa.Column("value_units", shape.UNITS, nullable=False),
        sa.Column("fee_units", shape.UNITS, nullable=False),
        shape.text("priced"),
        shape.blob("seal"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("share_units"), name="pool_withdrawals_share_units"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("units"), name="pool_withdrawals_units"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("value_units"), name="pool_withdrawals_value_units"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("fee_units"), name="pool_withdrawals_fee_units"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("pool_withdrawals_account", "pool_withdrawals", ["account", "created_ms"])
    op.create_index("pool_withdrawals_state", "pool_withdrawals", ["state", "pool"])
    op.create_index("pool_withdrawals_payout", "pool_withdrawals", ["payout"])


def _shares() -> None:
    op.create_table(
        "pool_lots",
        shape.text("id", primary_key=True),
        shape.text("pool"),
        shape.text("account"),
        shape.text("tier"),
        sa.Column("share_units", shape.UNITS, nullable=False),
        sa.Column("held_units", shape.UNITS, nullable=False),
        shape.whole("opened_ms"),
        shape.whole("locked_until_ms"),
        shape.whole("weight_num"),
        shape.whole("weight_den"),
        shape.whole("exit_fee_bps"),
        shape.blob("seal"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("share_units"), name="pool_lots_share_units"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("held_units"), name="pool_lots_held_units"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("pool_lots_account", "pool_lots", ["pool", "account"])
    op.create_table(
        "share_entries",
        shape.text("pool", primary_key=True),
        shape.whole("number", primary_key=True),
        shape.whole("at_ms"),
        shape.text("account"),
        shape.text("lot"),
        shape.text("kind"),
        sa.Column("share_units", shape.UNITS, nullable=False),
        sa.Column("value_units", shape.UNITS, nullable=False),
        sa.Column("fee_units", shape.UNITS, nullable=False),
        shape.blob("seal"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("share_units"), name="share_entries_share_units"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("value_units"), name="share_entries_value_units"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("fee_units"), name="share_entries_fee_units"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("share_entries_account", "share_entries", ["account", "pool", "number"])
    op.create_index("share_entries_time", "share_entries", ["pool", "at_ms"])
    op.create_table(
        "fee_windows",
        shape.text("pool", primary_key=True),
        shape.whole("end_ms", primary_key=True),
        shape.whole("start_ms"),
        sa.Column("management_units", shape.UNITS, nullable=False),
        sa.Column("performance_units", shape.UNITS, nullable=False),
        sa.Column("value_units", shape.UNITS, nullable=False),
        shape.whole("carry"),
        sa.Column("supply_units", shape.UNITS, nullable=False),
        sa.Column("price_units", shape.UNITS, nullable=False),
        sa.Column("high_water_units", shape.UNITS, nullable=False),
        shape.whole("high_water_ms"),
        shape.blob("seal"),
        sa.CheckConstraint(
            shape.SIGNED_UNITS.format("management_units"), name="fee_windows_management_units"
        ),
        sa.CheckConstraint(
            shape.SIGNED_UNITS.format("performance_units"), name="fee_windows_performance_units"
        ),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("value_units"), name="fee_windows_value_units"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("supply_units"), name="fee_windows_supply_units"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("price_units"), name="fee_windows_price_units"),
        sa.CheckConstraint(
            shape.SIGNED_UNITS.format("high_water_units"), name="fee_windows_high_water_units"
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pool_days",
        shape.text("pool", primary_key=True),
        shape.whole("start_ms", primary_key=True),
        shape.whole("fills"),
        sa.Column("volume_units", shape.UNITS, nullable=False),
        sa.Column("venue_fee_units", shape.UNITS, nullable=False),
        sa.Column("brought_units", shape.UNITS, nullable=False),
        sa.Column("taken_units", shape.UNITS, nullable=False),
        shape.blob("seal"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("volume_units"), name="pool_days_volume_units"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("venue_fee_units"), name="pool_days_venue_fee_units"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("brought_units"), name="pool_days_brought_units"),
        sa.CheckConstraint(shape.SIGNED_UNITS.format("taken_units"), name="pool_days_taken_units"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
