"""What is maximised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laboratory_results import made_up_result
from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.backtest.optimiser.objective import (
    OBJECTIVES,
    TRUSTED_FILLS,
    Figures,
    figures_of,
    pooled,
    score_of,
)

AMOUNT = st.floats(0.01, 1e6)
RUNS = st.builds(
    Figures,
    pnl=st.floats(-1e6, 1e6),
    exposure_s=AMOUNT,
    variance=AMOUNT,
    seconds=st.floats(1, 1e5),
    volume=AMOUNT,
    fills=st.integers(0, 10_000),
    capital=st.just(1e6),
)


@given(st.lists(RUNS, min_size=1, max_size=5))
def test_pooling_adds_up(runs: list[Figures]) -> None:
    """PnL, fills and time are sums, exposure is weighted by time."""
    whole = pooled(runs)
    assert whole.pnl == pytest.approx(sum(run.pnl for run in runs))
    assert whole.fills == sum(run.fills for run in runs)
    assert whole.exposure * whole.seconds == pytest.approx(sum(run.exposure * run.seconds for run in runs))
    assert pooled([whole]) == whole


@given(st.sampled_from(sorted(OBJECTIVES)), RUNS, RUNS)
def test_every_gain_beats_every_loss(objective: str, one: Figures, other: Figures) -> None:
    """Whatever the objective, and a loss is never excused by the risk that was taken for it."""
    first, second = score_of(objective, one), score_of(objective, other)
    if one.pnl > 0 > other.pnl:
        assert first >= 0 > second
    if one.pnl < other.pnl < 0:
        assert first < second


def test_ratios_divide_by_what_they_name() -> None:
    """A gain of 10 on 1,000 held, 4 of deviation, 20,000 traded."""
    run = Figures(pnl=10, exposure_s=60_000, seconds=60, variance=16, volume=20_000, fills=100)
    assert score_of("pnl_per_risk", run) == pytest.approx(0.01)
    assert score_of("pnl_per_sd", run) == pytest.approx(2.5)
    assert score_of("pnl_per_volume", run) == pytest.approx(5)
    assert score_of("pnl_quote", run) == 10
    assert run.pnl_per_exposure == pytest.approx(0.01)


def test_a_gain_by_few_fills_counts_less() -> None:
    """In proportion, up to the number that is trusted."""
    run = Figures(pnl=10, exposure_s=1_000, seconds=1, fills=TRUSTED_FILLS // 4)
    full = Figures(pnl=10, exposure_s=1_000, seconds=1, fills=TRUSTED_FILLS)
    assert score_of("pnl_per_risk", run) == pytest.approx(score_of("pnl_per_risk", full) / 4)


def test_nothing_held_is_no_ratio() -> None:
    """Neither a division by zero nor a reward."""
    assert score_of("pnl_per_risk", Figures()) == 0
    assert score_of("pnl_per_risk", Figures(pnl=1, fills=50)) == 0
    assert Figures().pnl_per_exposure is None


def test_an_unknown_objective_is_refused() -> None:
    """With the known ones."""
    with pytest.raises(InvalidInputError, match="pnl_per_risk, pnl_per_sd"):
        score_of("sharpe", Figures())


def test_figures_are_those_of_the_headline_pass() -> None:
    """Of the first queue model, in quote."""
    result = made_up_result()
    figures = figures_of(result)
    assert figures.pnl == float(result.totals.pnl_quote)
    assert figures.exposure == pytest.approx(result.totals.mean_exposure_quote)
    assert figures.fees == pytest.approx(float(result.totals.fees_quote))
    assert figures.capital == pytest.approx(10 * float(result.totals.final_mid) + 600_000)
