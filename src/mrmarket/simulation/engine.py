"""The engine role in the simulation: the real host, workshop and runs over modelled exchanges."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from mrmarket.core.clock import NS_PER_S
from mrmarket.services.engine.host import EngineHost
from mrmarket.services.engine.timing import EngineTiming
from mrmarket.services.engine.workshop import RunHabits, RunWorkshop
from mrmarket.simulation.checkers import BOOK_AGE_S
from mrmarket.simulation.machine import Machine, ProcessClock
from mrmarket.simulation.network import Network
from mrmarket.simulation.operations import MemoryOperations
from mrmarket.simulation.process import Process
from mrmarket.simulation.trading_log import MemoryTradingLog
from mrmarket.simulation.venue import ExchangeLine
from mrmarket.store.operations import RunSpec
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.strategy.run import StrategyRun
from mrmarket.trading.venue.port import Venue

INSTANCE = "simulation"
"""A part of every order id."""

_BOARD_S = 30.0


@dataclass(slots=True)
class SimulatedRoom:
    """Implements `Room`: a line to the exchange of each run."""

    connect: Callable[[RunSpec], ExchangeLine]
    lines: dict[str, ExchangeLine] = field(default_factory=dict)
    """By run, the newest."""

    async def enter(self, spec: RunSpec, prefix: str) -> Venue:  # noqa: ARG002 - a line serves one run
        """Open a line."""
        line = self.lines[spec.id] = self.connect(spec)
        await line.open()
        return line

    async def leave(self, spec: RunSpec) -> None:
        """Hang up."""
        line = self.lines.pop(spec.id, None)
        if line is not None:
            await line.close()

    def sever(self) -> None:
        """The process is dead: every line of it is."""
        for line in self.lines.values():
            line.sever()


@dataclass(slots=True)
class EngineNode:
    """An engine: its machine, and the life it is in."""

    name: str
    machine: Machine
    network: Network
    seed: int
    lease_s: float
    habits: RunHabits
    connect: Callable[[Process, RunSpec], ExchangeLine]
    new_log: Callable[[Machine], MemoryTradingLog]
    new_operations: Callable[[Machine], MemoryOperations]
    on_end: Callable[[Process, BaseException | None], None]
    """Told of a process that ended by itself."""
    process: Process | None = None
    host: EngineHost | None = None
    room: SimulatedRoom | None = None
    lives: int = 0

    @property
    def is_alive(self) -> bool:
        """Whether its process lives."""
        return self.process is not None and self.process.is_alive

    @property
    def runs(self) -> list[StrategyRun]:
        """Those that are here."""
        if self.host is None or not self.is_alive:
            return []
        return [seat.run for seat in self.host.seats.values() if isinstance(seat.run, StrategyRun)]

    def start(self) -> None:
        """A new life."""
        self.lives += 1
        process = self.process = Process(self.name, self.lives, self.machine)
        process.run(self._launch, process)

    def bury(self) -> None:
        """Its process is dead: hang up."""
        if self.room is not None:
            self.room.sever()

    def _launch(self, process: Process) -> None:
        clock = ProcessClock(self.network.loop, process)
        log = self.new_log(self.machine)
        room = self.room = SimulatedRoom(lambda spec: self.connect(process, spec))
        board = RiskBoard(clock)
        workshop = RunWorkshop(
            room, log, instance=INSTANCE, wall=clock, board=board, habits=self.habits, on_made=self._made
        )
        self.host = EngineHost(
            self.name,
            self.new_operations(self.machine),
            log,
            workshop,
            clock=clock,
            timing=engine_timing(self.lease_s),
            board=board,
            random=Random(f"{self.seed} {process}"),  # noqa: S311 - repeatable on purpose, guards nothing
        )
        task = self.network.loop.create_task(self._keep(self.host, board), name=f"{process} host")
        task.add_done_callback(lambda done: self._ended(process, done))

    async def _keep(self, host: EngineHost, board: RiskBoard) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(host.keep())
            group.create_task(_tick(board))

    def _made(self, spec: RunSpec, run: StrategyRun) -> None:
        host, room = self.host, self.room
        if host is not None and room is not None:
            findings = host.findings
            run.differences.listen(lambda difference, stands: findings.note(spec.id, difference, stands))
            room.lines[spec.id].guard = host.seats[spec.id].guard
            tracker = run.watch.tracker
            tracker.max_age_ns = tracker.max_silence_ns = int(BOOK_AGE_S * NS_PER_S)

    def _ended(self, process: Process, task: asyncio.Task[None]) -> None:
        if process.is_alive and not task.cancelled():
            error = task.exception()
            process.kill("it ended by itself")
            self.on_end(process, error)


def engine_timing(lease_s: float) -> EngineTiming:
    """An engine's periods, in proportion to the length of a lease."""
    return EngineTiming(
        beat_s=lease_s / 4,
        look_s=lease_s / 3,
        report_s=lease_s * 4,
        lease_s=lease_s,
        renew_s=lease_s / 3,
        dead_s=lease_s * 0.9,
        patience_s=lease_s / 3,
        steady_s=lease_s / 3,
    )


async def _tick(board: RiskBoard) -> None:
    while True:
        await asyncio.sleep(_BOARD_S)
        board.tick()
