"""What every play of several markets takes for granted, as its report says it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mrmarket.trading.backtest.result import Assumption
from mrmarket.trading.backtest.setting import BacktestSetting


def leg_assumptions(full: BacktestSetting, depth_share: Fraction, halts: str) -> Iterator[Assumption]:
    """Depth, latency, impact and halts; `halts`: what is counted that live the owner looks at first."""
    yield Assumption(
        name="depth",
        value=f"{float(depth_share):.0%} of each level",
        meaning="The rest is taken to be gone when we come. What we took is gone until the level is updated.",
    )
    yield Assumption(
        name="latency",
        value=f"{type(full.latency).__name__}, feed {full.latency.feed_ns / 1e6:g} ms",
        meaning="Each request and each answer takes its time; nothing is lost on the way.",
    )
    yield Assumption(
        name="market impact",
        value="none on others",
        meaning="History goes on as it was recorded: nobody reacts to our orders.",
    )
    yield Assumption(
        name="halts",
        value="re-armed at once",
        meaning=f"{halts} is counted; live, the owner looks first.",
    )
