"""The latency histogram."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.trading.execution.latency import LatencyHistogram


def test_nothing_measured_has_no_quantile() -> None:
    """Before the first observation there is no figure."""
    assert LatencyHistogram().quantile_us(0.5) is None


@given(st.lists(st.integers(100, 10**10), min_size=1), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_quantiles_are_right_within_a_bin(durations: list[int], share: float) -> None:
    """The quantile lies within one bin (6.25 %) above the exact one."""
    histogram = LatencyHistogram()
    for duration in durations:
        histogram.observe(duration)
    rank = max(0, -int(-share * len(durations) // 1) - 1)
    exact_us = sorted(durations)[rank] / 1_000
    measured = histogram.quantile_us(share)
    assert measured is not None
    assert exact_us <= measured <= exact_us * 1.07
    assert histogram.count == len(durations)


def test_two_histograms_add_up() -> None:
    """Merging counts both and leaves them as they were."""
    fast, slow = LatencyHistogram(), LatencyHistogram()
    for _ in range(3):
        fast.observe(1_000)
    slow.observe(1_000_000)
    both = fast.merged(slow)
    assert (both.count, fast.count, slow.count) == (4, 3, 1)
    assert both.quantile_us(0.75) == fast.quantile_us(1.0)
    assert both.quantile_us(1.0) == slow.quantile_us(1.0)


@pytest.mark.parametrize("duration", [-5, 0, 1, 2**50])
def test_extremes_are_counted(duration: int) -> None:
    """A clock that stood still and a very long wait both find a bin."""
    histogram = LatencyHistogram()
    histogram.observe(duration)
    assert histogram.quantile_us(1.0) is not None
