"""The formulas of quoting against their papers' figures, their limits, and what must always hold."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.trading.strategy.formulas.as_normalised import as_normalised_reservation, as_normalised_spread
from mrmarket.trading.strategy.formulas.avellaneda_stoikov import as_quotes, as_reservation, as_spread
from mrmarket.trading.strategy.formulas.glft import (
    glft_arrivals_after_fee,
    glft_c1,
    glft_c2,
    glft_distances,
    glft_gamma,
    glft_sides,
    glft_terms,
)
from mrmarket.trading.strategy.formulas.grid import grid_level, grid_price
from mrmarket.trading.strategy.formulas.queue_value import fill_chance, is_worth_moving, queue_value
from mrmarket.trading.strategy.formulas.sizing import fading_sizes, linear_sizes, range_sizes
from mrmarket.trading.strategy.formulas.widening import clamped, floor_of_half, widening

positive = st.floats(1e-3, 1e3)
inventory = st.floats(-50, 50)


@pytest.mark.parametrize(("gamma", "published"), [(0.1, 1.49), (0.01, 1.35), (0.5, 2.15)])
def test_the_mean_spread_is_the_papers(gamma: float, published: float) -> None:
    """AS 2008, tables 1 to 3: sigma 2, T 1, k 1.5, the spread averaged over the session."""
    steps = 200
    mean = sum(as_spread(gamma, 2.0, 1 - step / steps, 1.5) for step in range(steps)) / steps
    assert mean == pytest.approx(published, abs=0.01)


def simulated(gamma: float, *, symmetric: bool, sessions: int = 600) -> tuple[float, float, float]:
    """(mean profit, its deviation, deviation of the final inventory) in the paper's market."""
    rng = random.Random(8)  # noqa: S311 - a simulation, not a secret
    dt, sigma, k, a = 0.005, 2.0, 1.5, 140.0
    profits, ends = [], []
    for _ in range(sessions):
        mid, held, cash = 100.0, 0, 0.0
        for step in range(200):
            bid, ask = as_quotes(mid, 0.0 if symmetric else held, gamma, sigma, 1 - step * dt, k)
            if rng.random() < a * math.exp(-k * (ask - mid)) * dt:
                held, cash = held - 1, cash + ask
            if rng.random() < a * math.exp(-k * (mid - bid)) * dt:
                held, cash = held + 1, cash - bid
            mid += sigma * math.sqrt(dt) * (1 if rng.random() < 0.5 else -1)
        profits.append(cash + held * mid)
        ends.append(held)
    mean = math.fsum(profits) / sessions
    spread = math.sqrt(math.fsum((each - mean) ** 2 for each in profits) / sessions)
    return mean, spread, math.sqrt(math.fsum(each * each for each in ends) / sessions)


def test_the_papers_market_gives_the_papers_table() -> None:
    """AS 2008, table 1: profit 65, deviation 6, inventory 3; for who ignores the inventory 13 and 8."""
    profit, spread, held = simulated(0.1, symmetric=False)
    assert profit == pytest.approx(65, abs=3)
    assert spread == pytest.approx(6.2, abs=1)
    assert held == pytest.approx(2.9, abs=0.5)
    _, wide, far = simulated(0.1, symmetric=True)
    assert wide > 1.7 * spread
    assert far == pytest.approx(8.5, abs=1.2)


def test_without_risk_aversion_the_quotes_are_one_over_k_away() -> None:
    """As gamma goes to 0 the spread goes to 2/k and the inventory does not matter."""
    assert as_spread(0.0, 2.0, 1.0, 1.5) == pytest.approx(2 / 1.5)
    assert as_spread(1e-9, 2.0, 1.0, 1.5) == pytest.approx(2 / 1.5, rel=1e-6)
    assert as_reservation(100.0, 7.0, 0.0, 2.0, 1.0) == 100.0
    assert as_normalised_spread(0.0, 2.0, 1.0, 1.5) == pytest.approx(2 / 1.5)


@given(inventory, positive, st.floats(0.1, 10), st.floats(0.1, 100), positive)
def test_opposite_inventories_are_mirrored(
    q: float, gamma: float, sigma: float, left: float, k: float
) -> None:
    """What a long maker bids is as far from the mid as what a short one asks."""
    bid, ask = as_quotes(0.0, q, gamma, sigma, left, k)
    mirrored_bid, mirrored_ask = as_quotes(0.0, -q, gamma, sigma, left, k)
    assert bid == pytest.approx(-mirrored_ask)
    assert ask == pytest.approx(-mirrored_bid)
    half, skew = glft_terms(gamma, gamma, sigma, 1.0, k, 1.0)
    bid_distance, ask_distance = glft_distances(q, half, skew, 0.3)
    assert glft_distances(-q, half, skew, 0.3) == pytest.approx((ask_distance, bid_distance))


@given(st.floats(0.001, 5), st.floats(0.1, 10), st.floats(0.1, 100), positive)
def test_more_held_or_more_volatile_means_a_lower_centre(
    gamma: float, sigma: float, left: float, k: float
) -> None:
    """The reservation price falls with the inventory, and faster the more the price moves."""
    assert as_reservation(0.0, 2.0, gamma, sigma, left) < as_reservation(0.0, 1.0, gamma, sigma, left) < 0
    assert as_reservation(0.0, 1.0, gamma, 2 * sigma, left) < as_reservation(0.0, 1.0, gamma, sigma, left)
    assert as_spread(gamma, 2 * sigma, left, k) > as_spread(gamma, sigma, left, k)
    assert as_normalised_reservation(0.0, 0.5, gamma, sigma, 1.0) == pytest.approx(-0.5 * gamma * sigma)


def test_glft_goes_to_its_limit_smoothly() -> None:
    """As xi → 0, c1 = 1/k and c2 = √(γe / 2Ak); just above the limit the general form agrees."""
    assert glft_c1(0.0, 0.3, 1.0) == pytest.approx(1 / 0.3)
    assert glft_c2(0.05, 0.0, 0.9, 0.3, 1.0) == pytest.approx(math.sqrt(0.05 * math.e / (2 * 0.9 * 0.3)))
    for xi in (1e-6, 1e-8, 1e-10, 1e-12):
        assert glft_c1(xi, 0.3, 1.0) == pytest.approx(1 / 0.3, rel=1e-5)
        assert glft_c2(0.05, xi, 0.9, 0.3, 1.0) == pytest.approx(glft_c2(0.05, 0.0, 0.9, 0.3, 1.0), rel=1e-5)


def test_glft_is_the_papers_closed_form() -> None:
    """arXiv:1105.3115, section 4: sigma 0.3, A 0.9, k 0.3, gamma 0.01 in ticks and seconds; written out."""
    gamma, sigma, a, k = 0.01, 0.3, 0.9, 0.3
    root = math.sqrt(sigma**2 * gamma / (2 * k * a) * (1 + gamma / k) ** (1 + k / gamma))
    base = math.log(1 + gamma / k) / gamma
    half, skew = glft_terms(gamma, gamma, sigma, a, k, 1.0)
    for q in range(-5, 6):
        bid, ask = glft_distances(q, half, skew, 0.0)
        assert bid == pytest.approx(base + (2 * q + 1) / 2 * root)
        assert ask == pytest.approx(base - (2 * q - 1) / 2 * root)


def test_glft_is_the_asymptote_of_the_ordinary_differential_equation() -> None:
    """The exact quotes come from an eigenvector of the paper's matrix; the closed form is near them."""
    gamma, sigma, a, k, limit = 0.01, 0.3, 0.9, 0.3, 30
    alpha = k / 2 * gamma * sigma**2
    eta = a * (1 + gamma / k) ** (-(1 + k / gamma))
    size = 2 * limit + 1
    vector = [1.0] * size
    shift = alpha * limit**2 + 2 * eta
    for _ in range(20_000):
        made = []
        for row in range(size):
            q = row - limit
            value = (shift - alpha * q * q) * vector[row]
            value += eta * (vector[row - 1] if row else 0.0)
            value += eta * (vector[row + 1] if row + 1 < size else 0.0)
            made.append(value)
        largest = max(made)
        vector = [value / largest for value in made]
    half, skew = glft_terms(gamma, gamma, sigma, a, k, 1.0)
    for q in (-3, -1, 0, 1, 3):
        exact = math.log(vector[q + limit] / vector[q + 1 + limit]) / k + math.log(1 + gamma / k) / gamma
        assert glft_distances(q, half, skew, 0.0)[0] == pytest.approx(exact, abs=0.05)


@given(st.floats(1, 200), st.floats(0.01, 50), st.floats(0.01, 20), st.floats(0.001, 2), st.booleans())
def test_the_risk_aversion_follows_from_the_maximum(
    limit: float, sigma: float, a: float, k: float, model_a: bool
) -> None:
    """At the limit the side that reduces stands at the fair value, or outside where gamma is at its most."""
    gamma = glft_gamma(limit, sigma, a, k, 1.0, model_a=model_a)
    half, skew = glft_terms(gamma, gamma if model_a else 0.0, sigma, a, k, 1.0)
    ask = glft_distances(limit, half, skew, 0.0)[1]
    if model_a and gamma > 0.999 * k:
        assert 0 <= ask <= half
        assert half > 0.69 / k
    else:
        assert ask == pytest.approx(0.0, abs=1e-6 * half)
    smaller = glft_gamma(limit / 2 + 0.5, sigma, a, k, 1.0, model_a=model_a)
    assert smaller >= gamma


def test_the_fee_is_solved_for_exactly() -> None:
    """With arrivals after the fee, and the fee added back, a quote is reached as often as before."""
    a, k, fee = 2.0, 0.1, 7.0
    left = glft_arrivals_after_fee(a, k, fee)
    for distance in (1.0, 5.0, 20.0):
        assert left * math.exp(-k * distance) == pytest.approx(a * math.exp(-k * (distance + fee)))
    assert glft_arrivals_after_fee(a, k, -fee) > a


def test_at_the_limit_one_side_is_left() -> None:
    """Only the side that reduces."""
    assert glft_sides(10.0, 10.0) == (False, True)
    assert glft_sides(-10.0, 10.0) == (True, False)
    assert glft_sides(0.0, 10.0) == (True, True)


@given(inventory, st.floats(0.5, 100))
def test_sizes_lean_against_the_inventory(q: float, limit: float) -> None:
    """The side that adds is never larger, both stay inside their bounds, and opposites are mirrored."""
    for sizes, most in ((linear_sizes, 1.0), (range_sizes, 2.0), (fading_sizes, 1.0)):
        bid, ask = sizes(q, limit)
        assert 0 <= bid <= most
        assert 0 <= ask <= most
        assert (bid - ask) * q <= 0
        assert sizes(-q, limit) == (ask, bid)
    assert linear_sizes(limit, limit) == (0.0, 1.0)
    assert range_sizes(-limit, limit) == (2.0, 0.0)


@given(st.integers(-200, 200), st.floats(1.0, 1e7), st.floats(1e-4, 0.1))
def test_a_level_is_found_again_by_its_price(level: int, anchor: float, step: float) -> None:
    """Also where the price is off by a little less than half a step."""
    price = grid_price(anchor, step, level)
    assert grid_level(price, anchor, step) == level
    assert grid_level(price * (1 + 0.4 * step), anchor, step) == level


def test_a_place_in_the_queue_has_a_price() -> None:
    """Moving is worth it only where the price is off by more than the fills that the place makes likelier."""
    ahead = fill_chance(10, 5.0, 10.0)
    assert ahead == pytest.approx(math.exp(-0.2))
    assert fill_chance(10, 0.0, 10.0) == 0.0
    value = queue_value(ahead, fill_chance(500, 5.0, 10.0), 4.0)
    assert 0 < value < 4
    assert not is_worth_moving(100.0, 103.0, 1.0, value)
    assert is_worth_moving(100.0, 104.0, 1.0, value)
    assert not is_worth_moving(100.0, 100.5, 1.0, 0.0)


def test_widening_is_never_a_bonus() -> None:
    """A negative markout narrows nothing; clamps hold."""
    assert widening(3.0, 2.0, -5.0, 1.0) == (6.0, 0.0)
    assert widening(3.0, 0.0, 5.0, 0.5) == (0.0, 2.5)
    assert floor_of_half(-1.0, 2.0) == 2.0
    assert floor_of_half(4.0, -1.0) == 3.0
    assert (clamped(1.0, 2.0, 3.0), clamped(4.0, 2.0, 3.0), clamped(5.0, 6.0, 3.0)) == (2.0, 3.0, 6.0)
