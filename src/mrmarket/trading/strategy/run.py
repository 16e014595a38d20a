"""One strategy on one pair of one venue: from the book's events to orders, and back from their fills."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from typing import Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.events import Fact
from mrmarket.trading.execution.assembly import assemble
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.order_id import OrderIds
from mrmarket.trading.execution.reconciler import Recovery, StopReport
from mrmarket.trading.execution.risk.board import RiskBoard, RiskChange
from mrmarket.trading.execution.risk.flatten import FlattenReport, FlattenRules
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.risk.pretrade import RiskLimits
from mrmarket.trading.execution.risk.state import Cause, RiskState, run_scope
from mrmarket.trading.execution.targets import NO_QUOTES, TargetQuotes
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.strategy.cadence import Cadence
from mrmarket.trading.strategy.controls import OwnerControls
from mrmarket.trading.strategy.errors import RunNotReadyError, StreamEndedError
from mrmarket.trading.strategy.estimates import wanted_by
from mrmarket.trading.strategy.market_watch import MarketWatch
from mrmarket.trading.strategy.observations import Observations
from mrmarket.trading.strategy.observer import FillRecord, RunObserver, RunState, Unobserved
from mrmarket.trading.strategy.past import History
from mrmarket.trading.strategy.port import Strategy
from mrmarket.trading.strategy.readings import RunReadings
from mrmarket.trading.strategy.recall import recall
from mrmarket.trading.strategy.run_facts import RunFacts
from mrmarket.trading.strategy.run_risk import Index, RunRisk
from mrmarket.trading.strategy.sweep import Sweep
from mrmarket.trading.strategy.totals import RunTotals
from mrmarket.trading.strategy.upkeep import Upkeep
from mrmarket.trading.strategy.uptime import QuoteUptime
from mrmarket.trading.venue.port import FillReport, OrderReport, StreamState, UserEvent, Venue

_FILLS_KEPT: Final = 1_000


class StrategyRun(RunReadings):
    """Runs one strategy. The venue must be open; whoever opened it closes it.

    Everything happens on one event loop. A fill is durable in the event log before the strategy, the
    totals or an observer hear of it, and nothing is placed in between.
    """

    settled = False
    """Whether it has ended with every order proven closed and every fill and state written down."""

    def __init__(
        self,
        venue: Venue,
        strategy: Strategy,
        journal: OrderJournal,
        *,
        instance: str,
        stream: str,
        wall: Clock,
        world: Clock | None = None,
        fence: int = 0,
        limits: RiskLimits | None = None,
        timing: Timing | None = None,
        observer: RunObserver | None = None,
        history: History | Iterable[Fact] = (),
        mark_every_ns: int = 2 * NS_PER_S,
        balances_every_ns: int = 5 * NS_PER_S,
        guard: LeaseGuard | None = None,
        board: RiskBoard | None = None,
        breakers: BreakerLimits | None = None,
        index: Index | None = None,
        dead_man_s: float = 0,
    ) -> None:
        """Put a run together; nothing is sent before `start`.

        Args:
            venue: an open venue.
            strategy: decides what to quote.
            journal: the trading store.
            instance: the instance's name, a part of every order id.
            stream: the run's name and its stream in the event log; the same after a restart.
            wall: real time: stamps, time-outs, latencies.
            world: the strategy's time; runs `speed` times as fast as a tape does. The wall clock if None.
            fence: fence of the run's lease.
            limits: pre-trade limits.
            timing: how long execution waits for what.
            observer: who is told.
            history: what `read_history` finds, or all facts of the stream, oldest first; fills restore
                totals and strategy, the latest time bounds what recovery asks the venue for.
            mark_every_ns: wall time between two marks in the event log.
            balances_every_ns: wall time between two balance observations in the event log.
            guard: whether this process still holds the run's lease; None always does.
            board: the process's restrictions; None is a board of the run's own.
            breakers: where its breakers trip.
            index: a reference price from elsewhere.
            dead_man_s: countdown of the venue's dead man's switch; 0 leaves it alone.
        """
        world = world or wall
        self.venue = venue
        self.strategy = strategy
        self.instrument = venue.instrument(strategy.symbol)
        self.stream = stream
        self.state = RunState.STARTING
        self.state_reason = "not started yet"
        self.targets: TargetQuotes = NO_QUOTES
        """What the strategy wanted at its last decision."""
        self.user_stream_connected = False
        self.totals = RunTotals(self.instrument)
        self.uptime = QuoteUptime()
        self.fills: deque[FillRecord] = deque(maxlen=_FILLS_KEPT)
        """The newest last; since this start."""
        self.failure: Exception | None = None
        """What made the run fail."""
        self.recovery: Recovery | None = None
        self.observer: RunObserver = observer or Unobserved()
        self.watch = MarketWatch(self.instrument, wall=wall, world=world, estimates=wanted_by(strategy))
        self._wall = wall
        self._world = world
        self.risk = RunRisk(
            stream,
            venue,
            self.instrument,
            board or RiskBoard(wall),
            breakers or BreakerLimits(),
            wall=wall,
            world=world,
            index=index,
        )
        """What the run may do, and why not more."""
        execution = assemble(
            venue,
            strategy.symbol,
            journal,
            self,
            ids=OrderIds(instance, stream, fence=fence),
            stream=stream,
            rules=strategy.rules,
            kind=strategy.order_kind,
            limits=limits or RiskLimits(),
            timing=timing or Timing(),
            wall=wall,
            world=world,
            double_mid=lambda: self.watch.double_mid_ticks,
            sleep=asyncio.sleep,
            guard=guard,
            dead_man_s=dead_man_s,
            gate=self.risk.gate,
        )
        self.risk.bind(execution, self.totals, self.watch, lambda: strategy.inventory_target)
        self.facts = execution.facts
        self.account = execution.account
        self._table = execution.table
        self._desk = execution.desk
        self._executor = execution.executor
        self._reconciler = execution.reconciler
        self.dead_man = execution.dead_man
        """Keeps the venue's dead man's switch from firing."""
        execution.differences.listen(self.risk.on_difference)
        self._upkeep = Upkeep(
            stream, venue.name, self._reconciler, wall, timing, on_ended=self._on_task_ended
        )
        self._sweep = Sweep(
            self._reconciler,
            self._table,
            self._upkeep,
            on_end=self._wake,
            may_maintain=lambda: self._quoting,
        )
        self._controls = OwnerControls(self, execution, self._sweep, wall)
        recall(history, stream, self.instrument, journal, execution, strategy, self.totals, self.risk, wall)
        self._connected = asyncio.Event()
        self._priced = asyncio.Event()
        self._first_book_s = (timing or Timing()).first_book_ns / NS_PER_S
        self._ended = asyncio.Event()
        self._pulled = ""
        self._cause_ns: int | None = None
        self._by_book = False
        self._quoting = False
        self._cadence = Cadence(strategy, self.account, lambda: self.risk.state, world)
        self._observations = Observations(
            self.instrument,
            venue.name,
            self.facts,
            wall,
            mark_every_ns=mark_every_ns,
            balances_every_ns=balances_every_ns,
        )

    # Life.

    async def start(self) -> None:
        """Recover what an earlier life left, then begin to quote.

        Raises:
            RunNotReadyError: if the venue's user stream or its answers do not come.
        """
        self._set_state(RunState.STARTING, "recovering")
        self._reconciler.load()
        self._upkeep.spawn(self._follow_user(), "user stream")
        try:
            self.recovery = await self._upkeep.recover(self._connected, lambda: self.failure)
        except RunNotReadyError:
            await self._end_tasks()
            await self.facts.close()
            raise
        self._observations.balances(self.account)
        self._upkeep.spawn(self._follow_market(), "market")
        if self._table.open():
            await self._first_price()
        self._upkeep.spawn_ticks(self._tick)
        self._upkeep.begin_maintenance()
        if self.dead_man.offered:
            self._upkeep.spawn(self.dead_man.run(), "dead man's switch")
        self._quoting = True
        self._set_state(RunState.RUNNING, "")
        self.risk.begin(self.facts, self._on_risk)
        if self.risk.state is RiskState.HALT:
            self._sweep.begin(self.risk.why)

    async def pause(self, reason: str) -> StopReport:
        """Cancel every quote and stay; what is not proven gone in time goes on being cancelled."""
        await self._controls.end_flattening()
        self._set_state(RunState.PAUSED, reason)
        return await self._sweep.once(reason)

    def resume(self) -> None:
        """Quote again after a pause that is complete; a failed or stopped run stays what it is."""
        if self.state is RunState.PAUSED and not self._sweep.is_running and not self._controls.is_flattening:
            self._set_state(RunState.RUNNING, "")
            self._wake()

    async def cancel_all(self, reason: str) -> StopReport:
        """Cancel every order of ours and prove it; then a run that is not paused quotes again.

        What is not proven gone in time is named; cancelling goes on until it is, and quotes stay pulled.
        """
        return await self._sweep.once(reason)

    async def flatten(self, reason: str, rules: FlattenRules | None = None) -> FlattenReport:
        """Bring the base position to its target by taking orders inside a band, and stay paused.

        Raises:
            ControlRefusedError: if the run is not at work, or may not place anything now.
        """
        return await self._controls.flatten(reason, rules or FlattenRules())

    async def halt(self, reason: str, by: str = "owner") -> StopReport:
        """Pull the quotes, cancel until proven gone, wait for `rearm`; returns what the first round found."""
        self.risk.board.halt(run_scope(self.stream), Cause.OWNER, by, reason)
        return await self._sweep.once(reason)

    def rearm(self, cause: str | None = None) -> list[str]:
        """The owner lifts restrictions of this run, or one of them; returns what was lifted."""
        return self.risk.board.rearm(run_scope(self.stream), cause)

    async def stop(self, reason: str = "asked to stop") -> StopReport:
        """Cancel everything of ours, prove it, write the last facts, end."""
        failed = self.state is RunState.FAILED
        if not failed:
            self._set_state(RunState.STOPPING, reason)
        self._quoting = False
        await self._controls.end_flattening()
        await self._sweep.cancel()
        await self._upkeep.rest_maintenance()
        report = await self._reconciler.stop()
        if report.clean:
            await self.dead_man.disarm()
        self._observations.mark(self.watch.top)
        self._observations.balances(self.account)
        await self._end_tasks()
        if not failed:
            self._set_state(RunState.STOPPED, reason)
        await self.facts.close()
        self.settled = report.settled and self.facts.failure is None and not self._desk.journal_failed
        self._ended.set()
        return report

    async def abandon(self) -> None:
        """Drop everything where it is, as a crash would; the next start recovers."""
        self._quoting = False
        await self._controls.end_flattening()
        await self._sweep.cancel()
        await self._end_tasks()
        await self.facts.close()
        self._ended.set()

    async def wait(self) -> None:
        """Return when the run has ended or failed."""
        await self._ended.wait()

    # What execution reports (it calls these on the event loop).

    def on_order(self, old: Order | None, new: Order) -> None:
        """An order changed: where that frees its slot or makes it cancellable, decide again."""
        self.risk.on_order(old, new)
        self.observer.on_order(new)
        if old is not None and (new.is_final or (new.is_resting and not old.is_resting)):
            self._wake()

    def on_fact(self, fact: Fact) -> None:
        """A fact about an order: counted as it will be when it is read back."""
        self.totals.replay(fact)
        self.risk.on_fact(fact)

    def on_own_fill(self, own: OwnFill) -> None:
        """A trade of ours is durable: now it counts."""
        fill = own.fill
        self.totals.count_fill(
            fill.side, fill.price_ticks, fill.size_lots, Decimal(fill.fee), fill.fee_asset, maker=fill.maker
        )
        captured = None
        if own.double_mid_ticks is not None:
            captured = self.totals.count_capture(
                fill.side, fill.price_ticks, fill.size_lots, own.double_mid_ticks
            )
        self.risk.on_own_fill(own)
        now_ns = self._world.monotonic_ns()
        self.watch.markouts.on_fill(now_ns, fill.side, own.double_mid_ticks)
        self.strategy.on_fill(own, now_ns, self._table.open())
        record = FillRecord(own, captured)
        self.fills.append(record)
        self.observer.on_fill(record)
        self._wake()

    def on_answer(self) -> None:
        """A cancel was answered: do not let the decision wait in the queue."""
        self._decide()

    def on_fault(self, error: Exception) -> None:
        """Something broke that trading cannot go on without: pull the quotes and say so."""
        if self.failure is not None:
            return
        self.failure = error
        self.risk.governor.on_failure(error)
        self._set_state(RunState.FAILED, str(error) or type(error).__name__)
        self._ended.set()
        self._connected.set()
        self._wake()

    def _on_risk(self, change: RiskChange) -> None:
        """More or less may be done now."""
        if self.risk.state is RiskState.HALT:
            self._sweep.begin(self.risk.why)
        self.observer.on_state(self.state, self.state_reason or change.cause)
        self._wake()

    # The hot path: book event, decision, orders.

    async def _follow_market(self) -> None:
        async for event in self.venue.market_events(self.instrument.symbol):
            changed = self.watch.apply(event, self._table.open())
            self.observer.on_market(event)
            if changed:
                self._wake(by_book=True)
                self.observer.on_book()
                if not self._priced.is_set() and self.watch.tracker.stale is None:
                    self._priced.set()

    async def _first_price(self) -> None:
        """Orders that were taken over keep their places: the first book may take a moment to come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._first_book_s):
                await self._priced.wait()
            self._observations.mark(self.watch.top)
            await self.facts.flush()

    async def _follow_user(self) -> None:
        async for event in self.venue.user_events():
            self._take_user_event(event)

    def _take_user_event(self, event: UserEvent) -> None:
        if isinstance(event, OrderReport):
            if not self._desk.merge(event) and self._desk.owns(event.client_order_id):
                self._reconciler.request()
        elif isinstance(event, FillReport):
            self._desk.fill(event)
        elif isinstance(event, StreamState):
            self.user_stream_connected = event.connected
            if event.connected:
                self._connected.set()
                if self.recovery is not None:
                    self._reconciler.request()
            self._wake()
        elif self.account.observe(event):
            self._wake()

    def _wake(self, *, by_book: bool = False) -> None:
        """Decide once what is at hand has been taken in: events that came together make one decision."""
        if not by_book:
            self._cadence.happened()
        if self._cause_ns is None and self._quoting:
            self._cause_ns = self._wall.monotonic_ns()
            self._by_book = by_book
            asyncio.get_running_loop().call_soon(self._decide)

    def _decide(self) -> None:
        cause_ns, self._cause_ns = self._cause_ns, None
        if cause_ns is None or not self._quoting:
            return
        try:
            self._decide_for(cause_ns)
        except Exception as error:  # noqa: BLE001 - a fault in a strategy must pull its quotes, not end the loop
            self.on_fault(error)

    def _decide_for(self, cause_ns: int) -> None:
        self.watch.refresh(self._table.open())
        reason = self._reason_to_pull()
        view = None if reason else self.watch.view(self.account)
        targets = (
            TargetQuotes(reason=reason) if view is None else self.risk.narrowed(self.strategy.quotes(view))
        )
        if targets is self.targets and self._cadence.rests:
            return
        top = self.watch.top if view else None
        self._cadence.decided(view, self._executor.apply(targets, top, cause_ns, by_book=self._by_book))
        if reason != self._pulled:
            self._pulled = reason
            if self.state is RunState.RUNNING:
                self._set_state(RunState.RUNNING, reason)
        before, self.targets = self.targets, targets
        if targets != before:
            self.observer.on_quotes(targets)

    def _reason_to_pull(self) -> str:
        if self.state is not RunState.RUNNING:
            return self.state_reason or self.state.value
        if self._sweep.reason:
            return self._sweep.reason
        if self.risk.state >= RiskState.CANCEL_ONLY:
            return self.risk.why
        return self.risk.mandate.now.idle or self.unfit()

    def unfit(self) -> str:
        """Why nothing may be placed now, whatever anybody wants; empty if something may."""
        if not self.user_stream_connected:
            return "the user stream is down"
        if self._wall.now_ns() < self._executor.banned_until_ns:
            return "the venue has banned us for now"
        stale = self.watch.tracker.stale
        if stale is not None:
            return f"the book is stale ({stale.value})"
        if self.watch.double_mid_ticks is None:
            return "nobody else quotes both sides"
        return self._observations.wanting(self.account)

    # Beside the hot path.

    def _tick(self) -> None:
        self.uptime.observe(
            self._wall.monotonic_ns(),
            quoting=self._table.rests_on_both_sides,
            running=self.state is RunState.RUNNING,
        )
        self.risk.tick()
        if self._observations.is_due:
            stale = self.watch.tracker.stale is not None
            self._observations.tick(self.watch.top, self.account, stale=stale)
        if not self._cadence.rests or self._reason_to_pull() != self._pulled:
            self._wake()

    def set_paused(self, reason: str) -> None:
        """Stay without quotes, and say why (its controls do)."""
        if self.state in (RunState.RUNNING, RunState.PAUSED):
            self._set_state(RunState.PAUSED, reason)

    def _set_state(self, state: RunState, reason: str) -> None:
        if (state, reason) == (self.state, self.state_reason):
            return
        self.state, self.state_reason = state, reason
        word = "pulled" if state is RunState.RUNNING and reason else state.value
        RunFacts(self.facts, self.venue.name, self.instrument.symbol, self._wall).state(word, reason)
        self.observer.on_state(state, reason)

    def _on_task_ended(self, name: str, error: Exception | None) -> None:
        if error is not None:
            self.on_fault(error)
        elif self._quoting:
            self.on_fault(StreamEndedError(self.venue.name, name))

    async def _end_tasks(self) -> None:
        self.risk.end()
        await self._upkeep.end()
        await self._executor.close()
