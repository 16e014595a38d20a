"""A day's rewards from receipt to balances, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from money.rewards.conftest import StageOpener
from money.rewards.reward_stage import (
    ALICE,
    BOB,
    CAMPAIGN,
    CAROL,
    HMT,
    START_MS,
    USDT,
    WORLD,
    Stage,
    held,
)
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.errors import InvalidInputError, MrMarketError
from mrmarket.money.ledger.group import Group, Transfer, TransferKind
from mrmarket.money.rewards.allocator import Allocator
from mrmarket.money.rewards.attribution import LpShare
from mrmarket.money.rewards.campaign import Campaign
from mrmarket.money.rewards.errors import (
    CampaignConflictError,
    EntryConflictError,
    RewardPostingError,
    ShareHistoryError,
    UnknownAttributionError,
    UnknownCampaignError,
    UnknownDayError,
    UnknownRunError,
    WindowOpenError,
)
from mrmarket.money.rewards.inputs import Sources
from mrmarket.money.rewards.invariant import reward_balances
from mrmarket.money.rewards.receipts import Receipt, receive, register, rewards_account
from mrmarket.money.rewards.replay import replay_day
from mrmarket.money.rewards.rows import RunKind
from mrmarket.money.rewards.view import RewardState, reward_days, reward_totals, reward_trace, run_state

REWARDS = rewards_account("main").id


def test_a_day_is_divided_by_time_weighted_shares(stage: Stage) -> None:
    """Bob has as much as Alice for half of the day: he gets half of what she gets, to the unit."""
    stage.history.steps = [held(ALICE, 100), held(BOB, 100, 500)]
    stage.receive("tx1", 1_001)
    (run,) = stage.allocator.allocate(CAMPAIGN.id, 0)
    assert (run.kind, run.total_units, run.credited_units) == (RunKind.FIRST, 1_001, 1_001)
    assert sorted(stage.balances(ALICE, BOB)) == [334, 667]
    assert stage.balance(REWARDS) == 0
    (money,) = stage.money()
    assert (money.received, money.credited, money.in_transit) == (1_001, 1_001, 0)


def test_repeating_gives_nothing_again(stage: Stage) -> None:
    """A second allocation, a second receipt and a second resume change no balance."""
    stage.history.steps = [held(ALICE, 3), held(BOB, 1)]
    first = stage.receive("tx1", 400)
    assert stage.receive("tx1", 400) == first
    stage.allocator.allocate(CAMPAIGN.id, 0)
    assert stage.allocator.allocate(CAMPAIGN.id, 0) == []
    assert stage.allocator.allocate_due() == []
    assert stage.allocator.resume() == []
    assert stage.balances(ALICE, BOB) == [300, 100]
    stage.money()


def test_lock_tiers_and_multipliers_are_inputs(stage: Stage) -> None:
    """Weight 3/2 of a lock tier and 2 of loyalty make three times the plain part; the excluded get none."""
    stage.history.steps = [held(ALICE, 5), held(BOB, 5, num=3, den=2), held(CAROL, 5)]
    stage.history.ratios = {BOB: (4, 2)}
    stage.history.reasons = {CAROL: "the owner's own money"}
    stage.receive("tx1", 4_000)
    (run,) = stage.allocator.allocate(CAMPAIGN.id, 0)
    assert stage.balances(ALICE, BOB) == [1_000, 3_000]
    trace = stage.read(lambda sql: reward_trace(sql, f"{run.id}:{BOB}"))
    assert (trace.weight * trace.pot, trace.total_weight * 3_000) == (trace.total_weight * 3_000,) * 2
    assert trace.integral == 5 * 3 * 1_000
    assert trace.integral_scale == 2
    excluded = stage.read(lambda sql: reward_trace(sql, f"{run.id}:{CAROL}"))
    assert (excluded.weight, excluded.reason) == (0, "the owner's own money")
    assert stage.read(lambda sql: reward_days(sql, CAROL, 0, 2**60))[0].state is RewardState.EXCLUDED


def test_the_owners_fee_is_rounded_up(stage: Stage) -> None:
    """Of 1,001 units at 25 basis points the owner gets 3, the users the rest."""
    paid = Campaign("paid", "main", START_MS, START_MS + 1_000, 1_000, fee_bps=25)
    stage.do(lambda draft: register(draft, paid))
    stage.history.steps = [held(ALICE, 1)]
    stage.do(lambda draft: receive(draft, Receipt("s", "1", "paid", 0, USDT.id, 1_001, 0), WORLD))
    stage.allocator.allocate("paid", 0)
    assert stage.balances("owner:fees", ALICE) == [3, 998]
    assert stage.money()[0].fees == 3


def test_without_shares_the_amount_is_unallocated(stage: Stage) -> None:
    """Nobody held anything: the money stands on an account that says so."""
    stage.receive("tx1", 50)
    (run,) = stage.allocator.allocate(CAMPAIGN.id, 0)
    assert (run.unallocated_units, run.credited_units) == (50, 0)
    assert stage.balance("unallocated:main") == 50
    assert stage.money()[0].unallocated == 50


def test_small_parts_are_dust(open_stage: StageOpener) -> None:
    """Below the asset's threshold a part is not credited but kept where everybody sees it."""
    stage = open_stage(dust={USDT.id: 10}).open_books()
    stage.history.steps = [held(ALICE, 999), held(BOB, 1)]
    stage.receive("tx1", 1_000)
    (run,) = stage.allocator.allocate(CAMPAIGN.id, 0)
    assert stage.balances(ALICE, BOB, "dust:main") == [999, 0, 1]
    assert stage.money()[0].dust == 1
    assert stage.read(lambda sql: reward_days(sql, BOB, 0, 2**60))[0].state is RewardState.DUST
    steps = stage.read(lambda sql: reward_trace(sql, f"{run.id}:{BOB}")).steps
    assert [step.state for step in steps[-2:]] == ["not needed", "not needed"]


def test_assets_are_divided_apart(stage: Stage) -> None:
    """Two assets of one day are two runs, each exact."""
    stage.history.steps = [held(ALICE, 1), held(BOB, 2)]
    stage.receive("tx1", 100)
    stage.receive("tx2", 10**24, asset=HMT)
    runs = stage.allocator.allocate_due()
    assert {run.asset for run in runs} == {USDT.id, HMT.id}
    assert stage.balance(ALICE, HMT) + stage.balance(BOB, HMT) == 10**24
    assert len(stage.money()) == 2


def test_days_count_from_the_campaigns_start(stage: Stage) -> None:
    """Each day sees its own shares; the last, short one too."""
    stage.history.steps = [held(ALICE, 1), held(ALICE, 0, 1_000), held(BOB, 1, 1_000)]
    for day in range(4):
        stage.receive(f"tx{day}", 100, day)
    stage.allocator.allocate_due()
    assert stage.balances(ALICE, BOB) == [100, 300]
    days = stage.read(lambda sql: reward_days(sql, BOB, START_MS, START_MS + 3_000))
    assert [(day.day, day.end_ms - day.start_ms) for day in days] == [(1, 1_000), (2, 1_000)]
    assert stage.read(lambda sql: reward_days(sql, BOB, START_MS + 3_000, 2**60))[0].end_ms == CAMPAIGN.end_ms


def test_a_running_day_is_previewed_and_not_allocated(open_stage: StageOpener) -> None:
    """A preview writes nothing; an allocation before the end is refused with the time that is left."""
    clock = ManualClock((START_MS + 400) * NS_PER_MS)
    stage = open_stage(clock=clock).open_books()
    stage.history.steps = [held(ALICE, 1)]
    stage.receive("tx1", 100)
    (draught,) = stage.allocator.preview(CAMPAIGN.id, 0)
    assert [(row.account, row.units) for row in draught.plan.rows] == [(ALICE, 100)]
    with pytest.raises(WindowOpenError) as caught:
        stage.allocator.allocate(CAMPAIGN.id, 0)
    assert caught.value.end_ms - caught.value.now_ms == 600
    assert stage.allocator.allocate_due() == []
    assert stage.repository(lambda repository: repository.all_runs()) == []
    clock.advance(600 * NS_PER_MS)
    assert len(stage.allocator.allocate_due()) == 1


def test_replay_finds_every_row_again(stage: Stage) -> None:
    """A replay gives the recorded hashes and rows; another share history is told by hash and by row."""
    stage.history.steps = [held(ALICE, 3), held(BOB, 1, 250)]
    stage.history.ratios = {BOB: (3, 2)}
    stage.receive("tx1", 1_000)
    stage.allocator.allocate(CAMPAIGN.id, 0)
    stage.history.ratios = {}  # multipliers move on; a run keeps its own
    (replay,) = stage.read(lambda sql: replay_day(sql, stage.sources, CAMPAIGN.id, 0))
    assert (replay.ok, replay.input_hash) == (True, replay.run.input_hash)
    stage.history.steps = [held(ALICE, 3), held(BOB, 1, 251)]
    (replay,) = stage.read(lambda sql: replay_day(sql, stage.sources, CAMPAIGN.id, 0))
    assert not replay.ok
    assert {difference.account for difference in replay.differences} == {ALICE, BOB}
    assert "its inputs are not what they were" in replay.reasons


def test_the_trace_tells_the_whole_way(stage: Stage) -> None:
    """Observed, entered, allocated, credited; steps that do not exist here are not needed."""
    stage.history.steps = [held(ALICE, 2), held(BOB, 2)]
    entry = stage.receive("tx1", 10)
    (run,) = stage.allocator.allocate(CAMPAIGN.id, 0)
    trace = stage.read(lambda sql: reward_trace(sql, f"{run.id}:{ALICE}"))
    assert [(step.name, step.state) for step in trace.steps] == [
        ("deposit observed", "done"),
        ("entry", "done"),
        ("vault transfer", "not needed"),
        ("allocation", "done"),
        ("credit", "done"),
        ("receipt", "not needed"),
    ]
    assert trace.steps[1].id.startswith(entry.id)
    assert (trace.row.units, trace.pot, trace.fee) == (5, 10, 0)
    (totals,) = stage.read(lambda sql: reward_totals(sql, ALICE))
    assert (totals.asset, totals.pending, totals.credited, totals.paid) == (USDT.id, 0, 5, 0)
    assert stage.read(lambda sql: run_state(sql, run)) == "done"
    for stranger in (f"{run.id}:user:nobody", "no-run:user:alice"):
        with pytest.raises(UnknownRunError):
            stage.read(partial(reward_trace, allocation=stranger))


def test_strangers_are_refused(stage: Stage) -> None:
    """Unknown campaigns, days and assets, and one name with two contents, change nothing."""
    with pytest.raises(UnknownCampaignError):
        stage.do(lambda draft: receive(draft, Receipt("s", "1", "other", 0, USDT.id, 1, 0), WORLD))
    with pytest.raises(UnknownDayError):
        stage.receive("tx1", 5, day=4)
    with pytest.raises(RewardPostingError):
        stage.do(lambda draft: receive(draft, Receipt("s", "1", CAMPAIGN.id, 0, "x:Y", 1, 0), WORLD))
    stage.receive("tx1", 5)
    with pytest.raises(EntryConflictError):
        stage.receive("tx1", 6)
    with pytest.raises(CampaignConflictError):
        stage.do(lambda draft: register(draft, Campaign(CAMPAIGN.id, "other", 0, 5)))
    with pytest.raises(UnknownCampaignError):
        stage.allocator.allocate("other", 0)
    with pytest.raises(UnknownDayError):
        stage.allocator.preview(CAMPAIGN.id, 4)
    assert stage.balance(REWARDS) == 5


def test_an_unknown_rule_is_refused_with_those_offered(open_stage: StageOpener) -> None:
    """A campaign that asks for a rule this instance does not offer is not allocated by another."""
    stage = open_stage().open_books()
    odd = Campaign("odd", "main", START_MS, START_MS + 1_000, 1_000, attribution="per_moon")
    stage.do(lambda draft: register(draft, odd))
    stage.do(lambda draft: receive(draft, Receipt("s", "1", "odd", 0, USDT.id, 1, 0), WORLD))
    with pytest.raises(UnknownAttributionError) as caught:
        stage.allocator.allocate("odd", 0)
    assert caught.value.offered == ("lp_share",)


def test_one_campaigns_trouble_does_not_hold_up_the_others(open_stage: StageOpener) -> None:
    """The sweep gives what it can and then says what it could not, all of it."""
    stage = open_stage().open_books()
    stage.history.steps = [held(ALICE, 1)]
    for name in ("a-odd", "z-odd"):
        odd = Campaign(name, "main", START_MS, START_MS + 1_000, 1_000, attribution="per_moon")
        stage.do(partial(register, campaign=odd))
        stage.do(partial(receive, receipt=Receipt("s", name, name, 0, USDT.id, 1, 0), origin=WORLD))
    stage.receive("tx1", 100)
    with pytest.raises(UnknownAttributionError) as caught:
        stage.allocator.allocate_due()
    assert len(caught.value.__notes__) == 1
    assert stage.balance(ALICE) == 100


def test_two_allocators_at_once_give_once(open_stage: StageOpener) -> None:
    """Two threads allocate the same day at the same time: everybody is credited once and neither fails."""
    stage = open_stage().open_books()
    stage.history.steps = [held(f"user:u{number}", 1) for number in range(20)]
    stage.receive("tx1", 2_000)
    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(stage.allocator.allocate, CAMPAIGN.id, 0) for _ in range(4)]
        runs = [run for answer in answers for run in answer.result()]
    stage.allocator.resume()
    assert len(runs) == 1
    assert {stage.balance(f"user:u{number}") for number in range(20)} == {100}
    stage.money()


def test_without_more_ports_everybody_counts_once(open_stage: StageOpener) -> None:
    """Multipliers and exclusions are optional; one that is negative is refused."""
    stage = open_stage().open_books()
    stage.history.steps = [held(ALICE, 1), held(BOB, 1)]
    stage.receive("tx1", 10)
    plain = Allocator(stage.writer, stage.reader, Sources((LpShare(stage.history),)))
    assert [row.units for row in plain.preview(CAMPAIGN.id, 0)[0].plan.rows] == [5, 5]
    stage.history.ratios = {BOB: (-1, 1)}
    with pytest.raises(InvalidInputError):
        stage.allocator.allocate(CAMPAIGN.id, 0)
    assert stage.balance(REWARDS) == 10


@pytest.mark.parametrize(
    ("stranger", "refusal"), [("nobody", ShareHistoryError), ("user:", InvalidInputError)]
)
def test_shares_of_no_account_are_refused_whole(
    open_stage: StageOpener, stranger: str, refusal: type[MrMarketError]
) -> None:
    """A share history that names no user's account credits nobody, and leaves no run behind."""
    stage = open_stage().open_books()
    stage.history.steps = [held(ALICE, 1), held(stranger, 1)]
    stage.receive("tx1", 10)
    with pytest.raises(refusal):
        stage.allocator.allocate(CAMPAIGN.id, 0)
    assert stage.repository(lambda repository: repository.all_runs()) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: Campaign("", "main", 0, 1),
        lambda: Campaign("a b", "main", 0, 1),
        lambda: Campaign("a", "main", 1, 1),
        lambda: Campaign("a", "main", 0, 1, 0),
        lambda: Campaign("a", "main", 0, 1, fee_bps=10_001),
        lambda: Receipt("", "1", "a", 0, "x:Y", 1, 0),
        lambda: Receipt("s", "1", "a", 0, "x:Y", 0, 0),
        lambda: Receipt("s", "1", "a", 0, "x:Y", True, 0),
    ],
)
def test_bad_terms_are_refused(make: Callable[[], object]) -> None:
    """What cannot be a campaign or a receipt never becomes one."""
    with pytest.raises(InvalidInputError):
        make()


def test_a_spent_reward_account_stops_the_run_whole(open_stage: StageOpener) -> None:
    """If the books cannot cover a run, nothing of it is recorded, and it works once they can."""
    stage = open_stage().open_books()
    stage.history.steps = []
    stage.receive("tx1", 100)
    out = Transfer(REWARDS, WORLD.id, USDT.id, 60, TransferKind.ADJUSTMENT)
    stage.do(lambda draft: draft.post(Group("theft", (out,))))
    with pytest.raises(RewardPostingError):
        stage.allocator.allocate(CAMPAIGN.id, 0)
    assert stage.repository(lambda repository: repository.all_runs()) == []
    (balance,) = stage.read(reward_balances)
    assert (balance.ok, balance.difference) == (False, 60)
