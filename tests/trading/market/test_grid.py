"""Text to steps."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.trading.market import grid
from mrmarket.trading.market.errors import OffGridTextError
from mrmarket.trading.market.grid import StepReader


@pytest.mark.parametrize(
    ("step", "text", "steps"),
    [
        ("0.01", "61799.90", 6179990),
        ("0.01", "61799.9", 6179990),
        ("0.01", "61799.90000000", 6179990),
        ("0.01", "7", 700),
        ("0.01", "7.", 700),
        ("0.05", "1.15", 23),
        ("1", "12", 12),
        ("1", "12.000", 12),
        ("10", "120", 12),
        ("1E-8", "0.00000001", 1),
        ("0.01", "0.00", 0),
    ],
)
def test_text_on_the_grid_is_read_exactly(step: str, text: str, steps: int) -> None:
    """Any way of writing a multiple gives the same steps."""
    assert StepReader(Decimal(step))[text] == steps


@pytest.mark.parametrize(
    "text",
    ["61799.905", "", ".", ".50", "-1.00", "+1.00", "1e2", "1,00", "1.0.0", " 1.00", "١.٠٠", "nan", "9" * 60],
)
def test_what_is_no_plain_multiple_is_refused(text: str) -> None:
    """Text off the grid or not plain is an error that names it."""
    with pytest.raises(OffGridTextError) as caught:
        StepReader(Decimal("0.01"))[text]
    assert caught.value.text == text


def test_rounding_goes_down_but_never_to_nothing() -> None:
    """Sizes finer than a lot become the lower lot, at least one, and are counted."""
    reader = StepReader(Decimal("0.001"), rounding=True)
    assert [reader["0.0019"], reader["0.0001"], reader["0.002"], reader["0.0019"]] == [1, 1, 2, 1]
    assert reader.rounded == 2


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader forgets all it knows instead of growing for ever."""
    monkeypatch.setattr(grid, "_MAX_KNOWN", 3)
    reader = StepReader(Decimal("0.01"))
    assert [reader[f"{n}.00"] for n in range(10)] == [n * 100 for n in range(10)]
    assert len(reader) <= 3


@given(st.integers(0, 10**15), st.integers(0, 8), st.integers(0, 4))
def test_steps_survive_the_way_through_text(steps: int, decimals: int, zeros: int) -> None:
    """What Decimal writes, with zeros behind it, reads back as the same steps."""
    step = Decimal(1).scaleb(-decimals)
    text = format(steps * step, "f")
    if "." in text:
        text += "0" * zeros
    assert StepReader(step)[text] == steps


@given(
    st.sampled_from(["0.01", "0.05", "0.1", "1", "25"]),
    st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 9)), min_size=2, max_size=6),
)
def test_however_the_last_text_was_written_the_next_is_read_by_itself(
    step: str, written: list[tuple[int, int]]
) -> None:
    """Texts of changing lengths, on the grid or not, mean what they mean alone."""
    reader = StepReader(Decimal(step))
    for number, decimals in written:
        text = format(Decimal(number).scaleb(-decimals), "f")
        steps, rest = divmod(Decimal(text), Decimal(step))
        if rest:
            with pytest.raises(OffGridTextError):
                reader[text]
        else:
            assert reader[text] == steps
