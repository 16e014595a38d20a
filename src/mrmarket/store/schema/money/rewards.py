"""Rewards received, their allocation, and the jobs that carry it out."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Table

from mrmarket.store.schema import shape
from mrmarket.store.schema.money.metadata import MONEY

CAMPAIGNS: Final = shape.append_only(
    Table(
        "reward_campaigns",
        MONEY,
        shape.text("id", primary_key=True),
        shape.text("pool"),
        shape.whole("start_ms"),
        shape.whole("end_ms"),
        shape.whole("cycle_ms"),
        shape.text("attribution"),
        shape.whole("fee_bps"),
        shape.blob("seal"),
        CheckConstraint("start_ms < end_ms AND cycle_ms > 0", name="reward_campaigns_time"),
        CheckConstraint("fee_bps BETWEEN 0 AND 10000", name="reward_campaigns_fee"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
"""What rewards are paid for, in days counted from the campaign's start. `seal`: see `pool`."""
Index("reward_campaigns_pool", CAMPAIGNS.c.pool, CAMPAIGNS.c.start_ms)

ENTRIES: Final = shape.append_only(
    Table(
        "reward_entries",
        MONEY,
        shape.text("id", primary_key=True),
        shape.text("source"),
        shape.text("ref"),
        shape.text("campaign"),
        shape.whole("day"),
        shape.text("asset"),
        shape.whole("seq"),
        Column("units", shape.UNITS, nullable=False),
        shape.text("origin"),
        shape.whole("observed_ms"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        CheckConstraint("seq > 0 AND day >= 0", name="reward_entries_seq"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
"""Reward money that came in. `(source, ref)` is its name in the world; `seq` counts 1, 2, 3 … within a
campaign's day and asset, so that a run can say which entries it has seen."""
Index("reward_entries_source", ENTRIES.c.source, ENTRIES.c.ref, unique=True)
Index("reward_entries_day", ENTRIES.c.campaign, ENTRIES.c.day, ENTRIES.c.asset, ENTRIES.c.seq, unique=True)

REDUCTIONS: Final = shape.append_only(
    Table(
        "reward_reductions",
        MONEY,
        shape.text("id", primary_key=True),
        shape.text("entry"),
        shape.text("kind"),
        shape.text("campaign"),
        shape.whole("day"),
        shape.text("asset"),
        shape.whole("seq"),
        Column("units", shape.UNITS, nullable=False),
        shape.text("counter"),
        shape.text("payer"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        CheckConstraint("kind IN ('retracted', 'network')", name="reward_reductions_kind"),
        CheckConstraint("payer IN ('rewards', 'reserve', 'elsewhere')", name="reward_reductions_payer"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
"""What an entry turned out to be less: taken back by its source, or spent on the network."""
Index("reward_reductions_entry", REDUCTIONS.c.entry)
Index(
    "reward_reductions_day",
    REDUCTIONS.c.campaign,
    REDUCTIONS.c.day,
    REDUCTIONS.c.asset,
    REDUCTIONS.c.seq,
    unique=True,
)

RUNS: Final = shape.append_only(
    Table(
        "reward_runs",
        MONEY,
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
        Column("total_units", shape.UNITS, nullable=False),
        Column("credited_units", shape.UNITS, nullable=False),
        Column("fee_units", shape.UNITS, nullable=False),
        Column("dust_units", shape.UNITS, nullable=False),
        Column("unallocated_units", shape.UNITS, nullable=False),
        Column("kept_units", shape.UNITS, nullable=False),
        Column("reserve_units", shape.UNITS, nullable=False),
        Column("short_units", shape.UNITS, nullable=False),
        Column("dust_below_units", shape.UNITS, nullable=False),
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
        CheckConstraint("kind IN ('first', 'adjusting')", name="reward_runs_kind"),
        CheckConstraint("length(input_hash) = 32 AND length(rows_hash) = 32", name="reward_runs_hash"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
"""One allocation of a campaign's day, with the hash of everything it was computed from."""
Index("reward_runs_day", RUNS.c.campaign, RUNS.c.day, RUNS.c.asset, RUNS.c.ordinal, unique=True)
Index("reward_runs_time", RUNS.c.at_ms)

ROWS: Final = shape.append_only(
    Table(
        "reward_rows",
        MONEY,
        shape.text("run", primary_key=True),
        shape.text("account", primary_key=True),
        shape.whole("chunk"),
        Column("due_units", shape.UNITS, nullable=False),
        Column("units", shape.UNITS, nullable=False),
        Column("kept_units", shape.UNITS, nullable=False),
        shape.text("disposition"),
        shape.text("integral"),
        shape.text("multiplier"),
        CheckConstraint(
            "disposition IN ('credited', 'dust', 'excluded', 'fee', 'unallocated')",
            name="reward_rows_disposition",
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
"""What a run gives each account. The run's `rows_hash` covers them, and the memo of each credit names it."""
Index("reward_rows_account", ROWS.c.account, ROWS.c.run)
Index("reward_rows_chunk", ROWS.c.run, ROWS.c.chunk)

OPEN_RUNS: Final = Table(
    "reward_open_runs",
    MONEY,
    shape.text("run", primary_key=True),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Runs that are not credited to the end. Read model: a run is open while one of its chunks is not posted."""

PREFERENCES: Final = Table(
    "reward_preferences",
    MONEY,
    shape.text("account", primary_key=True),
    shape.text("asset", primary_key=True),
    shape.text("destination"),
    shape.text("memo"),
    Column("minimum_units", shape.UNITS, nullable=False),
    shape.whole("since_ms"),
    shape.blob("seal"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Who wants rewards paid out without asking for it each time."""

DELIVERIES: Final = shape.append_only(
    Table(
        "reward_deliveries",
        MONEY,
        shape.text("id", primary_key=True),
        shape.text("cause_key"),
        shape.text("account"),
        shape.text("asset"),
        Column("units", shape.UNITS, nullable=False),
        shape.text("destination"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
"""Payouts of rewards; `id` is the payout's. What became of it stands in the outbox."""
Index("reward_deliveries_account", DELIVERIES.c.account, DELIVERIES.c.asset)

DELIVERY_ROWS: Final = shape.append_only(
    Table(
        "reward_delivery_rows",
        MONEY,
        shape.text("run", primary_key=True),
        shape.text("account", primary_key=True),
        shape.text("delivery"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
"""Which allocations a payout carries; an allocation is carried at most once."""
Index("reward_delivery_rows_delivery", DELIVERY_ROWS.c.delivery)

JOB_WINDOWS: Final = Table(
    "job_windows",
    MONEY,
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
    CheckConstraint("state IN ('due', 'running', 'done', 'failed')", name="job_windows_state"),
    CheckConstraint("start_ms < end_ms", name="job_windows_time"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Windows of recurring work, each carried out once and in order."""
Index("job_windows_state", JOB_WINDOWS.c.state, JOB_WINDOWS.c.changed_ms)
