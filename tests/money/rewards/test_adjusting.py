"""Rewards that come late or are taken back: nothing is edited, and no user pays."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from money.rewards.conftest import StageOpener
from money.rewards.reward_stage import ALICE, BOB, CAMPAIGN, RESERVE, USDT, WORLD, Stage, held
from mrmarket.core.money import Asset
from mrmarket.money.ledger.group import Group, Phase, Transfer, TransferKind
from mrmarket.money.rewards.attribution import Judgement, weigh
from mrmarket.money.rewards.errors import (
    EntryConflictError,
    ExcessReductionError,
    InputsMovedError,
    UnknownEntryError,
)
from mrmarket.money.rewards.integral import Integrals
from mrmarket.money.rewards.plan import Money, Terms, plan_run
from mrmarket.money.rewards.receipts import charge_network, cover_shortages, rewards_account
from mrmarket.money.rewards.replay import replay_day
from mrmarket.money.rewards.rows import Disposition, Payer, RunKind

REWARDS = rewards_account("main").id


def allocated(stage: Stage, units: int = 1_000) -> None:
    """Alice has three quarters of a day's reward, Bob one."""
    stage.history.steps = [held(ALICE, 3), held(BOB, 1)]
    stage.receive("tx1", units)
    stage.allocator.allocate(CAMPAIGN.id, 0)


def replayed(stage: Stage) -> list[tuple[str, ...]]:
    """What does not hold of each run of the first day when it is computed again."""
    return stage.read(lambda sql: [r.reasons for r in replay_day(sql, stage.sources, CAMPAIGN.id, 0)])


def test_a_late_reward_makes_an_adjusting_run(stage: Stage) -> None:
    """The second run gives what is missing to the day's total; the first stays as it was."""
    allocated(stage)
    stage.receive("tx2", 400)
    (run,) = stage.allocator.allocate_due()
    assert (run.kind, run.ordinal, run.total_units, run.credited_units) == (RunKind.ADJUSTING, 1, 1_400, 400)
    assert stage.balances(ALICE, BOB, REWARDS) == [1_050, 350, 0]
    assert replayed(stage) == [(), ()]
    stage.money()


def test_a_late_reward_leaves_the_last_unit_where_it_was(open_stage: StageOpener) -> None:
    """All runs of a day break ties alike, so that a late reward moves no odd unit from one to another."""
    stage = open_stage().open_books()
    stage.history.steps = [held(f"user:u{number}", 1) for number in range(5)]
    for day in range(4):
        stage.receive(f"tx{day}", 1, day)
    first = stage.allocator.allocate_due()
    for day in range(4):
        stage.receive(f"late{day}", 5, day)
    second = stage.allocator.allocate_due()
    assert [run.salt for run in second] == [run.id for run in first]
    assert [run.kept_units for run in second] == [0] * 4


def test_a_retraction_before_the_allocation_goes_back(stage: Stage) -> None:
    """Nobody has it yet: it returns to where it came from and the day is divided without it."""
    stage.history.steps = [held(ALICE, 1)]
    stage.receive("tx1", 1_000)
    stage.receive("tx2", 500)
    reduction = stage.retract("tx2")
    assert stage.retract("tx2") == reduction
    assert reduction.payer is Payer.REWARDS
    assert stage.balances(REWARDS, WORLD.id) == [1_000, -1_000]
    (run,) = stage.allocator.allocate_due()
    assert run.credited_units == 1_000
    assert stage.money()[0].retracted == 500


def test_a_retraction_after_the_credit_is_charged_to_the_reserve(stage: Stage) -> None:
    """Users keep what they have; the owner's reserve pays the source back."""
    allocated(stage)
    stage.bring_reserve(5_000)
    assert stage.retract("tx1").payer is Payer.RESERVE
    assert stage.balances(ALICE, BOB, RESERVE.id) == [750, 250, 4_000]
    (run,) = stage.allocator.allocate_due()
    assert (run.total_units, run.credited_units, run.kept_units, run.reserve_units) == (0, 0, 1_000, 0)
    assert stage.balances(ALICE, BOB, RESERVE.id, REWARDS) == [750, 250, 4_000, 0]
    assert stage.allocator.allocate_due() == []
    (money,) = stage.money()
    assert (money.charged, money.shortage) == (1_000, 0)
    assert replayed(stage) == [(), ()]


def test_an_empty_reserve_shows_a_shortage_until_it_is_filled(stage: Stage) -> None:
    """What the reserve cannot pay is owed in plain sight, and paid as soon as it can be."""
    allocated(stage)
    stage.retract("tx1")
    assert stage.money()[0].shortage == 1_000
    assert len(stage.do(cover_shortages)) == 1
    stage.bring_reserve(999)
    assert len(stage.do(cover_shortages)) == 1
    stage.bring_reserve(1, "reserve more")
    assert stage.do(cover_shortages) == []
    assert stage.do(cover_shortages) == []
    assert stage.money()[0].shortage == 0
    assert stage.balances(ALICE, BOB, RESERVE.id) == [750, 250, 0]


def test_a_reward_that_comes_again_makes_the_reserve_whole(stage: Stage) -> None:
    """A reorganised chain carries the same reward in another block: in the end nobody has lost anything."""
    allocated(stage)
    stage.bring_reserve(1_000)
    stage.retract("tx1")
    assert stage.balance(RESERVE.id) == 0
    stage.receive("tx1 again", 1_000)
    (run,) = stage.allocator.allocate_due()
    assert (run.credited_units, run.reserve_units, run.kept_units) == (0, -1_000, 0)
    assert stage.balances(ALICE, BOB, RESERVE.id, REWARDS) == [750, 250, 1_000, 0]
    stage.money()


def test_a_corrected_history_is_paid_by_the_reserve(stage: Stage) -> None:
    """Who should have had more gets it, who had too much keeps it, and the reserve makes up for it."""
    allocated(stage)
    stage.bring_reserve(500)
    stage.history.steps = [held(ALICE, 1), held(BOB, 1)]
    assert stage.allocator.allocate_due() == []
    (run,) = stage.allocator.allocate(CAMPAIGN.id, 0, reconsider=True)
    assert (run.credited_units, run.kept_units, run.reserve_units) == (250, 250, 250)
    assert stage.balances(ALICE, BOB, RESERVE.id) == [750, 500, 250]
    assert stage.allocator.allocate(CAMPAIGN.id, 0, reconsider=True) == []
    stage.money()


def test_a_short_reserve_gives_what_it_has_and_the_rest_later(stage: Stage) -> None:
    """The missing part is visible on the run, and the next run pays it when the reserve can."""
    allocated(stage)
    stage.bring_reserve(100)
    stage.history.steps = [held(ALICE, 1), held(BOB, 1)]
    (run,) = stage.allocator.allocate(CAMPAIGN.id, 0, reconsider=True)
    assert (run.credited_units, run.reserve_units, run.short_units) == (100, 100, 150)
    assert replayed(stage)[1:] == [()]
    assert stage.allocator.allocate_due() == []
    stage.bring_reserve(1_000, "more")
    (rest,) = stage.allocator.allocate_due()
    assert (rest.credited_units, rest.short_units) == (150, 0)
    assert stage.balances(ALICE, BOB, RESERVE.id) == [750, 500, 850]
    assert replayed(stage)[1:] == [(), ()]
    stage.money()


def test_unallocated_money_finds_its_owner(stage: Stage) -> None:
    """Money that nobody was eligible for is taken back when somebody is after all."""
    stage.history.steps = [held(ALICE, 1)]
    stage.history.reasons = {ALICE: "not checked yet"}
    stage.receive("tx1", 100)
    stage.allocator.allocate(CAMPAIGN.id, 0)
    assert stage.balances(ALICE, "unallocated:main") == [0, 100]
    stage.history.reasons = {}
    assert stage.allocator.allocate(CAMPAIGN.id, 0) == []
    (run,) = stage.allocator.allocate(CAMPAIGN.id, 0, reconsider=True)
    assert (run.credited_units, run.unallocated_units, run.reserve_units) == (100, -100, 0)
    assert stage.balances(ALICE, "unallocated:main") == [100, 0]
    assert replayed(stage) == [(), ()]
    stage.money()


def test_late_rewards_go_by_the_multipliers_of_the_first_run(stage: Stage) -> None:
    """A multiplier that rose since then does not move what was given for the past."""
    stage.history.ratios = {BOB: (3, 1)}
    allocated(stage)
    assert stage.balances(ALICE, BOB) == [500, 500]
    stage.history.ratios = {BOB: (9, 1)}
    stage.receive("tx2", 100)
    stage.allocator.allocate_due()
    assert stage.balances(ALICE, BOB) == [550, 550]


def test_network_costs_come_off_before_users_do(stage: Stage) -> None:
    """What it cost to bring a reward here is not divided; more than the reward is refused."""
    stage.history.steps = [held(ALICE, 1)]
    stage.receive("tx1", 100)
    cost = stage.do(lambda draft: charge_network(draft, "chain:1", "tx1", "gas1", 30, "rail"))
    assert stage.do(lambda draft: charge_network(draft, "chain:1", "tx1", "gas1", 30, "rail")) == cost
    with pytest.raises(EntryConflictError):
        stage.do(lambda draft: charge_network(draft, "chain:1", "tx1", "gas1", 31, "rail"))
    with pytest.raises(ExcessReductionError) as caught:
        stage.do(lambda draft: charge_network(draft, "chain:1", "tx1", "gas2", 71, "rail"))
    assert caught.value.left == 70
    with pytest.raises(UnknownEntryError):
        stage.retract("tx7")
    stage.allocator.allocate_due()
    assert stage.balances(ALICE, "network:rail") == [70, 30]
    assert stage.money()[0].network == 30


def test_a_retraction_meanwhile_starts_the_run_anew(open_stage: StageOpener) -> None:
    """What was computed from a reward that is gone is thrown away before it is written down."""
    stage = open_stage().open_books()
    stage.history.steps = [held(ALICE, 1)]
    stage.receive("tx1", 100)
    stage.receive("tx2", 11)

    class Meddler:
        """A share history during whose reading, once, the chain is reorganised."""

        name = "lp_share"
        calls = 0

        def measure(self, *_: object) -> Integrals:
            self.calls += 1
            if self.calls == 1:
                stage.retract("tx2")
            return Integrals([ALICE], [1], 1, 1, b"")

    meddler = Meddler()
    object.__setattr__(stage.sources, "attributions", (meddler,))
    (run,) = stage.allocator.allocate_due()
    assert (meddler.calls, run.credited_units, stage.balance(ALICE)) == (2, 100, 100)

    class Restless(Meddler):
        """One that never leaves it alone."""

        def measure(self, *_: object) -> Integrals:
            self.calls += 1
            stage.receive(f"late{self.calls}", 1)
            return Integrals([ALICE], [1], 1, 1, b"")

    stage.receive("tx3", 1)
    object.__setattr__(stage.sources, "attributions", (Restless(),))
    with pytest.raises(InputsMovedError):
        stage.allocator.allocate_due()
    assert stage.balance(ALICE) == 100


def test_a_held_reserve_is_not_spent_twice(open_stage: StageOpener) -> None:
    """What the reserve holds for something else does not count as there."""
    stage = open_stage().open_books()
    allocated(stage)
    stage.bring_reserve(250)
    hold = Transfer(RESERVE.id, WORLD.id, USDT.id, 200, TransferKind.ADJUSTMENT, phase=Phase.PENDING)
    stage.do(lambda draft: draft.post(Group("held", (hold,))))
    stage.history.steps = [held(ALICE, 1), held(BOB, 1)]
    (run,) = stage.allocator.allocate(CAMPAIGN.id, 0, reconsider=True)
    assert (run.reserve_units, run.short_units) == (50, 200)


AMOUNTS = st.integers(0, 10**12)
NAMES = [f"user:u{number}" for number in range(6)]


@given(
    received=AMOUNTS,
    reduced=st.fractions(0, 1),
    given_before=st.dictionaries(st.sampled_from(NAMES), AMOUNTS, max_size=6),
    weights=st.lists(st.integers(0, 10**30), min_size=6, max_size=6),
    reserve_limit=AMOUNTS,
    bps=st.integers(0, 10_000),
    dust=st.integers(0, 10**6),
)
@settings(max_examples=200, deadline=None)
def test_every_run_adds_up(
    received: int,
    reduced: object,
    given_before: dict[str, int],
    weights: list[int],
    reserve_limit: int,
    bps: int,
    dust: int,
) -> None:
    """Whatever was given before: no part is negative, and all that is at hand is spent exactly."""
    lost = int(received * reduced)  # type: ignore[operator]  # a Fraction
    # The reserve has made up for whatever was given beyond what came in.
    reserve = max(0, sum(given_before.values()) - received)
    money = Money(received, lost, 0, given_before, reserve, reserve_limit, 0)
    weighing = weigh(Integrals(NAMES, weights, 1, 6, b""), Judgement())
    plan = plan_run(money, weighing, Terms("salt", bps, dust, "owner:fees", "unallocated:p"))
    spent = sum(row.units for row in plan.rows)
    assert all(row.units >= 0 and row.kept_units >= 0 for row in plan.rows)
    assert spent == plan.credited + plan.fee + plan.dust + plan.unallocated
    assert money.at_hand + plan.reserve == spent
    assert plan.reserve <= reserve_limit
    assert plan.short == 0 or plan.reserve == reserve_limit
    assert sum(row.due_units for row in plan.rows) == received - lost
    assert all(row.disposition is not Disposition.CREDITED or row.account in NAMES for row in plan.rows)


def test_an_asset_may_be_too_small_to_share() -> None:
    """One unit of an asset without decimals goes to exactly one account."""
    assert Asset("rail", "ONE", 0).decimals == 0
    weighing = weigh(Integrals(NAMES, [1] * 6, 1, 6, b""), Judgement())
    money = Money(1, 0, 0, {}, 0, 0, 0)
    plan = plan_run(money, weighing, Terms("salt", 0, 0, "owner:fees", "unallocated:p"))
    assert sorted(row.units for row in plan.rows) == [0, 0, 0, 0, 0, 1]
