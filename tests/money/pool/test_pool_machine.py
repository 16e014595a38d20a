"""Random lives of a pool: whatever people, prices and the rail do, the books add up and nobody is robbed."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from money.payouts.payments_outside import OutsideRail, Trick
from money.pool.pool_house import ALICE, BOB, ONE, OTHER_WALLET, SHARE, PoolHouse, plan
from mrmarket.core.clock import ManualClock
from mrmarket.core.side import Side
from mrmarket.money.pool.errors import DepositRefusedError, RequestStateError, WithdrawalRefusedError
from mrmarket.money.pool.rows import DepositState, WithdrawalState
from mrmarket.money.pool.terms import LockTier, Terms
from mrmarket.money.pool.wanted_moves import MovePolicy

MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of random name in it
TERMS: Final = Terms(
    deposit_fee_bps=30,
    management_fee_bps=500,
    performance_fee_bps=2_000,
    hurdle_bps=100,
    redeem_period_s=2,
    capacity="1700000",
    tiers=(
        LockTier(name="free", exit_fee_bps=0),
        LockTier(name="month", lock_days=30, weight_num=2, exit_fee_bps=100),
        LockTier(name="year", lock_days=365, weight_num=4),
    ),
)
USERS: Final = st.sampled_from([ALICE, BOB])
AMOUNTS: Final = st.integers(1, 50_000 * ONE)


@cache
def empty_books() -> str:
    """A folder with databases that nobody has used: walking the migrations for every life is slow."""
    folder = tempfile.mkdtemp(dir=MEMORY)
    atexit.register(shutil.rmtree, folder)
    clock = ManualClock()
    rail = OutsideRail(clock)
    PoolHouse(Path(folder), rail, clock, [plan(TERMS)]).close()
    rail.close()
    return folder


class PoolLife(RuleBasedStateMachine):
    """The real rooms; the invariants are the audits and the world's own counts."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(dir=MEMORY)
        shutil.copytree(empty_books(), self._folder.name, dirs_exist_ok=True)
        self._clock = ManualClock()
        self._rail = OutsideRail(self._clock)
        self._trades = 0
        self._starts = 0
        self._open()

    def _open(self) -> None:
        self._starts += 1
        self.house = PoolHouse(
            Path(self._folder.name),
            self._rail,
            self._clock,
            [plan(TERMS)],
            moves=MovePolicy(idle_buffer=1_000 * SHARE),
            start=self._starts,
        )

    @initialize()
    def found(self) -> None:
        """Felix has everything."""
        self.house.found()
        self.house.treasury.desk.accrue_fees("main")

    @rule(account=USERS, units=AMOUNTS, tier=st.sampled_from(["free", "month", "year"]), paid=st.booleans())
    def deposit(self, account: str, units: int, tier: str, *, paid: bool) -> None:
        """Somebody announces a deposit, and pays it or not."""
        try:
            row = self.house.intend(units, account, tier=tier)
        except DepositRefusedError:
            return
        if paid:
            self.house.pay(row)

    @rule(account=USERS, off=st.integers(-5, 5).filter(bool))
    def pay_wrongly(self, account: str, off: int) -> None:
        """Another amount than announced goes back."""
        try:
            row = self.house.intend(10 * ONE, account)
        except DepositRefusedError:
            return
        before = self.house.units(account)
        self.house.pay(row, row.units + off)
        assert self.house.units(account) == before

    @rule(account=USERS, place=st.integers(0, 30))
    def pay_again(self, account: str, place: int) -> None:
        """An old intent is paid, perhaps once more or too late."""
        rows = self.house.treasury.figures.deposits(account)
        if rows:
            self.house.pay(rows[place % len(rows)])

    @rule(account=USERS, place=st.integers(0, 30))
    def cancel_deposit(self, account: str, place: int) -> None:
        """Somebody changes their mind."""
        rows = self.house.treasury.figures.deposits(account)
        if not rows:
            return
        row = rows[place % len(rows)]
        try:
            self.house.treasury.desk.cancel_deposit(row.id, account)
        except RequestStateError:
            ended = {DepositState.WAITING, DepositState.SEEN, DepositState.CREDITED, DepositState.CANCELLED}
            assert row.state not in ended

    @rule(account=st.sampled_from([ALICE, BOB, "user:felix"]), part=st.integers(1, 4))
    def leave(self, account: str, part: int) -> None:
        """Somebody asks some of their shares back, or all."""
        shares = self.house.free(account, "pool:main")
        if shares < part:
            return
        wanted = None if part == 1 else min(shares // part, 60_000 * SHARE)
        if account == "user:felix":
            wanted = min(shares // part, 20_000 * SHARE)
        try:
            self.house.leave(wanted, account)
        except WithdrawalRefusedError as error:
            assert error.rule in {"locked", "insufficient_funds", "paused"}  # noqa: PT017 - one of several ends

    @rule(account=USERS, place=st.integers(0, 30))
    def cancel_withdrawal(self, account: str, place: int) -> None:
        """Somebody stays after all, or sends a refused payment elsewhere."""
        rows = self.house.treasury.figures.withdrawals(account)
        if not rows:
            return
        row = rows[place % len(rows)]
        desk = self.house.treasury.desk
        if row.state is WithdrawalState.REFUSED:
            desk.resend_withdrawal(row.id, account, OTHER_WALLET)
        elif row.state in {WithdrawalState.HELD, WithdrawalState.UNWINDING}:
            assert desk.cancel_withdrawal(row.id, account).state is WithdrawalState.CANCELLED

    @rule(bid=st.integers(40_000, 80_000), spread=st.integers(0, 300))
    def price(self, bid: int, spread: int) -> None:
        """The market moves, and whoever waits is dealt with."""
        self.house.price(str(bid), str(bid + spread))

    @rule(buy=st.booleans(), value=st.integers(1, 6_000))
    def trade(self, value: int, *, buy: bool) -> None:
        """The pool trades, well or badly."""
        self._trades += 1
        side = Side.BUY if buy else Side.SELL
        self.house.trade(f"t{self._trades}", side, "0.05", str(value), "0.5")

    @rule(what=st.sampled_from(["deposits", "withdrawals", "both"]), resume=st.booleans())
    def pause(self, what: str, *, resume: bool) -> None:
        """The owner closes a door, and opens it."""
        desk = self.house.treasury.desk
        desk.pause("main", what, "because")  # type: ignore[arg-type]  # one of three words
        if resume:
            desk.resume("main")

    @rule(days=st.integers(0, 40))
    def pass_days(self, days: int) -> None:
        """Time passes and is charged for."""
        self.house.pass_time(days * 86_400 + 1)
        self.house.treasury.desk.accrue_fees("main")

    @rule(tricks=st.lists(st.sampled_from([Trick.LOST_ANSWER, Trick.LATE, Trick.REFUSAL]), max_size=3))
    def trick(self, tricks: list[Trick]) -> None:
        """The rail misbehaves next time."""
        self._rail.tricks["send"].extend(tricks)

    @rule()
    def carry(self) -> None:
        """Money is moved to where it is wanted, and payments end."""
        self.house.carry_moves()
        self.house.settle_down(3)

    @precondition(lambda self: self._trades % 3 == 0)
    @rule()
    def restart(self) -> None:
        """The process ends and starts again."""
        self.house.close()
        self._open()

    @invariant()
    def shares_add_up(self) -> None:
        """Everybody's shares are the supply, lots and history say the same, and nobody owes anything."""
        supply = -self.house.units("issuer:main", "pool:main")
        held = {account: self.house.shares(account) for account in (ALICE, BOB, "user:felix", "owner:fees")}
        assert sum(held.values()) == supply
        assert min(held.values()) >= 0

    def teardown(self) -> None:
        """In the end every payment has ended, the rail has what the books say, and the audits are silent."""
        try:
            self._rail.tricks["send"].clear()
            self.house.settle_down()
            assert self.house.faults() == []
            observed = {code: units for code, units in self._observed().items() if units}
            assert observed == {
                code: units
                for code in ("USDT", "BTC")
                if (units := -self.house.units("rail:rail", f"rail:{code}"))
            }
        finally:
            self.house.close()
            self._rail.close()
            self._folder.cleanup()

    def _observed(self) -> dict[str, int]:
        final = {told.id: told for told in self._rail.told()}
        held: dict[str, int] = {}
        for told in final.values():
            held[told.asset_code] = held.get(told.asset_code, 0) + told.units
        for _, units, _, _ in self._rail.paid():
            held["USDT"] = held.get("USDT", 0) - units
        return held


TestPoolLife = PoolLife.TestCase
TestPoolLife.settings = settings(
    max_examples=10,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@settings(max_examples=10, deadline=None, phases=[Phase.generate, Phase.shrink])
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.integers(1, 10**12), st.integers(0, 500)), min_size=1, max_size=12
    )
)
def test_nobody_gains_by_coming_and_going(steps: list[tuple[bool, int, int]]) -> None:
    """With the mid at rest, whatever spread: Alice never gets more than she brought, nor Felix less."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        clock = ManualClock()
        rail = OutsideRail(clock)
        shutil.copytree(empty_books(), folder, dirs_exist_ok=True)
        house = PoolHouse(Path(folder), rail, clock, [plan(name="plain")])
        try:
            house.found("100000", "1")
            brought = come_and_go(house, steps)
            house.price("60000")
            house.settle_down(2)
            got = sum(units for units, _ in house.paid())
            have = sum(Decimal(each.value) for each in house.treasury.figures.positions(ALICE))
            assert got + have * ONE <= brought
            assert Decimal(house.position("user:felix", "plain").value) >= 160_000
            assert house.faults() == []
        finally:
            house.close()
            rail.close()


def come_and_go(house: PoolHouse, steps: list[tuple[bool, int, int]]) -> int:
    """Deposits and withdrawals of Alice's at changing spreads; what she brought."""
    brought = 0
    for comes, units, spread in steps:
        if comes:
            house.credit(units, pool="plain")
            brought += units
        else:
            wanted = min(units * 10**10, house.free(ALICE, "pool:plain"))
            if wanted:
                house.leave(wanted, ALICE, "plain")
        house.price(str(60_000 - spread), str(60_000 + spread))
    return brought
