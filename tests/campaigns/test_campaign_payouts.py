"""Payouts become rewards exactly once: parked, retracted, swept, charged, allocated and credited."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace as replace_rules
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from campaigns.campaign_stage import (
    CHAIN,
    CYCLE_MS,
    HMT,
    START_MS,
    TOKEN,
    CampaignStage,
    World,
    offer,
    payout,
)
from mrmarket.campaigns.audit import faults
from mrmarket.campaigns.board import campaign_page, outcomes, trace_of_entry
from mrmarket.campaigns.errors import PayoutConflictError
from mrmarket.campaigns.pipeline import ledger_units, payout_id, retry_parked, take_page
from mrmarket.campaigns.ports import PayoutPage, PayoutSeen, SweepState
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.campaigns.rows import PayoutStep, PayoutStepRow
from mrmarket.campaigns.sweeps import SWEEP_JOB, plan_sweep, planned, ready_days, sweep_job
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import Asset
from mrmarket.money.rewards.campaign import Span
from mrmarket.money.rewards.invariant import RewardBalance
from mrmarket.money.rewards.jobs import JobRunner
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.store.sql import Sql

ONE = 10**8
"""One HMT in the ledger."""


def tell(stage: CampaignStage, *final: PayoutSeen, retracted: Sequence[PayoutSeen] = ()) -> None:
    """The chain has news."""
    stage.world.pages.append(PayoutPage(list(final), list(retracted), ""))


def steps(stage: CampaignStage, seen: PayoutSeen) -> list[str]:
    """What became of a payout."""
    name = payout_id(seen.chain_id, seen.tx, seen.log)
    return [step.step.value for step in stage.repository(lambda repository: repository.payout_steps(name))]


def steps_of(sql: Sql, name: str) -> list[PayoutStepRow]:
    """What became of a payout, by its id."""
    return CampaignRepository(sql).payout_steps(name)


def state(stage: CampaignStage, seen: PayoutSeen) -> str:
    """Where a payout stands."""
    page = stage.read(lambda sql: campaign_page(sql, seen.campaign, START_MS))
    name = payout_id(seen.chain_id, seen.tx, seen.log)
    return next(one.state for one in page.payouts if one.payout.id == name)


def money(stage: CampaignStage) -> RewardBalance:
    """The equation of the pool's HMT."""
    return next(one for one in stage.check() if one.asset == HMT.id)


def sweep_now(stage: CampaignStage) -> None:
    """A window has ended: its transfers are planned."""
    job = sweep_job(stage.writer, [(CHAIN, TOKEN)], START_MS, CYCLE_MS)
    JobRunner(stage.writer, stage.clock, [job]).step()


def allocate(stage: CampaignStage) -> None:
    """Give away what has arrived."""
    for campaign, day, _ in stage.read(ready_days):
        stage.allocator.allocate(campaign, day)


async def test_from_the_chain_to_the_users(either: CampaignStage) -> None:
    """One payout: entered, swept, arrived, allocated three to one after the owner's per cent, to the unit."""
    stage = either
    await stage.round()
    tell(stage, payout(units=10 * 10**18 + 123))
    stage.pass_time(CYCLE_MS)
    await stage.round()
    assert state(stage, payout()) == "entered"
    assert stage.read(ready_days) == []
    sweep_now(stage)
    assert state(stage, payout()) == "sweeping"
    await stage.round()
    assert state(stage, payout()) == "arrived"
    allocate(stage)
    assert [stage.balance(who) for who in ("user:ann", "user:bob", "owner:fees")] == [
        742_500_000,
        247_500_000,
        10_000_000,
    ]
    found = money(stage)
    assert (found.received, found.credited, found.fees, found.in_transit) == (
        10 * ONE,
        990_000_000,
        ONE // 10,
        0,
    )
    assert list(stage.world.sweeps.values()) == [10 * 10**18]
    assert sorted(steps(stage, payout())) == ["arrived", "entered", "remainder", "sweeping"]
    (entry,) = stage.read(lambda sql: RewardRepository(sql).all_entries())
    trace = stage.read(lambda sql: trace_of_entry(sql, entry.id))
    assert trace is not None
    assert (trace.payout.tx, trace.state) == ("0x01", "arrived")
    assert stage.read(lambda sql: trace_of_entry(sql, "stranger")) is None
    assert stage.read(lambda sql: outcomes(sql, offer().id))[0].paid_units == 10 * 10**18 + 123


async def test_told_twice_is_once(stage: CampaignStage) -> None:
    """In one page, in two, and under a cursor that somebody else has moved."""
    await stage.round()
    tell(stage, payout(), payout())
    tell(stage, payout(), payout("0x02"))
    await stage.round()
    page = PayoutPage([payout("0x03")], [], "9")
    taken = stage.do(
        lambda draft: take_page(draft, feed=stage.world.name, before="0", page=page, terms=stage.terms)
    )
    assert (taken.entered, money(stage).received) == (0, 2 * ONE)


async def test_other_content_under_the_same_name_is_a_conflict(stage: CampaignStage) -> None:
    """Nothing of the page is taken, and the round says why."""
    await stage.round()
    tell(stage, payout())
    await stage.round()
    tell(stage, payout("0x02"), payout(units=5))
    done = await stage.round()
    assert [error.code for error in done.unclear] == ["campaign_payout_conflict"]
    assert money(stage).received == ONE
    assert isinstance(done.unclear[0], PayoutConflictError)


async def test_what_fits_nothing_is_parked(stage: CampaignStage) -> None:
    """Visibly, with one sentence, and without a posting; what comes after it is taken."""
    await stage.round()
    strange: dict[str, list[dict[str, Any]]] = {
        "there is no campaign": [{"campaign": "hufi-1338-0xnone"}, {"campaign": ""}],
        "is not what": [{"token": "0xcc"}, {"chain_id": 1}],
        "has 3 cycles": [{"cycle": 3}],
        "no amount of mixin:HMT": [{"units": 0}, {"units": 10**10 - 1}, {"units": 2**127 * 10**10}],
    }
    told = [
        (replace(payout(f"0x{why[:2]}{number}"), **changes), why)
        for why, cases in strange.items()
        for number, changes in enumerate(cases)
    ]
    tell(stage, *(seen for seen, _ in told), payout("0x02"))
    await stage.round()
    for seen, why in told:
        name = payout_id(seen.chain_id, seen.tx, seen.log)
        (step,) = stage.read(partial(steps_of, name=name))
        assert (step.step, step.units) == (PayoutStep.PARKED, seen.units)
        assert why in step.why
    assert money(stage).received == ONE


async def test_the_fee_of_the_joining_holds(stage: CampaignStage) -> None:
    """An owner who asks for more later gets what was promised when the campaign was joined."""
    await stage.round()
    stage.rules = replace_rules(stage.rules, payouts=replace_rules(stage.terms, fee_bps=5_000))
    tell(stage, payout())
    await stage.round()
    (kept,) = stage.read(lambda sql: RewardRepository(sql).campaigns())
    assert (kept.fee_bps, money(stage).received) == (100, ONE)


async def test_a_parked_payout_is_entered_once_it_fits(stage: CampaignStage) -> None:
    """The owner registers the token; what was retracted meanwhile stays out."""
    await stage.round()
    stage.assets.clear()
    tell(stage, payout(), payout("0x02"))
    await stage.round()
    assert state(stage, payout()) == "parked"
    page = stage.read(lambda sql: campaign_page(sql, offer().id, START_MS))
    assert page.card.parked == 2
    tell(stage, retracted=[payout("0x02")])
    await stage.round()
    stage.assets[CHAIN, TOKEN] = HMT
    assert stage.do(lambda draft: retry_parked(draft, stage.terms)) == 1
    assert stage.do(lambda draft: retry_parked(draft, stage.terms)) == 0
    assert (state(stage, payout()), state(stage, payout("0x02"))) == ("entered", "retracted")
    tell(stage, payout("0x02"))
    await stage.round()
    assert (state(stage, payout("0x02")), money(stage).received) == ("entered", 2 * ONE)


async def test_a_reorganisation_takes_back_and_gives_again(either: CampaignStage) -> None:
    """Retracted before it was allocated it goes back; when it comes again it is a further entry."""
    stage = either
    await stage.round()
    tell(stage, payout(), payout("0x02"))
    await stage.round()
    tell(stage, retracted=[payout(), payout("0xunknown")])
    tell(stage, retracted=[payout()])
    done = await stage.round()
    assert [taken.retracted for taken in done.taken] == [1, 0]
    assert state(stage, payout()) == "retracted"
    assert (money(stage).received, money(stage).retracted, money(stage).in_transit) == (2 * ONE, ONE, ONE)
    tell(stage, payout())
    await stage.round()
    assert (money(stage).received, money(stage).in_transit, state(stage, payout())) == (
        3 * ONE,
        2 * ONE,
        "entered",
    )
    tell(stage, payout())
    await stage.round()
    assert money(stage).received == 3 * ONE


async def test_a_reorganisation_after_the_credit_costs_the_owner(stage: CampaignStage) -> None:
    """Users keep what they have; the reserve owes it, and that is shown."""
    await stage.round()
    tell(stage, payout())
    stage.pass_time(CYCLE_MS)
    await stage.round()
    sweep_now(stage)
    await stage.round()
    allocate(stage)
    before = stage.balance("user:ann")
    tell(stage, retracted=[payout()])
    await stage.round()
    assert stage.balance("user:ann") == before > 0
    assert money(stage).shortage == ONE


async def test_a_late_payout_is_an_adjusting_run(stage: CampaignStage) -> None:
    """A day that was allocated gets a further run; nothing that was written is edited."""
    await stage.round()
    for number, tx in enumerate(("0x01", "0x02")):
        tell(stage, payout(tx))
        stage.pass_time(CYCLE_MS)
        await stage.round()
        sweep_now(stage)
        await stage.round()
        allocate(stage)
        assert len(stage.read(lambda sql: RewardRepository(sql).all_runs())) == number + 1
    assert money(stage).credited == 2 * ONE - 2 * ONE // 100


async def test_a_transfer_whose_answer_is_lost_happens_once(stage: CampaignStage) -> None:
    """It is asked for under the same key with the same amount until it answers."""
    await stage.round()
    tell(stage, payout(), payout("0x02"))
    await stage.round()
    stage.pass_time(CYCLE_MS)
    stage.world.lost = {"sweep"}
    sweep_now(stage)
    done = await stage.round()
    assert [error.code for error in done.unclear] == ["campaign_partner_unclear"]
    tell(stage, payout("0x03"))
    await stage.round()
    stage.world.lost = set()
    done = await stage.round()
    assert done.settled == 1
    assert list(stage.world.sweeps.values()) == [2 * 10**18]
    stage.pass_time(CYCLE_MS)
    sweep_now(stage)
    await stage.round()
    assert list(stage.world.sweeps.values()) == [2 * 10**18, 10**18]


async def test_a_transfer_that_is_under_way_is_waited_for(stage: CampaignStage) -> None:
    """SENT is neither an arrival nor a failure: nothing is allocated, nothing sent again."""
    await stage.round()
    tell(stage, payout())
    stage.pass_time(CYCLE_MS)
    stage.world.sweep_state = SweepState.SENT
    await stage.round()
    sweep_now(stage)
    assert (await stage.round()).settled == 0
    assert (state(stage, payout()), stage.read(ready_days)) == ("sweeping", [])


async def test_a_transfer_that_failed_leaves_its_payouts_to_the_next(stage: CampaignStage) -> None:
    """Under another key; the first never arrives."""
    await stage.round()
    tell(stage, payout())
    stage.pass_time(CYCLE_MS)
    stage.world.sweep_state = SweepState.FAILED
    await stage.round()
    sweep_now(stage)
    await stage.round()
    assert state(stage, payout()) == "entered"
    stage.world.sweep_state = SweepState.SETTLED
    stage.pass_time(CYCLE_MS)
    sweep_now(stage)
    await stage.round()
    assert (state(stage, payout()), list(stage.world.sweeps.values())) == ("arrived", [10**18, 10**18])


async def test_the_cost_of_the_way_is_divided_to_the_unit(stage: CampaignStage) -> None:
    """101 units over payouts of one and two: all of it is on the network account, none is lost."""
    await stage.round()
    tell(stage, payout(), payout("0x02", 2 * 10**18))
    stage.pass_time(CYCLE_MS)
    await stage.round()
    stage.world.sweep_cost = 101
    sweep_now(stage)
    await stage.round()
    found = money(stage)
    assert (found.network, found.in_transit) == (101, 3 * ONE - 101)
    allocate(stage)
    assert money(stage).credited + money(stage).fees == 3 * ONE - 101


async def test_what_was_taken_back_on_the_way_bears_no_cost(stage: CampaignStage) -> None:
    """A transfer that carries a payout which the chain took back is settled all the same."""
    await stage.round()
    tell(stage, payout(), payout("0x02"))
    stage.pass_time(CYCLE_MS)
    await stage.round()
    stage.world.sweep_state = SweepState.SENT
    sweep_now(stage)
    await stage.round()
    tell(stage, retracted=[payout()])
    stage.world.sweep_state = SweepState.SETTLED
    stage.world.sweep_cost = 10
    done = await stage.round()
    assert (done.settled, money(stage).network, done.unclear) == (1, 5, [])


async def test_a_transfer_whose_money_is_gone_is_given_up_before_it_begins(stage: CampaignStage) -> None:
    """The vault could never pay it; what is left of it goes with the next window's."""
    await stage.round()
    tell(stage, payout(), payout("0x02"))
    stage.pass_time(CYCLE_MS)
    await stage.round()
    sweep_now(stage)
    tell(stage, retracted=[payout()])
    await stage.round()
    assert (stage.world.sweeps, state(stage, payout("0x02"))) == ({}, "entered")
    stage.pass_time(CYCLE_MS)
    sweep_now(stage)
    await stage.round()
    assert (list(stage.world.sweeps.values()), state(stage, payout("0x02"))) == ([10**18], "arrived")


async def test_windows_are_caught_up_after_a_downtime(stage: CampaignStage) -> None:
    """Three windows have ended: the first takes what waits, the others have nothing to take."""
    await stage.round()
    tell(stage, payout())
    await stage.round()
    stage.pass_time(3 * CYCLE_MS)
    sweep_now(stage)
    rows = stage.read(
        lambda sql: sql.rows(
            "SELECT start_ms, state FROM job_windows WHERE job = ? ORDER BY start_ms", SWEEP_JOB
        )
    )
    assert rows == [(START_MS + number * CYCLE_MS, "done") for number in range(3)]
    assert len(stage.repository(lambda repository: repository.open_sweeps())) == 1


async def test_planning_again_changes_nothing(stage: CampaignStage) -> None:
    """A window's transfer is fixed once it is planned."""
    await stage.round()
    tell(stage, payout())
    await stage.round()
    window = Span(START_MS, START_MS + CYCLE_MS)
    first = stage.do(lambda draft: plan_sweep(draft, chain_id=CHAIN, token=TOKEN, window=window))
    tell(stage, payout("0x02"))
    await stage.round()
    again = stage.do(lambda draft: plan_sweep(draft, chain_id=CHAIN, token=TOKEN, window=window))
    assert first == again
    assert first is not None
    assert (first.units, len(first.payouts)) == (10**18, 1)
    assert stage.read(lambda sql: planned(sql, "nothing")) is None
    assert stage.do(lambda draft: plan_sweep(draft, chain_id=1, token=TOKEN, window=window)) is None


def test_only_final_payouts_are_taken(stage: CampaignStage) -> None:
    """A feed that tells of others is refused."""
    page = PayoutPage([replace(payout(), is_final=False)], [], "1")
    with pytest.raises(InvalidInputError):
        stage.do(lambda draft: take_page(draft, feed="f", before="", page=page, terms=stage.terms))


@pytest.mark.parametrize(("decimals", "wanted"), [(18, (1, 5)), (8, (10**10 + 5, 0)), (6, (10**12 + 500, 0))])
def test_digits_are_cut_or_added_exactly(decimals: int, wanted: tuple[int, int]) -> None:
    """What the ledger asset has no digits for is a remainder; what it has more of is exact."""
    assert ledger_units(10**10 + 5, decimals, Asset("mixin", "HMT", 8)) == wanted


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
async def test_any_order_of_news_faults_and_restarts_pays_each_once(  # noqa: C901 - a deed a case
    tmp_path_factory: pytest.TempPathFactory, empty_books: Path, data: st.DataObject
) -> None:
    """In the end what is received is what the chain says, to the unit, and all of it is given away."""
    folder: Path = tmp_path_factory.mktemp("story")
    shutil.copy(empty_books, folder / "money.db")
    world = World()
    stage = CampaignStage.on_file(folder, world)
    await stage.round()
    canonical: dict[str, PayoutSeen] = {}
    for _ in range(data.draw(st.integers(3, 6), "steps")):
        match data.draw(
            st.sampled_from(["pay", "again", "reorg", "window", "restart", "lose", "allocate"]), "deed"
        ):
            case "pay":
                seen = payout(
                    f"0x{len(world.pages):03x}", data.draw(st.integers(10**10, 10**20), "units"), cycle=0
                )
                canonical[seen.tx] = seen
                tell(stage, seen)
            case "again" if canonical:
                tell(stage, data.draw(st.sampled_from(list(canonical.values())), "told again"))
            case "reorg" if canonical:
                gone = canonical.pop(data.draw(st.sampled_from(sorted(canonical)), "gone"))
                tell(stage, retracted=[gone])
                if data.draw(st.booleans(), "mined again"):
                    canonical[gone.tx] = gone
                    tell(stage, gone)
            case "window":
                stage.pass_time(CYCLE_MS)
                sweep_now(stage)
            case "restart":
                now_ns = stage.clock.now_ns()
                stage.close()
                stage = CampaignStage.on_file(folder, world)
                stage.clock.advance(now_ns - stage.clock.now_ns())
            case "lose":
                world.lost = data.draw(st.sets(st.sampled_from(["sweep", "payouts", "list"])), "lost")
            case "allocate":
                allocate(stage)
        await stage.rounds.step()
    world.lost = set()
    for _ in range(2):
        await stage.rounds.step()
        stage.pass_time(CYCLE_MS)
        sweep_now(stage)
    await stage.round()
    allocate(stage)
    wanted = sum(seen.units // 10**10 for seen in canonical.values())
    balances = [one for one in stage.check() if one.asset == HMT.id]
    had = sum(one.received - one.retracted - one.charged for one in balances)
    assert had == wanted
    assert sum(one.in_transit for one in balances) == 0
    assert stage.read(lambda sql: list(faults(sql))) == []
    stage.close()
