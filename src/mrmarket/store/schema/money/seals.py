"""Signed seals of the ledger and what was seen of the assets behind it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Table, text

from mrmarket.store.schema import shape
from mrmarket.store.schema.money.metadata import MONEY

SEALS: Final = shape.append_only(
    Table(
        "seals",
        MONEY,
        shape.whole("number", primary_key=True),
        shape.whole("at_ms"),
        shape.whole("seq"),
        shape.text("document"),
        shape.blob("signature"),
        CheckConstraint("length(signature) = 64", name="seals_signature"),
        sqlite_strict=True,
    )
)
"""Signed documents, chained: seals and key rotations. `seq` is 0 for a rotation."""

ASSET_OBSERVATIONS: Final = Table(
    "asset_observations",
    MONEY,
    shape.text("place", primary_key=True),
    shape.text("code", primary_key=True),
    Column("units", shape.UNITS, nullable=False),
    shape.whole("decimals"),
    shape.whole("at_ms"),
    shape.blob("seal"),
    CheckConstraint(shape.SIGNED_UNITS.format("units"), name="asset_observations_units"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What a place of custody last said it holds for us. Never a posting. `seal`: see `pool`."""

SOLVENCY_LOOKS: Final = Table(
    "solvency_looks",
    MONEY,
    shape.text("asset", primary_key=True),
    shape.whole("good"),
    shape.whole("bad"),
    shape.whole("at_ms"),
    shape.text("why"),
    shape.blob("seal"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""How often in a row each asset has added up, and has not."""

SOLVENCY_INCIDENTS: Final = Table(
    "solvency_incidents",
    MONEY,
    shape.text("id", primary_key=True),
    shape.text("asset"),
    shape.text("place"),
    shape.text("why"),
    Column("difference_units", shape.UNITS, nullable=False),
    shape.text("state"),
    shape.whole("opened_ms"),
    shape.whole("closed_ms"),
    shape.text("closed_by"),
    shape.text("closed_why"),
    shape.blob("seal"),
    CheckConstraint("state IN ('open', 'closed')", name="solvency_incidents_state"),
    CheckConstraint(shape.SIGNED_UNITS.format("difference_units"), name="solvency_incidents_difference"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Assets that did not add up, and how that ended."""
Index(
    "solvency_incidents_open",
    SOLVENCY_INCIDENTS.c.asset,
    unique=True,
    sqlite_where=text("state = 'open'"),
    postgresql_where=text("state = 'open'"),
)

SOLVENCY_REPORTS: Final = shape.append_only(
    Table(
        "solvency_reports",
        MONEY,
        shape.whole("number", primary_key=True),
        shape.whole("at_ms"),
        shape.text("document"),
        shape.blob("signature"),
        CheckConstraint("length(signature) = 64", name="solvency_reports_signature"),
        sqlite_strict=True,
    )
)
"""Signed comparisons of what is owed with what was seen, chained."""
