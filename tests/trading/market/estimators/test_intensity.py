"""Arrivals by distance: recovered from markets of known A and k."""

from __future__ import annotations

import math
import random

import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.market.estimators.intensity import Intensity, IntensityEstimator, TouchRatio

MID = 20_000


def market(a: float, k: float, seconds: int, seed: int = 1) -> IntensityEstimator:
    """Aggressors of both sides arrive as Poisson with rate `a` and reach an exponential distance."""
    rng = random.Random(seed)  # noqa: S311 - a test wants the same path each time
    estimator = IntensityEstimator(window_ns=10**6 * NS_PER_S)
    estimator.observe_mid(0, MID)
    now = 0.0
    while now < seconds:
        now += rng.expovariate(2 * a)
        buys = rng.random() < 0.5
        reach = rng.expovariate(k)
        # A quote at distance d is reached if the aggressor goes at least so far; prices are whole ticks.
        ticks = math.floor(reach)
        price = MID // 2 + ticks if buys else MID // 2 - ticks
        estimator.observe_trade(int(now * NS_PER_S), price, taker_buys=buys)
        estimator.observe_mid(int(now * NS_PER_S), MID)
    return estimator


@pytest.mark.parametrize(("a", "k"), [(0.4, 0.3), (2.0, 0.5), (0.8, 0.15)])
def test_a_and_k_are_recovered(a: float, k: float) -> None:
    """Within six hours of trades the line gives both parameters."""
    found = market(a, k, 21_600).fit()
    assert found is not None
    # Reaches are floored to whole ticks: at whole distances the share is exact, half ones see the next whole.
    assert found.k == pytest.approx(k, rel=0.1)
    assert found.a == pytest.approx(a, rel=0.2)


def test_many_arrivals_in_an_interval_do_not_hide_the_rate() -> None:
    """−ln(1 − Ĝ)/Δt is unbiased where Ĝ/Δt would lose a third of the arrivals."""
    found = market(2.0, 0.5, 21_600).fit()
    assert found is not None
    share_based = (1 - math.exp(-2.0 * 0.5)) / 0.5
    assert found.a > share_based * 1.2


def test_the_overshoot_agrees() -> None:
    """The cross-check finds the same decay on its own."""
    estimator = market(0.4, 0.3, 21_600)
    check = estimator.cross_check(3.0)
    assert check == pytest.approx(0.3, rel=0.25)
    assert estimator.cross_check(10_000.0) is None


def test_too_little_gives_the_last_good_line() -> None:
    """Before any line None; afterwards a quiet window changes nothing."""
    estimator = IntensityEstimator(window_ns=60 * NS_PER_S)
    assert estimator.fit() is None
    busy = market(1.0, 0.4, 3_600)
    good = busy.fit()
    assert good is not None
    busy._reaches.clear()
    assert busy.fit() == good


def test_quiet_intervals_count() -> None:
    """An hour without a trade is an hour of intervals that were reached nowhere."""
    estimator = IntensityEstimator()
    estimator.observe_trade(0, 10, taker_buys=True)  # before any mid: there is no distance
    estimator.observe_mid(0, MID)
    estimator.observe_mid(3_600 * NS_PER_S, MID)
    assert len(estimator._reaches) == 2_400
    assert set(estimator._reaches) == {(0, 0)}


def test_rates_fall_with_distance_and_queues() -> None:
    """The form, and what queueing takes off it."""
    intensity = Intensity(2.0, 0.5, 1)
    assert intensity.rate(0) == 2.0
    assert intensity.rate(2) == pytest.approx(2.0 * math.exp(-1))
    assert intensity.corrected(0.25).rate(0) == 0.5


def test_touches_are_learned() -> None:
    """From one in two towards what is seen."""
    touches = TouchRatio()
    assert touches.fill_given_touch == 0.5
    for index in range(2_000):
        touches.observe(filled=index % 5 == 0)
    assert touches.fill_given_touch == pytest.approx(0.2, abs=0.02)
