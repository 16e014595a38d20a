"""What an owner does by hand that takes a while: flattening, at most one at a time."""

from __future__ import annotations

import asyncio
from typing import Protocol

from mrmarket.core.clock import Clock
from mrmarket.trading.execution.assembly import Execution
from mrmarket.trading.execution.risk.flatten import FlattenReport, FlattenRules
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.strategy.errors import ControlRefusedError
from mrmarket.trading.strategy.flattener import Flattener, Scene
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.run_risk import RunRisk
from mrmarket.trading.strategy.sweep import Sweep


class Controlled(Scene, Protocol):
    """A run, as its controls see it."""

    @property
    def stream(self) -> str:
        """Its name."""
        ...

    @property
    def state(self) -> RunState:
        """Where it is in its life."""
        ...

    @property
    def risk(self) -> RunRisk:
        """What it may do."""
        ...

    def set_paused(self, reason: str) -> None:
        """Stay without quotes, and say why."""
        ...


class OwnerControls:
    """Holds the flattening at work; whoever asks again joins it."""

    def __init__(self, run: Controlled, execution: Execution, sweep: Sweep, wall: Clock) -> None:
        self.last: FlattenReport | None = None
        """What the last flattening came to."""
        self._run = run
        self._execution = execution
        self._sweep = sweep
        self._wall = wall
        self._task: asyncio.Task[FlattenReport] | None = None

    @property
    def is_flattening(self) -> bool:
        """Whether one is at work."""
        return self._task is not None and not self._task.done()

    async def flatten(self, reason: str, rules: FlattenRules) -> FlattenReport:
        """Bring the position to its target, then stay paused.

        Raises:
            ControlRefusedError: if the run is not at work, or may not place anything now.
        """
        if self._task is None or self._task.done():
            run = self._run
            if run.state not in (RunState.RUNNING, RunState.PAUSED):
                raise ControlRefusedError(run.stream, "flatten", f"it is {run.state.value}; start it first")
            if run.risk.state >= RiskState.CANCEL_ONLY:
                raise ControlRefusedError(
                    run.stream, "flatten", f"{run.risk.why}; pause the run, then re-arm it, then flatten"
                )
            self._task = asyncio.get_running_loop().create_task(self._work(reason, rules), name="flatten")
        return await asyncio.shield(self._task)

    async def end_flattening(self) -> None:
        """Stop where it is; the next order is not sent."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _work(self, reason: str, rules: FlattenRules) -> FlattenReport:
        run = self._run
        run.set_paused(f"flattening: {reason}")
        flattener = Flattener(
            run, self._execution, self._sweep, run.risk.gap_lots, rules, self._wall, run.set_paused
        )
        report = await flattener.work()
        self.last = report
        run.set_paused(("flat: " if report.flat else "not flat: ") + report.reason)
        return report
