"""An engine out of a configuration: its board, its kill switch, its workshop and its host."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mrmarket.core.clock import Clock
from mrmarket.core.instrument import Instrument
from mrmarket.core.notice import NoticeSink
from mrmarket.services.config_sections import Config
from mrmarket.services.engine.goal_desk import GoalDesk
from mrmarket.services.engine.host import EngineHost
from mrmarket.services.engine.keeper import OnRun
from mrmarket.services.engine.ports import Hosted, Workshop
from mrmarket.services.engine.setbacks import RESTING
from mrmarket.services.engine.specs import pairs_of
from mrmarket.services.engine.triangle_workshop import TriangleWorkshop
from mrmarket.services.engine.workshop import Room, RunHabits, RunWorkshop
from mrmarket.services.selection.two_venues import Second, TwoVenueWorkshop
from mrmarket.services.telemetry.followed_workshop import FollowedWorkshop
from mrmarket.services.telemetry.order_log import OrderLog
from mrmarket.store.operations import Beat, DesiredState, OperationsStore, RunSpec
from mrmarket.store.trading_port import TradingLog
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.execution.risk.kill_switch import HaltFile, KillSwitch, install
from mrmarket.trading.execution.risk.restart import RestartPolicy
from mrmarket.trading.strategy.observer import RunObserver
from mrmarket.trading.strategy.run import StrategyRun


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSetting:
    """Where an engine is and what it is made for."""

    node: str
    """Owner of its leases."""
    role: str
    """`engine` or `all`."""
    instance: str
    """A part of every order id; the same for all engines of an instance."""
    folder: Path
    """Where the kill switch's note lies."""
    operations: OperationsStore
    log: TradingLog
    room: Room
    wall: Clock
    world: Clock
    notices: NoticeSink
    order_log: OrderLog | None = None
    """Follows each run from its first fact."""
    campaigns: Clock | None = None
    """By which cycles of campaigns are counted; None: by the wall."""


class Engine:
    """A host with everything around it."""

    def __init__(
        self,
        config: Config,
        setting: EngineSetting,
        *,
        on_run: OnRun,
        observer: Callable[[RunSpec, Instrument], RunObserver | None] = lambda _spec, _instrument: None,
        view: Callable[[RunSpec, StrategyRun], dict[str, Any]] = lambda _spec, _run: {},
        serves: Callable[[RunSpec], bool] = lambda _: True,
        second: Second | None = None,
    ) -> None:
        """Put it together; nothing begins. Arguments as those of `RunWorkshop` and `EngineHost`.

        `second` gives runs that trade on two venues their other one.
        """
        risk, wall = config.risk, setting.wall
        self.board = RiskBoard(wall, rearming=risk.rearming(), sink=setting.notices)
        self.switch = KillSwitch(self.board, HaltFile(setting.folder))
        habits = RunHabits(limits=risk.orders(), breakers=risk.breakers(), dead_man_s=config.venue.dead_man_s)
        workshop: Workshop = RunWorkshop(
            setting.room,
            setting.log,
            instance=setting.instance,
            wall=wall,
            world=setting.world,
            observer=observer,
            view=view,
            on_made=self._made,
            board=self.board,
            habits=habits,
        )
        if second is not None:
            workshop = TwoVenueWorkshop(
                workshop,
                setting.room,
                setting.log,
                second,
                instance=setting.instance,
                wall=wall,
                world=setting.world,
                board=self.board,
                habits=habits,
            )
        workshop = TriangleWorkshop(
            workshop,
            setting.room,
            setting.log,
            instance=setting.instance,
            wall=wall,
            world=setting.world,
            board=self.board,
            habits=habits,
        )
        if setting.order_log is not None:
            workshop = FollowedWorkshop(workshop, setting.order_log)
        self.host = EngineHost(
            setting.node,
            setting.operations,
            setting.log,
            workshop,
            clock=wall,
            timing=config.engine.timing(),
            role=setting.role,
            notices=setting.notices,
            board=self.board,
            restarts=RestartPolicy(risk.restarts()),
            adopt=config.engine.adopt_orders,
            on_run=on_run,
            serves=serves,
            machine=socket.gethostname(),
            process=os.getpid(),
            has_ended=_has_ended,
            detail=lambda: {RESTING: sorted(self.host.keeper.setbacks.barred(wall.monotonic_ns()))},
        )
        self.goals = GoalDesk(
            setting.operations,
            self.host.line,
            self.board.mandates,
            setting.campaigns or wall,
            only_for_campaigns=config.campaigns.only_for_campaigns,
        )
        self._look_s = config.engine.timing().look_s

    @property
    def runs(self) -> list[StrategyRun]:
        """Those that are here."""
        return [seat.run for seat in self.host.seats.values() if isinstance(seat.run, StrategyRun)]

    def held(self, run: str) -> Hosted | None:
        """A run that is here."""
        return self.host.run(run)

    async def keep(self) -> None:
        """Hold runs until cancelled; the kill switch is looked at before the first order."""
        self.switch.look()
        remove = install(self.switch, signal.SIGUSR1)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.switch.watch(), name="kill switch")
                group.create_task(self._tick_board(), name="risk board")
                group.create_task(self.goals.keep(lambda: self.host.specs, self._look_s), name="goals")
                group.create_task(self.host.keep(), name="engine")
        except ExceptionGroup as group:
            raise _first(group) from group
        finally:
            remove()

    async def close(self, *, abandon: bool = False) -> None:
        """Set every run down, or drop it where it is; to be called once `keep` has ended."""
        if abandon:
            await self.host.abandon()
        else:
            await self.host.close()

    async def _tick_board(self) -> None:
        """Restrictions end by time alone, also while no run is here to look."""
        while True:
            await asyncio.sleep(0.25)
            self.board.tick()

    def _explains(self, spec: RunSpec, asset: str) -> bool:
        """Whether the run hears of every trade of an asset: no other pair of its account has it."""
        return not any(
            asset in pair.split("/")
            for each in self.host.specs.values()
            if (each.venue, each.account) == (spec.venue, spec.account)
            and each.desired is not DesiredState.STOPPED
            for pair in pairs_of(each)
            if pair != spec.pair
        )

    def _made(self, spec: RunSpec, run: StrategyRun) -> None:
        findings = self.host.findings
        run.differences.listen(lambda difference, stands: findings.note(spec.id, difference, stands))
        run.audit.audits = partial(self._explains, spec)


def _has_ended(beat: Beat) -> bool:
    """Whether the process that gave a sign of life is certainly gone: it was one of this machine."""
    if beat.host != socket.gethostname() or not beat.pid:
        return False
    try:
        os.kill(beat.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return beat.pid == os.getpid()


def _first(error: Exception) -> Exception:
    """What went wrong first, without what was wrapped around it on its way."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
