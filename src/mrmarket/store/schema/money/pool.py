"""What pools and settlement remember beside the ledger."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Table

from mrmarket.store.schema import shape
from mrmarket.store.schema.money.metadata import MONEY

CURSORS: Final = Table(
    "settlement_cursors",
    MONEY,
    shape.text("stream", primary_key=True),
    shape.whole("epoch"),
    shape.whole("seq"),
    shape.blob("hash"),
    shape.blob("seal"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Last fact of each stream that is in the ledger. `seal` is a hash over the row, here and below."""

PARKED: Final = Table(
    "parked_fills",
    MONEY,
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
"""Trades that a rule keeps out of the ledger for now; tried again with every settlement."""

MARKS: Final = Table(
    "marks",
    MONEY,
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
"""Last observed prices."""

OBSERVATIONS: Final = Table(
    "observed_balances",
    MONEY,
    shape.text("venue", primary_key=True),
    shape.text("asset", primary_key=True),
    shape.text("free"),
    shape.text("locked"),
    shape.whole("at_ns"),
    shape.blob("seal"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What a venue last said we hold. Never a posting."""

EQUITY: Final = Table(
    "equity_points",
    MONEY,
    shape.text("pool", primary_key=True),
    shape.whole("at_s", primary_key=True),
    Column("nav", shape.UNITS, nullable=False),
    Column("shares", shape.UNITS, nullable=False),
    Column("pnl", shape.UNITS, nullable=False),
    shape.blob("seal"),
    CheckConstraint(shape.SIGNED_UNITS.format("nav"), name="equity_nav"),
    CheckConstraint(shape.SIGNED_UNITS.format("shares"), name="equity_shares"),
    CheckConstraint(shape.SIGNED_UNITS.format("pnl"), name="equity_pnl"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""The pool's worth over time, at most one point a second, thinned as it ages."""

STAKES: Final = Table(
    "stakes",
    MONEY,
    shape.text("pool", primary_key=True),
    shape.text("account", primary_key=True),
    Column("paid_in", shape.UNITS, nullable=False),
    CheckConstraint(shape.SIGNED_UNITS.format("paid_in"), name="stakes_paid_in"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What each depositor's present shares have cost. Read model of the ledger's memos."""

TERMS: Final = Table(
    "pool_terms",
    MONEY,
    shape.text("pool", primary_key=True),
    shape.whole("version", primary_key=True),
    shape.whole("effective_ms"),
    shape.whole("at_ms"),
    shape.text("document"),
    shape.blob("seal"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Versions of what a pool's depositors agree to; the newest that is in effect counts."""

FLAGS: Final = Table(
    "pool_flags",
    MONEY,
    shape.text("pool", primary_key=True),
    shape.text("deposits_paused"),
    shape.text("withdrawals_paused"),
    shape.whole("changed_ms"),
    shape.blob("seal"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Why deposits or withdrawals of a pool are paused; empty where they are not."""

MEMBERS: Final = Table(
    "pool_members",
    MONEY,
    shape.text("pool", primary_key=True),
    shape.text("account", primary_key=True),
    shape.whole("added_ms"),
    shape.blob("seal"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Who may enter a permissioned pool."""

DEPOSITS: Final = Table(
    "pool_deposits",
    MONEY,
    shape.text("id", primary_key=True),
    shape.text("pool"),
    shape.text("account"),
    shape.text("rail"),
    shape.text("asset"),
    Column("units", shape.UNITS, nullable=False),
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
    Column("share_units", shape.UNITS, nullable=False),
    Column("value_units", shape.UNITS, nullable=False),
    Column("fee_units", shape.UNITS, nullable=False),
    shape.whole("locked_until_ms"),
    shape.text("priced"),
    shape.blob("seal"),
    CheckConstraint(shape.SIGNED_UNITS.format("units"), name="pool_deposits_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("share_units"), name="pool_deposits_share_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("value_units"), name="pool_deposits_value_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("fee_units"), name="pool_deposits_fee_units"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Deposits, from the intent to the shares."""
Index("pool_deposits_memo", DEPOSITS.c.memo, unique=True)
Index("pool_deposits_account", DEPOSITS.c.account, DEPOSITS.c.created_ms)
Index("pool_deposits_state", DEPOSITS.c.state, DEPOSITS.c.pool)

WITHDRAWALS: Final = Table(
    "pool_withdrawals",
    MONEY,
    shape.text("id", primary_key=True),
    shape.text("account"),
    shape.text("pool"),
    Column("share_units", shape.UNITS, nullable=False),
    shape.text("parts"),
    shape.text("asset"),
    Column("units", shape.UNITS, nullable=False),
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
    Column("value_units", shape.UNITS, nullable=False),
    Column("fee_units", shape.UNITS, nullable=False),
    shape.text("priced"),
    shape.blob("seal"),
    CheckConstraint(shape.SIGNED_UNITS.format("share_units"), name="pool_withdrawals_share_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("units"), name="pool_withdrawals_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("value_units"), name="pool_withdrawals_value_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("fee_units"), name="pool_withdrawals_fee_units"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Withdrawals, from the request to the payment."""
Index("pool_withdrawals_account", WITHDRAWALS.c.account, WITHDRAWALS.c.created_ms)
Index("pool_withdrawals_state", WITHDRAWALS.c.state, WITHDRAWALS.c.pool)
Index("pool_withdrawals_payout", WITHDRAWALS.c.payout)

LOTS: Final = Table(
    "pool_lots",
    MONEY,
    shape.text("id", primary_key=True),
    shape.text("pool"),
    shape.text("account"),
    shape.text("tier"),
    Column("share_units", shape.UNITS, nullable=False),
    Column("held_units", shape.UNITS, nullable=False),
    shape.whole("opened_ms"),
    shape.whole("locked_until_ms"),
    shape.whole("weight_num"),
    shape.whole("weight_den"),
    shape.whole("exit_fee_bps"),
    shape.blob("seal"),
    CheckConstraint(shape.SIGNED_UNITS.format("share_units"), name="pool_lots_share_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("held_units"), name="pool_lots_held_units"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Shares by the deposit that brought them, with the promise that came with it."""
Index("pool_lots_account", LOTS.c.pool, LOTS.c.account)

ENTRIES: Final = Table(
    "share_entries",
    MONEY,
    shape.text("pool", primary_key=True),
    shape.whole("number", primary_key=True),
    shape.whole("at_ms"),
    shape.text("account"),
    shape.text("lot"),
    shape.text("kind"),
    Column("share_units", shape.UNITS, nullable=False),
    Column("value_units", shape.UNITS, nullable=False),
    Column("fee_units", shape.UNITS, nullable=False),
    shape.blob("seal"),
    CheckConstraint(shape.SIGNED_UNITS.format("share_units"), name="share_entries_share_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("value_units"), name="share_entries_value_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("fee_units"), name="share_entries_fee_units"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Every change of anybody's shares, in order, and the value that came or went with it."""
Index("share_entries_account", ENTRIES.c.account, ENTRIES.c.pool, ENTRIES.c.number)
Index("share_entries_time", ENTRIES.c.pool, ENTRIES.c.at_ms)

FEES: Final = Table(
    "fee_windows",
    MONEY,
    shape.text("pool", primary_key=True),
    shape.whole("end_ms", primary_key=True),
    shape.whole("start_ms"),
    Column("management_units", shape.UNITS, nullable=False),
    Column("performance_units", shape.UNITS, nullable=False),
    Column("value_units", shape.UNITS, nullable=False),
    shape.whole("carry"),
    Column("supply_units", shape.UNITS, nullable=False),
    Column("price_units", shape.UNITS, nullable=False),
    Column("high_water_units", shape.UNITS, nullable=False),
    shape.whole("high_water_ms"),
    shape.blob("seal"),
    CheckConstraint(shape.SIGNED_UNITS.format("management_units"), name="fee_windows_management_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("performance_units"), name="fee_windows_performance_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("value_units"), name="fee_windows_value_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("supply_units"), name="fee_windows_supply_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("price_units"), name="fee_windows_price_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("high_water_units"), name="fee_windows_high_water_units"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Fees of a pool's windows of time, one after the other."""

DAYS: Final = Table(
    "pool_days",
    MONEY,
    shape.text("pool", primary_key=True),
    shape.whole("start_ms", primary_key=True),
    shape.whole("fills"),
    Column("volume_units", shape.UNITS, nullable=False),
    Column("venue_fee_units", shape.UNITS, nullable=False),
    Column("brought_units", shape.UNITS, nullable=False),
    Column("taken_units", shape.UNITS, nullable=False),
    shape.blob("seal"),
    CheckConstraint(shape.SIGNED_UNITS.format("volume_units"), name="pool_days_volume_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("venue_fee_units"), name="pool_days_venue_fee_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("brought_units"), name="pool_days_brought_units"),
    CheckConstraint(shape.SIGNED_UNITS.format("taken_units"), name="pool_days_taken_units"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What happened to a pool in each UTC day."""
