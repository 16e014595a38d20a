"""Terms and progress become a goal: by hand, and what holds for every goal."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from campaigns.campaign_stage import CYCLE_MS, START_MS, WALLET, offer
from mrmarket.campaigns.entity import Campaign, Stage, discovered
from mrmarket.campaigns.offer import Measure
from mrmarket.campaigns.orchestrator import decide, wanted_volume
from mrmarket.campaigns.terms import ExecutionGoal, Limits, Pause, Progress
from mrmarket.core.errors import InvalidInputError

LIMITS = Limits(max_cost_share=Decimal("0.5"))
FRESH = Progress(Decimal(0), Decimal(0), Decimal(0), Decimal(100), Decimal(40))


def active(measure: Measure = Measure.VOLUME, *, stage: Stage = Stage.ACTIVE, **changes: Any) -> Campaign:
    """A campaign that we are in from its start."""
    terms = offer(measure=measure, **changes)
    return changed(discovered(terms, WALLET, "main", 1), stage=stage, joined_ms=START_MS)


def goal(
    campaign: Campaign, progress: Progress | None, at_ms: int = 0, limits: Limits = LIMITS
) -> ExecutionGoal:
    """What is decided so long after the start."""
    found = decide(campaign, progress, limits, START_MS + at_ms)
    assert found is not None
    return found


def test_a_goal_says_everything_the_engine_needs() -> None:
    """Pair, venue, volume, spreads, inventory, ceiling and end; no user, no share."""
    found = goal(active(), FRESH, CYCLE_MS + 1)
    assert found == ExecutionGoal(
        campaign=offer().id,
        cycle=1,
        exchange="mexc",
        account="main",
        market="ETH/USDT",
        start_ms=START_MS + CYCLE_MS,
        end_ms=START_MS + 2 * CYCLE_MS,
        volume=Decimal(1000),
        min_spread_bps=1,
        max_spread_bps=50,
        max_inventory=Decimal(1000),
        cost_ceiling=Decimal(50),
        pause=Pause.NONE,
        reason="",
    )
    assert (found.key, found.runs) == (f"campaign:{offer().id}:1", True)


@pytest.mark.parametrize(
    ("progress", "pause"),
    [
        (FRESH, Pause.NONE),
        (replace(FRESH, volume=Decimal(1000), total_volume=Decimal(1000)), Pause.TARGET_MET),
        (replace(FRESH, volume=Decimal(10), total_volume=Decimal(1000)), Pause.TARGET_MET),
        (replace(FRESH, volume=Decimal(10), total_volume=Decimal(500)), Pause.NONE),
        (replace(FRESH, expected_cost=Decimal("50.01")), Pause.NOT_WORTH_IT),
        (replace(FRESH, expected_cost=Decimal(50)), Pause.NONE),
        (replace(FRESH, cost=Decimal(20), expected_cost=Decimal(31)), Pause.NOT_WORTH_IT),
        (replace(FRESH, cost=Decimal(50), expected_cost=Decimal(0)), Pause.COST_CEILING),
        (replace(FRESH, cost=Decimal(-5), expected_cost=Decimal(55)), Pause.NONE),
        (replace(FRESH, expected_reward_value=None), Pause.UNPRICED),
        (replace(FRESH, expected_reward_value=Decimal(-1)), Pause.NOT_WORTH_IT),
        (None, Pause.UNPRICED),
    ],
)
def test_when_it_pauses(progress: Progress | None, pause: Pause) -> None:
    """Met, too dear, at its ceiling, or worth nobody knows what; each with a sentence."""
    found = goal(active(), progress)
    assert found.pause is pause
    assert bool(found.reason) is not found.runs


def test_outside_its_time_and_without_trades_it_is_paused() -> None:
    """Before the start, after the end, when it ended early, and where balances count."""
    assert goal(active(stage=Stage.JOINED), FRESH, -1).pause is Pause.NOT_STARTED
    assert goal(active(), FRESH, 3 * CYCLE_MS).pause is Pause.OVER
    assert goal(active(stage=Stage.ENDED), FRESH, CYCLE_MS).pause is Pause.OVER
    assert goal(active(stage=Stage.CANCELLED), FRESH, CYCLE_MS).cycle == 1
    assert goal(active(Measure.BALANCE), None).pause is Pause.NOT_TRADED


@pytest.mark.parametrize(
    "stage", [Stage.DISCOVERED, Stage.JOINING, Stage.UNKNOWN, Stage.REFUSED, Stage.PAID_OUT]
)
def test_nobody_trades_for_a_campaign_that_we_are_not_in(stage: Stage) -> None:
    """Not even while we may be in: volume that does not count costs all the same."""
    assert decide(active(stage=stage), FRESH, LIMITS, START_MS) is None


def test_others_volume_fills_a_shared_target_only() -> None:
    """A shared target is everybody's; a minimum is ours alone, and all or nothing."""
    halfway = replace(FRESH, volume=Decimal(100), total_volume=Decimal(800))
    assert wanted_volume(offer(), LIMITS, halfway) == Decimal(300)
    assert wanted_volume(offer(measure=Measure.THRESHOLD_VOLUME), LIMITS, halfway) == Decimal(1000)
    small = changed(LIMITS, max_cycle_volume=Decimal(600))
    assert goal(active(), FRESH, limits=small).volume == Decimal(600)
    assert goal(active(Measure.THRESHOLD_VOLUME), FRESH, limits=small).pause is Pause.NOT_WORTH_IT
    assert goal(active(), FRESH, limits=changed(LIMITS, volume_share=Decimal("0.25"))).volume == Decimal(250)


def test_volume_counts_from_when_we_joined() -> None:
    """A goal begins when we joined, in the cycle in which that was."""
    late = changed(active(), joined_ms=START_MS + CYCLE_MS + 5)
    assert goal(late, FRESH, CYCLE_MS + 9).start_ms == START_MS + CYCLE_MS + 5
    assert goal(late, FRESH, 2 * CYCLE_MS).start_ms == START_MS + 2 * CYCLE_MS


@pytest.mark.parametrize(
    "changes",
    [
        {"min_spread_bps": 0},
        {"max_spread_bps": 0},
        {"max_inventory": Decimal(0)},
        {"max_cycle_volume": Decimal("Infinity")},
        {"volume_share": Decimal(-1)},
        {"max_cost_share": Decimal("1.1")},
    ],
)
def test_limits_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    """Before anybody trades by them."""
    with pytest.raises(InvalidInputError):
        Limits(**changes)


money = st.decimals(0, 10**9, places=2)


@given(
    st.sampled_from([measure for measure in Measure if measure.is_traded]),
    money,
    money,
    st.decimals(-(10**6), 10**6, places=2),
    money | st.none(),
    money,
    st.decimals("0.01", 10**9, places=2),
    st.integers(-CYCLE_MS, 4 * CYCLE_MS),
)
def test_no_goal_goes_beyond_its_limits(
    measure: Measure,
    mine: Decimal,
    others: Decimal,
    cost: Decimal,
    value: Decimal | None,
    more: Decimal,
    most: Decimal,
    at_ms: int,
) -> None:
    """Never more than the owner's volume, never a cost above its share of the reward, never past the end."""
    limits = Limits(max_cycle_volume=most)
    progress = Progress(mine, mine + others, cost, value, more)
    found = goal(active(measure), progress, at_ms, limits)
    assert found.volume <= most
    assert START_MS <= found.start_ms < found.end_ms <= START_MS + 3 * CYCLE_MS
    if found.runs:
        assert value is not None
        assert found.volume > mine
        assert found.cost_ceiling <= value * limits.max_cost_share
        assert cost + more <= found.cost_ceiling
    else:
        assert found.reason
