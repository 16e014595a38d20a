"""What the money pages show of a run."""

from __future__ import annotations

from mrmarket.trading.strategy.run import StrategyRun


class RunFigures:
    """Implements `TradingFigures` over a run."""

    def __init__(self, run: StrategyRun, pair: str) -> None:
        self._run = run
        self._pair = pair

    @property
    def pair(self) -> str:
        """What it trades."""
        return self._pair

    @property
    def quote_uptime(self) -> float | None:
        """Share of the time with two-sided quotes."""
        return self._run.uptime.share

    @property
    def inventory_share(self) -> float | None:
        """Share of base in what it holds; None before there are prices."""
        view = self._run.watch.view(self._run.account)
        return None if view is None or view.base_share is None else float(view.base_share)

    @property
    def inventory_target(self) -> float | None:
        """The share of base that it aims for."""
        return float(self._run.strategy.inventory_target)
