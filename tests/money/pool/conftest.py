"""A treasury over a real event log, both in a folder of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from money.pool_samples import PLAN
from mrmarket.core.clock import ManualClock
from mrmarket.money.pool.treasury import Treasury
from mrmarket.store.trading_store import TradingStore

TreasuryOpener = Callable[[], Treasury]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[TradingStore]:
    """The event log."""
    store = TradingStore.open(tmp_path / "trading.db")
    yield store
    store.close()


@pytest.fixture
def money(tmp_path: Path) -> Path:
    """Where the ledger is."""
    return tmp_path / "money.db"


@pytest.fixture
def open_treasury(log: TradingStore, money: Path) -> Iterator[TreasuryOpener]:
    """Opens the treasury again and again, as restarts do."""
    opened: list[Treasury] = []

    def reopen() -> Treasury:
        for treasury in opened:
            treasury.close()
        opened.append(Treasury.open(money, log, PLAN, ManualClock()))
        return opened[-1]

    yield reopen
    for treasury in opened:
        treasury.close()


@pytest.fixture
def treasury(open_treasury: TreasuryOpener) -> Treasury:
    """One treasury."""
    return open_treasury()
