"""The pool over PostgreSQL: the same life as over SQLite, from the founding to the last payment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from money.payouts.payments_outside import OutsideRail
from money.pool.pool_house import ALICE, BOB, ONE, OTHER_WALLET, PoolHouse, plan
from mrmarket.core.clock import ManualClock
from mrmarket.core.side import Side
from mrmarket.money.ledger.postgres_store import PostgresStore
from mrmarket.money.pool import book
from mrmarket.money.pool.deposit import DepositAsk
from mrmarket.money.pool.terms import LockTier, Terms
from mrmarket.money.pool.withdrawal import WithdrawalAsk
from mrmarket.store.postgres import PostgresReader
from postgres_server import postgres, postgres_server

__all__ = ["postgres", "postgres_server"]

TERMS = Terms(
    deposit_fee_bps=10,
    management_fee_bps=200,
    performance_fee_bps=2_000,
    permissioned=True,
    tiers=(LockTier(name="free", exit_fee_bps=50), LockTier(name="month", lock_days=30, weight_num=2)),
)


@pytest.fixture(params=["sqlite", "postgres"])
def either_house(
    request: pytest.FixtureRequest, tmp_path: Path, rail: OutsideRail, clock: ManualClock
) -> Iterator[PoolHouse]:
    """A house over each database."""
    stores = None
    if request.param == "postgres":
        address: str = request.getfixturevalue("postgres")
        stores = (PostgresStore.open(address, "test"), PostgresReader.open(address))
    house = PoolHouse(tmp_path, rail, clock, [plan(TERMS)], stores=stores)
    yield house
    house.close()


def life(house: PoolHouse) -> list[object]:
    """Deposits, trades, fees, a lock, withdrawals, and what everybody sees at the end."""
    desk, figures = house.treasury.desk, house.treasury.figures
    house.found()
    for account in (ALICE, BOB):
        desk.add_member("main", account)
    desk.accrue_fees("main")
    house.enter(10_000 * ONE)
    house.enter(5_000 * ONE, BOB, tier="month")
    house.trade("t1", Side.BUY, "0.1", "5900", "0.5")
    house.price("66000", "66010")
    desk.accrue_fees("main")
    for number in range(40):
        house.price(str(66_000 + number))
    row = house.leave(1_000 * 10**18)
    house.price("66000")
    house.settle_down(3)
    desk.pause("main", "both", "the end")
    ask = DepositAsk(ALICE, "main", "rail:USDT", ONE)
    return [
        house.withdrawal(row.id).units,
        house.paid(),
        house.shares(ALICE),
        house.shares(BOB),
        house.shares("owner:fees"),
        figures.positions(BOB),
        figures.card("main"),
        figures.periods("main", "day", 2),
        figures.risk("main"),
        figures.owner_fees("main"),
        figures.portfolio(ALICE, [house.now_ms - 20_000, house.now_ms]),
        figures.preview_deposit(ask),
        figures.preview_withdrawal(WithdrawalAsk(ALICE, "main", OTHER_WALLET)),
        house.treasury.reconciliation(),
        house.treasury.pool_view().holdings,
        len(house.treasury.equity()),
        house.faults(),
    ]


def test_both_databases_tell_the_same_life(
    either_house: PoolHouse, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every figure is the same to the last digit, and nothing is at fault."""
    monkeypatch.setattr(book, "EQUITY_POINTS", 20)
    clock = ManualClock()
    rail = OutsideRail(clock)
    plain = PoolHouse(tmp_path_factory.mktemp("plain"), rail, clock, [plan(TERMS)])
    try:
        told = life(plain)
    finally:
        plain.close()
        rail.close()
    assert life(either_house) == told
    assert told[-1] == []
