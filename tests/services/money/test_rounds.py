"""What time brings: rounds that nobody's trouble stops, and windows that a downtime does not multiply."""

from __future__ import annotations

from pathlib import Path

import pytest

from money.payouts.payments_outside import Trick
from money.pool.pool_house import plan
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.seal import opened
from mrmarket.money.ledger.seal_rows import SealRows
from mrmarket.money.payouts.port import SendRequest
from mrmarket.money.pool.errors import PoolLeftOutError
from mrmarket.money.rewards.campaign import Campaign
from mrmarket.money.rewards.view import reward_days
from mrmarket.services.api import money_schema as money
from mrmarket.services.api.refusals import NotFoundError
from mrmarket.services.money.offices import Limits, Offices
from mrmarket.services.money.world import PaymentWorld
from mrmarket.store.trading_store import TradingStore
from services.money.counter_house import RHYTHM, WHOLE, CounterHouse


async def test_a_deposit_is_taken_in_minted_paid_back_out_and_adds_up(house: CounterHouse) -> None:
    """From the announcement to the wallet, by rounds alone; no look finds anything missing."""
    house.offices.world.venues.clear()
    asked = money.DepositRequest(pool="main", asset="USDT", amount="500", key="one")
    row = await house.office.deposit("alice", asked)
    assert row.pay is not None
    house.rail.tell("p1", 500 * WHOLE, memo=row.pay.memo)
    await house.live(4)
    assert (await house.office.deposit_by_id("alice", row.id)).state == "minted"
    leaving = money.WithdrawalRequest(pool="main", shares="200", destination="0x" + "ab" * 20, key="two")
    left = await house.office.withdraw("alice", leaving)
    await house.live(6)
    assert (await house.office.withdrawal_by_id("alice", left.id)).state == "confirmed"
    assert [(units, to) for _, units, to, _ in house.rail.paid()] == [(200 * WHOLE, "0x" + "ab" * 20)]
    await house.live(8)
    treasury = await house.office.treasury()
    assert treasury.blocked == {}
    (on_rail,) = [line for line in treasury.lines if line.place == "rail" and line.asset == "USDT"]
    assert (on_rail.observed, on_rail.expected, on_rail.difference) == ("300", "300", "0")
    check = house.offices.treasury.verify()
    assert (check.ok, check.reason) == (True, None)


def test_no_pool_is_left_out_that_people_own(house: CounterHouse, tmp_path: Path) -> None:
    """A renamed or forgotten pool would hide its owners' money from them, and found another with it."""
    house.close()
    other = plan(name="other", stream=None, founders=())
    log = TradingStore.open(tmp_path / "trading.db")
    with pytest.raises(PoolLeftOutError, match="main"):
        Offices.open(tmp_path, log, [other], house.clock, PaymentWorld.none(), Limits())
    Offices.open(tmp_path, log, [plan(), other], house.clock, PaymentWorld.none(), Limits()).close()
    log.close()


async def test_money_that_is_not_on_the_rail_stops_its_payouts(house: CounterHouse) -> None:
    """What the rail says it holds is looked at with every look, and less than is owed blocks the asset."""
    house.offices.world.venues.clear()
    row = await house.office.deposit(
        "alice", money.DepositRequest(pool="main", asset="USDT", amount="500", key="one")
    )
    assert row.pay is not None
    house.rail.tell("p1", 500 * WHOLE, memo=row.pay.memo)
    await house.live(8)
    assert (await house.office.treasury()).blocked == {}
    await house.rail.send(SendRequest("nobody-asked", "USDT", 7, "0x" + "ee" * 20, ""))
    await house.live(60)
    assert "USDT" in (await house.office.treasury()).blocked


async def test_the_owner_takes_a_loss_as_it_is(house: CounterHouse) -> None:
    """With a reason the incident is closed, payouts go on, and the same difference opens no other one."""
    house.offices.world.venues.clear()
    ask = money.DepositRequest(pool="main", asset="USDT", amount="500", key="one")
    row = await house.office.deposit("alice", ask)
    assert row.pay is not None
    house.rail.tell("p1", 500 * WHOLE, memo=row.pay.memo)
    await house.live(8)
    await house.rail.send(SendRequest("nobody-asked", "USDT", 7, "0x" + "ee" * 20, ""))
    await house.live(60)
    (incident,) = await house.office.incidents(10, None)
    with pytest.raises(InvalidInputError, match="reason"):
        await house.office.release_incident(incident.id, money.ReleaseRequest(reason=" "))
    with pytest.raises(NotFoundError):
        await house.office.release_incident("none", money.ReleaseRequest(reason="written off"))
    after = await house.office.release_incident(incident.id, money.ReleaseRequest(reason="written off"))
    assert after.blocked == {}
    await house.live(60)
    (closed,) = await house.office.incidents(10, None)
    assert closed.closed_at_ms is not None
    assert closed.reason.endswith("written off")


async def test_the_owner_decides_what_becomes_of_a_parked_payment(house: CounterHouse) -> None:
    """It can be looked at again, or sent to an address of the rail; one that is unknown is not found."""
    house.rail.tell("p9", 5 * WHOLE, memo="for nobody", sender="")
    await house.live(8)
    (parked,) = (await house.office.outbox(None, 10, None)).parked
    await house.office.reconsider_payment(parked.id)
    await house.live(8)
    (parked,) = (await house.office.outbox(None, 10, None)).parked
    with pytest.raises(NotFoundError):
        await house.office.reconsider_payment("rail:nothing")
    with pytest.raises(InvalidInputError, match="address"):
        await house.office.send_back_payment(parked.id, money.SendBackRequest(destination="venue:simulated"))
    to = money.SendBackRequest(destination="0x" + "ab" * 20)
    after = await house.office.send_back_payment(parked.id, to)
    assert after.parked == []
    assert [row.cause for row in after.rows] == ["refund"]


async def test_a_downtime_is_sealed_once(house: CounterHouse) -> None:
    """Windows that passed while nobody was there make one seal, of now: a seal cannot be backdated."""
    await house.live(2)
    before = len(_seals(house))
    house.clock.advance(30 * RHYTHM.seal_ms * 10**6)
    await house.live(4)
    fresh = _seals(house)[before:]
    assert len(fresh) == 1
    assert house.now_ms - fresh[0] < RHYTHM.seal_ms


async def test_a_campaign_that_cannot_be_allocated_stops_nobody_else(house: CounterHouse) -> None:
    """Its day fails and says why; the other campaign is paid, and the rounds go on."""
    start_ms = house.now_ms
    wrong = Campaign("wrong", "main", start_ms, start_ms + 60_000, cycle_ms=10_000, attribution="per_fill")
    right = Campaign("right", "main", start_ms, start_ms + 60_000, cycle_ms=10_000)
    house.reward(wrong, right)
    await house.live(16)
    jobs = {
        (job.scope, job.state): job.reason
        for job in await house.office.jobs(200, None)
        if job.job == "rewards"
    }
    assert "UnknownAttributionError" in jobs["wrong", "failed"]
    assert ("right", "done") in jobs
    with house.offices.treasury.reader.snapshot() as sql:
        paid = reward_days(sql, "user:alice", 0, 2**53)
    assert sum(day.units for day in paid) == 50


@pytest.mark.parametrize("trick", [Trick.LOST_ANSWER, Trick.LOST_QUESTION, Trick.UNCLEAR])
async def test_a_rail_that_does_not_answer_stops_nothing(house: CounterHouse, trick: Trick) -> None:
    """A round without an answer is a round; the next one takes up what was left."""
    house.rail.tricks["incoming"].extend([trick] * 3)
    await house.live(4)
    assert [call for call in house.rail.calls if call.startswith("incoming")]
    assert (await house.office.treasury()).blocked == {}


def _seals(house: CounterHouse) -> list[int]:
    with house.offices.treasury.reader.snapshot() as sql:
        return [opened(signed).at_ms for signed in SealRows(sql).all()]
