"""What pools and settlement remember beside the ledger."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Table

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
