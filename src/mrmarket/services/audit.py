"""Checking the books of a data folder from outside the instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from mrmarket.campaigns import audit as campaigns
from mrmarket.money.ledger.verification import (
    Derived,
    Fault,
    LedgerCheck,
    SideCheck,
    verify_database,
    verify_ledger,
)
from mrmarket.money.payouts import audit as payouts
from mrmarket.money.pool.audit import SIDE_CHECKS as POOL_CHECKS
from mrmarket.money.rewards import audit as rewards
from mrmarket.money.solvency import audit as solvency
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.sql import Sql


def _side_check(faults: Callable[[Sql], Iterator[str]]) -> SideCheck:
    def check(sql: Sql, derived: Derived) -> None:  # noqa: ARG001 - the shape of a side check
        for fault in faults(sql):
            raise Fault(None, fault)

    return check


SIDE_CHECKS: Final[tuple[SideCheck, ...]] = (
    *POOL_CHECKS,
    _side_check(payouts.faults),
    _side_check(rewards.faults),
    _side_check(solvency.faults),
    _side_check(campaigns.faults),
)
"""What every room that keeps tables beside the ledger demands of them."""


def verify_money(data: Path, store_url: str = "") -> LedgerCheck:
    """Re-derive the ledger of a folder; changes nothing, and may run while the instance does.

    Raises:
        DatabaseMissingError: if there is no ledger.
        DatabaseTooNewError: if a newer version wrote it.
    """
    return verify_store(StoreAddress(data, store_url))


def verify_store(address: StoreAddress) -> LedgerCheck:
    """The same wherever it is. A server's own pages are the server's to check."""
    if not address.is_postgres:
        return verify_file(address.folder / "money.db")
    with address.read_books() as sql:
        return verify_database(sql, SIDE_CHECKS)


def verify_file(path: Path) -> LedgerCheck:
    """The same of a `money.db`."""
    return verify_ledger(path, SIDE_CHECKS)
