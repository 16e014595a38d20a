"""Runs that trade several pairs of one account, beside those that trade one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from mrmarket.services.engine.multileg_workshop import MultiLegWorkshop
from mrmarket.services.engine.ports import Hosted
from mrmarket.services.engine.section import MAIN_ACCOUNT
from mrmarket.services.engine.venue_room import LoneRoom
from mrmarket.services.engine.workshop import SpecificationRefusedError
from mrmarket.store.operations import RunSpec
from mrmarket.trading.execution.order_id import order_prefix
from mrmarket.trading.strategy.kind import Form, StrategyKind
from mrmarket.trading.strategy.multileg.setting import RunSetting
from mrmarket.trading.strategy.triangular.arbitrage import TriangularArbitrage
from mrmarket.trading.strategy.triangular.parameters import TriangularParameters
from mrmarket.trading.strategy.triangular.run import TriangularRun
from mrmarket.trading.venue.port import Venue


class TriangleWorkshop(MultiLegWorkshop):
    """Makes triangular arbitrage; the room is entered once for each pair."""

    def _takes(self, kind: StrategyKind) -> bool:
        return kind.form is Form.TRIANGLE

    def _check(self, spec: RunSpec) -> None:
        self._parameters(spec)

    async def _enter(self, spec: RunSpec, setting: RunSetting) -> TriangularRun:
        parameters = self._parameters(spec)
        venues: dict[str, Venue] = {}
        try:
            for each in _by_pair(spec, parameters):
                venues[each.pair] = await self._room.enter(each, order_prefix(self._instance, spec.id))
            history = await self._history(spec)
            return TriangularRun(venues, TriangularArbitrage(parameters), self._log, setting, history=history)
        except BaseException:
            for _ in venues:
                await self._room.leave(spec)
            raise

    async def _leave(self, spec: RunSpec, run: Hosted) -> None:
        assert isinstance(run, TriangularRun)  # noqa: S101 - made above
        for _ in run.sides:
            await self._room.leave(spec)

    def _view(self, spec: RunSpec, run: Hosted) -> dict[str, Any]:
        assert isinstance(run, TriangularRun)  # noqa: S101 - made above
        pnl = run.pnl_home
        return {
            "strategy": spec.kind,
            "home": run.home,
            "rounds": len(run.rounds),
            "pnl_home": None if pnl is None else str(round(pnl, 8)),
            "waits_for": run.waits_for,
            "last": run.rounds[-1].end if run.rounds else "",
        }

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
