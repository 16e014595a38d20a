"""Windows to tune on, and the ones after."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.backtest.optimiser.splits import Walk, walk_forward
from mrmarket.trading.backtest.setting import Window

SHARES = st.floats(0.05, 0.95)


@given(st.integers(1, 20), st.sampled_from(Walk), SHARES, st.floats(0, 0.4), st.floats(0.6, 1))
def test_no_test_window_is_ever_trained_on_before_it_is_reported(
    folds: int, walk: Walk, share: float, begin: float, end: float
) -> None:
    """Training ends where testing begins; tests follow one another to the end and do not overlap."""
    whole = Window(begin=begin, end=end)
    made = walk_forward(folds, walk=walk, train_share=share, whole=whole)
    tests = [fold.test for fold in made if fold.test is not None]
    assert len(tests) == folds
    assert tests[-1].end == end
    for fold, test in zip(made, tests, strict=True):
        assert begin <= fold.train.begin < fold.train.end == test.begin < test.end
    assert all(one.end == other.begin for one, other in pairwise(tests))
    lengths = [test.end - test.begin for test in tests]
    assert max(lengths) - min(lengths) < 1e-9


@given(st.integers(2, 20), SHARES)
def test_a_rolling_window_keeps_its_length_and_an_anchored_one_its_beginning(
    folds: int, share: float
) -> None:
    """The first fold is the same for both."""
    rolling = walk_forward(folds, train_share=share)
    anchored = walk_forward(folds, walk=Walk.ANCHORED, train_share=share)
    lengths = [fold.train.end - fold.train.begin for fold in rolling]
    assert max(lengths) - min(lengths) < 1e-9
    assert {fold.train.begin for fold in anchored} == {0.0}
    assert [fold.test for fold in rolling] == [fold.test for fold in anchored]


@pytest.mark.parametrize(
    ("folds", "share", "whole"), [(0, 0.5, None), (101, 0.5, None), (2, 0.01, None), (2, 1.0, None)]
)
def test_a_walk_that_goes_nowhere_is_refused(folds: int, share: float, whole: Window | None) -> None:
    """Too many folds, none, or nothing left for one side."""
    with pytest.raises(InvalidInputError):
        walk_forward(folds, train_share=share, whole=whole)


def test_a_window_in_nanoseconds_is_refused() -> None:
    """Splits are shares of the time."""
    with pytest.raises(InvalidInputError, match="shares"):
        walk_forward(2, whole=Window(begin_ns=1))
