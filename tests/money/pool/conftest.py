"""A treasury over a real event log, both in a folder of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from money.payouts.payments_outside import OutsideRail
from money.pool.pool_house import PoolHouse
from money.pool_samples import PLAN
from mrmarket.core.clock import ManualClock
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.money.pool.treasury import Treasury
from mrmarket.store.trading_store import TradingStore

TreasuryOpener = Callable[[], Treasury]
HouseBuilder = Callable[..., PoolHouse]


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


@pytest.fixture
def clock() -> ManualClock:
    """Time that tests move."""
    return ManualClock()


@pytest.fixture
def rail(clock: ManualClock) -> Iterator[OutsideRail]:
    """The world outside."""
    rail = OutsideRail(clock)
    yield rail
    rail.close()


@pytest.fixture
def build(tmp_path: Path, rail: OutsideRail, clock: ManualClock) -> Iterator[HouseBuilder]:
    """Builds the house over the same files, again and again as restarts do."""
    opened: list[PoolHouse] = []

    def rebuild(plans: Sequence[PoolPlan] | None = None, **options: Any) -> PoolHouse:
        for house in opened:
            house.close()
        opened.append(PoolHouse(tmp_path, rail, clock, plans, start=len(opened), **options))
        return opened[-1]

    yield rebuild
    for house in opened:
        house.close()


@pytest.fixture
def house(build: HouseBuilder) -> PoolHouse:
    """A founded pool with open terms."""
    house = build()
    house.found()
    return house
