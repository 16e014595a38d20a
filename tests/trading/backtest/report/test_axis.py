"""Round figures beside axes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.trading.backtest.report.axis import (
    amount,
    clock_axis,
    figure,
    named_axis,
    round_step,
    value_axis,
)

S = 1_000_000_000


@given(
    st.lists(st.floats(-1e12, 1e12, allow_nan=False), min_size=1, max_size=20),
    st.integers(2, 8),
    st.booleans(),
)
def test_an_axis_holds_every_value_between_its_marks(values: list[float], most: int, zero: bool) -> None:
    """Ends are marks, all values lie inside, and there are no more marks than asked for and two."""
    axis = value_axis(values, most=most, with_zero=zero)
    assert axis.low < axis.high
    assert axis.marks[0].share == 0
    assert axis.marks[-1].share == pytest.approx(1)
    assert all(-1e-9 <= axis.share(value) <= 1 + 1e-9 for value in values)
    assert len(axis.marks) <= most + 2
    assert not zero or axis.low <= 0 <= axis.high


@pytest.mark.parametrize(
    ("span", "most", "step"), [(10, 5, 2), (1, 4, 0.25), (0.9, 5, 0.2), (47, 5, 10), (1e-6, 2, 5e-7)]
)
def test_steps_are_round(span: float, most: int, step: float) -> None:
    """One, two, two and a half, or five, times a power of ten."""
    assert round_step(span, most) == pytest.approx(step)


def test_marks_say_no_more_digits_than_their_step_has() -> None:
    """Quarters need two digits, halves one, and zero has no sign."""
    assert [mark.text for mark in value_axis([0, 1]).marks] == ["0.00", "0.25", "0.50", "0.75", "1.00"]
    assert [mark.text for mark in value_axis([-1, 1]).marks] == ["−1.0", "−0.5", "0.0", "0.5", "1.0"]


def test_values_that_are_not_finite_do_not_stretch_an_axis() -> None:
    """Nor does an empty chart fail."""
    assert value_axis([math.inf, math.nan, 2.0, 3.0]).high == 3
    assert value_axis([]).low < 0 < value_axis([]).high


@pytest.mark.parametrize(
    ("span_s", "first", "count"),
    [(300, "00:00", 6), (0.4, "00:00:00.000", 5), (40, "00:00:00", 5), (200_000, "01 Jan 00:00", 5)],
)
def test_times_are_marked_at_round_moments(span_s: float, first: str, count: int) -> None:
    """Of the clock, in UTC, with as much of the date as the span needs."""
    axis = clock_axis(1_704_067_200 * S, 1_704_067_200 * S + int(span_s * S))
    assert axis.marks[0].text == first
    assert len(axis.marks) == count


def test_days_and_years_are_marked_by_their_dates() -> None:
    """A month shows days, two years show the year too."""
    begin = 1_704_067_200 * S
    assert clock_axis(begin, begin + 30 * 86_400 * S).marks[1].text == "11 Jan"
    assert clock_axis(begin, begin + 730 * 86_400 * S).marks[0].text.endswith(" 24")
    assert clock_axis(begin, begin).low < clock_axis(begin, begin).high


def test_names_stand_in_the_middle_of_their_parts() -> None:
    """Two names at a quarter and at three quarters."""
    assert [(mark.share, mark.text) for mark in named_axis(["a", "b"]).marks] == [(0.25, "a"), (0.75, "b")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0.0, "0"),
        (1234.56, "1,235"),
        (-0.0123456, "−0.01235"),
        (12.0, "12"),
        (123_456_789.0, "123,500,000"),
        (1.5e-9, "1.500e−09"),
    ],
)
def test_amounts_keep_four_digits(value: float | None, text: str) -> None:
    """Of whatever size they are."""
    assert amount(value) == text


def test_figures_too_large_to_read_are_written_by_powers() -> None:
    """And everything else by thousands."""
    assert figure(1e16, 0) == "1.0e+16"
    assert figure(-1234.5, 1) == "−1,234.5"
