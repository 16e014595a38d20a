"""What a strategy earns, and how sure that is."""

from __future__ import annotations

from math import isnan, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.strategy.selection.roi import Outcome, RoiEstimate
from mrmarket.trading.strategy.selection.score import score, usable
from mrmarket.trading.strategy.selection.thresholds import Thresholds
from selection_samples import START_NS, candidate

LONG = 1e9
PLAIN = Thresholds(volatility_weight=0, success_weight=0, utilisation_weight=0, z=1.0, stale_s=60)


def outcome(number: int, profit: float, **more: float) -> Outcome:
    """Ten seconds with 1,000 of capital, all of it in use."""
    values = {"seconds": 10.0, "locked": 1_000.0, "used": 1_000.0, **more}
    return Outcome(at_ns=START_NS + number * 10 * NS_PER_S, profit=profit, **values)  # type: ignore[arg-type] # counts


def estimated(*profits: float, half_life_s: float = LONG, **more: float) -> RoiEstimate:
    """What these outcomes add up to."""
    found = RoiEstimate()
    for number, profit in enumerate(profits):
        found = found.after(outcome(number, profit, **more), half_life_s)
    return found


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=50))
def test_without_forgetting_it_is_the_sample_mean_and_deviation(profits: list[float]) -> None:
    """Mean and deviation agree with the plain formulas, per hour on the capital."""
    found = estimated(*profits)
    rates = [profit / 1_000 * 360 for profit in profits]
    mean = sum(rates) / len(rates)
    deviation = sqrt(sum((rate - mean) ** 2 for rate in rates) / (len(rates) - 1))
    assert found.mean == pytest.approx(mean, rel=1e-6, abs=1e-6)
    assert found.deviation == pytest.approx(deviation, rel=1e-4, abs=1e-5)
    assert found.samples == pytest.approx(len(profits), rel=1e-4)


def test_old_results_count_less() -> None:
    """After a half-life the past weighs half of what it did."""
    found = estimated(1.0, half_life_s=LONG)
    later = found.after(outcome(1, 0.0), half_life_s=10.0)
    assert later.mean == pytest.approx(0.36 / 3)


def test_costs_come_off_the_profit() -> None:
    """(profit − cost) / locked, per hour."""
    assert outcome(0, 3.0, cost=1.0).per_hour == pytest.approx(0.72)
    assert isnan(outcome(0, 1.0, locked=0.0).per_hour)


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_result_that_is_no_number_changes_nothing(broken: float) -> None:
    """Neither does one from before the last."""
    found = estimated(1.0, 2.0)
    assert found.after(outcome(5, broken), LONG) == found
    assert found.after(outcome(0, 1.0), LONG) == found


def test_gains_count_less_in_wild_markets_after_failures_and_with_idle_capital() -> None:
    """Each weight lowers the trust in its own way, and 0 switches it off."""
    only = {"volatility_weight": 0.0, "success_weight": 0.0, "utilisation_weight": 0.0}
    half = estimated(1.0, 1.0, used=500.0)
    assert half.trust(Thresholds(**{**only, "utilisation_weight": 1.0})) == pytest.approx(0.5)  # type: ignore[arg-type] # floats
    tried = estimated(1.0, attempts=9, successes=4)
    assert tried.trust(Thresholds(**{**only, "success_weight": 1.0})) == pytest.approx(0.5)  # type: ignore[arg-type] # floats
    calm = RoiEstimate().after(outcome(0, 1.0, volatility=0.001), 10.0)
    wild = calm.after(outcome(1, 1.0, volatility=0.002), 10.0)
    assert wild.trust(Thresholds(**{**only, "volatility_weight": 1.0})) < 0.8  # type: ignore[arg-type] # floats
    assert wild.trust(Thresholds(**only)) == 1.0  # type: ignore[arg-type] # floats


def test_the_score_takes_off_doubt_and_the_cost_of_switching() -> None:
    """Value = mean·trust − z·error − cost per hour of the horizon; the current one pays no cost."""
    found = estimated(*[1.0, 2.0] * 10)
    now_ns = found.at_ns
    taken = {"now_ns": now_ns, "source": "live"}
    newcomer = score(candidate("arb", cost=0.01), found, PLAIN, is_current=False, **taken)  # type: ignore[arg-type] # literal
    current = score(candidate("arb", cost=0.01), found, PLAIN, is_current=True, **taken)  # type: ignore[arg-type] # literal
    error = found.deviation / sqrt(20)
    assert newcomer.value == pytest.approx(0.54 - error - 0.01, rel=1e-6)
    assert current.value == pytest.approx(0.54 - error, rel=1e-6)
    assert current.upper == pytest.approx(0.54 + error, rel=1e-6)


def test_paper_gains_are_discounted_and_paper_losses_are_not() -> None:
    """Half a gain, and the whole loss."""
    for profits, mean in (((1.0, 1.0, 1.0, 1.0, 1.0, 1.0), 0.18), ((-1.0,) * 6, -0.36)):
        found = estimated(*profits)
        paper = score(
            candidate("arb"), found, PLAIN, now_ns=found.at_ns, source="paper", is_current=False, discount=0.5
        )
        assert paper.value == pytest.approx(mean)


def test_what_is_not_known_has_no_value() -> None:
    """No data, too little of it, or too old: never compared, with the reason."""
    few, enough = estimated(1.0, 2.0), estimated(*[1.0] * 9)

    def reason(found: RoiEstimate | None, later_s: float = 0) -> str:
        now_ns = (found.at_ns if found else 0) + int(later_s * NS_PER_S)
        made = score(candidate("arb"), found, PLAIN, now_ns=now_ns, source="live", is_current=False)
        assert isnan(usable(made)) == bool(made.why_not)
        return made.why_not

    assert reason(None) == "no_data"
    assert reason(few) == "few_samples"
    assert reason(enough, 61) == "stale"
    assert reason(enough) == ""
    assert isnan(usable(None))
