"""Checking the pool's own tables together with the ledger they stand beside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mrmarket.money.ledger.history import posted_keys
from mrmarket.money.ledger.verification import Derived, Fault, LedgerCheck, SideCheck, verify_ledger
from mrmarket.money.payouts.sealed_table import SealedTable
from mrmarket.money.pool.lots import decode_parts
from mrmarket.money.pool.repository import altered_rows
from mrmarket.money.pool.request_repository import DEPOSITS, WITHDRAWALS, RequestRepository
from mrmarket.money.pool.share_repository import (
    DAYS,
    ENTRIES,
    FEES,
    FLAGS,
    LOTS,
    MEMBERS,
    TERMS,
    ShareRepository,
)
from mrmarket.money.pool.stakes import read_memo
from mrmarket.money.pool.withdrawal import CAUSES
from mrmarket.store.sql import Sql


def verify(path: Path) -> LedgerCheck:
    """Re-derive everything in a `money.db` from its log. Changes nothing.

    Raises:
        DatabaseMissingError: if there is no such file.
        DatabaseTooNewError: if a newer version wrote it.
    """
    return verify_ledger(path, SIDE_CHECKS)


def faults(sql: Sql) -> Iterator[str]:
    """Sentences about everything that is not as it must be; to be asked inside one snapshot."""
    yield from altered_rows(sql)
    for table in _SEALED:
        yield from table.altered(sql)
    yield from _share_faults(sql)
    yield from _held_faults(sql)
    yield from _missing_rows(sql)
    yield from _terms_faults(sql)


def check_tables(sql: Sql, derived: Derived) -> None:  # noqa: ARG001 - the shape of a side check
    """Seals, and that lots, history and ledger agree on everybody's shares."""
    for fault in faults(sql):
        raise Fault(None, fault)


def check_stakes(sql: Sql, derived: Derived) -> None:
    """What shares have cost is what the ledger's memos say."""
    cost: dict[tuple[str, str], int] = {}
    for memo in filter(None, map(read_memo, derived.memos)):
        for account, units in memo.cost.items():
            holding = (memo.pool, account)
            cost[holding] = cost.get(holding, 0) + int(units)
    stored = {(row[0], row[1]): int(row[2]) for row in sql.rows("SELECT pool, account, paid_in FROM stakes")}
    for holding in sorted(stored.keys() | cost.keys()):
        if stored.get(holding) != cost.get(holding):
            raise Fault(None, f"stakes: what {holding[1]} paid in is not what the ledger says")


_SEALED: Final[tuple[SealedTable[Any], ...]] = (
    TERMS,
    FLAGS,
    MEMBERS,
    DEPOSITS,
    WITHDRAWALS,
    LOTS,
    ENTRIES,
    FEES,
    DAYS,
)

_REQUEST_KEYS: Final = ("credit:deposit:", "hold:withdrawal:")

SIDE_CHECKS: Final[tuple[SideCheck, ...]] = (check_tables, check_stakes)
"""For whoever verifies a ledger with a pool beside it."""


def _share_faults(sql: Sql) -> Iterator[str]:
    entries, lots = ShareRepository(sql).entry_sums(), ShareRepository(sql).lot_sums()
    # Shares from before there was a history get one when an instance starts.
    pools = {pool for pool, _ in entries.keys() | lots.keys()}
    balances = {
        (asset.partition(":")[2], account): int(units)
        for account, asset, units in sql.rows("SELECT account, asset, units FROM balances")
        if asset.startswith("pool:") and not account.startswith("issuer:")
    }
    for pool, account in sorted(entries.keys() | lots.keys() | balances.keys()):
        if pool not in pools:
            continue
        told = (entries.get((pool, account), 0), lots.get((pool, account), 0))
        if told != (balances.get((pool, account), 0),) * 2:
            yield f"share_entries, pool_lots: the shares of {account} in {pool} are not what the ledger says"


def _held_faults(sql: Sql) -> Iterator[str]:
    held: dict[str, int] = {}
    for row in RequestRepository(sql).queued_withdrawals():
        for part in decode_parts(row.parts):
            held[part.lot] = held.get(part.lot, 0) + part.share_units
    for lot, units in sql.rows("SELECT id, held_units FROM pool_lots WHERE held_units <> '0'"):
        if held.pop(lot, 0) != int(units):
            yield f"pool_lots: what lot {lot} holds is not what withdrawals ask for"
    for lot in held:
        yield f"pool_lots: lot {lot} holds nothing of what withdrawals ask for"


def _missing_rows(sql: Sql) -> Iterator[str]:
    """What the ledger has posted for requests and fees that no row tells of."""
    told = {
        "deposit": {row_id for (row_id,) in sql.rows("SELECT id FROM pool_deposits")},
        "withdrawal": {row_id for (row_id,) in sql.rows("SELECT id FROM pool_withdrawals")},
        "fees": {
            f"{pool}:{start_ms}-{end_ms}"
            for pool, start_ms, end_ms in sql.rows("SELECT pool, start_ms, end_ms FROM fee_windows")
        },
    }
    for key in posted_keys(sql, *_REQUEST_KEYS, "fees:"):
        what, _, name = key.removeprefix("credit:").removeprefix("hold:").partition(":")
        if name not in told[what]:
            yield f"the ledger has posted {key}, and its row is missing"
    for payout, cause_key in sql.rows(
        "SELECT id, cause_key FROM payouts WHERE cause IN (?, ?) ORDER BY id", *CAUSES
    ):
        # Money that is in no pool leaves without shares; sent again elsewhere, the number is in the key.
        if cause_key.partition("~")[0] not in told["withdrawal"]:
            yield f"payout {payout} pays a withdrawal, and its row is missing"


def _terms_faults(sql: Sql) -> Iterator[str]:
    """Versions count from 1 without a gap, and every version that somebody agreed to is there."""
    versions: dict[str, list[int]] = {}
    for pool, version in sql.rows("SELECT pool, version FROM pool_terms ORDER BY pool, version"):
        versions.setdefault(pool, []).append(version)
    needed = {pool: 1 for (pool,) in sql.rows("SELECT DISTINCT pool FROM share_entries")} | dict(
        sql.rows("SELECT pool, max(terms_version) FROM pool_deposits GROUP BY pool")
    )
    for pool in sorted(versions.keys() | needed.keys()):
        known = versions.get(pool, [])
        if known != list(range(1, len(known) + 1)) or len(known) < needed.get(pool, 0):
            yield f"pool_terms: a version of the terms of {pool} is missing"
