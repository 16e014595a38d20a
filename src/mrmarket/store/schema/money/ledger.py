"""The ledger's log and its read model."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, Text, text

from mrmarket.store.schema import shape
from mrmarket.store.schema.money.metadata import MONEY
from mrmarket.store.schema.trading import leases

LEASES: Final = leases(MONEY)

GROUPS: Final = shape.append_only(
    Table(
        "groups",
        MONEY,
        shape.whole("seq", primary_key=True),
        shape.text("key"),
        shape.blob("content_hash"),
        shape.whole("at_ms"),
        shape.whole("epoch"),
        shape.text("outcome"),
        shape.text("message"),
        shape.text("memo"),
        Column("reverses", Text()),
        shape.blob("hash"),
        CheckConstraint("length(hash) = 32 AND length(content_hash) = 32", name="groups_hash"),
        sqlite_strict=True,
    )
)
"""Every group ever asked for, posted or rejected, chained."""
Index("groups_key", GROUPS.c.key, unique=True)
Index("groups_reverses", GROUPS.c.reverses, unique=True, sqlite_where=text("reverses IS NOT NULL"))

ASSETS: Final = shape.append_only(
    Table(
        "assets",
        MONEY,
        shape.text("id", primary_key=True),
        shape.whole("decimals"),
        shape.whole("group_seq"),
        shape.whole("position"),
        CheckConstraint("decimals BETWEEN 0 AND 38", name="assets_decimals"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
Index("assets_group", ASSETS.c.group_seq, ASSETS.c.position, unique=True)

ACCOUNTS: Final = shape.append_only(
    Table(
        "accounts",
        MONEY,
        shape.text("id", primary_key=True),
        shape.text("kind"),
        Column("floor", shape.UNITS),
        shape.whole("group_seq"),
        shape.whole("position"),
        Column("ceiling", shape.UNITS, CheckConstraint(shape.SIGNED_UNITS.format("ceiling"))),
        CheckConstraint(f"floor IS NULL OR {shape.SIGNED_UNITS.format('floor')}", name="accounts_floor"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
Index("accounts_group", ACCOUNTS.c.group_seq, ACCOUNTS.c.position, unique=True)

PHASES: Final = "phase IS NULL OR phase = 'pending' OR phase = 'post' OR phase = 'void' OR phase = 'expire'"
"""CHECK of a transfer's phase. SQLite would build a table for IN (…) with every row."""

TRANSFERS: Final = shape.append_only(
    Table(
        "transfers",
        MONEY,
        shape.whole("group_seq", primary_key=True),
        shape.whole("position", primary_key=True),
        shape.text("debit"),
        shape.text("credit"),
        shape.text("asset"),
        Column("units", shape.UNITS, nullable=False),
        shape.text("kind"),
        Column("phase", Text(), CheckConstraint(PHASES)),
        Column("hold", Text()),
        Column("expires_ms", shape.WHOLE),
        Column(
            "asked",
            shape.UNITS,
            CheckConstraint(f"asked IS NULL OR ({shape.POSITIVE_UNITS.format('asked')})"),
        ),
        CheckConstraint(shape.POSITIVE_UNITS.format("units"), name="transfers_units"),
        CheckConstraint("debit <> credit", name="transfers_two_accounts"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
)
"""Both entries of a transfer are one row, so that a group cannot but sum to zero in every asset.

`phase` is null where units move at once. Units move where it is null or `post`; they do not where it is
`pending`, `void` or `expire`.
"""

Index("transfers_debit", TRANSFERS.c.debit, TRANSFERS.c.group_seq, TRANSFERS.c.position)
Index("transfers_credit", TRANSFERS.c.credit, TRANSFERS.c.group_seq, TRANSFERS.c.position)

HOLDS: Final = Table(
    "holds",
    MONEY,
    shape.text("id", primary_key=True),
    shape.whole("group_seq"),
    shape.whole("position"),
    shape.text("state"),
    Column("settled_seq", shape.WHOLE),
    CheckConstraint("state IN ('pending', 'posted', 'voided', 'expired')", name="holds_state"),
    CheckConstraint("(state = 'pending') = (settled_seq IS NULL)", name="holds_settled"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Where each pending transfer stands. Read model of `transfers`; `verify` re-derives it."""
Index(
    "holds_pending",
    HOLDS.c.id,
    sqlite_where=text("state = 'pending'"),
    postgresql_where=text("state = 'pending'"),
)

BALANCES: Final = Table(
    "balances",
    MONEY,
    Column("account", Text(), ForeignKey("accounts.id"), primary_key=True, nullable=False),
    Column("asset", Text(), ForeignKey("assets.id"), primary_key=True, nullable=False),
    Column("units", shape.UNITS, nullable=False),
    CheckConstraint(shape.SIGNED_UNITS.format("units"), name="balances_units"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Read model of `transfers`; `verify` re-derives it."""
