"""Budgets follow what runs should have: within the whole, cuts first, without churn, nobody starved."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.strategy.selection.allocator import AllocationRules, Claim, allocate, hard_limit
from mrmarket.trading.strategy.selection.budget_plan import BudgetRules, BudgetState, Want, follow
from mrmarket.trading.strategy.selection.candidate import Activity

RULES = BudgetRules(least_change=0.05, most_change=1.0, rest_s=60)
MM, ARB = Activity.MARKET_MAKING, Activity.ARBITRAGE
NAMES = ("a", "b", "c")


def at(seconds: float) -> int:
    """Then."""
    return int((1_000 + seconds) * NS_PER_S)


def wants(**goals: int) -> dict[str, Want]:
    """Goals without a limit of their own."""
    return {run: Want(goal=goal, hard=10**9) for run, goal in goals.items()}


def test_the_first_budgets_are_the_goals() -> None:
    """At once, with nothing to wait for; each is a change."""
    state, changes = follow(BudgetState(), 1_000, wants(a=700, b=200), RULES, at(0))
    assert state.units == {"a": 700, "b": 200}
    assert [(change.run, change.before, change.after) for change in changes] == [
        ("a", None, 700),
        ("b", None, 200),
    ]


def test_what_wavers_moves_nothing() -> None:
    """A twentieth of the whole is the least change, either way."""
    state, _ = follow(BudgetState(), 1_000, wants(a=500, b=200), RULES, at(0))
    for goal in (549, 451, 530):
        state, changes = follow(state, 1_000, wants(a=goal, b=200), RULES, at(500))
        assert (state.units["a"], changes) == (500, ())
    state, _ = follow(state, 1_000, wants(a=450, b=200), RULES, at(500))
    assert state.units["a"] == 450


def test_a_limit_cuts_at_once_and_to_the_unit() -> None:
    """However small the change is: the owner's cap is not a wish."""
    state, _ = follow(BudgetState(), 1_000, wants(a=500), RULES, at(0))
    state, changes = follow(state, 1_000, {"a": Want(500, 499, why="cap")}, RULES, at(1))
    assert state.units == {"a": 499}
    assert [change.why for change in changes] == ["cap"]


def test_more_is_given_only_after_a_rest_and_from_what_nobody_has_in_play() -> None:
    """`a` is cut and still holds 600: `b` gets what is free, and the rest once `a` has let go."""
    state, _ = follow(BudgetState(), 1_000, wants(a=600, b=100), RULES, at(0))
    shift = {"a": Want(200, 1_000, in_play=600), "b": Want(700, 1_000)}
    early, _ = follow(state, 1_000, shift, RULES, at(30))
    assert early.units == {"a": 600, "b": 100}
    state, _ = follow(state, 1_000, shift, RULES, at(70))
    assert state.units == {"a": 200, "b": 400}
    state, _ = follow(state, 1_000, wants(a=200, b=700), RULES, at(140))
    assert state.units == {"a": 200, "b": 700}


def test_one_change_moves_little_and_then_it_rests() -> None:
    """A tenth of the whole a minute, down as up; a limit is obeyed in between, and in full."""
    rules, state = BudgetRules(), BudgetState()
    state, _ = follow(state, 1_000, wants(a=800), rules, at(0))
    seen = []
    for second in (30, 60, 90, 120):
        state, _ = follow(state, 1_000, wants(a=0), rules, at(second))
        seen.append(state.units["a"])
    assert seen == [800, 700, 700, 600]
    state, _ = follow(state, 1_000, {"a": Want(0, 50)}, rules, at(121))
    assert state.units == {"a": 50}
    state, _ = follow(state, 1_000, wants(a=800), rules, at(181))
    assert state.units == {"a": 150}


def test_the_basis_is_never_more_than_there_is_and_does_not_follow_every_price() -> None:
    """Up to two percent more is left alone; less is one percent off at once."""
    state = BudgetState().based_on(1_000)
    assert state.basis == 1_000
    assert state.based_on(1_020) is state
    assert state.based_on(1_021).basis == 1_021
    assert state.based_on(999).basis == 989
    assert state.based_on(999).based_on(995).basis == 989
    assert state.based_on(0).basis == 0


def test_a_whole_that_shrinks_shrinks_budgets_with_it() -> None:
    """In proportion, rounded down; a run that is gone has none."""
    state, _ = follow(BudgetState(), 1_000, wants(a=600, b=300), RULES, at(0))
    state, _ = follow(state, 301, wants(a=600, b=300), RULES, at(1))
    assert state.units == {"a": 200, "b": 100}
    state, _ = follow(state, 301, wants(b=100), RULES, at(2))
    assert state.units == {"b": 100}
    with pytest.raises(InvalidInputError):
        follow(state, -1, {}, RULES, at(3))


def test_the_drawdown_is_of_what_trading_has_made() -> None:
    """Ten percent up, then twenty down: a fifth of the high; a gain brings it back."""
    state = BudgetState().earning(0.1).earning(-0.2)
    assert state.drawdown == pytest.approx(0.2)
    assert state.earning(0.25).drawdown == pytest.approx(0.0)
    assert BudgetState().earning(-5.0).drawdown == 1.0


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2_000),
        st.lists(
            st.tuples(st.integers(0, 1_500), st.integers(0, 1_500), st.integers(0, 400)),
            min_size=3,
            max_size=3,
        ),
        st.integers(0, 120),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_budgets_never_pass_the_whole_nor_a_limit_and_what_is_given_is_free(
    steps: list[tuple[int, list[tuple[int, int, int]], int]],
) -> None:
    """Whatever is wanted, in play and lost: exact sums, hard limits, and raises only out of what is free."""
    state, now_s = BudgetState(), 0
    for total, table, pause_s in steps:
        now_s += pause_s
        looked = {
            name: Want(goal, hard, in_play) for name, (goal, hard, in_play) in zip(NAMES, table, strict=True)
        }
        before = state.units
        state, changes = follow(state, total, looked, RULES, at(now_s))
        assert sum(state.units.values()) <= total
        assert all(0 <= state.units[name] <= want.hard for name, want in looked.items())
        raised = [change for change in changes if change.after > (change.before or 0)]
        if raised:
            used = sum(max(state.units[name], want.in_play) for name, want in looked.items())
            assert used <= total
        for change in raised:
            assert change.after <= looked[change.run].goal
        assert {change.run for change in changes} == {
            name for name in NAMES if before.get(name) != state.units[name]
        }


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 10**24),
    st.lists(
        st.tuples(st.sampled_from([MM, ARB]), st.floats(0, 1), st.floats(-2, 2)), min_size=1, max_size=6
    ),
    st.floats(0, 0.3),
)
def test_no_run_starves_another(total: int, table: list[tuple[Activity, float, float]], floor: float) -> None:
    """Each has its floor, as far as its cap and an even part of its slice leave room."""
    rules = AllocationRules(floor=floor, turnover_penalty=0.0)
    claims = [
        Claim(id=str(number), activity=activity, mean=mean, cap=cap)
        for number, (activity, cap, mean) in enumerate(table)
    ]
    found = allocate(total, claims, None, rules)
    for claim in claims:
        crowd = sum(each.activity is claim.activity for each in claims)
        least = min(floor, claim.cap, rules.slices[claim.activity] / crowd)
        assert found.units[claim.id] >= least * total * (1 - 1e-9) - 1
        assert found.units[claim.id] <= hard_limit(claim, total, rules) + 1 + total * 1e-12


def test_a_hard_limit_is_the_least_of_all() -> None:
    """Cap, slice, venue and asset; a drawdown takes its part, and what is idle has none."""
    rules = AllocationRules(venue_caps={"x": 0.3}, asset_caps={"BTC": 0.5})
    both = Claim(id="m", activity=MM, mean=0.1, venues={"x": 0.5}, assets={"BTC": 1.0})
    assert hard_limit(both, 1_000, rules) == 500
    assert hard_limit(both, 1_000, rules, drawdown=0.1) == 250
    assert hard_limit(Claim(id="c", activity=ARB, mean=0.1, cap=0.1), 1_000, rules) == 100
    assert hard_limit(Claim(id="i", activity=Activity.IDLE, mean=0.1), 1_000, rules) == 0
