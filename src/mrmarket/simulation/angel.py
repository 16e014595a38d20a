"""The Angel in the simulation: the real watch over modelled exchanges, on a machine of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from mrmarket.angel.charge import Charge
from mrmarket.angel.diary import Diary, Journal
from mrmarket.angel.settings import AngelSection
from mrmarket.angel.watch import Angel
from mrmarket.core.clock import NS_PER_S
from mrmarket.core.notice import Unheard
from mrmarket.services.angel.sources import OperationsBeats
from mrmarket.simulation.engine import INSTANCE
from mrmarket.simulation.machine import Machine, ProcessClock
from mrmarket.simulation.network import Network
from mrmarket.simulation.operations import MemoryOperations
from mrmarket.simulation.process import Process
from mrmarket.simulation.trading_log import MemoryTradingLog
from mrmarket.simulation.venue import ExchangeLine
from mrmarket.trading.execution.order_id import order_prefix

_TAG_END = 7
"""`mm` and five characters say which instance an order is of."""
_RECV_WINDOW_MS = 2_000
_STEP_NS = NS_PER_S // 4
_POLL_NS = NS_PER_S


@dataclass(slots=True)
class AngelNode:
    """The Angel: its machine, and the life it is in."""

    machine: Machine
    network: Network
    rng: Random
    lease_s: float
    connect: Callable[[Process], Sequence[ExchangeLine]]
    new_log: Callable[[Machine], MemoryTradingLog]
    new_operations: Callable[[Machine], MemoryOperations]
    on_end: Callable[[Process, BaseException | None], None]
    process: Process | None = None
    angel: Angel | None = None
    lives: int = 0
    past_interventions: int = 0

    name = "angel"

    def start(self) -> None:
        """A new life."""
        self.lives += 1
        process = self.process = Process(self.name, self.lives, self.machine)
        process.run(self._launch, process)

    @property
    def interventions(self) -> int:
        """How often it stepped in, in all its lives."""
        living = 0 if self.angel is None else self.angel.responder.interventions
        return self.past_interventions + living

    def bury(self) -> None:
        """Its process is dead."""
        self.past_interventions, self.angel = self.interventions, None

    def _launch(self, process: Process) -> None:
        clock = ProcessClock(self.network.loop, process)
        operations = self.new_operations(self.machine)
        settings = AngelSection(
            threshold_s=self.lease_s * 0.5,
            heir_patience_s=self.lease_s * 0.8,
            poll_s=self.lease_s / 8,
            lease_ttl_s=self.lease_s,
        )

        def new_id() -> str:
            return f"{self.rng.getrandbits(96):024x}"

        self.angel = Angel(
            Charge(
                name=self.name,
                venues=self.connect(process),
                instance_prefix=order_prefix(INSTANCE, "")[:_TAG_END],
                run_prefix=lambda run: order_prefix(INSTANCE, run),
            ),
            settings,
            replace(settings.pace(_RECV_WINDOW_MS), step_ns=_STEP_NS, poll_ns=_POLL_NS),
            [OperationsBeats(operations)],
            self.new_log(self.machine),
            operations,
            Diary(self.name, operations, Journal(None), Unheard(), clock, new_id),
            clock,
            new_id,
        )
        task = self.network.loop.create_task(self.angel.run(), name=f"{process} watch")
        task.add_done_callback(lambda done: self._ended(process, done))

    def _ended(self, process: Process, task: asyncio.Task[None]) -> None:
        if process.is_alive and not task.cancelled():
            error = task.exception()
            process.kill("it ended by itself")
            self.on_end(process, error)
