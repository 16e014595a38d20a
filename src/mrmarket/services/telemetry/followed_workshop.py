"""A workshop whose runs the log follows from their first fact to their end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mrmarket.services.engine.ports import Hosted, Workshop
from mrmarket.services.engine.seat import Seat
from mrmarket.services.telemetry.order_log import OrderLog
from mrmarket.services.telemetry.run_sources import HeldRun
from mrmarket.store.operations import RunSpec
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.strategy.run import StrategyRun


class FollowedWorkshop:
    """Implements `Workshop` over another one."""

    def __init__(self, workshop: Workshop, order_log: OrderLog) -> None:
        self._workshop = workshop
        self._order_log = order_log

    def check(self, spec: RunSpec) -> None:
        """As the other one."""
        self._workshop.check(spec)

    async def make(self, spec: RunSpec, fence: int, guard: LeaseGuard) -> Hosted:
        """A run that has not begun; its lines carry its name and the fence."""
        run = await self._workshop.make(spec, fence, guard)
        if isinstance(run, StrategyRun):
            self._order_log.follow(run, fence)
        return run

    async def clear(self, spec: RunSpec, run: Hosted) -> None:
        """Write the last lines, then as the other one."""
        if isinstance(run, StrategyRun):
            self._order_log.forget(run)
        await self._workshop.clear(spec, run)

    def view(self, spec: RunSpec, run: Hosted) -> dict[str, Any]:
        """As the other one."""
        return self._workshop.view(spec, run)

    async def command(self, run: Hosted, kind: str, arguments: dict[str, Any], asked_by: str) -> str:
        """As the other one."""
        return await self._workshop.command(run, kind, arguments, asked_by)


def held_runs(seats: Iterable[Seat]) -> Iterator[HeldRun]:
    """The runs in some seats, and whose money they trade with."""
    for seat in seats:
        if isinstance(seat.run, StrategyRun):
            yield HeldRun(seat.run, seat.spec.pool)


def leases_hold(seats: Iterable[Seat]) -> bool:
    """Whether every run in these seats may send, by this process's own clock."""
    return all(seat.guard.is_valid for seat in seats)
