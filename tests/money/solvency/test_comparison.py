"""What is owed against what was seen: every unit is there, on its way, or missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.money.solvency.comparison import Line, Place, Seen, Span, Standing, compare

PLACE = Place("rail", 1_000)
ASSET = "rail:USDT"


def line_of(owed: int, seen: int | None, *spans: Span, at_ms: int = 0, place: Place = PLACE) -> Line:
    """The one line of a comparison at time 0."""
    words = {} if seen is None else {ASSET: Seen(seen, at_ms)}
    (line,) = compare({ASSET: owed}, words, spans, {place.name: place}, 0)
    return line


@pytest.mark.parametrize(
    ("owed", "seen", "spans", "standing", "unexplained"),
    [
        (100, 100, (), Standing.MATCHES, 0),
        (100, 99, (), Standing.DIFFERS, -1),
        (100, 101, (), Standing.DIFFERS, 1),
        (100, None, (), Standing.UNSEEN, 0),
        (100, 90, ((-10, 0),), Standing.EXPLAINED, 0),
        (100, 95, ((-10, 0),), Standing.EXPLAINED, 0),
        (100, 89, ((-10, 0),), Standing.DIFFERS, -1),
        (100, 101, ((-10, 0),), Standing.DIFFERS, 1),
        (100, 105, ((-10, 0), (0, 5)), Standing.EXPLAINED, 0),
        (100, 85, ((-10, 0), (-5, 5)), Standing.EXPLAINED, 0),
        (100, 84, ((-10, 0), (-5, 5)), Standing.DIFFERS, -1),
        (0, 7, (), Standing.DIFFERS, 7),
    ],
)
def test_a_difference_is_explained_by_what_is_on_its_way_or_not_at_all(
    owed: int, seen: int | None, spans: tuple[tuple[int, int], ...], standing: Standing, unexplained: int
) -> None:
    """One unit outside the spans counts."""
    line = line_of(owed, seen, *(Span(ASSET, low, high, "on its way") for low, high in spans))
    assert (line.standing, line.unexplained) == (standing, unexplained)
    assert bool(line.why) is not line.is_sound


@given(
    st.integers(0, 10**30),
    st.integers(0, 10**30),
    st.lists(st.tuples(st.integers(0, 10**20), st.integers(0, 10**20))),
)
def test_nothing_outside_the_spans_is_ever_explained(
    owed: int, seen: int, widths: list[tuple[int, int]]
) -> None:
    """What is unexplained is exactly how far the difference lies outside the sum of the spans."""
    spans = [Span(ASSET, -low, high, "") for low, high in widths]
    line = line_of(owed, seen, *spans)
    low, high = sum(span.low for span in spans), sum(span.high for span in spans)
    assert low <= seen - owed - line.unexplained <= high
    assert (line.unexplained == 0) is (low <= seen - owed <= high)


def test_what_was_seen_long_ago_says_nothing() -> None:
    """At the age limit it counts, after it no more, though the amounts agree."""
    assert line_of(100, 100, at_ms=-1_000).standing is Standing.MATCHES
    old = line_of(100, 100, at_ms=-1_001)
    assert old.standing is Standing.STALE
    assert "1 s ago" in old.why


def test_a_tolerance_is_let_pass_and_no_more() -> None:
    """Zero unless a place says otherwise."""
    place = Place("rail", 1_000, tolerance_units=2)
    assert line_of(100, 98, place=place).is_sound
    assert not line_of(100, 97, place=place).is_sound


def test_an_asset_at_a_place_that_nobody_watches_is_unseen() -> None:
    """Being owed somewhere unknown is no better than being nowhere."""
    (line,) = compare({"moon:USDT": 5}, {"moon:USDT": Seen(5, 0)}, [], {}, 0)
    assert line.standing is Standing.UNSEEN


def test_nothing_owed_and_nothing_there_needs_no_line() -> None:
    """An asset that is empty on both sides is left out; an owed zero that was seen stays."""
    assert compare({"rail:A": 0}, {"rail:B": Seen(0, 0)}, [], {"rail": PLACE}, 0) == []
    (line,) = compare({"rail:A": 0}, {"rail:A": Seen(0, 0)}, [], {"rail": PLACE}, 0)
    assert line.standing is Standing.MATCHES
