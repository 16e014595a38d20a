"""Clustered arrivals."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import fmean, pstdev

import pytest

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.market.arrivals import ClusteredArrivals


def _arrivals(fast: float, slow: float) -> ClusteredArrivals:
    return ClusteredArrivals(
        Random(5),  # noqa: S311 - a simulation, not a secret
        base_per_s=5.0,
        fast_share=fast,
        fast_decay_per_s=100.0,
        slow_share=slow,
        slow_decay_per_s=2.0,
    )


def test_times_grow_at_the_mean_rate() -> None:
    """Shares of one half double the rate, and the activity is 1 on average."""
    arrivals = _arrivals(0.3, 0.2)
    times, activity = [], []
    for _ in range(20_000):
        times.append(arrivals.next_s())
        activity.append(arrivals.activity)
    assert times == sorted(times)
    assert len(times) / times[-1] == pytest.approx(10.0, rel=0.05)
    assert fmean(activity) == pytest.approx(1.3, abs=0.3)


def test_arrivals_cluster() -> None:
    """Gaps vary more than those of independent arrivals, whose deviation is their mean."""
    arrivals, lonely = _arrivals(0.4, 0.3), _arrivals(0.0, 0.0)

    def variation(process: ClusteredArrivals) -> float:
        gaps = [b - a for a, b in pairwise(process.next_s() for _ in range(10_000))]
        return pstdev(gaps) / fmean(gaps)

    assert variation(arrivals) > 1.3
    assert variation(lonely) == pytest.approx(1.0, abs=0.05)


def test_shares_that_explode_are_refused() -> None:
    """Each arrival must set off less than one other."""
    with pytest.raises(InvalidInputError, match="less than 1"):
        _arrivals(0.6, 0.4)
