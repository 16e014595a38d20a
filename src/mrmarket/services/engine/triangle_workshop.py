"""Runs that trade several pairs of one account, beside those that trade one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec

from mrmarket.core.clock import Clock
from mrmarket.services.engine.commands import CommandRefusedError
from mrmarket.services.engine.ports import Hosted, Workshop
from mrmarket.services.engine.section import MAIN_ACCOUNT
from mrmarket.services.engine.venue_room import LoneRoom
from mrmarket.services.engine.workshop import Room, RunHabits, SpecificationRefusedError, told
from mrmarket.store.operations import RunSpec
from mrmarket.store.trading_port import TradingLog
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.order_id import order_prefix
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.strategy.kind import Form
from mrmarket.trading.strategy.past import read_history
from mrmarket.trading.strategy.plugins import PluginRefusedError
from mrmarket.trading.strategy.registry import Registry, UnknownStrategyError
from mrmarket.trading.strategy.triangular.arbitrage import TriangularArbitrage
from mrmarket.trading.strategy.triangular.parameters import TriangularParameters
from mrmarket.trading.strategy.triangular.run import TriangularRun
from mrmarket.trading.venue.port import Venue


class TriangleWorkshop:
    """Implements `Workshop`: makes triangular arbitrage itself, and leaves everything else to another one."""

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
        """As `RunWorkshop`; the room is entered once for each pair."""
        self._inner = inner
        self._room = room
        self._log = log
        self._instance = instance
        self._wall = wall
        self._world = world
        self._board = board
        self._habits = habits
        self._strategies = strategies or Registry()

    def check(self, spec: RunSpec) -> None:
        """Refuse what cannot be run."""
        if self._is_triangle(spec):
            self._parameters(spec)
        else:
            self._inner.check(spec)

    async def make(self, spec: RunSpec, fence: int, guard: LeaseGuard) -> Hosted:
        """A run that has not begun."""
        if not self._is_triangle(spec):
            return await self._inner.make(spec, fence, guard)
        parameters = self._parameters(spec)
        venues: dict[str, Venue] = {}
        try:
            for each in _by_pair(spec, parameters):
                venues[each.pair] = await self._room.enter(each, order_prefix(self._instance, spec.id))
            history = await asyncio.to_thread(read_history, self._log, spec.id, with_fold=False)
            return TriangularRun(
                venues,
                TriangularArbitrage(parameters),
                self._log,
                instance=self._instance,
                stream=spec.id,
                wall=self._wall,
                world=self._world,
                fence=fence,
                timing=self._habits.timing,
                history=history,
                guard=guard,
                board=self._board,
                breakers=self._habits.breakers,
            )
        except BaseException:
            for _ in venues:
                await self._room.leave(spec)
            raise

    async def clear(self, spec: RunSpec, run: Hosted) -> None:
        """Leave the account to the other runs."""
        if not isinstance(run, TriangularRun):
            await self._inner.clear(spec, run)
            return
        for _ in run.markets:
            await self._room.leave(spec)

    def view(self, spec: RunSpec, run: Hosted) -> dict[str, Any]:
        """What the run's report carries."""
        if not isinstance(run, TriangularRun):
            return self._inner.view(spec, run)
        pnl = run.pnl_home
        return {
            "strategy": spec.kind,
            "home": run.home,
            "rounds": len(run.rounds),
            "pnl_home": None if pnl is None else str(round(pnl, 8)),
            "waits_for": run.waits_for,
            "last": run.rounds[-1].end if run.rounds else "",
        }

    async def command(self, run: Hosted, kind: str, arguments: dict[str, Any], asked_by: str) -> str:
        """As the other one's."""
        if not isinstance(run, TriangularRun):
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

    def _is_triangle(self, spec: RunSpec) -> bool:
        try:
            return self._strategies.find(spec.kind).kind.form is Form.TRIANGLE
        except (UnknownStrategyError, PluginRefusedError):
            return False  # the other one says so in its own words

    def _parameters(self, spec: RunSpec) -> TriangularParameters:
        if spec.account == MAIN_ACCOUNT or isinstance(self._room, LoneRoom):
            raise SpecificationRefusedError(
                spec.id,
                "it trades several pairs, of which the pool's books know one; put it under [[runs]] with an"
                " account of its own",
            )
        table = {**spec.parameters, "pair": spec.pair}
        try:
            found = self._strategies.parameters(spec.kind, table)
        except msgspec.ValidationError as refused:
            raise SpecificationRefusedError(spec.id, str(refused)) from None
        assert isinstance(found, TriangularParameters)  # noqa: S101 - the one schema of this form
        if not found.pairs:
            raise SpecificationRefusedError(
                spec.id, 'it names no further pairs; give it two, such as pairs = ["ETH/USDT", "ETH/BTC"]'
            )
        return found


def _by_pair(spec: RunSpec, parameters: TriangularParameters) -> Iterator[RunSpec]:
    """The specification as each of its pairs enters the room."""
    for symbol in parameters.symbols:
        yield msgspec.structs.replace(spec, pair=symbol)
