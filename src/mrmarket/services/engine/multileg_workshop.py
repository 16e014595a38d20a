"""Runs over several markets, beside those that trade one: what every workshop for them has in common."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from mrmarket.core.clock import Clock
from mrmarket.services.engine.ports import Hosted, Workshop
from mrmarket.services.engine.workshop import Room, RunHabits, obeyed
from mrmarket.store.operations import RunSpec
from mrmarket.store.trading_port import TradingLog
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.strategy.kind import StrategyKind
from mrmarket.trading.strategy.multileg.host import MultiLegRun
from mrmarket.trading.strategy.multileg.setting import RunSetting
from mrmarket.trading.strategy.past import History, read_history
from mrmarket.trading.strategy.plugins import PluginRefusedError
from mrmarket.trading.strategy.registry import Registry, UnknownStrategyError


class MultiLegWorkshop(ABC):
    """Implements `Workshop`: makes runs of its kind itself, and leaves everything else to another one."""

    def __init__(
        self,
        inner: Workshop,
        room: Room,
        log: TradingLog,
        *,
        instance: str,
        wall: Clock,
        world: Clock,
        board: RiskBoard,
        habits: RunHabits,
        strategies: Registry | None = None,
    ) -> None:
        """As `RunWorkshop`; `inner` makes what is none of its kind."""
        self._inner = inner
        self._room = room
        self._log = log
        self._instance = instance
        self._wall = wall
        self._world = world
        self._board = board
        self._habits = habits
        self._strategies = strategies or Registry()

    @abstractmethod
    def _takes(self, kind: StrategyKind) -> bool:
        """Whether it makes runs of a kind."""

    @abstractmethod
    def _check(self, spec: RunSpec) -> None:
        """Refuse one of its kind that cannot be run."""

    @abstractmethod
    async def _enter(self, spec: RunSpec, setting: RunSetting) -> MultiLegRun:
        """Enter the room and put the run together; leave the room again where that fails."""

    @abstractmethod
    async def _leave(self, spec: RunSpec, run: Hosted) -> None:
        """Leave the room as often as it was entered."""

    @abstractmethod
    def _view(self, spec: RunSpec, run: Hosted) -> dict[str, Any]:
        """What the run's report carries."""

    def check(self, spec: RunSpec) -> None:
        """Refuse what cannot be run."""
        if self._is_mine(spec):
            self._check(spec)
        else:
            self._inner.check(spec)

    async def make(self, spec: RunSpec, fence: int, guard: LeaseGuard) -> Hosted:
        """A run that has not begun."""
        if not self._is_mine(spec):
            return await self._inner.make(spec, fence, guard)
        self._check(spec)
        setting = RunSetting(
            instance=self._instance,
            stream=spec.id,
            wall=self._wall,
            world=self._world,
            fence=fence,
            timing=self._habits.timing or Timing(),
            guard=guard,
            board=self._board,
            breakers=self._habits.breakers or BreakerLimits(),
        )
        return await self._enter(spec, setting)

    async def clear(self, spec: RunSpec, run: Hosted) -> None:
        """Leave the accounts to the other runs."""
        if self._is_mine(spec):
            await self._leave(spec, run)
        else:
            await self._inner.clear(spec, run)

    def view(self, spec: RunSpec, run: Hosted) -> dict[str, Any]:
        """What the run's report carries."""
        return self._view(spec, run) if self._is_mine(spec) else self._inner.view(spec, run)

    async def command(self, run: Hosted, kind: str, arguments: dict[str, Any], asked_by: str) -> str:
        """What is not the host's affair."""
        if not isinstance(run, MultiLegRun):
            return await self._inner.command(run, kind, arguments, asked_by)
        return await obeyed(run, kind, arguments, asked_by)

    def _kind(self, spec: RunSpec) -> StrategyKind:
        return self._strategies.find(spec.kind).kind

    def _is_mine(self, spec: RunSpec) -> bool:
        try:
            return self._takes(self._kind(spec))
        except (UnknownStrategyError, PluginRefusedError):
            return False  # the other one says so in its own words

    async def _history(self, spec: RunSpec) -> History:
        return await asyncio.to_thread(read_history, self._log, spec.id, with_fold=False)
