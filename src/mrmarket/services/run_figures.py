"""What the money pages show of a run."""

from __future__ import annotations

from collections.abc import Callable

from mrmarket.services.run_desk import RunDesk


class RunFigures:
    """Implements `TradingFigures` over whatever shows the run; empty before it has begun anywhere."""

    def __init__(self, desk: Callable[[], RunDesk | None], pair: str) -> None:
        self._desk = desk
        self._pair = pair

    @property
    def pair(self) -> str:
        """What it trades."""
        return self._pair

    @property
    def quote_uptime(self) -> float | None:
        """Share of the time with two-sided quotes."""
        desk = self._desk()
        return None if desk is None else desk.performance().quote_uptime

    @property
    def inventory_share(self) -> float | None:
        """Share of base in what it holds; None before there are prices."""
        desk = self._desk()
        return None if desk is None else desk.performance().inventory_share

    @property
    def inventory_target(self) -> float | None:
        """The share of base that it aims for."""
        desk = self._desk()
        return None if desk is None else desk.performance().inventory_target
