"""Carries out what a plan lets happen, and in the end heals everything."""

from __future__ import annotations

from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.simulation.chain_line import NODE
from mrmarket.simulation.disk import AFTER, BEFORE, Disk
from mrmarket.simulation.machine import Machine
from mrmarket.simulation.partner import PARTNER
from mrmarket.simulation.plan import Happening
from mrmarket.simulation.process import Process
from mrmarket.simulation.weather import FaultKind
from mrmarket.simulation.world import World

_AGAIN_S = 5.0
_STEPS = 400
_LABELS = (BEFORE, AFTER, "")
"""Of what a process dies at: a commit, or any labelled point at all."""
_COMMITS = 7
_POINTS = 200
_LEAP_S = 8
"""A clock leaps by at most half of this, forwards or back."""
LEAST_FAULTS: Final = 10
"""A storm that has struck less often by its last minutes goes on until it has."""
_MAKE_UP_S: Final = 450.0
"""Before the end of a storm; then it is looked at what is still wanting."""
_SHORT_S: Final = 2.0


class Storm:
    """Strikes a world at the times of its plan."""

    def __init__(self, world: World) -> None:
        self._world = world

    def begin(self) -> None:
        """Put everything on the calendar."""
        for happening in self._world.plan.happenings:
            self._world.network.later(happening.at_s, self.strike, happening)
        self._world.network.later(self._world.plan.storm_s - _MAKE_UP_S, self.make_up)

    def make_up(self) -> None:
        """Kill somebody if nobody was killed yet, and freeze somebody until there were enough faults.

        Chance may leave a crash to a process that does not get so far, and a storm with hardly anything.
        """
        world = self._world
        victims = world.victims()
        if not world.crashes and victims:
            process, _ = victims[0]
            world.weather.note(FaultKind.CRASH)
            process.kill("a crash")
            world.died(process)
        for number in range(LEAST_FAULTS - sum(world.weather.struck.values())):
            at_s = number * _AGAIN_S
            freeze = Happening(
                at_s=at_s, kind=FaultKind.PAUSE, target=number % 2 / 2, for_s=_SHORT_S, draw=0.0
            )
            world.network.later(at_s, self.strike, freeze)

    def strike(self, happening: Happening) -> None:
        """Let something happen; where nobody lives to whom it could, a little later."""
        world = self._world
        victims = world.victims()
        if not victims:
            world.network.later(_AGAIN_S, self.strike, happening)
            return
        process, machine = victims[int(happening.target * len(victims))]
        world.weather.note(happening.kind)
        if happening.kind is FaultKind.CHAIN_REORGANISATION:
            self._reorganise(happening)
            return
        if happening.kind in (FaultKind.DISK_FULL, FaultKind.DATABASE_AWAY):
            self._refuse(machine.disk, happening)
            return
        match happening.kind:
            case FaultKind.CRASH:
                process.steps_left = 1 + int(happening.draw * _STEPS)
            case FaultKind.CRASH_AT_COMMIT:
                label = _LABELS[int(happening.draw * len(_LABELS))]
                visits = _COMMITS if label else _POINTS
                process.crash_label = (label, 1 + int(happening.draw * 10_000) % visits)
            case FaultKind.POWER_CUT:
                self._cut_power(machine)
            case FaultKind.PAUSE:
                self._freeze(process, happening.for_s)
            case FaultKind.CLOCK_STEP:
                machine.skew_ns += int((happening.draw - 0.5) * _LEAP_S * NS_PER_S)
            case FaultKind.PARTITION:
                self._cut_off(process, happening)
            case _:
                raise ValueError(happening.kind)

    def end(self) -> None:
        """From now on nothing goes wrong any more."""
        world = self._world
        world.weather.is_calm = True
        world.network.heal()
        for process, machine in world.victims():
            machine.disk.is_full = machine.disk.is_away = False
            process.steps_left, process.crash_label = None, None
            if process.is_frozen:
                world.loop.thaw(process)
        for machine in world.machines:
            machine.disk.is_full = machine.disk.is_away = False

    def _reorganise(self, happening: Happening) -> None:
        if self._world.rewards is not None:
            self._world.rewards.partner.reorganise(happening.draw)

    def _refuse(self, disk: Disk, happening: Happening) -> None:
        is_full = happening.kind is FaultKind.DISK_FULL
        if is_full:
            disk.is_full = True
        else:
            disk.is_away = True
        self._world.network.later(happening.for_s, _empty if is_full else _bring_back, disk)

    def _cut_off(self, process: Process, happening: Happening) -> None:
        world = self._world
        peers = [*(exchange.name for exchange in world.exchanges), "rail"]
        if world.server is not None:
            peers.append("database")
        if world.rewards is not None:
            peers += [NODE, PARTNER, world.rewards.partner.rail.name]
        peer = peers[int(happening.draw * len(peers))]
        world.network.cut(process.name, peer, world.loop.time() + happening.for_s)

    def _freeze(self, process: Process, for_s: float) -> None:
        if not process.is_frozen:
            process.is_frozen = True
            self._world.network.later(for_s, self._world.loop.thaw, process)

    def _cut_power(self, machine: Machine) -> None:
        for process, place in self._world.victims():
            if place is machine:
                process.kill("a power cut")
                self._world.died(process)
        machine.disk.lose_power()


def _empty(disk: Disk) -> None:
    disk.is_full = False


def _bring_back(disk: Disk) -> None:
    disk.is_away = False
