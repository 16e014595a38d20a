"""Rewards received, allocated and paid."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mrmarket.store.schema import shape

revision = "money_0005"
down_revision = "money_0004"


def upgrade() -> None:
    """Create the tables."""
    _received()
    _allocated()
    _delivered()
    _jobs()


def _received() -> None:
    op.create_table(
        "reward_campaigns",
        shape.text("id", primary_key=True),
        shape.text("pool"),
        shape.whole("start_ms"),
        shape.whole("end_ms"),
        shape.whole("cycle_ms"),
        shape.text("attribution"),
        shape.whole("fee_bps"),
        shape.blob("seal"),
        sa.CheckConstraint("start_ms < end_ms AND cycle_ms > 0", name="reward_campaigns_time"),
        sa.CheckConstraint("fee_bps BETWEEN 0 AND 10000", name="reward_campaigns_fee"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("reward_campaigns_pool", "reward_campaigns", ["pool", "start_ms"])
    op.create_table(
        "reward_entries",
        shape.text("id", primary_key=True),
        shape.text("source"),
        shape.text("ref"),
        shape.text("campaign"),
        shape.whole("day"),
        shape.text("asset"),
        shape.whole("seq"),
        sa.Column("units", shape.UNITS, nullable=False),
        shape.text("origin"),
        shape.whole("observed_ms"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        sa.CheckConstraint("seq > 0 AND day >= 0", name="reward_entries_seq"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("reward_entries_source", "reward_entries", ["source", "ref"], unique=True)
    op.create_index("reward_entries_day", "reward_entries", ["campaign", "day", "asset", "seq"], unique=True)
    op.create_table(
        "reward_reductions",
        shape.text("id", primary_key=True),
        shape.text("entry"),
        shape.text("kind"),
        shape.text("campaign"),
        shape.whole("day"),
        shape.text("asset"),
        shape.whole("seq"),
        sa.Column("units", shape.UNITS, nullable=False),
        shape.text("counter"),
        shape.text("payer"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        sa.CheckConstraint("kind IN ('retracted', 'network')", name="reward_reductions_kind"),
        sa.CheckConstraint("payer IN ('rewards', 'reserve', 'elsewhere')", name="reward_reductions_payer"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("reward_reductions_entry", "reward_reductions", ["entry"])
    op.create_index(
        "reward_reductions_day", "reward_reductions", ["campaign", "day", "asset", "seq"], unique=True
    )
    for table in ("reward_campaigns", "reward_entries", "reward_reductions"):
        for statement in shape.append_only_triggers(table):
            op.execute(statement)


def _allocated() -> None:
    op.create_table(
        "reward_runs",
        shape.text("id", primary_key=True),
        shape.text("campaign"),
        shape.whole("day"),
        shape.text("asset"),
        shape.whole("ordinal"),
        shape.text("kind"),
        shape.text("pool"),
        shape.whole("start_ms"),
        shape.whole("end_ms"),
        shape.text("attribution"),
        shape.text("salt"),
        shape.whole("entries"),
        shape.whole("reductions"),
        sa.Column("total_units", shape.UNITS, nullable=False),
        sa.Column("credited_units", shape.UNITS, nullable=False),
        sa.Column("fee_units", shape.UNITS, nullable=False),
        sa.Column("dust_units", shape.UNITS, nullable=False),
        sa.Column("unallocated_units", shape.UNITS, nullable=False),
        sa.Column("kept_units", shape.UNITS, nullable=False),
        sa.Column("reserve_units", shape.UNITS, nullable=False),
        sa.Column("short_units", shape.UNITS, nullable=False),
        sa.Column("dust_below_units", shape.UNITS, nullable=False),
        shape.whole("fee_bps"),
        shape.text("weight"),
        shape.text("weight_scale"),
        shape.text("integral_scale"),
        shape.whole("changes"),
        shape.whole("rows"),
        shape.whole("chunks"),
        shape.blob("given"),
        shape.blob("input_hash"),
        shape.blob("rows_hash"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        sa.CheckConstraint("kind IN ('first', 'adjusting')", name="reward_runs_kind"),
        sa.CheckConstraint("length(input_hash) = 32 AND length(rows_hash) = 32", name="reward_runs_hash"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("reward_runs_day", "reward_runs", ["campaign", "day", "asset", "ordinal"], unique=True)
    op.create_index("reward_runs_time", "reward_runs", ["at_ms"])
    op.create_table(
        "reward_rows",
        shape.text("run", primary_key=True),
        shape.text("account", primary_key=True),
        shape.whole("chunk"),
        sa.Column("due_units", shape.UNITS, nullable=False),
        sa.Column("units", shape.UNITS, nullable=False),
        sa.Column("kept_units", shape.UNITS, nullable=False),
        shape.text("disposition"),
        shape.text("integral"),
        shape.text("multiplier"),
        sa.CheckConstraint(
            "disposition IN ('credited', 'dust', 'excluded', 'fee', 'unallocated')",
            name="reward_rows_disposition",
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("reward_rows_account", "reward_rows", ["account", "run"])
    op.create_index("reward_rows_chunk", "reward_rows", ["run", "chunk"])
    op.create_table(
        "reward_open_runs",
        shape.text("run", primary_key=True),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    for table in ("reward_runs", "reward_rows"):
        for statement in shape.append_only_triggers(table):
            op.execute(statement)


def _delivered() -> None:
    op.create_table(
        "reward_preferences",
        shape.text("account", primary_key=True),
        shape.text("asset", primary_key=True),
        shape.text("destination"),
        shape.text("memo"),
        sa.Column("minimum_units", shape.UNITS, nullable=False),
        shape.whole("since_ms"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reward_deliveries",
        shape.text("id", primary_key=True),
        shape.text("cause_key"),
        shape.text("account"),
        shape.text("asset"),
        sa.Column("units", shape.UNITS, nullable=False),
        shape.text("destination"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("reward_deliveries_account", "reward_deliveries", ["account", "asset"])
    op.create_table(
        "reward_delivery_rows",
        shape.text("run", primary_key=True),
        shape.text("account", primary_key=True),
        shape.text("delivery"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("reward_delivery_rows_delivery", "reward_delivery_rows", ["delivery"])
    for table in ("reward_deliveries", "reward_delivery_rows"):
        for statement in shape.append_only_triggers(table):
            op.execute(statement)


def _jobs() -> None:
    op.create_table(
        "job_windows",
        shape.text("job", primary_key=True),
        shape.text("scope", primary_key=True),
        shape.whole("start_ms", primary_key=True),
        shape.whole("end_ms"),
        shape.text("state"),
        shape.whole("attempts"),
        shape.text("reason"),
        shape.whole("due_ms"),
        shape.whole("changed_ms"),
        shape.blob("seal"),
        sa.CheckConstraint("state IN ('due', 'running', 'done', 'failed')", name="job_windows_state"),
        sa.CheckConstraint("start_ms < end_ms", name="job_windows_time"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("job_windows_state", "job_windows", ["state", "changed_ms"])
