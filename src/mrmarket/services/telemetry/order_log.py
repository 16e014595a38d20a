"""One writer of log lines for the orders of every run in this process."""

from __future__ import annotations

import asyncio
from typing import Final

from mrmarket.services.telemetry.order_lines import OrderLines
from mrmarket.trading.strategy.run import StrategyRun

_EVERY_S: Final = 0.5


class OrderLog:
    """Follows runs from their construction to their end."""

    def __init__(self, *, per_s: int) -> None:
        self._per_s = per_s
        self._lines: dict[str, OrderLines] = {}

    @property
    def left_out(self) -> int:
        """Routine lines above the limit, of the runs that are followed now."""
        return sum(lines.left_out for lines in self._lines.values())

    def follow(self, run: StrategyRun, fence: int) -> None:
        """Write down what becomes of a run's orders, from its first fact on."""
        lines = OrderLines(run.stream, fence, per_s=self._per_s)
        self._lines[run.stream] = lines
        run.facts.told = lines.take

    def forget(self, run: StrategyRun) -> None:
        """Write what is left of a run that has ended."""
        run.facts.told = None
        lines = self._lines.pop(run.stream, None)
        if lines is not None:
            lines.write(1.0)

    async def keep(self) -> None:
        """Write twice a second until cancelled, in a thread: the disk may be slow."""
        try:
            while True:
                await asyncio.sleep(_EVERY_S)
                await asyncio.to_thread(self._write, _EVERY_S)
        finally:
            self._write(1.0)

    def _write(self, passed_s: float) -> None:
        for lines in list(self._lines.values()):
            lines.write(passed_s)
