"""Spot against perpetual: forecast, entry, exit, hedge."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest

from mrmarket.trading.strategy.carry.rules import (
    Carry,
    CarryCosts,
    CarryLimits,
    CarryView,
    FundingForecast,
    base_rate,
    decide_carry,
    hedge_lots,
)

COSTS = CarryCosts(spot_fee=0.001, perp_fee=0.0005, slippage=0.0001)
LIMITS = CarryLimits()


def forecast(rate: float, times: int = 200) -> FundingForecast:
    """After many intervals of one rate."""
    made = FundingForecast()
    for _ in range(times):
        made = made.after(rate)
    return made


RICH = CarryView(forecast(0.0005), basis=0.001, sigma_day=0.03, liquidation_distance=0.5)


def test_a_forecast_begins_at_the_base_rate_and_learns() -> None:
    """0.01 % in eight hours before anything was seen; then the weighted mean, still drawn towards it."""
    assert FundingForecast().rate == pytest.approx(0.0001)
    assert base_rate(1) == pytest.approx(0.0000125)
    once = FundingForecast(trust=1).after(0.0005)
    assert once.rate == pytest.approx(0.0003)
    many = forecast(0.0005)
    assert many.mean == pytest.approx(0.0005)
    assert 0.0001 < many.rate < 0.0005
    assert many.after(nan) == many
    recent = forecast(0.0005).after(-0.001)
    assert recent.mean == pytest.approx(0.0005 - 0.0015 * (1 - 0.5 ** (1 / 6)))


def test_the_break_even_is_costs_over_what_is_earned() -> None:
    """A round trip of 34 bp at the expected rate; never where the rate does not pay for the borrowing."""
    decision = decide_carry(RICH, COSTS, LIMITS)
    assert COSTS.round_trip == pytest.approx(0.0034)
    assert decision.break_even == pytest.approx(0.0034 / RICH.forecast.rate)
    assert decision.net == pytest.approx(21 * RICH.forecast.rate - 0.0034)
    assert decide_carry(RICH, replace(COSTS, borrow=0.01), LIMITS).break_even == inf


def test_it_enters_only_where_the_horizon_pays() -> None:
    """A rich rate is collected, the base rate alone is not; a negative one is collected the other way."""
    assert (decide_carry(RICH, COSTS, LIMITS).action, decide_carry(RICH, COSTS, LIMITS).direction) == (
        "enter",
        1,
    )
    plain = replace(RICH, forecast=FundingForecast())
    refused = decide_carry(plain, COSTS, LIMITS)
    assert refused.action == "stay_out"
    assert "is the least" in refused.why
    poor = decide_carry(replace(RICH, forecast=forecast(-0.001)), COSTS, LIMITS)
    assert (poor.action, poor.direction) == ("enter", -1)
    mixed = replace(RICH, forecast=FundingForecast(trust=1000).after(-0.00005))
    assert decide_carry(mixed, COSTS, LIMITS).why == "what was seen points the other way"
    thin = decide_carry(replace(RICH, liquidation_distance=0.17), COSTS, LIMITS)
    assert (thin.action, thin.why) == ("stay_out", "the margin would be too thin")


@pytest.mark.parametrize(
    ("changes", "action", "words"),
    [
        ({}, "hold", "still pays"),
        ({"liquidation_distance": 0.18}, "exit", "margin"),
        ({"forecast": forecast(-0.0004)}, "exit", "no longer pays"),
        ({"forecast": FundingForecast(trust=100).after(-0.0001)}, "exit", "turned"),
        ({"basis": 0.012}, "exit", "1.10% against"),
    ],
)
def test_it_leaves_when_a_condition_turns(changes: dict[str, object], action: str, words: str) -> None:
    """Margin, funding that no longer pays or has turned, and a basis that ran away."""
    view = replace(RICH, position=Carry(1, 0.001), **changes)  # type: ignore[arg-type]  # the table holds the types
    decision = decide_carry(view, COSTS, LIMITS)
    assert (decision.action, words in decision.why) == (action, True)


def test_the_hedge_moves_only_beyond_its_band() -> None:
    """Within a lot nothing is traded; beyond, the perpetual takes up all of the gap."""
    assert [hedge_lots(10, -10), hedge_lots(10, -9), hedge_lots(10, -8), hedge_lots(-5, 9)] == [0, 0, -2, -4]
