"""Markouts of own fills on paths that are known in advance."""

from __future__ import annotations

import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.market.estimators.markout import MarkoutCurve, MarkoutTracker


def test_a_fall_after_a_buy_is_a_loss() -> None:
    """One per cent down is a markout of one per cent, once the horizon has passed."""
    tracker = MarkoutTracker()
    tracker.on_fill(0, Side.BUY, 2_000)
    tracker.on_fill(0, Side.BUY, None)
    tracker.observe(4 * NS_PER_S, 1_900)
    assert tracker.markout is None
    tracker.observe(5 * NS_PER_S, 1_980)
    assert tracker.markout == pytest.approx(0.01)


def test_the_mean_forgets() -> None:
    """Each further fill has its weight."""
    tracker = MarkoutTracker(weight=0.5)
    for start, mid in ((0, 1_980), (10, 2_000)):
        tracker.on_fill(start * NS_PER_S, Side.BUY, 2_000)
        tracker.observe((start + 5) * NS_PER_S, mid)
    assert tracker.markout == pytest.approx(0.005)


def test_the_curve_by_hand() -> None:
    """A sale at 1,001 around a mid of 1,000; the mid goes to 1,002 and stays."""
    curve = MarkoutCurve((NS_PER_S, 10 * NS_PER_S))
    assert curve.toxicity is None
    curve.on_fill(0, Side.SELL, 1_001, 2_000)
    curve.on_fill(0, Side.SELL, 1_001, 2_000)
    curve.observe(NS_PER_S, 2_002)
    curve.observe(10 * NS_PER_S, 2_004)
    near, far = curve.points()
    assert (near.fills, near.error) == (2, 0.0)
    assert near.mean == pytest.approx(0.001)
    assert far.mean == pytest.approx(0.002)
    assert curve.toxicity == pytest.approx(2.0)


def test_unmeasured_horizons_are_left_out() -> None:
    """A curve shows only what has been seen; one fill has no error."""
    curve = MarkoutCurve()
    assert curve.points() == []
    curve.on_fill(0, Side.BUY, 999, 2_000)
    curve.observe(NS_PER_S, 2_000)
    assert [point.horizon_ns for point in curve.points()] == [NS_PER_S // 10, NS_PER_S // 2, NS_PER_S]
    assert {point.error for point in curve.points()} == {0.0}
