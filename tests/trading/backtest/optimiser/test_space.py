"""What is searched."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.trading.backtest.optimiser.errors import SearchRefusedError
from mrmarket.trading.backtest.optimiser.space import (
    Choice,
    Range,
    grid_point,
    grid_size,
    parameters_of,
    parse_dimension,
    parse_space,
    random_point,
    written,
)


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("k=1:5", Range(name="k", low=1, high=5, step=1, whole=True)),
        ("k=2:10:4", Range(name="k", low=2, high=10, step=4, whole=True)),
        ("k=0.1:0.5", Range(name="k", low=0.1, high=0.5)),
        ("k = 0.0001 : 0.001 : 0.0001", Range(name="k", low=0.0001, high=0.001, step=0.0001)),
        ("k=1e-4:1:log", Range(name="k", low=1e-4, high=1, log=True)),
        ("k=mid|microprice", Choice(name="k", options=("mid", "microprice"))),
        ("k=true|false", Choice(name="k", options=(True, False))),
        ("k=1|2.5|x|nan", Choice(name="k", options=(1, 2.5, "x", "nan"))),
    ],
)
def test_a_dimension_is_read(text: str, dimension: Range | Choice) -> None:
    """Ranges with and without a step, logarithmic ones, and choices."""
    assert parse_dimension(text) == dimension


@pytest.mark.parametrize(
    "text",
    [
        *("", "k", "k=", "=1:2", "k l=1:2", "k=1", "k=1:2:3:4", "k=5:1", "k=1:1", "k=a:b", "k=0:inf"),
        *("k=1:5:0", "k=1:5:-1", "k=1:5:9", "k=0:1:log", "k=a|a", "k=a|", "k=0:1e9"),
    ],
)
def test_what_is_no_dimension_is_refused(text: str) -> None:
    """With the text and examples in the message."""
    with pytest.raises(SearchRefusedError, match="search"):
        parse_dimension(text)


def test_a_space_has_each_parameter_once() -> None:
    """And at least one."""
    with pytest.raises(SearchRefusedError, match="each parameter once"):
        parse_space(["a=1:2", "a=3:4"])
    with pytest.raises(SearchRefusedError, match="at least one"):
        parse_space([])


def test_a_grid_is_every_combination_in_order() -> None:
    """The last dimension moves quickest; decimals stay what was typed."""
    space = parse_space(["a=0.1:0.3:0.1", "b=x|y"])
    assert grid_size(space) == 6
    points = [grid_point(space, number) for number in range(6)]
    assert points[:3] == [{"a": 0.1, "b": "x"}, {"a": 0.1, "b": "y"}, {"a": 0.2, "b": "x"}]
    assert points[5] == {"a": 0.3, "b": "y"}
    assert list(points[0]) == ["a", "b"]


def test_a_grid_of_a_continuum_is_refused() -> None:
    """The message says how a step is written."""
    with pytest.raises(SearchRefusedError, match=r"a=0\.1:0\.5:STEP"):
        grid_size(parse_space(["a=0.1:0.5"]))


@given(st.integers(0, 2**32 - 1), st.integers(0, 10_000))
def test_a_random_point_depends_on_seed_and_number_alone(seed: int, number: int) -> None:
    """Whoever draws it; and it lies in the space."""
    space = parse_space(["a=0.5:0.7", "b=1e-6:1:log", "c=1:9:2", "d=x|y"])
    point = random_point(space, seed, number)
    assert point == random_point(space, seed, number)
    assert 0.5 <= float(point["a"]) <= 0.7
    assert 1e-6 <= float(point["b"]) <= 1
    assert point["c"] in {1, 3, 5, 7, 9}
    assert point["d"] in {"x", "y"}


@given(st.integers(0, 9), st.floats(-0.4, 0.4))
def test_what_is_near_a_step_becomes_that_step(number: int, off: float) -> None:
    """A sampler's rounding does not make another value of it."""
    dimension = Range(name="a", low=0.1, high=1.0, step=0.1)
    assert dimension.near(0.1 + 0.1 * number + 0.1 * off) == dimension.value(number)


def test_values_between_have_six_digits_and_stay_inside() -> None:
    """So that they can be typed again."""
    dimension = Range(name="a", low=1 / 3, high=2 / 3)
    rng = random.Random(1)  # noqa: S311 - a test
    values = [float(dimension.drawn(rng)) for _ in range(100)]
    assert all(1 / 3 <= value <= 2 / 3 for value in values)
    assert all(value == float(f"{value:.6g}") for value in values)
    assert dimension.near(9) == 2 / 3


def test_parameters_that_move_together_have_one_value() -> None:
    """Both sides of a spread, for one."""
    (dimension,) = parse_space(["bid_spread, ask_spread=0.1:0.3:0.1"])
    assert dimension.name == "bid_spread,ask_spread"
    assert parameters_of(grid_point([dimension], 1)) == {"bid_spread": 0.2, "ask_spread": 0.2}
    with pytest.raises(SearchRefusedError, match="each parameter once"):
        parse_space(["a,b=1:2", "b=1:2"])


def test_a_point_is_written_as_it_is_typed() -> None:
    """In one line."""
    assert written({"a": 0.25, "b": True, "c": "mid", "d": 3}) == "a=0.25, b=true, c=mid, d=3"
