"""Tiers, models and the sharing of a total: pure integer rules."""

from __future__ import annotations

import hashlib
from array import array
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.errors import InvalidInputError
from mrmarket.money.loyalty.allocation import share_out
from mrmarket.money.loyalty.model import MODELS, Rating
from mrmarket.money.loyalty.standing import Pattern, Standing, pattern_of
from mrmarket.money.loyalty.tiers import (
    DAY_MS,
    WEEK_MS,
    completed_weeks,
    multiplier_of,
    tier_at,
    tier_history,
    tier_of,
)

START_MS = 19_975 * DAY_MS


def standing(
    since_ms: int | None = None,
    above: tuple[int | None, ...] = (None, None, None, None),
    integrals: dict[str, int] | None = None,
    pattern: Pattern | None = None,
) -> Standing:
    """A provider of whom only what matters is said."""
    return Standing("p", integrals or {"a": 1000}, since_ms, above, (), {}, array("q"), pattern)


@pytest.mark.parametrize(
    ("weeks", "tier", "tenths"),
    [(0, 1, 10), (4, 1, 10), (5, 2, 12), (12, 2, 12), (13, 3, 15), (20, 3, 15), (21, 4, 20), (99, 4, 20)],
)
def test_tiers_change_at_5_13_and_21_completed_weeks(weeks: int, tier: int, tenths: int) -> None:
    """The edges of the seed's table, as exact fractions."""
    assert tier_of(weeks).number == tier
    assert multiplier_of(weeks) == (tenths, 10)


def test_only_completed_weeks_count() -> None:
    """A millisecond short of five weeks is four; no beginning is none."""
    assert completed_weeks(0, 5 * WEEK_MS - 1) == 4
    assert completed_weeks(0, 5 * WEEK_MS) == 5
    assert completed_weeks(None, 5 * WEEK_MS) == 0


def test_a_history_is_looked_at_once_a_day() -> None:
    """A rise at noon shows at the next midnight, five weeks later too, and a fall leads back to tier 1."""
    noon_ms = START_MS + DAY_MS // 2
    fall_ms = noon_ms + 6 * WEEK_MS
    assert tier_history([(noon_ms, fall_ms)], START_MS + 60 * DAY_MS) == [
        (START_MS + DAY_MS, 1),
        (START_MS + 36 * DAY_MS, 2),
        (START_MS + 43 * DAY_MS, 1),
    ]
    assert tier_history([(noon_ms, fall_ms)], START_MS + 36 * DAY_MS - 1) == [(START_MS + DAY_MS, 1)]
    assert tier_history([], START_MS) == []


def test_a_run_within_one_day_leaves_tier_one() -> None:
    """Up and down between two midnights: the next midnight finds nothing above the minimum."""
    run = (START_MS + 1, START_MS + 2)
    assert tier_history([run], START_MS + 9 * DAY_MS) == [(START_MS + DAY_MS, 1)]
    assert tier_at([run], START_MS + 1) == 1
    assert tier_at([run], START_MS + 2) == 0
    assert tier_at([run], START_MS) == 0


def test_time_weighting_multiplies_by_the_weeks_held_now() -> None:
    """Held for 13 weeks ×1.5; below the minimum now ×1.0, whatever was before."""
    model = MODELS["twal"]
    assert model.rate(standing(since_ms=0), 13 * WEEK_MS) == Rating(3, 15)
    assert model.rate(standing(), 30 * WEEK_MS) == Rating(1, 10)


@pytest.mark.parametrize(
    ("above_weeks", "now_ms", "wanted"),
    [
        ((0, None, None, None), WEEK_MS, Rating(0, 0)),
        ((0, None, None, None), WEEK_MS + 1, Rating(1, 10)),
        ((0, 0, None, None), 4 * WEEK_MS, Rating(1, 10)),
        ((0, 0, None, None), 4 * WEEK_MS + 1, Rating(2, 13)),
        ((0, 0, 0, None), 12 * WEEK_MS + 1, Rating(3, 17)),
        ((0, 0, 0, 0), 20 * WEEK_MS, Rating(3, 17)),
        ((0, 0, 0, 0), 20 * WEEK_MS + 1, Rating(4, 25)),
        ((None, None, None, None), 30 * WEEK_MS, Rating(0, 0)),
    ],
)
def test_thresholds_ask_for_more_than_the_weeks_at_more_than_the_amount(
    above_weeks: tuple[int | None, ...], now_ms: int, wanted: Rating
) -> None:
    """Exactly one week is not more than one week; nobody below the table gets anything."""
    assert MODELS["threshold"].rate(standing(above=above_weeks), now_ms) == wanted


@pytest.mark.parametrize(
    ("daily", "integrals", "wanted"),
    [
        ([100] * 14, {"a": 1}, Rating(2, 13)),
        ([100] * 13, {"a": 1}, Rating(1, 10)),
        ([100] * 7 + [110] * 7, {"a": 1}, Rating(3, 14)),
        ([100] * 7 + [130] * 7, {"a": 1}, Rating(3, 14)),
        ([100] * 7 + [400] * 7, {"a": 1}, Rating(2, 13)),
        ([400, 100] * 7, {"a": 1}, Rating(1, 10)),
        ([100, 400] * 7, {"a": 1}, Rating(1, 11)),
        ([100] * 14, {"a": 9, "b": 1}, Rating(3, 14)),
        ([100] * 14, {"a": 91, "b": 9}, Rating(2, 13)),
        ([100] * 14, {"a": 5, "b": 3, "c": 2, "d": 2}, Rating(3, 15)),
        ([100] * 20 + [155] * 20, {"a": 3, "b": 3, "c": 2}, Rating(4, 17)),
    ],
)
def test_the_score_adds_bonuses_for_steadiness_breadth_and_growth(
    daily: list[int], integrals: dict[str, int], wanted: Rating
) -> None:
    """Each bonus at its edge, and what they sum up to."""
    model = MODELS["hybrid"]
    assert model.needs_pattern
    rated = model.rate(standing(integrals=integrals, pattern=pattern_of(daily, 50)), 0)
    assert rated == wanted


def test_a_pattern_begins_with_the_first_day_at_the_minimum() -> None:
    """Days before are left out; an odd middle day is in neither half."""
    assert pattern_of([0, 3, 5, 1, 9], 5) == Pattern(days=3, total=15, deviation=24, early=5, recent=9)
    assert pattern_of([0, 3], 5) == Pattern(0, 0, 0, 0, 0)


@given(
    st.integers(0, 10**30),
    st.dictionaries(st.text(max_size=5), st.integers(0, 10**30), max_size=30),
    st.text(),
)
def test_shares_add_up_and_differ_from_the_exact_share_by_less_than_one(
    total: int, weights: dict[str, int], salt: str
) -> None:
    """Nothing is lost or made, and nobody is a whole unit off."""
    parts = share_out(total, weights, salt)
    whole = sum(weights.values())
    assert parts.keys() == weights.keys()
    assert sum(parts.values()) == (total if whole else 0)
    if whole:
        assert all(abs(parts[name] - Fraction(total * weight, whole)) < 1 for name, weight in weights.items())


def test_equal_remainders_are_ordered_by_lot_and_not_by_name() -> None:
    """With another salt other names get the units that are left; with the same salt the same."""
    weights = dict.fromkeys("abcdef", 1)
    winners = {
        salt: frozenset(name for name, part in share_out(3, weights, salt).items() if part)
        for salt in map(str, range(20))
    }
    assert all(len(names) == 3 for names in winners.values())
    assert len(set(winners.values())) > 5
    assert share_out(3, weights, "7") == share_out(3, dict(reversed(weights.items())), "7")


@pytest.mark.parametrize(("total", "weight"), [(-1, 1), (1, -1)])
def test_negative_totals_and_weights_are_refused(total: int, weight: int) -> None:
    """They would take from somebody."""
    with pytest.raises(InvalidInputError):
        share_out(total, {"a": weight, "b": 5}, "s")


@given(
    st.integers(0, 10**6),
    st.dictionaries(st.text(max_size=2), st.integers(0, 4), min_size=1, max_size=12),
    st.text(max_size=3),
)
def test_what_is_left_goes_to_the_largest_remainders_and_then_by_lot(
    total: int, weights: dict[str, int], salt: str
) -> None:
    """The same as drawing a lot for everybody and sorting by remainder first."""
    whole = sum(weights.values())
    wanted = dict.fromkeys(weights, 0)
    if whole:
        wanted = {name: total * weight // whole for name, weight in weights.items()}
        queue = sorted(
            weights,
            key=lambda name: (
                -(total * weights[name] % whole),
                hashlib.sha256(f"{salt}|{name}".encode()).digest(),
            ),
        )
        for name in queue[: total - sum(wanted.values())]:
            wanted[name] += 1
    assert share_out(total, weights, salt) == wanted
