"""Carries flattening out: nothing of ours open, then slice by slice, each outcome known before the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.assembly import Execution
from mrmarket.trading.execution.risk.flatten import FlattenReport, FlattenRules, slice_of
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.strategy.market_watch import MarketWatch
from mrmarket.trading.strategy.sweep import Sweep
from mrmarket.trading.venue.port import OrderKind, Venue, VenueError

_LEVELS: Final = 50


class Scene(Protocol):
    """What a flattener needs of its run."""

    @property
    def venue(self) -> Venue:
        """Where it trades."""
        ...

    @property
    def instrument(self) -> Instrument:
        """The pair."""
        ...

    @property
    def watch(self) -> MarketWatch:
        """The market."""
        ...

    def unfit(self) -> str:
        """Why nothing may be placed now; empty if something may."""
        ...


class Flattener:
    """One flattening of one run."""

    def __init__(
        self,
        scene: Scene,
        execution: Execution,
        sweep: Sweep,
        gap_lots: Callable[[MarketTop], int],
        rules: FlattenRules,
        wall: Clock,
        progress: Callable[[str], None],
    ) -> None:
        """`progress` is told in words for people how far it is."""
        self.slices = 0
        """Orders sent so far."""
        self._scene = scene
        self._execution = execution
        self._sweep = sweep
        self._gap = gap_lots
        self._rules = rules
        self._wall = wall
        self._progress = progress
        self._first: int | None = None
        self._last = 0

    async def work(self) -> FlattenReport:
        """Do it; returns what came of it and never raises a VenueError."""
        self._progress("flattening: open orders are cancelled first")
        if not (await self._sweep.finish(self._rules.sweep_rounds, "flattening")).proven:
            return self._report("open orders are not proven gone yet; they go on being cancelled")
        wait = ""
        for _ in range(self._rules.tries):
            wait = self._scene.unfit()
            if not wait:
                wait = await self._refresh()
            top = self._scene.watch.top
            if not wait and top is not None:
                done = await self._step(top)
                if done is not None:
                    return done
            if wait:
                self._progress(f"flattening waits: {wait}")
            await asyncio.sleep(self._rules.pause_ns / NS_PER_S)
        return self._report(wait or f"{self._rules.tries} tries were not enough")

    async def _step(self, top: MarketTop) -> FlattenReport | None:
        """One slice; a report where it is done or cannot go on."""
        gap = self._gap(top)
        self._last = gap
        if self._first is None:
            self._first = gap
        instrument, book = self._scene.instrument, self._scene.watch.tracker.book
        opposite = book.bids(_LEVELS) if gap > 0 else book.asks(_LEVELS)
        quote = slice_of(gap, instrument, top, opposite, self._rules)
        if quote is None:
            return self._report("", flat=True)
        self._progress(f"flattening: {instrument.size_text(abs(gap))} {instrument.base} to go")
        refused = self._execution.executor.take(quote, OrderKind.IOC, top)
        if refused is not None:
            return self._report(f"the next order was held back: {refused.text}")
        self.slices += 1
        if not await self._known():
            return self._report("the outcome of the last order is not known yet")
        return None

    async def _known(self) -> bool:
        """Wait until the order has ended and its fills are durable; what rests after all is cancelled."""
        executor, table = self._execution.executor, self._execution.table
        deadline_ns = self._wall.monotonic_ns() + self._rules.answer_ns
        while self._wall.monotonic_ns() < deadline_ns:
            await executor.drain()
            for order in table.open():
                if order.is_resting and not order.cancel_attempts:
                    executor.cancel(order)
            if not len(table) and not table.short_of_fills():
                await self._execution.facts.flush()
                return True
            await asyncio.sleep(self._rules.pause_ns / NS_PER_S)
        return False

    async def _refresh(self) -> str:
        """Ask for the balances: the next slice is sized by them."""
        try:
            self._execution.account.observe_all(await self._scene.venue.balances())
        except VenueError as error:
            return str(error)
        return ""

    def _report(self, reason: str, *, flat: bool = False) -> FlattenReport:
        size = self._scene.instrument.size
        return FlattenReport(
            flat,
            size(self._first or 0),
            size(self._last),
            self.slices,
            reason or "the position is on its target",
        )
