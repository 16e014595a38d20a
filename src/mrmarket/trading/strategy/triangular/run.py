"""Triangular arbitrage, live: decides, and has one round of three orders carried out at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.events import Fact, RiskChanged, RunStateChanged
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.reconciler import StopReport
from mrmarket.trading.execution.risk.board import RiskBoard, RiskChange
from mrmarket.trading.execution.risk.governor import Glance, RiskGovernor
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.risk.pretrade import RiskLimits
from mrmarket.trading.execution.risk.state import REARMED, Cause, RiskState, run_scope
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.strategy.errors import ControlRefusedError, StreamEndedError
from mrmarket.trading.strategy.observer import FillRecord, RunObserver, RunState, Unobserved
from mrmarket.trading.strategy.past import History
from mrmarket.trading.strategy.triangular.amounts import added
from mrmarket.trading.strategy.triangular.arbitrage import TriangularArbitrage
from mrmarket.trading.strategy.triangular.budget import round_budget
from mrmarket.trading.strategy.triangular.cycles import CycleIndex
from mrmarket.trading.strategy.triangular.market import MarketSetting, TriangleMarket
from mrmarket.trading.strategy.triangular.port import NoTriangleError, TriangleDecision, TriangleView
from mrmarket.trading.strategy.triangular.readings import TriangleReadings
from mrmarket.trading.strategy.triangular.round_work import RoundEnd, RoundWork
from mrmarket.trading.venue.port import Venue

_WHOLE_ACCOUNT: Final = RiskLimits(max_inventory_share=Decimal(1))
"""In the middle of a round everything may be in one asset."""
_LOOK_S: Final = 0.05


class TriangularRun(TriangleReadings):
    """Runs one strategy on several pairs of one account. Everything happens on one event loop.

    At most one round is at work, carried out by the machine of `triangular.round`. Its orders are written
    down before they are sent, in the run's one stream, under ids that say round, part and attempt; fills are
    durable there before the machine hears of them. After a crash the next start finds out what became of each
    order and brings home what the last round has left.
    """

    def __init__(
        self,
        venues: Mapping[str, Venue],
        strategy: TriangularArbitrage,
        journal: OrderJournal,
        *,
        instance: str,
        stream: str,
        wall: Clock,
        world: Clock | None = None,
        fence: int = 0,
        limits: RiskLimits = _WHOLE_ACCOUNT,
        timing: Timing | None = None,
        observer: RunObserver | None = None,
        on_decision: Callable[[TriangleDecision], None] = lambda _decision: None,
        history: History | Iterable[Fact] = (),
        guard: LeaseGuard | None = None,
        board: RiskBoard | None = None,
        breakers: BreakerLimits | None = None,
        mark_every_ns: int = 2 * NS_PER_S,
        balances_every_ns: int = 5 * NS_PER_S,
    ) -> None:
        """Put a run together; nothing is sent before `start`.

        Args:
            venues: by pair, the one account as that pair sees it; open, and closed by whoever opened it.
            strategy: decides which rounds are sent.
            journal: the trading store.
            instance: the instance's name, a part of every order id.
            stream: the run's name and its stream in the event log; the same after a restart.
            wall: real time.
            world: the strategy's time; the wall clock if None.
            fence: fence of the run's lease.
            limits: pre-trade limits of each order.
            timing: how long execution waits for what.
            observer: who is told of orders, fills and states.
            on_decision: told of each decision that differs from the one before, at once.
            history: all facts of the stream, oldest first (`read_history(…, with_fold=False)`).
            guard: whether this process still holds the run's lease; None always does.
            board: the process's restrictions; None is a board of the run's own.
            breakers: where breakers trip; losses are of all pairs together, in the home asset.
            mark_every_ns: wall time between two marks of each pair in the event log.
            balances_every_ns: wall time between two balance observations.

        Raises:
            NoTriangleError: the pairs close none through the home asset.
        """
        super().__init__()
        self.home = strategy.home
        instruments = [venue.instrument(symbol) for symbol, venue in venues.items()]
        if not CycleIndex(instruments, [self.home]).cycles:
            raise NoTriangleError(tuple(venues), self.home)
        self.strategy = strategy
        self.stream = stream
        self.board = board or RiskBoard(wall)
        self.observer: RunObserver = observer or Unobserved()
        self._journal = journal
        self._wall = wall
        self._world = world or wall
        self._on_decision = on_decision
        setting = MarketSetting(
            instance=instance,
            stream=stream,
            fence=fence,
            wall=wall,
            world=self._world,
            timing=timing or Timing(),
            limits=limits,
            breakers=breakers or BreakerLimits(),
            guard=guard,
            board=self.board,
            mark_every_ns=mark_every_ns,
            balances_every_ns=balances_every_ns,
        )
        self.markets = {
            symbol: TriangleMarket(
                venue,
                symbol,
                journal,
                self,
                setting,
                round_number=lambda: self.work.number,
                gap_lots=partial(self._gap_lots, symbol),
                state=self._own_state,
                why=lambda: self.board.explain(stream, ""),
            )
            for symbol, venue in venues.items()
        }
        self._first = first = next(iter(self.markets.values()))
        self.governor = RiskGovernor(
            stream, first.venue.name, first.instrument, self.board, breakers or BreakerLimits()
        )
        """Watches the gains and losses of all pairs together."""
        self.work = work = RoundWork(
            self.markets,
            strategy.round_rules,
            round_budget(strategy.parameters),
            lambda: journal.next_sequence(stream),
            self._world,
            ask_balances=lambda _market: self._ask_balances(),
            on_halt=self._on_halted,
            on_over=self._on_round_over,
        )
        """The round at work."""
        facts = history.facts if isinstance(history, History) else list(history)
        for fact in facts:
            work.log.take(fact)
        self.changed = dict(work.log.changed)
        for market in self.markets.values():
            market.recall(facts, stream)
        self._stale = set(self.markets)
        self._balances_due = False
        self._refreshing: asyncio.Task[None] | None = None
        self._waking = False
        self._deciding = False
        self._ended = asyncio.Event()
        self._forget: Callable[[], None] | None = None

    # Life.

    async def start(self) -> None:
        """Recover what an earlier life left of every pair, then begin to look for triangles.

        Raises:
            RunNotReadyError: the venue's user stream or its answers do not come.
        """
        self._set_state(RunState.STARTING, "recovering")
        self.work.log.intents(self._journal.open_intents(self.stream))
        # All are waited for: one that went on alone would begin to trade after another's error.
        begun = await asyncio.gather(
            *(market.begin(lambda: self.failure) for market in self.markets.values()), return_exceptions=True
        )
        error = next((each for each in begun if each is not None), None)
        if error is not None:
            await self.abandon()
            raise error
        self._forget = self.board.listen(self._heard)
        self._deciding = True
        self._set_state(RunState.RUNNING, "")
        self._first.upkeep.spawn_ticks(self._tick)
        if self._own_state() is RiskState.HALT:
            self._sweep_all(self.board.explain(self.stream, ""))

    async def pause(self, reason: str) -> StopReport:
        """Begin no new round; the one at work is brought to its end first, then nothing of ours is left."""
        self._set_state(RunState.PAUSED, reason)
        await self._round_over_or_late()
        return await self.cancel_all(reason)

    def resume(self) -> None:
        """Look for triangles again; a failed or stopped run stays what it is."""
        if self.state is RunState.PAUSED and not any(each.sweep.is_running for each in self.markets.values()):
            self._set_state(RunState.RUNNING, "")
            self._wake()

    async def cancel_all(self, reason: str) -> StopReport:
        """Cancel whatever should stand and prove it; a round at work goes on by what its orders came to."""
        sweeps = (market.sweep.once(reason) for market in self.markets.values())
        return StopReport.together(await asyncio.gather(*sweeps))

    async def flatten(self, reason: str) -> None:
        """Refused: between two rounds it holds the home asset alone.

        Raises:
            ControlRefusedError: always.
        """
        words = f"between two rounds it holds {self.home} alone ({reason}); pause it instead"
        raise ControlRefusedError(self.stream, "flatten", words)

    async def halt(self, reason: str, by: str = "owner") -> StopReport:
        """Send nothing more, not even to bring home what is held; wait for `rearm`."""
        self.board.halt(run_scope(self.stream), Cause.OWNER, by, reason)
        return await self.cancel_all(reason)

    def rearm(self, cause: str | None = None) -> list[str]:
        """The owner lifts restrictions of this run, or one of them; returns what was lifted."""
        return self.board.rearm(run_scope(self.stream), cause)

    async def stop(self, reason: str = "asked to stop") -> StopReport:
        """Bring the round at work to its end, cancel everything of ours, prove it, write the last facts."""
        failed = self.state is RunState.FAILED
        if not failed:
            self._set_state(RunState.STOPPING, reason)
            await self._round_over_or_late()
        self._deciding = False
        reports = []
        for market in self.markets.values():
            market.ended = True
            await market.sweep.cancel()
            await market.upkeep.rest_maintenance()
            reports.append(await market.execution.reconciler.stop())
            market.observations.mark(market.watch.top)
            market.observations.balances(market.execution.account)
        await self._end_tasks()
        if not failed:
            self._set_state(RunState.STOPPED, reason)
        for market in self.markets.values():
            await market.facts.close()
        self._ended.set()
        return StopReport.together(reports)

    async def abandon(self) -> None:
        """Drop everything where it is, as a crash would; the next start recovers."""
        self._deciding = False
        await self._end_tasks()
        for market in self.markets.values():
            await market.facts.close()
        self._ended.set()

    async def wait(self) -> None:
        """Return when the run has ended or failed."""
        await self._ended.wait()

    # What the pairs report.

    def on_order(self, market: TriangleMarket, order: Order) -> None:
        """An order changed."""
        self.observer.on_order(order)
        self.work.on_order(market, order)

    def on_fill(self, market: TriangleMarket, record: FillRecord, client_order_id: str) -> None:
        """A trade is durable."""
        self.changed = added(self.changed, market.changed_by(record.own.fill))
        self.work.on_fill(market, record.own.fill, client_order_id)
        self.observer.on_fill(record)

    def on_book(self, market: TriangleMarket) -> None:
        """Decide once what is at hand has been taken in."""
        self._stale.add(market.instrument.symbol)
        self.observer.on_book()
        self._wake()

    def on_risk(self, market: TriangleMarket, change: RiskChange) -> None:
        """A pair's breaker, or the owner, allows more or less."""
        if market.risk.state is RiskState.HALT:
            market.sweep.begin(market.risk.why)
        self.observer.on_state(self.state, self.state_reason or change.cause)
        self._wake()

    def on_fault(self, error: Exception) -> None:
        """Something broke that trading cannot go on without."""
        if self.failure is not None:
            return
        self.failure = error
        self.governor.on_failure(error)
        self._set_state(RunState.FAILED, str(error) or type(error).__name__)
        self._ended.set()
        for market in self.markets.values():
            market.connected.set()

    def on_task_ended(self, name: str, error: Exception | None) -> None:
        """A part of a pair ended by itself."""
        if error is not None:
            self.on_fault(error)
        elif self._deciding:
            self.on_fault(StreamEndedError(name, "task"))

    # Deciding.

    def _wake(self) -> None:
        if not self._waking and self._deciding:
            self._waking = True
            asyncio.get_running_loop().call_soon(self._decide)

    def _decide(self) -> None:
        self._waking = False
        if not self._deciding or self.failure is not None:
            return
        try:
            self.work.retry()
            self._decide_now()
        except Exception as error:  # noqa: BLE001 - a fault in a strategy must end its run, not the loop
            self.on_fault(error)

    def _decide_now(self) -> None:
        reason = self._reason_to_wait()
        if reason != self.waits_for:
            self.waits_for = reason
            if self.state is RunState.RUNNING:
                self._set_state(RunState.RUNNING, reason)
        if reason:
            return
        levels = self.strategy.depth_levels
        books = {symbol: market.book(levels) for symbol, market in self.markets.items()}
        changed, self._stale = frozenset(self._stale), set()
        free = next(
            market.free(self.home)
            for market in self.markets.values()
            if self.home in (market.instrument.base, market.instrument.quote)
        )
        decision = self.strategy.decide(TriangleView(self._world.monotonic_ns(), books, changed, free))
        if self.decision is None or decision.why != self.decision.why:
            self._on_decision(decision)
        self.decision = decision
        if decision.triangle is not None:
            self.work.begin(decision, free)

    def _reason_to_wait(self) -> str:
        if self.state is not RunState.RUNNING:
            return self.state_reason or self.state.value
        if self._own_state() > RiskState.ACTIVE:
            return self.board.explain(self.stream, "")
        if self.work.reason:
            return self.work.reason
        if self._balances_due:
            return "balances are being asked for after the last round"
        return self.work.budget.refusal(self._world.monotonic_ns())

    def _on_halted(self, detail: str) -> None:
        self.board.halt(run_scope(self.stream), Cause.PARTIAL_LEG, self.stream, detail)

    def _on_round_over(self, end: RoundEnd) -> None:
        self.rounds.append(end.record(self._wall.now_ns()))
        if end.sent:
            self._balances_due = True
            self._ask_balances()
        self._wake()

    def _ask_balances(self) -> None:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        """What the account holds, as every pair sees it: the next order is sized by it."""
        while self._deciding:
            answers = await asyncio.gather(*(each.refresh_balances() for each in self.markets.values()))
            if all(answers):
                self._balances_due = False
                self._wake()
                return
            await asyncio.sleep(1)

    # Beside.

    def _tick(self) -> None:
        now_ns = self._world.monotonic_ns()
        for market in self.markets.values():
            market.risk.tick()
            stale = market.watch.tracker.stale is not None
            market.observations.tick(market.watch.top, market.execution.account, stale=stale)
        worth = self.worth_home
        if self.capital is None:
            self.capital = worth
        wall_ns = self._wall.monotonic_ns()
        self.governor.tick(Glance(now_ns, wall_ns, equity=self.pnl_home, capital=self.capital))
        self.work.tick()
        self._wake()

    def _heard(self, change: RiskChange) -> None:
        """A restriction of the run itself came or went."""
        if change.scope != run_scope(self.stream):
            return
        self.governor.on_change(change)
        held, first = change.restriction, self._first
        first.facts.write(
            RiskChanged(
                venue=first.venue.name,
                at_ns=self._wall.now_ns(),
                symbol=first.instrument.symbol,
                scope=change.scope,
                state=self._own_state().word,
                cause=change.cause,
                detail=held.detail if held is not None else REARMED if change.by_owner else "lifted",
            )
        )
        if self._own_state() is RiskState.HALT:
            self._sweep_all(self.board.explain(self.stream, ""))
        self.observer.on_state(self.state, self.state_reason or change.cause)
        self._wake()

    def _gap_lots(self, symbol: str) -> int:
        return self.work.gap_lots(symbol)

    def _sweep_all(self, reason: str) -> None:
        for market in self.markets.values():
            market.sweep.begin(reason)

    def _own_state(self) -> RiskState:
        return self.board.state(self.stream)

    async def _round_over_or_late(self) -> None:
        """Give the round at work the time its rules give it."""
        tries = round(2 * self.strategy.round_rules.deadline_ns / NS_PER_S / _LOOK_S) + 1
        for _ in range(tries):
            if not self.work.is_at_work or self.failure is not None:
                return
            await asyncio.sleep(_LOOK_S)

    def _set_state(self, state: RunState, reason: str) -> None:
        if (state, reason) == (self.state, self.state_reason):
            return
        self.state, self.state_reason = state, reason
        first = self._first
        first.facts.write(
            RunStateChanged(
                venue=first.venue.name,
                at_ns=self._wall.now_ns(),
                symbol=first.instrument.symbol,
                state=state.value,
                reason=reason,
            )
        )
        self.observer.on_state(state, reason)

    async def _end_tasks(self) -> None:
        if self._forget is not None:
            self._forget()
            self._forget = None
        self.governor.close()
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        for market in self.markets.values():
            await market.end()
