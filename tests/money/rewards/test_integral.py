"""Shares over time, added up exactly."""

from __future__ import annotations

from fractions import Fraction

import hypothesis.strategies as st
import pytest
from hypothesis import given

from mrmarket.core.errors import InvalidInputError
from mrmarket.money.rewards.campaign import Campaign, Span
from mrmarket.money.rewards.errors import ShareHistoryError, UnknownDayError
from mrmarket.money.rewards.integral import Integrals, ShareChange, Step, integrate

SPAN = Span(1_000, 2_000)
USERS = st.sampled_from(["user:a", "user:b", "user:c"])
NONZERO = st.integers(1, 9)
CHANGES = st.lists(
    st.builds(
        Step, st.integers(500, 2_500), USERS, st.integers(0, 2**100), st.integers(0, 9), st.integers(1, 9)
    ),
    max_size=30,
)


def plainly(changes: list[ShareChange], span: Span) -> dict[str, Fraction]:
    """Millisecond by piece, in fractions: each account's rate between one change and the next."""
    totals: dict[str, Fraction] = {}
    for user in {change.user for change in changes}:
        own = sorted((c for c in changes if c.user == user), key=lambda change: change.at_ms)
        ends = [change.at_ms for change in own[1:]] + [span.end_ms]
        for change, end in zip(own, ends, strict=True):
            length = min(end, span.end_ms) - max(change.at_ms, span.start_ms)
            if length > 0:
                rate = Fraction(change.shares_after * change.weight_num, change.weight_den)
                totals[user] = totals.get(user, Fraction(0)) + rate * length
    return {user: total for user, total in totals.items() if total}


def exact(integrals: Integrals) -> dict[str, Fraction]:
    """What the integral says, as fractions."""
    return {
        user: Fraction(value, integrals.scale)
        for user, value in zip(integrals.users, integrals.values, strict=True)
        if value
    }


@given(CHANGES)
def test_it_is_the_integral(changes: list[ShareChange]) -> None:
    """The quick way gives what adding up piece by piece in fractions gives."""
    assert exact(integrate(changes, SPAN)) == plainly(changes, SPAN)


@given(CHANGES, st.integers(1_001, 1_999))
def test_two_halves_make_the_whole(changes: list[ShareChange], middle: int) -> None:
    """A window that is split anywhere gives the same integral."""
    whole = exact(integrate(changes, SPAN))
    first = exact(integrate(changes, Span(SPAN.start_ms, middle)))
    second = exact(integrate(changes, Span(middle, SPAN.end_ms)))
    assert whole == {
        user: first.get(user, Fraction(0)) + second.get(user, Fraction(0))
        for user in first.keys() | second.keys()
    }


@given(CHANGES, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(changes: list[ShareChange], random: object) -> None:
    """Events of different accounts or times in any order give the same integrals and the same digest."""
    distinct = list({(change.at_ms, change.user): change for change in changes}.values())
    mixed = list(distinct)
    random.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis's own random
    assert integrate(mixed, SPAN) == integrate(distinct, SPAN)


def test_the_window_is_half_open() -> None:
    """A change at exactly the start counts for the whole window, one at the end not at all."""
    at_start = integrate([Step(1_000, "user:a", 7)], SPAN)
    assert list(at_start.values) == [7_000]
    at_end = integrate([Step(2_000, "user:a", 7)], SPAN)
    assert (list(at_end.users), at_end.changes) == ([], 0)
    left_at_end = integrate([Step(0, "user:a", 7), Step(2_000, "user:a", 0)], SPAN)
    assert list(left_at_end.values) == [7_000]
    last_ms = integrate([Step(1_999, "user:a", 7)], SPAN)
    assert list(last_ms.values) == [7]


def test_of_one_millisecond_the_last_counts() -> None:
    """Deposits and withdrawals in the same millisecond leave what the last of them left."""
    changes = [
        Step(1_000, "user:a", 5),
        Step(1_000, "user:a", 0),
        Step(1_500, "user:a", 9),
        Step(1_500, "user:a", 2),
    ]
    assert list(integrate(changes, SPAN).values) == [1_000]


def test_average_weights_stay_small() -> None:
    """A weight that is an average over lots has a huge denominator, which the shares cancel."""
    lots = [10**20 + 7 * place for place in range(50)]
    changes = [Step(0, f"user:{place}", lot, 3 * lot + 2, 2 * lot) for place, lot in enumerate(lots)]
    integrals = integrate(changes, SPAN)
    assert integrals.scale == 2
    assert [value // 1_000 for value in sorted(integrals.values)] == [3 * lot + 2 for lot in lots]


def test_digests_tell_histories_apart() -> None:
    """Another share, weight, time or user is another digest; what lies outside the window is none."""
    base = [Step(0, "user:a", 5), Step(1_500, "user:b", 5)]
    digest = integrate(base, SPAN).digest
    assert integrate([*base, Step(2_000, "user:a", 1)], SPAN).digest == digest
    for opened_ms in (900, SPAN.start_ms):
        assert integrate([Step(opened_ms, "user:a", 5), base[1]], SPAN).digest == digest
    for other in (
        [Step(0, "user:a", 6), base[1]],
        [Step(0, "user:a", 5, 2), base[1]],
        [base[0], Step(1_501, "user:b", 5)],
        [base[0], Step(1_500, "user:c", 5)],
        [base[0]],
    ):
        assert integrate(other, SPAN).digest != digest


@pytest.mark.parametrize("step", [Step(0, "u", -1), Step(0, "u", 1, -1), Step(1_500, "u", 1, 1, 0)])
def test_impossible_histories_are_refused(step: Step) -> None:
    """Negative shares and weights, and a weight without a denominator."""
    with pytest.raises(ShareHistoryError) as caught:
        integrate([step], SPAN)
    assert caught.value.account == "u"


def test_days_of_a_campaign() -> None:
    """Days are counted from the campaign's start; the last may be short; there is no day beyond."""
    campaign = Campaign("c", "p", 100, 350, 100)
    assert [campaign.window(day) for day in range(campaign.days)] == [
        Span(100, 200),
        Span(200, 300),
        Span(300, 350),
    ]
    assert [campaign.day_at(at) for at in (99, 100, 199, 200, 349, 350)] == [None, 0, 0, 1, 2, None]
    for day in (-1, 3):
        with pytest.raises(UnknownDayError):
            campaign.window(day)
    with pytest.raises(InvalidInputError):
        Span(5, 5)
