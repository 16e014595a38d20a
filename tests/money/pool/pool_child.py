"""A process in which people come to a pool and go again; it may be told to die at a labelled point.

Started by the crash tests: `pool_child.py FOLDER START`. Whatever it has done before, it does the rest: every
request has a key, and the payment rail and the event log are files that outlive it.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from money.payouts.payments_outside import OutsideRail
from money.pool.pool_house import ALICE, BOB, ONE, OTHER_WALLET, SHARE, WALLET, PoolHouse, plan
from money.pool_samples import fill
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.core.side import Side
from mrmarket.money.pool.deposit import DepositAsk
from mrmarket.money.pool.rows import DepositRow, DepositState, WithdrawalState
from mrmarket.money.pool.terms import Terms
from mrmarket.money.pool.withdrawal import WithdrawalAsk

TERMS = Terms(deposit_fee_bps=50, performance_fee_bps=1_000)
FELIX = "user:felix"
ROUNDS = 14


def opened(folder: Path, start: int) -> PoolHouse:
    """The house as it was left; every start is a minute later than the last."""
    clock = ManualClock(1_700_000_000 * NS_PER_S + start * 60 * NS_PER_S)
    return PoolHouse(folder, OutsideRail(clock, folder / "rail.db"), clock, [plan(TERMS)], start=start)


def ask(house: PoolHouse, account: str, units: int) -> DepositRow:
    """A deposit by its key."""
    return house.treasury.desk.open_deposit(DepositAsk(account, "main", "rail:USDT", units), "in")


def pay_once(house: PoolHouse, row: DepositRow, name: str) -> None:
    """The rail remembers what was paid."""
    if name not in {told.id for told in house.rail.told()}:
        house.rail.tell(name, row.units, sender=WALLET, memo=row.memo)


def leave_once(house: PoolHouse, account: str, shares: int) -> WithdrawalState | None:
    """Ask shares back as soon as there are any."""
    if not house.shares(account) and not house.treasury.figures.withdrawals(account):
        return None
    asked = WithdrawalAsk(account, "main", OTHER_WALLET, shares)
    return house.treasury.desk.request_withdrawal(asked, "out").state


def live(house: PoolHouse) -> None:
    """Do whatever is not done yet."""
    if house.log.head("run/1").seq == 0:
        house.found()
    else:
        house.treasury.settle()
    house.register_rail()
    rows = [ask(house, ALICE, 1_000 * ONE), ask(house, BOB, 500 * ONE)]
    for row, name in zip(rows, ("a", "b"), strict=True):
        pay_once(house, row, name)
    house.write(fill("t1", Side.BUY, "0.1", "6000", "1"))
    for _ in range(ROUNDS):
        house.rail.confirm()
        house.round(5)
        house.price("60000")
        house.treasury.desk.accrue_fees("main")
        leave_once(house, ALICE, 400 * SHARE)
        leave_once(house, FELIX, 5_000 * SHARE)
        house.carry_moves()
    house.pass_time(16 * 60)
    house.treasury.desk.advance()


def summary(house: PoolHouse) -> list[object]:
    """What must be the same however often it was interrupted."""
    figures = house.treasury.figures
    return [
        [figures.deposits(account)[0].state is DepositState.MINTED for account in (ALICE, BOB)],
        [(row.state, row.units) for account in (ALICE, FELIX) for row in figures.withdrawals(account)],
        house.paid(),
        [house.shares(account) for account in (ALICE, BOB, FELIX)],
        house.units("owner:fees"),
        house.treasury.pool_view().nav,
        house.faults(),
    ]


if __name__ == "__main__":
    child = opened(Path(sys.argv[1]), int(sys.argv[2]))
    live(child)
    child.close()
