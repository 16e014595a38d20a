"""Tables of `chains.db`: what was seen of chains, and what a vault signed.

Amounts are decimal text, because a token may have more units than any integer column. Addresses and hashes
are in lower case.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Integer, MetaData, Table, text

from mrmarket.store.schema import shape

CHAINS: Final = MetaData()
VERSION: Final = "chains_0001"

_STATUSES: Final = "('seen', 'final', 'retracted')"
_UNITS: Final = "{0} <> '' AND {0} NOT GLOB '*[^0-9]*' AND ({0} = '0' OR {0} NOT GLOB '0*')"

VERSIONS: Final = Table("schema_version", CHAINS, shape.text("version_num", primary_key=True))

LEASES: Final = Table(
    "leases",
    CHAINS,
    shape.text("name", primary_key=True),
    shape.whole("fence"),
    shape.text("owner"),
    shape.whole("expires_ns"),
    CheckConstraint("fence > 0", name="leases_fence"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Who may use a vault, under which fence; fences only rise."""

CURSORS: Final = Table(
    "chain_cursors",
    CHAINS,
    shape.whole("chain_id", primary_key=True),
    shape.whole("revision"),
    shape.whole("final"),
    shape.text("halted"),
    CheckConstraint("revision > 0", name="chain_cursors_revision"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""How far each chain is final; `halted` says why payouts on it stand still, empty where they do not."""

BLOCKS: Final = Table(
    "chain_blocks",
    CHAINS,
    shape.whole("chain_id", primary_key=True),
    shape.whole("number", primary_key=True),
    shape.text("hash"),
    shape.text("parent"),
    shape.whole("time_s"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""The window of block hashes."""

TRANSFERS: Final = Table(
    "chain_transfers",
    CHAINS,
    shape.whole("chain_id", primary_key=True),
    shape.text("tx_hash", primary_key=True),
    shape.whole("log_index", primary_key=True),
    shape.whole("block_number"),
    shape.text("block_hash"),
    shape.text("token"),
    shape.text("sender"),
    shape.text("recipient"),
    shape.text("units"),
    shape.text("status"),
    shape.whole("first_ms"),
    shape.whole("changed_ms"),
    CheckConstraint(f"status IN {_STATUSES}", name="chain_transfers_status"),
    CheckConstraint(_UNITS.format("units"), name="chain_transfers_units"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Every transfer to us, once, as it stands."""
Index("chain_transfers_by_block", TRANSFERS.c.chain_id, TRANSFERS.c.block_number)
Index(
    "chain_transfers_seen",
    TRANSFERS.c.chain_id,
    TRANSFERS.c.block_number,
    sqlite_where=text("status = 'seen'"),
    postgresql_where=text("status = 'seen'"),
)

RECORDS: Final = shape.append_only(
    Table(
        "chain_records",
        CHAINS,
        Column("seq", Integer(), primary_key=True, autoincrement=True),
        shape.whole("chain_id"),
        shape.text("tx_hash"),
        shape.whole("log_index"),
        shape.text("status"),
        shape.whole("was_final"),
        shape.whole("block_number"),
        shape.text("block_hash"),
        shape.whole("at_ms"),
        CheckConstraint(f"status IN {_STATUSES}", name="chain_records_status"),
        sqlite_strict=True,
    )
)
"""Every change of a transfer's status in order: what others read with a cursor of their own."""

PAYMENTS: Final = Table(
    "vault_payments",
    CHAINS,
    shape.text("key", primary_key=True),
    shape.whole("chain_id"),
    shape.text("account"),
    shape.whole("nonce"),
    shape.text("token"),
    shape.text("destination"),
    shape.text("units"),
    shape.whole("gas"),
    shape.text("state"),
    shape.text("tx_hash"),
    shape.whole("block_number"),
    shape.text("block_hash"),
    shape.whole("succeeded"),
    shape.text("cost_wei"),
    shape.text("reason"),
    shape.whole("created_ms"),
    shape.whole("changed_ms"),
    CheckConstraint(
        "state IN ('prepared', 'broadcast', 'mined', 'final', 'replaced', 'failed', 'unknown')",
        name="vault_payments_state",
    ),
    CheckConstraint(_UNITS.format("units"), name="vault_payments_units"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""One row a payment of the vault; a nonce of an account belongs to one payment for ever."""
Index("vault_payments_nonce", PAYMENTS.c.chain_id, PAYMENTS.c.account, PAYMENTS.c.nonce, unique=True)
Index("vault_payments_by_time", PAYMENTS.c.chain_id, PAYMENTS.c.token, PAYMENTS.c.created_ms)

ATTEMPTS: Final = Table(
    "vault_attempts",
    CHAINS,
    shape.text("payment", primary_key=True),
    shape.whole("number", primary_key=True),
    shape.text("tx_hash"),
    shape.blob("raw"),
    shape.text("max_fee_wei"),
    shape.text("tip_wei"),
    shape.whole("signed_ms"),
    shape.whole("offered_ms"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Every transaction signed for a payment, written before it is sent. `offered_ms` 0: not yet sent."""
Index("vault_attempts_hash", ATTEMPTS.c.tx_hash, unique=True)

ITEMS: Final = Table(
    "vault_items",
    CHAINS,
    shape.text("payment", primary_key=True),
    shape.whole("chain_id", primary_key=True),
    shape.text("tx_hash", primary_key=True),
    shape.whole("log_index", primary_key=True),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Which received transfers a sweep moves on."""
Index("vault_items_by_transfer", ITEMS.c.chain_id, ITEMS.c.tx_hash, ITEMS.c.log_index)
