"""Volatility and markouts."""

from __future__ import annotations

import math
import random

import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.market.signals import MarkoutTracker, VolatilityEstimator


def test_volatility_needs_ten_changes() -> None:
    """Before ten samples there is no figure; a second look within the sample time is none."""
    estimator = VolatilityEstimator()
    for second in range(10):
        estimator.observe(second * NS_PER_S, 12_000_000 + second % 2 * 1_200)
        estimator.observe(second * NS_PER_S + NS_PER_S // 2, 99)
        assert estimator.sigma is None
    estimator.observe(10 * NS_PER_S, 12_000_000)
    assert estimator.sigma == pytest.approx(0.0001, rel=1e-3)


def test_volatility_finds_the_sigma_of_a_random_walk() -> None:
    """A walk of 2 bps a root second, seen every 250 ms, is measured within a tenth."""
    rng = random.Random(11)  # noqa: S311 - a model, not a secret
    estimator = VolatilityEstimator(half_life_ns=600 * NS_PER_S)
    price = 12_000_000.0
    for step in range(8_000):
        price *= math.exp(rng.gauss(0, 0.0002 * math.sqrt(0.25)))
        estimator.observe(step * NS_PER_S // 4, round(price))
    assert estimator.sigma == pytest.approx(0.0002, rel=0.1)


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


@pytest.mark.parametrize(
    ("side", "after", "loss"),
    [
        (Side.BUY, 11_988_000, 0.001),
        (Side.BUY, 12_012_000, -0.001),
        (Side.SELL, 12_012_000, 0.001),
        (Side.SELL, 11_988_000, -0.001),
    ],
)
def test_a_move_against_us_is_a_loss(side: Side, after: int, loss: float) -> None:
    """The mid five seconds after a fill against the mid at the fill, positive where it hurts."""
    tracker = MarkoutTracker()
    tracker.on_fill(NS_PER_S, side, 12_000_000)
    tracker.observe(6 * NS_PER_S - 1, 1)
    assert tracker.markout is None
    tracker.observe(6 * NS_PER_S, after)
    assert tracker.markout == pytest.approx(loss)


def test_markouts_are_averaged_and_need_a_mid() -> None:
    """Later fills weigh in with their weight; a fill without a mid is not watched."""
    tracker = MarkoutTracker(weight=0.5)
    tracker.on_fill(0, Side.BUY, None)
    tracker.on_fill(0, Side.BUY, 12_000_000)
    tracker.on_fill(1, Side.BUY, 12_000_000)
    tracker.observe(5 * NS_PER_S, 11_988_000)
    tracker.observe(6 * NS_PER_S, 12_000_000)
    assert tracker.markout == pytest.approx(0.0005)
