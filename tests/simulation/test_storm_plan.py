"""What a seed decides beforehand is enough to say anything."""

from __future__ import annotations

from dataclasses import replace

from mrmarket.simulation.plan import draw_plan
from mrmarket.simulation.seed import run_seed
from mrmarket.simulation.storm import LEAST_FAULTS


def test_no_storm_is_quiet_whatever_the_swarm_switches_off() -> None:
    """Many kinds strike by themselves, or enough happens at moments; an engine dies in any case."""
    plans = [draw_plan(seed) for seed in range(1, 4_001)]
    assert all(len(plan.rates) > 3 or len(plan.happenings) > LEAST_FAULTS for plan in plans)
    assert any(len(plan.rates) <= 3 for plan in plans)


def test_the_quietest_seed_of_the_first_300_has_its_faults() -> None:
    """Two kinds of fault that strike by themselves are left in it."""
    plan = draw_plan(14)
    assert len(plan.rates) == 2
    report = run_seed(14)
    assert sum(report.faults.values()) >= LEAST_FAULTS
    assert not report.violations


def test_a_storm_that_proves_too_little_is_made_up_for() -> None:
    """Where chance leaves nothing at all, somebody is killed and enough faults strike all the same."""
    report = run_seed(1, replace(draw_plan(1), rates={}, happenings=()))
    assert report.crashes == 1
    assert sum(report.faults.values()) == LEAST_FAULTS
    assert not report.violations
