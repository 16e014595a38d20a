"""Volatility: averaged subsampling against the definition, and against bounce."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.market.estimators.volatility import VolatilityEstimator

STEP_NS = 100 * NS_PER_MS
LONG_NS = 10**9 * NS_PER_S


def path(seed: int, steps: int, sigma: float, bounce: float = 0.0) -> list[int]:
    """Twice the mid every 100 ms: a random walk of `sigma` a second, seen through a bounce."""
    rng = random.Random(seed)  # noqa: S311 - a test wants the same path each time
    log, mids = 0.0, []
    for _ in range(steps):
        log += rng.gauss(0, sigma * math.sqrt(0.1))
        mids.append(round(2e9 * math.exp(log + rng.choice((-bounce, bounce)))))
    return mids


def test_it_is_the_average_over_all_offsets() -> None:
    """With nothing forgotten it equals the mean over ten grids, computed directly."""
    mids = path(1, 3_000, 1e-4)
    estimator = VolatilityEstimator(half_life_ns=LONG_NS)
    for index, mid in enumerate(mids):
        estimator.observe(index * STEP_NS, mid)
    logs = [math.log(mid) for mid in mids[:-1]]  # the last one has not stood for a step yet
    grids = []
    for offset in range(10):
        grid = logs[offset::10]
        grids += [(after - before) ** 2 for before, after in itertools.pairwise(grid)]
    assert estimator.sigma == pytest.approx(math.sqrt(sum(grids) / len(grids)), rel=1e-9)


def test_the_true_volatility_is_found_under_bounce() -> None:
    """Ten-millisecond noise of a tenth of a second's volatility changes the estimate by little."""
    sigma = 2e-4
    estimator = VolatilityEstimator(half_life_ns=600 * NS_PER_S)
    mids = path(2, 60_000, sigma, bounce=2e-5)
    for index, mid in enumerate(mids):
        estimator.observe(index * STEP_NS, mid)
    naive = math.sqrt(sum(math.log(b / a) ** 2 for a, b in itertools.pairwise(mids)) / (len(mids) / 10))
    assert estimator.sigma == pytest.approx(sigma, rel=0.06)
    assert naive > 1.08 * sigma


def test_it_scales_with_the_root_of_time() -> None:
    """Of a random walk, changes over ten seconds give the same volatility for one second."""
    short, long = (
        VolatilityEstimator(half_life_ns=LONG_NS),
        VolatilityEstimator(sample_ns=10 * NS_PER_S, half_life_ns=LONG_NS),
    )
    for index, mid in enumerate(path(4, 100_000, 1e-4)):
        short.observe(index * STEP_NS, mid)
        long.observe(index * STEP_NS, mid)
    assert short.sigma is not None
    assert long.sigma == pytest.approx(short.sigma, rel=0.1)


def test_a_silent_hour_costs_no_more_than_a_step() -> None:
    """A gap is worked off at once, and forgets as if every step had been looked at."""
    stepwise, leap = VolatilityEstimator(), VolatilityEstimator()
    for estimator in (stepwise, leap):
        for index, mid in enumerate(path(5, 500, 1e-4)):
            estimator.observe(index * STEP_NS, mid)
    for index in range(500, 3_500):
        stepwise.observe(index * STEP_NS, 2_000_000_000)
    leap.observe(500 * STEP_NS, 2_000_000_000)
    leap.observe(3_499 * STEP_NS, 2_000_000_000)
    assert leap.sigma == pytest.approx(stepwise.sigma, rel=1e-9)


def test_it_warms_up() -> None:
    """Nothing is said before ten whole changes were seen."""
    estimator = VolatilityEstimator()
    estimator.observe(0, 1_000)
    assert estimator.sigma is None
    estimator.observe(5 * NS_PER_S, 1_001)
    assert estimator.sigma is None
    estimator.observe(12 * NS_PER_S, 1_001)
    assert estimator.sigma is not None


def test_old_changes_fade() -> None:
    """After many half-lives of calm a storm is forgotten."""
    estimator = VolatilityEstimator(half_life_ns=5 * NS_PER_S)
    for second in range(20):
        estimator.observe(second * NS_PER_S, 12_000_000 + second % 2 * 12_000)
    storm = estimator.sigma
    for second in range(20, 120):
        estimator.observe(second * NS_PER_S, 12_000_000)
    calm = estimator.sigma
    assert storm is not None
    assert calm is not None
    assert calm < storm / 100
