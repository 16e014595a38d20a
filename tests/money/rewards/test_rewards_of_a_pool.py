"""Everything together: a reward arrives on the rail, real pool shares divide it, and it is paid out again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from money.payouts.payments_outside import OutsideRail
from money.pool.pool_house import ALICE, BOB, OTHER_WALLET, PATIENCE, WALLET, PoolHouse
from mrmarket.core.clock import ManualClock
from mrmarket.money.payouts.incoming import IncomingPayments
from mrmarket.money.payouts.intake import Intake
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.payouts.port import PaymentState
from mrmarket.money.pool.deposit import CLAIM_KIND
from mrmarket.money.pool.history import ShareHistory
from mrmarket.money.rewards.allocator import Allocator
from mrmarket.money.rewards.attribution import LpShare
from mrmarket.money.rewards.audit import faults
from mrmarket.money.rewards.campaign import Campaign
from mrmarket.money.rewards.claims import CLAIM, reward_claimer, reward_memo, reward_releaser
from mrmarket.money.rewards.distribution import Distributor
from mrmarket.money.rewards.inputs import Sources
from mrmarket.money.rewards.invariant import reward_balances
from mrmarket.money.rewards.receipts import register
from mrmarket.money.rewards.replay import replay_day
from mrmarket.money.rewards.rows import Preference
from mrmarket.money.rewards.view import RewardState, reward_days

ONE = 10**8
HOUR_MS = 3_600_000


@pytest.fixture
def house(tmp_path: Path) -> Iterator[PoolHouse]:
    """A founded pool whose payments are also looked at for rewards."""
    clock = ManualClock()
    rail = OutsideRail(clock)
    house = PoolHouse(tmp_path, rail, clock)
    house.found()
    desk = house.treasury.desk
    outbox, rails = Outbox(), {"rail": rail}
    intake = Intake(
        rails,
        outbox,
        (desk.deposit_claimer, reward_claimer),
        {CLAIM_KIND: desk.deposit_releaser, CLAIM: reward_releaser},
        (desk.deposit_observer,),
    )
    rng = random.Random(7)  # noqa: S311 - spreads pauses, guards nothing
    house.incoming = IncomingPayments(
        house.treasury.writer, house.treasury.reader, rails, intake, PATIENCE, rng.random
    )
    yield house
    house.close()
    rail.close()


def tell(
    house: PoolHouse,
    name: str,
    units: int,
    *,
    memo: str = "reward:hufi:0",
    state: PaymentState = PaymentState.CONFIRMED,
) -> None:
    """The rail tells of a payment."""
    house.rail.tell(name, units, state, code="USDT", sender=WALLET, memo=memo)


def test_a_reward_goes_all_the_way(house: PoolHouse) -> None:
    """Alice is in for a day, Bob for half of it; from the rail to the balance and back, and replays agree."""
    writer, reader = house.treasury.writer, house.treasury.reader
    house.enter(1_000 * ONE, ALICE)
    start_ms = house.now_ms
    campaign = Campaign("hufi", "main", start_ms, start_ms + 24 * HOUR_MS)
    house.do(lambda draft: register(draft, campaign))
    house.pass_time(12 * 3_600 - 1)
    house.enter(1_000 * ONE, BOB)
    house.pass_time(12 * 3_600 + 60)
    house.rail.tell(
        "gift", 600 * ONE, PaymentState.CONFIRMED, code="USDT", sender=WALLET, memo="reward:hufi:0"
    )
    house.rail.tell(
        "stray", 5 * ONE, PaymentState.CONFIRMED, code="USDT", sender=WALLET, memo=reward_memo("hufi", 7)
    )
    house.round()
    sources = Sources((LpShare(ShareHistory()),), dust_below={"rail:USDT": 1})
    allocator = Allocator(writer, reader, sources)
    distributor = Distributor(writer, Outbox(), lambda asset: asset.partition(":")[0])
    house.do(lambda draft: distributor.prefer(draft, Preference(BOB, "rail:USDT", OTHER_WALLET, "", 1, 0)))
    (run,) = allocator.allocate_due()
    alice, bob = house.units(ALICE), house.units(BOB)
    felix = house.units("user:felix")
    assert alice + bob + felix == run.credited_units == 600 * ONE
    # Bob bought half a day later at the same price: Alice has twice his part, to the millisecond's rounding.
    assert 0 <= alice - 2 * bob <= alice // 10_000
    assert len(distributor.step().deliveries) == 1
    house.settle_down()
    assert sorted(house.paid()) == sorted([(5 * ONE, WALLET), (bob, OTHER_WALLET)])
    with reader.snapshot() as sql:
        assert [replay.reasons for replay in replay_day(sql, sources, "hufi", 0)] == [()]
        assert list(faults(sql)) == []
        (balance,) = reward_balances(sql)
        assert reward_days(sql, BOB, 0, 2**60)[0].state is RewardState.PAID
        assert reward_days(sql, ALICE, 0, 2**60)[0].state is RewardState.CREDITED
    assert balance.ok
    assert house.faults() == []


def test_a_reward_that_the_rail_takes_back_costs_the_reserve(house: PoolHouse) -> None:
    """Before the allocation it simply goes; after it users keep it and the incident names the reserve."""
    campaign = Campaign("hufi", "main", house.now_ms, house.now_ms + HOUR_MS, HOUR_MS)
    house.do(lambda draft: register(draft, campaign))
    for name in ("first", "second"):
        house.rail.tell(
            name, 7 * ONE, PaymentState.CONFIRMED, code="USDT", sender=WALLET, memo="reward:hufi:0"
        )
    house.round()
    house.rail.tell(
        "first", 7 * ONE, PaymentState.RETRACTED, code="USDT", sender=WALLET, memo="reward:hufi:0"
    )
    house.round(HOUR_MS / 1_000 + 1)
    sources = Sources((LpShare(ShareHistory()),))
    allocator = Allocator(house.treasury.writer, house.treasury.reader, sources)
    (run,) = allocator.allocate_due()
    assert run.credited_units == 7 * ONE
    house.rail.tell(
        "second", 7 * ONE, PaymentState.RETRACTED, code="USDT", sender=WALLET, memo="reward:hufi:0"
    )
    house.round()
    (adjusting,) = allocator.allocate_due()
    assert (adjusting.credited_units, adjusting.kept_units) == (0, 7 * ONE)
    assert house.units("user:felix") == 7 * ONE
    with house.treasury.reader.snapshot() as sql:
        (balance,) = reward_balances(sql)
        assert (balance.ok, balance.retracted, balance.charged) == (True, 7 * ONE, 7 * ONE)
        assert list(faults(sql)) == []
        (incident,) = sql.rows("SELECT state, units FROM payment_incidents")
    assert (incident[0], int(incident[1])) == ("open", 7 * ONE)
