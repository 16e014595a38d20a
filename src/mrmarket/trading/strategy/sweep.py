"""Cancelling until it is proven: goes on trying however long the venue is silent, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.execution.order_table import OrderTable
from mrmarket.trading.execution.reconciler import Reconciler, StopReport
from mrmarket.trading.strategy.upkeep import Upkeep

_REST_NS: Final = 250 * NS_PER_MS


class Sweep:
    """At most one at a time; whoever asks for another joins it."""

    def __init__(
        self,
        reconciler: Reconciler,
        table: OrderTable,
        upkeep: Upkeep,
        *,
        on_end: Callable[[], None],
        may_maintain: Callable[[], bool],
    ) -> None:
        """`on_end` hears when all is proven gone; the periodic comparison rests meanwhile."""
        self.reason = ""
        """Why it sweeps; empty while it does not."""
        self.rounds = 0
        """Attempts so far, of all sweeps."""
        self.failure: Exception | None = None
        """What the last failed round failed of."""
        self._reconciler = reconciler
        self._table = table
        self._upkeep = upkeep
        self._on_end = on_end
        self._may_maintain = may_maintain
        self._task: asyncio.Task[None] | None = None
        self._round: asyncio.Future[StopReport] | None = None

    @property
    def is_running(self) -> bool:
        """Whether something of ours may still stand."""
        return self._task is not None and not self._task.done()

    def begin(self, reason: str) -> None:
        """Start it, if it does not run yet."""
        if not self.is_running:
            self.reason = reason
            loop = asyncio.get_running_loop()
            self._round = loop.create_future()
            self._task = loop.create_task(self._work(), name="sweep")

    async def once(self, reason: str) -> StopReport:
        """Start or join it; returns what the round at work finds. Unproven, it goes on without the caller."""
        self.begin(reason)
        current = self._round
        if current is None:
            raise RuntimeError("a sweep at work has a round")
        return await asyncio.shield(current)

    async def finish(self, rounds: int, reason: str) -> StopReport:
        """The same, until it is proven or so many rounds have passed."""
        report = await self.once(reason)
        for _ in range(rounds - 1):
            if report.proven or not self.is_running:
                break
            report = await self.once(reason)
        return report

    async def cancel(self) -> None:
        """End it where it is."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._round is not None and not self._round.done():
            self._round.set_result(self._left())
        self.reason = ""

    async def _work(self) -> None:
        while True:
            self.rounds += 1
            report = await self._attempt()
            current, self._round = self._round, asyncio.get_running_loop().create_future()
            if report.proven:
                self.reason, self.failure = "", None
                # Of this loop's own making: whoever joins now would wait for a round that never comes.
                self._task = None
                if self._may_maintain():
                    self._upkeep.begin_maintenance()
            if current is not None and not current.done():
                current.set_result(report)
            if report.proven:
                self._on_end()
                return
            await asyncio.sleep(_REST_NS / NS_PER_S)

    async def _attempt(self) -> StopReport:
        try:
            await self._upkeep.rest_maintenance()
            return await self._reconciler.stop()
        except Exception as error:  # noqa: BLE001 - orders stand there: whatever fails is tried again
            self.failure = error
            return self._left()

    def _left(self) -> StopReport:
        """What is left, where no round came to its end."""
        remaining = tuple(order.client_order_id for order in self._table.open())
        return StopReport(0, remaining, len(self._table.short_of_fills()), proven=False)
