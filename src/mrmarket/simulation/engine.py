"""The engine role in the simulation: the real host and the real runs over modelled exchanges."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from mrmarket.core.clock import Clock
from mrmarket.core.events import Fact
from mrmarket.services.engine.host import EngineHost
from mrmarket.services.engine.ports import Hosted
from mrmarket.services.engine.timing import EngineTiming
from mrmarket.simulation.loop import EPOCH_NS, VirtualLoop
from mrmarket.simulation.process import Process
from mrmarket.simulation.trading_log import MemoryTradingLog
from mrmarket.simulation.operations import MemoryOperations
from mrmarket.simulation.venue import ExchangeLine
from mrmarket.store.operations import RunSpec
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.strategy.pure_market_making import PureMarketMaking
from mrmarket.trading.strategy.run import StrategyRun

_PAGE = 5_000

Connect = Callable[[Process, str], ExchangeLine]
"""Opens a process's line to an exchange, by the exchange's name."""


class ProcessClock:
    """The clock of the machine that a process runs on."""

    __slots__ = ("_loop", "_process")

    def __init__(self, loop: VirtualLoop, process: Process) -> None:
        self._loop = loop
        self._process = process

    def now_ns(self) -> int:
        """UTC nanoseconds, as wrong as the machine's clock is."""
        return EPOCH_NS + self._loop.now_ns() + self._process.skew_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds since the beginning."""
        return self._loop.now_ns()


@dataclass(slots=True)
class SimulatedWorkshop:
    """Implements `Workshop`: a line to the exchange and a run for each specification."""

    process: Process
    log: MemoryTradingLog
    clock: Clock
    timing: Timing
    connect: Connect
    runs: dict[str, StrategyRun] = field(default_factory=dict)
    """By id, those that are here; for the checkers."""
    lines: dict[str, ExchangeLine] = field(default_factory=dict)

    def check(self, spec: RunSpec) -> None:
        """Everything can be run here."""

    async def make(self, spec: RunSpec, fence: int, guard: LeaseGuard) -> Hosted:
        """A run that has not begun."""
        line = self.connect(self.process, spec.venue)
        line.guard, line.run = guard, spec.id
        self.lines[spec.id] = line
        await line.open()
        run = StrategyRun(
            line,
            PureMarketMaking(msgspec.convert(spec.parameters, Parameters)),
            self.log,
            instance="simulation",
            stream=spec.id,
            wall=self.clock,
            fence=fence,
            timing=self.timing,
            history=await asyncio.to_thread(lambda: list(self._history(spec.id))),
            mark_every_ns=30_000_000_000,
            balances_every_ns=30_000_000_000,
            **_GUARD(guard),
        )
        self.runs[spec.id] = run
        return cast("Hosted", run)

    async def clear(self, spec: RunSpec, run: Hosted) -> None:
        """Hang up."""
        if self.runs.get(spec.id) is cast("StrategyRun", run):
            del self.runs[spec.id]
        line = self.lines.pop(spec.id, None)
        if line is not None:
            await line.close()

    def view(self, spec: RunSpec, run: Hosted) -> dict[str, Any]:
        """Nobody looks."""
        return {}

    async def command(self, run: Hosted, kind: str, arguments: dict[str, Any], asked_by: str) -> str:
        """Carry out what is not for the host itself."""
        return ""

    def _history(self, stream: str) -> Iterator[Fact]:
        after = 0
        while rows := self.log.read_facts(stream, after, _PAGE):
            yield from (row.fact for row in rows)
            after = rows[-1].seq


def _GUARD(guard):
    import inspect
    return {"guard": guard} if "guard" in inspect.signature(StrategyRun.__init__).parameters else {}
