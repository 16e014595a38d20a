"""Runs that trade on two venues, beside those that trade on one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mrmarket.core.clock import Clock
from mrmarket.services.engine.commands import CommandRefusedError
from mrmarket.services.engine.ports import Hosted, Workshop
from mrmarket.services.engine.workshop import Room, RunHabits, SpecificationRefusedError, told
from mrmarket.store.operations import RunSpec
from mrmarket.store.trading_port import TradingLog
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.order_id import order_prefix
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.strategy.arbitrage.run import ArbitrageRun
from mrmarket.trading.strategy.arbitrage.two_venue_run import Place, TwoVenueRun
from mrmarket.trading.strategy.cross_making.run import MakingRun
from mrmarket.trading.strategy.past import History, read_history
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.strategy.selection.funded_cross import FundedCross, FundedMaker
from mrmarket.trading.venue.port import Venue

Second = Callable[[RunSpec], Venue | None]
"""The open second venue of a run; None where there is none."""


class TwoVenueWorkshop:
    """Implements `Workshop`: makes arbitrage and hedged makers, and leaves everything else to another one."""

    def __init__(
        self,
        inner: Workshop,
        room: Room,
        log: TradingLog,
        second: Second,
        *,
        instance: str,
        wall: Clock,
        world: Clock,
        board: RiskBoard,
        habits: RunHabits,
        strategies: Registry | None = None,
    ) -> None:
        """As `RunWorkshop`, with `second` for the other venue."""
        self._inner = inner
        self._room = room
        self._log = log
        self._second = second
        self._instance = instance
        self._wall = wall
        self._world = world
        self._board = board
        self._habits = habits
        self._strategies = strategies or Registry()

    def check(self, spec: RunSpec) -> None:
        """Refuse what cannot be run."""
        if not self._is_cross(spec):
            self._inner.check(spec)
            return
        if self._is_hedged(spec):
            self._strategies.make_maker(self._parameters(spec))
        else:
            self._strategies.make_cross(self._parameters(spec))
        if self._second(spec) is None:
            raise SpecificationRefusedError(spec.id, "it trades between two venues, and here is one")

    async def make(self, spec: RunSpec, fence: int, guard: LeaseGuard) -> Hosted:
        """A run that has not begun."""
        if not self._is_cross(spec):
            return await self._inner.make(spec, fence, guard)
        self.check(spec)
        other = self._second(spec)
        assert other is not None  # noqa: S101 - checked
        venue = await self._room.enter(spec, order_prefix(self._instance, spec.id))
        try:
            history = await asyncio.to_thread(read_history, self._log, spec.id, with_fold=False)
            return self._run(spec, (Place(venue), Place(other)), history, fence, guard)
        except BaseException:
            await self._room.leave(spec)
            raise

    def _run(
        self, spec: RunSpec, places: tuple[Place, Place], history: History, fence: int, guard: LeaseGuard
    ) -> TwoVenueRun:
        parameters, budget = self._parameters(spec), self._board.budgets.of(spec.id)
        common: dict[str, Any] = {
            "instance": self._instance,
            "stream": spec.id,
            "wall": self._wall,
            "world": self._world,
            "fence": fence,
            "timing": self._habits.timing,
            "history": history,
            "guard": guard,
            "board": self._board,
            "breakers": self._habits.breakers,
        }
        if self._is_hedged(spec):
            maker = FundedMaker(self._strategies.make_maker(parameters), budget)
            return MakingRun(places, maker, self._log, **common)
        strategy = FundedCross(self._strategies.make_cross(parameters), budget)
        return ArbitrageRun(places, strategy, self._log, **common)

    async def clear(self, spec: RunSpec, run: Hosted) -> None:
        """Leave the first venue to others; the second one stays open."""
        if self._is_cross(spec):
            await self._room.leave(spec)
        else:
            await self._inner.clear(spec, run)

    def view(self, spec: RunSpec, run: Hosted) -> dict[str, Any]:
        """What the run's report carries: nothing of theirs yet."""
        return {} if isinstance(run, TwoVenueRun) else self._inner.view(spec, run)

    async def command(self, run: Hosted, kind: str, arguments: dict[str, Any], asked_by: str) -> str:
        """As the other one's."""
        if not isinstance(run, TwoVenueRun):
            return await self._inner.command(run, kind, arguments, asked_by)
        reason = str(arguments.get("reason") or f"{asked_by} asked for it")
        match kind:
            case "cancel_all":
                return told(await run.cancel_all(reason))
            case "halt":
                return told(await run.halt(reason, asked_by))
            case "flatten":
                await run.flatten(reason)
            case "rearm":
                cause = arguments.get("cause")
                return f"lifted: {', '.join(run.rearm(None if cause is None else str(cause))) or 'nothing'}"
        raise CommandRefusedError(kind, run.stream, "there is no such command")

    def _is_cross(self, spec: RunSpec) -> bool:
        return self._strategies.find(spec.kind).kind.venues > 1

    def _is_hedged(self, spec: RunSpec) -> bool:
        return self._strategies.find(spec.kind).kind.hedged

    def _parameters(self, spec: RunSpec) -> Any:
        return self._strategies.parameters(spec.kind, {**spec.parameters, "pair": spec.pair})
