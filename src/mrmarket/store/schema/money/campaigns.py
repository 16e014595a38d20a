"""Partners' campaigns: where each stands, what was asked of the engine for it, and what it has paid."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Table

from mrmarket.store.schema import shape
from mrmarket.store.schema.money.metadata import MONEY

OFFERS: Final = Table(
    "campaign_offers",
    MONEY,
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
"""Where each campaign stands. `terms` is the offer as JSON and never changes. `seal`: see `pool`."""
Index("campaign_offers_escrow", OFFERS.c.chain_id, OFFERS.c.address, unique=True)
Index("campaign_offers_stage", OFFERS.c.stage, OFFERS.c.changed_ms)

STEPS: Final = shape.append_only(
    Table(
        "campaign_steps",
        MONEY,
        shape.text("campaign", primary_key=True),
        shape.whole("seq", primary_key=True),
        shape.text("event"),
        shape.text("stage"),
        shape.text("reason"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        CheckConstraint("seq > 0", name="campaign_steps_seq"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
"""What happened to a campaign, in order."""

GOALS: Final = Table(
    "campaign_goals",
    MONEY,
    shape.text("campaign", primary_key=True),
    shape.whole("cycle", primary_key=True),
    shape.text("pause"),
    shape.text("goal"),
    shape.whole("told"),
    shape.whole("changed_ms"),
    shape.blob("seal"),
    CheckConstraint("told IN (0, 1)", name="campaign_goals_told"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What the engine is asked for in a cycle, as JSON; `told` once the engine has it."""
Index("campaign_goals_told", GOALS.c.told)

ESTIMATES: Final = shape.append_only(
    Table(
        "campaign_estimates",
        MONEY,
        shape.text("campaign", primary_key=True),
        shape.whole("cycle", primary_key=True),
        shape.whole("seq", primary_key=True),
        Column("expected_units", shape.UNITS, nullable=False),
        shape.text("reward_value"),
        shape.text("cost"),
        shape.text("price_source"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        CheckConstraint("seq > 0", name="campaign_estimates_seq"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
"""What we expected of a cycle, and what the volume cost; compared with what was paid in the end."""

PAYOUTS: Final = shape.append_only(
    Table(
        "campaign_payouts",
        MONEY,
        shape.text("id", primary_key=True),
        shape.whole("chain_id"),
        shape.text("tx"),
        shape.whole("log"),
        shape.text("campaign"),
        shape.whole("cycle"),
        shape.text("token"),
        Column("units", shape.UNITS, nullable=False),
        shape.text("batch"),
        shape.whole("block_ms"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        CheckConstraint("cycle >= 0 AND log >= 0", name="campaign_payouts_place"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
"""Reward payments that a chain has made final. `(chain_id, tx, log)` is the name in the world."""
Index("campaign_payouts_name", PAYOUTS.c.chain_id, PAYOUTS.c.tx, PAYOUTS.c.log, unique=True)
Index("campaign_payouts_cycle", PAYOUTS.c.campaign, PAYOUTS.c.cycle)

PAYOUT_STEPS: Final = shape.append_only(
    Table(
        "campaign_payout_steps",
        MONEY,
        shape.text("payout", primary_key=True),
        shape.text("step", primary_key=True),
        shape.text("ref", primary_key=True),
        Column("units", shape.UNITS, nullable=False),
        shape.text("why"),
        shape.whole("at_ms"),
        shape.blob("seal"),
        CheckConstraint(
            "step IN ('parked', 'entered', 'remainder', 'sweeping', 'arrived', 'sweep_failed', 'cost',"
            " 'retracted')",
            name="campaign_payout_steps_step",
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
"""What became of a payout. A correction is one more row."""
Index("campaign_payout_steps_ref", PAYOUT_STEPS.c.step, PAYOUT_STEPS.c.ref)

CURSORS: Final = Table(
    "campaign_cursors",
    MONEY,
    shape.text("feed", primary_key=True),
    shape.text("cursor"),
    shape.whole("changed_ms"),
    shape.blob("seal"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""How far each feed of payouts was taken, written in the transaction that took it."""
