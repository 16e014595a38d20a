"""How often a failed run is started again."""

from __future__ import annotations

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.execution.risk.restart import RestartLimits, RestartPolicy

LIMITS = RestartLimits(cool_down_ns=10 * NS_PER_S, longest_ns=25 * NS_PER_S, per_hour=4)


def test_a_failed_run_cools_down_longer_each_time_and_then_waits_for_the_owner() -> None:
    """10, 20, then at most 25 s; the fourth failure within the hour is the last."""
    policy = RestartPolicy(LIMITS)
    waits = [policy.failed("r1", second * NS_PER_S) for second in (0, 100, 200, 300)]
    assert [None if each.at_ns is None else each.at_ns // NS_PER_S for each in waits] == [10, 120, 225, None]
    assert waits[-1].reason == "it failed 4 times within an hour; find out why, then start it"
    assert "cools down" in waits[0].reason


def test_each_run_counts_by_itself_and_an_hour_forgives() -> None:
    """Another run's failures are its own; what is an hour old does not count."""
    policy = RestartPolicy(LIMITS)
    for second in range(4):
        policy.failed("r1", second * NS_PER_S)
    assert policy.failed("r2", 5 * NS_PER_S).failures == 1
    assert policy.failed("r1", 3_602 * NS_PER_S).failures == 2
    policy.forgive("r1")
    policy.forgive("unknown")
    assert policy.failed("r1", 3_603 * NS_PER_S).failures == 1
