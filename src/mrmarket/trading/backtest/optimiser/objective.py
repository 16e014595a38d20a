"""What is maximised: figures of runs, pooled over windows, and the score that a set of parameters gets.

Windows are pooled before anything is divided: a mean of ratios would let a window in which hardly anything
was held outweigh all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import sqrt
from types import MappingProxyType
from typing import Final

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.backtest.result import BacktestResult

TRUSTED_FILLS: Final = 20
"""A gain that rests on fewer fills counts for proportionally less: one lucky fill is no strategy."""
_BPS: Final = 10_000


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One run, or several after one another. Amounts in quote; compared, never paid."""

    pnl: float = 0.0
    exposure_s: float = 0.0
    """Integral over time of |inventory| at the mid, in quote seconds."""
    variance: float = 0.0
    """Sum of the squares of the inventory's gains."""
    seconds: float = 0.0
    volume: float = 0.0
    fills: int = 0
    spread: float = 0.0
    inventory: float = 0.0
    fees: float = 0.0
    """Less rebates."""
    drawdown: float = 0.0
    """The largest of any run."""
    capital: float = 0.0
    """What the account was worth."""

    @property
    def exposure(self) -> float:
        """Mean |inventory| at the mid."""
        return self.exposure_s / self.seconds if self.seconds else 0.0

    @property
    def pnl_per_exposure(self) -> float | None:
        """None where nothing was held."""
        return self.pnl / self.exposure if self.exposure else None


def figures_of(result: BacktestResult) -> Figures:
    """The headline pass of a run."""
    totals = result.totals
    seconds = (result.end_ns - result.begin_ns) / 1e9
    base, quote = result.setting.base or 0, result.setting.quote or 0
    return Figures(
        pnl=float(totals.pnl_quote),
        exposure_s=totals.mean_exposure_quote * seconds,
        variance=totals.inventory_sd_quote**2,
        seconds=seconds,
        volume=float(totals.maker_volume_quote + totals.taker_volume_quote),
        fills=totals.trades,
        spread=float(totals.spread_quote),
        inventory=float(totals.inventory_quote),
        fees=float(totals.fees_quote - totals.rebates_quote),
        drawdown=float(totals.max_drawdown_quote),
        capital=float(base * totals.final_mid + quote),
    )


def pooled(each: Iterable[Figures]) -> Figures:
    """Several runs as if they had been one."""
    runs = list(each)
    return Figures(
        pnl=sum(run.pnl for run in runs),
        exposure_s=sum(run.exposure_s for run in runs),
        variance=sum(run.variance for run in runs),
        seconds=sum(run.seconds for run in runs),
        volume=sum(run.volume for run in runs),
        fills=sum(run.fills for run in runs),
        spread=sum(run.spread for run in runs),
        inventory=sum(run.inventory for run in runs),
        fees=sum(run.fees for run in runs),
        drawdown=max((run.drawdown for run in runs), default=0.0),
        capital=max((run.capital for run in runs), default=0.0),
    )


def score_of(objective: str, figures: Figures) -> float:
    """The score; more is better.

    Ratios speak of gains alone: a loss by a larger risk would look smaller. A losing set scores its loss as a
    share of the capital, so every loser is below 0 and the one that loses less is the better.

    Raises:
        InvalidInputError: there is no such objective.
    """
    check_objective(objective)
    measure = OBJECTIVES[objective]
    if objective == "pnl_quote":
        return figures.pnl
    if figures.pnl <= 0:
        return figures.pnl / figures.capital if figures.capital else figures.pnl
    return measure(figures) * min(1.0, figures.fills / TRUSTED_FILLS)


def check_objective(name: str) -> None:
    """Refuse an unknown one.

    Raises:
        InvalidInputError: with the known ones.
    """
    if name not in OBJECTIVES:
        raise InvalidInputError("objective", name, f"one of {', '.join(OBJECTIVES)}")


def _ratio(value: float, by: float) -> float:
    return value / by if by else 0.0


OBJECTIVES: Final[Mapping[str, Callable[[Figures], float]]] = MappingProxyType(
    {
        "pnl_per_risk": lambda figures: _ratio(figures.pnl, figures.exposure),
        "pnl_per_sd": lambda figures: _ratio(figures.pnl, sqrt(figures.variance)),
        "pnl_per_volume": lambda figures: _BPS * _ratio(figures.pnl, figures.volume),
        "pnl_quote": lambda figures: figures.pnl,
    }
)
"""PnL by mean exposure, by the deviation of the inventory's gains, by volume (basis points), alone."""
