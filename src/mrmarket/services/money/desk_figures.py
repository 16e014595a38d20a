"""What the money pages say about trading."""

from __future__ import annotations

from typing import Protocol


class TradingFigures(Protocol):
    """The run as the business core may see it: figures, no orders."""

    @property
    def pair(self) -> str:
        """What it trades."""
        ...

    @property
    def quote_uptime(self) -> float | None:
        """Share of the time with two-sided quotes."""
        ...

    @property
    def inventory_share(self) -> float | None:
        """Share of base in what it holds."""
        ...

    @property
    def inventory_target(self) -> float | None:
        """The share that it aims for."""
        ...
