"""Where simulated processes run: a disk, and a clock that may be wrong."""

from __future__ import annotations

from dataclasses import dataclass

from mrmarket.core.clock import NS_PER_S
from mrmarket.simulation.disk import Disk
from mrmarket.simulation.loop import EPOCH_NS, VirtualLoop
from mrmarket.simulation.process import Process


@dataclass(slots=True, eq=False)
class Machine:
    """Shared by the processes on it."""

    name: str
    disk: Disk
    skew_ns: int = 0
    """How far its wall clock is ahead."""


class ProcessClock:
    """The clock of the machine that a process runs on."""

    __slots__ = ("_loop", "_process")

    def __init__(self, loop: VirtualLoop, process: Process) -> None:
        self._loop = loop
        self._process = process

    def now_ns(self) -> int:
        """UTC nanoseconds, as wrong as the machine's clock is."""
        return EPOCH_NS + int(self._loop.now_s * NS_PER_S) + self._process.machine.skew_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds since the beginning."""
        return int(self._loop.now_s * NS_PER_S)
