"""Runs that trade on two venues, beside those that trade on one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mrmarket.core.clock import Clock
from mrmarket.services.engine.multileg_workshop import MultiLegWorkshop
from mrmarket.services.engine.ports import Hosted, Workshop
from mrmarket.services.engine.workshop import Room, RunHabits, SpecificationRefusedError
from mrmarket.store.operations import RunSpec
from mrmarket.store.trading_port import TradingLog
from mrmarket.trading.execution.order_id import order_prefix
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.strategy.arbitrage.run import ArbitrageRun
from mrmarket.trading.strategy.arbitrage.two_venue_run import TwoVenueRun
from mrmarket.trading.strategy.cross_making.run import MakingRun
from mrmarket.trading.strategy.kind import StrategyKind
from mrmarket.trading.strategy.multileg.setting import Place, RunSetting
from mrmarket.trading.strategy.past import History
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.strategy.selection.funded_cross import FundedCross, FundedMaker
from mrmarket.trading.venue.port import Venue

Second = Callable[[RunSpec], Venue | None]
"""The open second venue of a run; None where there is none."""


class TwoVenueWorkshop(MultiLegWorkshop):
    """Makes arbitrage and hedged makers; the room is entered for the first venue, the second stays open."""

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
        """As `MultiLegWorkshop`, with `second` for the other venue."""
        super().__init__(
            inner,
            room,
            log,
            instance=instance,
            wall=wall,
            world=world,
            board=board,
            habits=habits,
            strategies=strategies,
        )
        self._second = second

    def _takes(self, kind: StrategyKind) -> bool:
        return kind.venues > 1

    def _check(self, spec: RunSpec) -> None:
        if self._kind(spec).hedged:
            self._strategies.make_maker(self._parameters(spec))
        else:
            self._strategies.make_cross(self._parameters(spec))
        if self._second(spec) is None:
            raise SpecificationRefusedError(spec.id, "it trades between two venues, and here is one")

    async def _enter(self, spec: RunSpec, setting: RunSetting) -> TwoVenueRun:
        other = self._second(spec)
        assert other is not None  # noqa: S101 - checked
        venue = await self._room.enter(spec, order_prefix(self._instance, spec.id))
        try:
            return self._run(spec, (Place(venue), Place(other)), setting, await self._history(spec))
        except BaseException:
            await self._room.leave(spec)
            raise

    def _run(
        self, spec: RunSpec, places: tuple[Place, Place], setting: RunSetting, history: History
    ) -> TwoVenueRun:
        parameters, budget = self._parameters(spec), self._board.budgets.of(spec.id)
        if self._kind(spec).hedged:
            maker = FundedMaker(self._strategies.make_maker(parameters), budget)
            return MakingRun(places, maker, self._log, setting, history=history)
        strategy = FundedCross(self._strategies.make_cross(parameters), budget)
        return ArbitrageRun(places, strategy, self._log, setting, history=history)

    async def _leave(self, spec: RunSpec, run: Hosted) -> None:  # noqa: ARG002 - entered once, whatever it is
        await self._room.leave(spec)

    def _view(self, spec: RunSpec, run: Hosted) -> dict[str, Any]:  # noqa: ARG002 - nothing of theirs yet
        return {}

    def _parameters(self, spec: RunSpec) -> Any:
        return self._strategies.parameters(spec.kind, {**spec.parameters, "pair": spec.pair})
