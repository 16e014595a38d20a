"""Checking the books of a data folder from outside the instance."""

from __future__ import annotations

from pathlib import Path

from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.money.pool.audit import verify
from mrmarket.services.data_directory import DataDirectory


def verify_money(data: Path) -> LedgerCheck:
    """Re-derive the ledger of a folder; changes nothing, and may run while the instance does.

    Raises:
        DatabaseMissingError: if there is no ledger.
        DatabaseTooNewError: if a newer version wrote it.
    """
    return verify(DataDirectory(data).money_db)
