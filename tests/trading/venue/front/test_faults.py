"""Fault rules: which requests and messages they strike."""

from __future__ import annotations

import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.venue.front.faults import FaultConfig, FaultKind, FaultRule, Faults

NAME = "POST /api/v3/order"


def faults(*rules: FaultRule, seed: int = 1) -> Faults:
    """Rules set at time 0."""
    return Faults(FaultConfig(rules=list(rules), seed=seed), 0)


def test_a_rule_strikes_where_it_matches_in_its_window() -> None:
    """Name pattern, kind of event and window all must fit."""
    plan = faults(FaultRule(kind=FaultKind.SERVER_ERROR, match="POST *", from_s=1, until_s=2))
    assert plan.request(NAME, 0) is None
    assert plan.request(NAME, NS_PER_S) is plan.config.rules[0]
    assert plan.request("GET /api/v3/order", NS_PER_S) is None
    assert plan.message(NAME, NS_PER_S) is None
    assert plan.request(NAME, 2 * NS_PER_S) is None


def test_a_rule_may_strike_a_number_of_times() -> None:
    """`times` counts strikes, not chances."""
    plan = faults(FaultRule(kind=FaultKind.DROP, times=2))
    assert [plan.message("x", 0) is not None for _ in range(4)] == [True, True, False, False]


def test_the_report_counts_what_each_rule_struck() -> None:
    """Rules count apart, a miss counts nowhere, and new rules start at nought."""
    plan = faults(
        FaultRule(kind=FaultKind.SERVER_ERROR, match="POST *", times=1), FaultRule(kind=FaultKind.DROP)
    )
    plan.request("POST /api/v3/order", 0)
    plan.request("POST /api/v3/order", 0)
    plan.message("user:executionReport", 0)
    plan.message("user:executionReport", 0)
    assert plan.report().struck == [1, 2]
    plan.reset(plan.config, 0)
    assert plan.report().struck == [0, 0]


def test_the_rate_is_kept_and_repeatable() -> None:
    """A seed gives the same strikes again, at about the rate."""
    rule = FaultRule(kind=FaultKind.DROP, rate=0.25)
    first, second = faults(rule, seed=9), faults(rule, seed=9)
    struck = [first.message("x", 0) is not None for _ in range(2_000)]
    assert struck == [second.message("x", 0) is not None for _ in range(2_000)]
    assert 400 < sum(struck) < 600


def test_the_clock_skews_only_inside_the_window() -> None:
    """Skew is what clients see, in the rule's milliseconds."""
    plan = faults(FaultRule(kind=FaultKind.CLOCK_SKEW, delay_ms=-1_500, until_s=1))
    assert (plan.skew_ns(0), plan.skew_ns(NS_PER_S)) == (-1_500_000_000, 0)
    assert plan.request(NAME, 0) is None


def test_rates_outside_a_share_are_refused() -> None:
    """A rate is between 0 and 1."""
    with pytest.raises(InvalidInputError):
        FaultRule(kind=FaultKind.DROP, rate=1.5)
