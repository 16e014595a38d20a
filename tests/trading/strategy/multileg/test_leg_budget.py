"""What keeps new orders back after some went wrong: a rest, repeated attempts, fees."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.execution.leg_pair import Leg, PairPlan, PairState
from mrmarket.trading.execution.legs import LegRules, LegStage
from mrmarket.trading.strategy.arbitrage.parameters import LegSchema
from mrmarket.trading.strategy.multileg.budget import leg_budget, leg_rules
from mrmarket.trading.strategy.triangular.parameters import TriangularParameters

LEG = Leg(0, Side.BUY, 1, 1)


def pair(*sent: int, stage: LegStage = LegStage.DONE, failed: bool = False) -> PairState:
    """One that is over after so many attempts at each part."""
    return PairState(plan=PairPlan(LEG, LEG), rules=LegRules(), stage=stage, sent=sent, failed=failed)


def test_budgets_say_what_they_wait_for() -> None:
    """Repeated attempts within a minute and fees within an hour bar new pairs until their time is over."""
    terms = LegSchema(max_retries_per_minute=3)
    budget = leg_budget("pair", terms, 1.0, max_fees_per_hour=Decimal(5))
    tried = pair(1, 4, 0)
    after = budget.after(tried, 0, Decimal(2))
    assert after.refusal(0) == "resting between pairs"
    assert after.refusal(NS_PER_S) == "budget: 3 repeated attempts within a minute"
    assert after.refusal(60 * NS_PER_S) == ""
    dear = after.after(tried, 61 * NS_PER_S, Decimal(3))
    assert dear.refusal(122 * NS_PER_S) == "budget: 5 of fees within an hour"
    assert dear.refusal(3_600 * NS_PER_S) == ""


@pytest.mark.parametrize(
    ("state", "resting"),
    [
        (pair(1, 1, 0), False),
        (pair(1, 1, 1, failed=True), True),
        (pair(1, 3, 4, stage=LegStage.HALTED), True),
    ],
)
def test_a_rest_is_longer_after_what_went_wrong(state: PairState, resting: bool) -> None:
    """The pause after a round that is through; the cool-down after one that was undone, or has halted."""
    terms = TriangularParameters(failure_cooldown=30)
    after = leg_budget("round", terms, pause_s=1).after(state, 0)
    words = "cooling down after a round that was undone" if resting else "resting between rounds"
    assert after.refusal(NS_PER_S // 2) == words
    assert bool(after.refusal(2 * NS_PER_S)) is resting
    assert after.refusal(31 * NS_PER_S) == ""


@pytest.mark.parametrize("parameters", [LegSchema(leg_retries=4), TriangularParameters(leg_retries=4)])
def test_rules_come_from_the_parameters_of_any_kind(parameters: LegSchema | TriangularParameters) -> None:
    """Bands, attempts and the deadline, in the machine's measures."""
    rules = leg_rules(parameters)
    assert (rules.retries, rules.unwind_retries) == (4, parameters.unwind_retries)
    assert rules.band == Fraction(parameters.leg_band)
    assert rules.unwind_band == Fraction(parameters.unwind_band)
    assert rules.deadline_ns == 5 * NS_PER_S
    assert not rules.carries
