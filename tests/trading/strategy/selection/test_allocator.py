"""Who gets how much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.strategy.selection.allocator import AllocationRules, Claim, allocate, move_slices
from mrmarket.trading.strategy.selection.candidate import Activity
from mrmarket.trading.strategy.selection.covariance import shrunk_covariance

MM, ARB, IDLE = Activity.MARKET_MAKING, Activity.ARBITRAGE, Activity.IDLE
FREE = AllocationRules(turnover_penalty=0.0)


def claim(name: str, activity: Activity = MM, mean: float = 0.1, **more: Any) -> Claim:
    """A strategy that wants capital."""
    return Claim(id=name, activity=activity, mean=mean, **more)


def test_a_strategy_alone_gets_a_quarter_of_what_kelly_says() -> None:
    """μ / 4σ² of the whole, rounded down to units; the rest is idle."""
    found = allocate(1_000, [claim("mm", mean=0.1)], np.array([[0.1]]), FREE)
    assert (found.units, found.idle) == ({"mm": 250}, 750)


def test_slices_hold_whatever_is_promised() -> None:
    """70 % for making markets, 20 % for arbitrage, and a tenth stays idle."""
    claims = [claim("mm", mean=9.0), claim("arb", ARB, mean=9.0)]
    found = allocate(1_001, claims, np.eye(2) * 0.1, FREE)
    assert found.units == {"mm": 700, "arb": 200}
    assert found.idle == 101
    assert found.bound_by == {"mm": ("slice",), "arb": ("slice",)}


def test_no_expectation_no_capital() -> None:
    """Losses, and what is not known, get nothing; nobody is sold short."""
    claims = [claim("loss", mean=-1.0), claim("nan", mean=float("nan")), claim("good", mean=0.1)]
    covariance = np.array([[1.0, 0.0, 0.9], [0.0, 1.0, 0.0], [0.9, 0.0, 1.0]])
    found = allocate(1_000, claims, covariance, FREE)
    assert (found.units["loss"], found.units["nan"]) == (0, 0)
    assert found.units["good"] == 25


def test_two_that_move_together_get_less_than_two_apart() -> None:
    """What is the same risk twice is not counted as two."""
    claims = [claim("a"), claim("b")]
    apart = allocate(10_000, claims, np.eye(2) * 0.2, FREE)
    together = allocate(10_000, claims, np.array([[0.2, 0.18], [0.18, 0.2]]), FREE)
    assert sum(together.units.values()) < sum(apart.units.values())


def test_a_drawdown_takes_capital_away_in_proportion() -> None:
    """Half of the tolerated loss, half of the capital; all of it, none."""
    whole = {
        at: allocate(1_000, [claim("mm")], np.array([[0.1]]), FREE, drawdown=at).units for at in (0.1, 0.2, 5)
    }
    assert whole == {0.1: {"mm": 125}, 0.2: {"mm": 0}, 5: {"mm": 0}}


def test_a_small_change_is_not_worth_its_turnover_and_a_cut_is_never_put_off() -> None:
    """Upwards by the penalty less, or not at all; downwards at once."""
    rules = AllocationRules(turnover_penalty=0.05)
    now = {
        held: allocate(1_000, [claim("mm", held=held)], np.array([[0.1]]), rules).units["mm"]
        for held in (0, 220, 300)
    }
    assert now == {0: 200, 220: 220, 300: 250}


def test_caps_of_a_strategy_a_venue_and_an_asset_hold() -> None:
    """Each is hard, also for what is held already, and named."""
    rules = AllocationRules(turnover_penalty=0, venue_caps={"x": 0.1}, asset_caps={"BTC": 0.05})
    claims = [
        claim("capped", mean=1.0, cap=0.01, held=900),
        claim("both", mean=1.0, venues={"x": 0.5}, assets={"BTC": 0.5}),
    ]
    found = allocate(1_000, claims, np.eye(2) * 0.1, rules)
    assert found.units["capped"] <= 10
    assert found.units["both"] * 0.5 <= 50
    assert found.bound_by["capped"][0] == "cap"
    assert "asset:BTC" in found.bound_by["both"]
    assert "venue:x" in found.bound_by["both"]


MEANS = st.one_of(st.just(float("nan")), st.floats(-2, 2))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 10**30),
    st.lists(
        st.tuples(st.sampled_from([MM, ARB, IDLE]), MEANS, st.floats(0, 1), st.floats(0, 1)), max_size=5
    ),
    st.floats(0, 0.5),
    st.integers(0, 2**32),
)
def test_units_add_up_and_no_limit_is_ever_passed(
    total: int, wishes: list[tuple[Activity, float, float, float]], drawdown: float, seed: int
) -> None:
    """Exact sums, slices, caps and the floor of cash, for whatever is wished and held."""
    claims = [
        claim(str(number), activity, mean, cap=cap, venues={"x": share}, held=total // 2)
        for number, (activity, mean, cap, share) in enumerate(wishes)
    ]
    returns = np.random.default_rng(seed).normal(size=(8, len(claims)))
    covariance = shrunk_covariance(returns)[0] if claims else np.zeros((0, 0))
    rules = AllocationRules(venue_caps={"x": 0.3})
    found = allocate(total, claims, covariance, rules, drawdown=drawdown)
    assert sum(found.units.values()) + found.idle == total
    assert all(units >= 0 for units in found.units.values())
    slack = 1 + total * 1e-12
    assert found.idle >= total * 0.1 - slack
    for activity, limit in rules.slices.items():
        held = sum(found.units[each.id] for each in claims if each.activity is activity)
        assert held <= (0 if activity is IDLE else limit * total + slack)
    for each in claims:
        assert found.units[each.id] <= each.cap * total + slack
    assert sum(found.units[each.id] * each.venues["x"] for each in claims) <= 0.3 * total + slack


@pytest.mark.parametrize(
    ("total", "claims", "covariance"),
    [(-1, [], np.zeros((0, 0))), (1, [claim("a"), claim("a")], np.eye(2)), (1, [claim("a")], np.eye(2))],
)
def test_nonsense_is_refused(total: int, claims: list[Claim], covariance: Any) -> None:
    """A negative whole, an id twice, a covariance of another shape."""
    with pytest.raises(InvalidInputError):
        allocate(total, claims, covariance, FREE)


@pytest.mark.parametrize(
    "rules", [{"slices": {MM: 0.5}}, {"slices": {MM: 2.0, ARB: -1.0}}, {"most_drawdown": 0.0}]
)
def test_rules_that_do_not_add_up_are_refused(rules: dict[str, Any]) -> None:
    """Slices are shares that add up to 1."""
    with pytest.raises(InvalidInputError):
        AllocationRules(**rules)


def test_slices_move_towards_the_better_market_within_bounds() -> None:
    """A step at a time, never past a bound, nothing where nobody is better."""
    slices, bounds = {MM: 0.7, ARB: 0.2, IDLE: 0.1}, {MM: (0.5, 0.8), ARB: (0.1, 0.4)}
    moved = move_slices(slices, {MM: 0.1, ARB: 0.3, IDLE: 9.0}, step=0.15, bounds=bounds)
    assert moved == pytest.approx({MM: 0.55, ARB: 0.35, IDLE: 0.1})
    again = move_slices(moved, {MM: 0.1, ARB: 0.3}, step=0.15, bounds=bounds)
    assert again == pytest.approx({MM: 0.5, ARB: 0.4, IDLE: 0.1})
    assert move_slices(slices, {MM: 0.1, ARB: 0.1}, step=0.1, bounds=bounds) == slices
    assert move_slices(slices, {MM: 0.1, ARB: float("nan")}, step=0.1, bounds=bounds) == slices


def test_the_covariance_is_shrunk_as_far_as_it_is_noise() -> None:
    """Few observations of nothing in common: almost all of it; many of the same thing: almost none."""
    rng = np.random.default_rng(1)
    apart = rng.normal(size=(10, 3))
    alike = rng.normal(size=(2_000, 1)) + rng.normal(size=(2_000, 3)) * 0.1
    assert shrunk_covariance(apart)[1] > 0.5
    shrunk, intensity = shrunk_covariance(alike)
    assert intensity < 0.01
    assert shrunk == pytest.approx(np.cov(alike.T), rel=0.02)
    for broken in (np.zeros((1, 2)), np.full((3, 2), np.nan)):
        with pytest.raises(InvalidInputError):
            shrunk_covariance(broken)
