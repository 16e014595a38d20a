"""An engine inside the instance's own process: `mrmarket run` without a role."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.errors import MrMarketError
from mrmarket.services.api import schema
from mrmarket.services.engine.composition import Engine
from mrmarket.services.engine.keeper import OnRun
from mrmarket.services.engine.ports import Hosted
from mrmarket.services.run_desk import LocalDesk
from mrmarket.store.errors import DatabaseBusyError, DatabaseDisconnectedError, StaleFenceError, StoreError
from mrmarket.store.operations import RunSpec
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.run import StrategyRun

_PASSING: Final = (DatabaseDisconnectedError, DatabaseBusyError)
"""What a run is tried again after: a database that restarts ends no instance."""


_REGAIN_S: Final = 30.0
"""Longer than an Angel holds a lease that it has seized from an engine which lives."""
_LOOK_S: Final = 0.05

_log = structlog.get_logger("mrmarket.engine")


class EngineEndedError(MrMarketError):
    """The engine ended although nobody had asked it to."""

    code = "engine_ended"
    retryable = True

    def __init__(self, node: str) -> None:
        self.node = node
        super().__init__(f"the engine {node} ended by itself; see the log and start again")


class LocalSide:
    """Implements `TradingSide` over an engine of this process, and follows the main run from life to life."""

    def __init__(
        self, make_engine: Callable[[OnRun], Engine], main: str, wall: Clock, *, alone: bool
    ) -> None:
        """Put it together; nothing begins.

        Args:
            make_engine: makes the engine, given whom it tells of runs.
            main: id of the run that the screen shows.
            wall: real time.
            alone: whether it is the only run: then its failure is the instance's.
        """
        self.desk: LocalDesk | None = None
        self.engine = make_engine(self._on_run)
        self._main = main
        self._wall = wall
        self._alone = alone
        loop = asyncio.get_running_loop()
        self._begun: asyncio.Future[None] = loop.create_future()
        self._failed: asyncio.Future[Exception] = loop.create_future()
        self._keeping: asyncio.Task[None] | None = None
        self.engine.host.keeper.ends_all = self._ends_all

    @property
    def run(self) -> StrategyRun:
        """The main run in its latest life."""
        if self.desk is None:
            raise RuntimeError("the main run has not begun")
        return self.desk.run

    async def begin(self) -> None:
        """Claim, recover, quote; returns once the main run does.

        Raises:
            Exception: what kept it from that; nothing is left running.
        """
        self._keeping = asyncio.create_task(self.engine.keep(), name="engine")
        try:
            await self._first_of(self._begun)
            self._begun.result()
        except BaseException:
            await self.close(abandon=True)
            raise

    def heartbeat(self) -> schema.Heartbeat:
        """A sign of life."""
        return schema.Heartbeat(
            node=self.engine.host.node,
            role="all",
            seq=self.engine.host.seq,
            started_ms=self.engine.host.started_ms,
            at_ms=self._wall.now_ns() // NS_PER_MS,
        )

    async def keep(self) -> None:
        """Wait for what the instance cannot go on after, and raise it."""
        await self._first_of(self._failed)
        raise self._failed.result()

    async def resume(self) -> None:
        """Have the main run quote."""
        if (run := self._held()) is not None:
            run.resume()

    async def pause(self, reason: str) -> None:
        """Have the main run cancel every quote and stay paused."""
        run = self._held()
        if run is not None and run.state is RunState.RUNNING:
            await run.pause(reason)

    async def close(self, *, abandon: bool) -> None:
        """Set every run down, or drop it where nobody is there to cancel anything.

        A main run whose lease was lost a moment ago, to an Angel for instance, has left orders behind, or a
        journal that does not know their end; only its next life settles that: it is waited for, in bounded
        time.
        """
        if not abandon:
            await self._regain()
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self.engine.close(abandon=abandon)

    async def _regain(self) -> None:
        """Wait until the main run is held again, if a life that is over has left something to settle."""
        if self._keeping is None:
            return
        with suppress(StoreError):  # nobody can be asked: then what is known has to do
            await self.engine.host.renew("before closing")
        if not self._is_left_unsettled():
            return
        _log.warning("the main run was taken from this engine; waiting for it, to settle its orders")
        since_s = asyncio.get_running_loop().time()
        while self._is_left_unsettled() and not self._keeping.done():
            if asyncio.get_running_loop().time() - since_s >= _REGAIN_S:
                _log.warning("the main run did not come back; whoever has it now has its orders, too")
                return
            await asyncio.sleep(_LOOK_S)

    def _is_left_unsettled(self) -> bool:
        """Whether the screen's run is one that was dropped, or is being dropped, before all was settled.

        What it holds in memory does not count: the journal takes nothing from whoever has lost the lease.
        """
        seat = self.engine.host.seats.get(self._main)
        if self.desk is None or (seat is not None and seat.run is self.desk.run and seat.ending is None):
            return False
        return not self.desk.run.settled

    def _held(self) -> Hosted | None:
        return self.engine.held(self._main)

    def _on_run(self, spec: RunSpec, run: Hosted | None, failure: Exception | None) -> None:
        if spec.id != self._main:
            return
        if isinstance(run, StrategyRun):
            if self.desk is None:
                self.desk = LocalDesk(run, self._wall)
            self.desk.run = run
            if not self._begun.done():
                self._begun.set_result(None)
        elif failure is not None and not isinstance(failure, StaleFenceError):
            if not self._begun.done():
                self._begun.set_exception(failure)
            elif self._ends_all(spec.id, failure) and not self._failed.done():
                self._failed.set_result(failure)

    def _ends_all(self, run: str, failure: Exception) -> bool:
        """Whether the instance goes with a run that fails so; before it quoted it does so in any case."""
        return run == self._main and (
            not self._begun.done() or (self._alone and not isinstance(failure, _PASSING))
        )

    async def _first_of(self, awaited: asyncio.Future[Any]) -> None:
        """Wait for it, or raise what ended the engine before."""
        assert self._keeping is not None  # noqa: S101 - begun
        await asyncio.wait({awaited, self._keeping}, return_when=asyncio.FIRST_COMPLETED)
        if not awaited.done():
            self._keeping.result()
            raise EngineEndedError(self.engine.host.node)
