"""One run of a set of parameters, in whichever process it comes to."""

from __future__ import annotations

from mrmarket.core.errors import MrMarketError
from mrmarket.trading.backtest.optimiser.objective import figures_of
from mrmarket.trading.backtest.optimiser.trial import Score
from mrmarket.trading.backtest.runner import run_backtest
from mrmarket.trading.backtest.setting import BacktestSetting
from mrmarket.trading.strategy.registry import Registry


def evaluate(setting: BacktestSetting) -> Score:
    """Run it. A combination that is refused, or a strategy that raises, fails this run and no other."""
    try:
        result = run_backtest(setting, registry=Registry())
    except (MrMarketError, ValueError) as error:
        return Score(None, f"{type(error).__name__}: {error}")
    if result.failure is not None:
        return Score(None, f"{result.failure.code}: {result.failure.message}")
    return Score(figures_of(result))
