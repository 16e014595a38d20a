"""Which rewards left with a withdrawal: a balance has no marks, so what was credited first leaves first."""

from __future__ import annotations

from typing import Final

from mrmarket.money.pool.request_repository import RequestRepository
from mrmarket.money.pool.rows import WithdrawalState
from mrmarket.money.rewards.rows import allocation_id
from mrmarket.store.sql import Sql

_MANY: Final = 100_000
_OUT: Final = frozenset({WithdrawalState.SENDING, WithdrawalState.CONFIRMED})


def allocations_withdrawn(sql: Sql, account: str, asset: str, payout: str) -> list[str]:
    """Ids of the allocations of which a withdrawal's payout carried something, the oldest first.

    By the same rule as the receipts of a trace: allocations that a payout of their own carries are left out.
    """
    span = _span(sql, account, asset, payout)
    if span is None:
        return []
    start, end = span
    found, before = [], 0
    for run, units in _credited(sql, account, asset):
        if before < end and start < before + units:
            found.append(allocation_id(run, account))
        before += units
    return found


def _span(sql: Sql, account: str, asset: str, payout: str) -> tuple[int, int] | None:
    """Which units of everything that the account ever withdrew a payout was, counted from 0."""
    taken = 0
    for withdrawal in reversed(RequestRepository(sql).withdrawals_of(account, _MANY)):
        if withdrawal.pool or withdrawal.asset != asset or withdrawal.state not in _OUT:
            continue
        if withdrawal.payout == payout:
            return taken, taken + withdrawal.units
        taken += withdrawal.units
    return None


def _credited(sql: Sql, account: str, asset: str) -> list[tuple[str, int]]:
    """Runs that credited an account, and the units, in order."""
    rows = sql.rows(
        "SELECT q.id, r.units FROM reward_rows r JOIN reward_runs q ON q.id = r.run"
        " WHERE r.account = ? AND q.asset = ? AND r.chunk >= 0"
        " AND NOT EXISTS (SELECT 1 FROM reward_delivery_rows d WHERE d.run = r.run AND d.account = r.account)"
        " ORDER BY q.at_ms, q.id",
        account,
        asset,
    )
    return [(row[0], int(row[1])) for row in rows]
