"""Payments that are owed, on their way, or coming in."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Table

from mrmarket.store.schema import shape
from mrmarket.store.schema.money.metadata import MONEY

PAYOUTS: Final = Table(
    "payouts",
    MONEY,
    shape.text("id", primary_key=True),
    shape.text("cause"),
    shape.text("cause_key"),
    shape.text("rail"),
    shape.text("account"),
    shape.text("asset"),
    Column("units", shape.UNITS, nullable=False),
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
    Column("fee_units", shape.UNITS, nullable=False),
    shape.whole("due_ms"),
    shape.whole("queued_ms"),
    shape.whole("changed_ms"),
    shape.whole("ended_ms"),
    shape.blob("seal"),
    CheckConstraint(
        "state IN ('queued', 'sending', 'sent', 'unknown', 'confirmed', 'refused', 'cancelled')",
        name="payouts_state",
    ),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Every payment that was ever owed. Written in the transaction that owes it. `seal`: see `pool`."""
Index("payouts_cause", PAYOUTS.c.cause, PAYOUTS.c.cause_key, unique=True)
Index("payouts_due", PAYOUTS.c.state, PAYOUTS.c.due_ms)
Index("payouts_account", PAYOUTS.c.account, PAYOUTS.c.queued_ms)

RECEIPTS: Final = shape.append_only(
    Table(
        "receipts",
        MONEY,
        shape.text("payout_id", primary_key=True),
        shape.text("rail"),
        shape.text("key"),
        shape.text("reference"),
        shape.text("asset"),
        Column("units", shape.UNITS, nullable=False),
        shape.text("destination"),
        shape.text("fee_asset"),
        Column("fee_units", shape.UNITS, nullable=False),
        shape.whole("rail_ms"),
        shape.whole("at_ms"),
        shape.text("posting"),
        shape.blob("seal"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
"""One for every payout that ended well, in the transaction of the posting that says so."""

BLOCKS: Final = Table(
    "payout_blocks",
    MONEY,
    shape.text("asset_code", primary_key=True),
    shape.text("reason"),
    shape.whole("since_ms"),
    shape.blob("seal"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Assets of which nothing may leave."""

PAYMENTS: Final = Table(
    "payments",
    MONEY,
    shape.text("rail", primary_key=True),
    shape.text("id", primary_key=True),
    shape.text("asset_code"),
    Column("units", shape.UNITS, nullable=False),
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
    CheckConstraint(
        "standing IN ('seen', 'received', 'claimed', 'refunding', 'refunded', 'parked', 'retracted')",
        name="payments_standing",
    ),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Every payment that a rail has told of, and its one disposition."""
Index("payments_due", PAYMENTS.c.standing, PAYMENTS.c.due_ms)
Index("payments_seen", PAYMENTS.c.seen_ms)
Index("payments_ref", PAYMENTS.c.ref)

CURSORS: Final = Table(
    "payment_cursors",
    MONEY,
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
"""How far each rail's feed was read; moved in the transaction that keeps what was read."""

INCIDENTS: Final = Table(
    "payment_incidents",
    MONEY,
    shape.text("id", primary_key=True),
    shape.text("kind"),
    shape.text("rail"),
    shape.text("payment_id"),
    shape.text("asset"),
    Column("units", shape.UNITS, nullable=False),
    shape.text("state"),
    shape.text("reason"),
    shape.whole("opened_ms"),
    shape.whole("closed_ms"),
    shape.blob("seal"),
    CheckConstraint("state IN ('open', 'closed')", name="payment_incidents_state"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What a person has to look at."""
Index("payment_incidents_state", INCIDENTS.c.state, INCIDENTS.c.opened_ms)

MOVES: Final = Table(
    "custody_moves",
    MONEY,
    shape.text("id", primary_key=True),
    shape.text("cause_key"),
    shape.text("account"),
    shape.text("direction"),
    shape.text("rail"),
    shape.text("venue"),
    shape.text("asset_code"),
    Column("rail_units", shape.UNITS, nullable=False),
    Column("venue_units", shape.UNITS, nullable=False),
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
    Column("fee_units", shape.UNITS, nullable=False),
    shape.whole("final_ms"),
    shape.whole("due_ms"),
    shape.whole("planned_ms"),
    shape.whole("changed_ms"),
    shape.whole("ended_ms"),
    shape.blob("seal"),
    CheckConstraint("direction IN ('to_venue', 'to_rail')", name="custody_moves_direction"),
    CheckConstraint(
        "state IN ('planned', 'moving', 'unknown', 'done', 'refused')", name="custody_moves_state"
    ),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""A pool's money on its way between a rail and a venue."""
Index("custody_moves_due", MOVES.c.state, MOVES.c.due_ms)
Index("custody_moves_account", MOVES.c.account, MOVES.c.planned_ms)
