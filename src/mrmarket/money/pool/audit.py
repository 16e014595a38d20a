"""Checking the pool's own tables together with the ledger they stand beside."""

from __future__ import annotations

from pathlib import Path

from mrmarket.money.ledger.verification import Derived, Fault, LedgerCheck, verify_ledger
from mrmarket.money.pool.repository import SEALED, seal
from mrmarket.money.pool.stakes import read_memo
from mrmarket.store.sql import Sql


def verify(path: Path) -> LedgerCheck:
    """Re-derive everything in a `money.db` from its log. Changes nothing.

    Raises:
        DatabaseMissingError: if there is no such file.
        DatabaseTooNewError: if a newer version wrote it.
    """
    return verify_ledger(path, (_check_seals, _check_stakes))


def _check_seals(sql: Sql, derived: Derived) -> None:  # noqa: ARG001 - the shape of a side check
    for table, columns in SEALED.items():
        for row in sql.rows(f"SELECT {', '.join(columns)}, seal FROM {table}"):  # noqa: S608 - constants
            if seal(table, row[:-1]) != row[-1]:
                raise Fault(None, f"{table}: the row of {row[0]!r}, {row[1]!r} is not what was written")


def _check_stakes(sql: Sql, derived: Derived) -> None:
    cost: dict[tuple[str, str], int] = {}
    for memo in filter(None, map(read_memo, derived.memos)):
        for account, units in memo.cost.items():
            holding = (memo.pool, account)
            cost[holding] = cost.get(holding, 0) + int(units)
    stored = {(row[0], row[1]): int(row[2]) for row in sql.rows("SELECT pool, account, paid_in FROM stakes")}
    for holding in sorted(stored.keys() | cost.keys()):
        if stored.get(holding) != cost.get(holding):
            raise Fault(None, f"stakes: what {holding[1]} paid in is not what the ledger says")
