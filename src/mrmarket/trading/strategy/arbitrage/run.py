"""A strategy on two venues, live: decides, and has one pair of orders carried out at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.errors import InvalidInputError
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
from mrmarket.trading.strategy.arbitrage.budget import pair_budget
from mrmarket.trading.strategy.arbitrage.common_grid import common_grid
from mrmarket.trading.strategy.arbitrage.pair_readings import PairReadings
from mrmarket.trading.strategy.arbitrage.pair_work import PairEnd, PairWork
from mrmarket.trading.strategy.arbitrage.parameters import LegSchema
from mrmarket.trading.strategy.arbitrage.side import ArbitrageSide, SideSetting
from mrmarket.trading.strategy.cross_port import (
    CrossDecision,
    CrossStrategy,
    CrossView,
    WashTradeRefusedError,
)
from mrmarket.trading.strategy.errors import ControlRefusedError, StreamEndedError
from mrmarket.trading.strategy.observer import FillRecord, RunObserver, RunState, Unobserved
from mrmarket.trading.strategy.past import History
from mrmarket.trading.venue.port import Venue

_WHOLE_ACCOUNT: Final = RiskLimits(max_inventory_share=Decimal(1))
"""Arbitrage may leave all base on one venue and all quote on the other."""


@dataclass(frozen=True, slots=True)
class Place:
    """One of the two venues of a run."""

    venue: Venue
    """Open; whoever opened it closes it."""
    market: str = ""
    """The exchange, whatever account on it; empty is what the venue's instrument says."""


class ArbitrageRun(PairReadings):
    """Runs one strategy on two venues. Everything happens on one event loop.

    At most one pair of orders is at work, carried out by the machine of `execution.legs`. Its orders are
    written down before they are sent, in the run's one stream, under ids that say pair, venue, part and
    attempt; fills are durable there before the machine hears of them. After a crash the next start finds out
    what became of each order and undoes what the last pair has left.
    """

    def __init__(
        self,
        places: tuple[Place, Place],
        strategy: CrossStrategy,
        journal: OrderJournal,
        *,
        instance: str,
        stream: str,
        wall: Clock,
        world: Clock | None = None,
        fence: int = 0,
        legs: LegSchema | None = None,
        pause_s: float = 0.2,
        limits: RiskLimits = _WHOLE_ACCOUNT,
        timing: Timing | None = None,
        observer: RunObserver | None = None,
        on_decision: Callable[[CrossDecision], None] = lambda _decision: None,
        history: History | Iterable[Fact] = (),
        guard: LeaseGuard | None = None,
        board: RiskBoard | None = None,
        breakers: BreakerLimits | None = None,
        mark_every_ns: int = 2 * NS_PER_S,
        balances_every_ns: int = 5 * NS_PER_S,
    ) -> None:
        """Put a run together; nothing is sent before `start`.

        Args:
            places: two open venues, of different exchanges.
            strategy: decides which pairs of orders are sent.
            journal: the trading store.
            instance: the instance's name, a part of every order id.
            stream: the run's name and its stream in the event log; the same after a restart.
            wall: real time.
            world: the strategy's time; the wall clock if None.
            fence: fence of the run's lease.
            legs: budgets for pairs that go wrong; the strategy's own parameters where it has some.
            pause_s: rest between two pairs, in seconds of the strategy's clock.
            limits: pre-trade limits of each order.
            timing: how long execution waits for what.
            observer: who is told of orders, fills and states.
            on_decision: told of each decision that differs from the one before, at once.
            history: all facts of the stream, oldest first (`read_history(…, with_fold=False)`).
            guard: whether this process still holds the run's lease; None always does.
            board: the process's restrictions; None is a board of the run's own.
            breakers: where breakers trip; losses are of both venues together.
            mark_every_ns: wall time between two marks of each venue in the event log.
            balances_every_ns: wall time between two balance observations.

        Raises:
            WashTradeRefusedError: both places are one exchange.
        """
        super().__init__()
        symbol = strategy.symbol
        instruments = tuple(place.venue.instrument(symbol) for place in places)
        markets = tuple(place.market or each.venue for place, each in zip(places, instruments, strict=True))
        if markets[0] == markets[1]:
            raise WashTradeRefusedError(markets[0])
        if places[0].venue.name == places[1].venue.name:
            raise InvalidInputError("venues", places[0].venue.name, "two venues with different names")
        self.strategy = strategy
        self.stream = stream
        self.board = board or RiskBoard(wall)
        self.observer: RunObserver = observer or Unobserved()
        self.grid = common_grid(instruments[0], instruments[1])
        self._journal = journal
        self._wall = wall
        self._world = world or wall
        self._on_decision = on_decision
        parameters = getattr(strategy, "parameters", None)
        fallback = parameters if isinstance(parameters, LegSchema) else LegSchema()
        setting = SideSetting(
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
        one, two = (
            ArbitrageSide(
                number,
                markets[number],
                place.venue,
                symbol,
                journal,
                self,
                setting,
                pair_number=self._pair_number,
                exposure_lots=partial(self._exposure_lots, number),
                state=self._own_state,
                why=lambda: self.board.explain(stream, ""),
            )
            for number, place in enumerate(places)
        )
        self.sides = (one, two)
        self.governor = RiskGovernor(
            stream, one.venue.name, one.instrument, self.board, breakers or BreakerLimits()
        )
        """Watches the gains and losses of both venues together."""
        self.work = work = PairWork(
            self.sides,
            self.grid,
            strategy.leg_rules,
            pair_budget(legs or fallback, pause_s),
            lambda: journal.next_sequence(stream),
            self._world,
            on_halt=self._on_pair_halted,
            on_over=self._on_pair_over,
        )
        """The pair of orders at work."""
        facts = history.facts if isinstance(history, History) else list(history)
        for fact in facts:
            work.log.take(fact)
        for side in self.sides:
            side.recall(facts, stream)
        self._balances_due = False
        self._refreshing: asyncio.Task[None] | None = None
        self._waking = False
        self._deciding = False
        self._ended = asyncio.Event()
        self._forget: Callable[[], None] | None = None

    # Life.

    async def start(self) -> None:
        """Recover what an earlier life left on both venues, then begin to look for pairs.

        Raises:
            RunNotReadyError: a venue's user stream or its answers do not come.
        """
        self._set_state(RunState.STARTING, "recovering")
        ticks = (self.sides[0].instrument.tick_size, self.sides[1].instrument.tick_size)
        self.work.log.intents(self._journal.open_intents(self.stream), ticks)
        # Both are waited for: one that went on alone would begin to trade after the other's error.
        begun = await asyncio.gather(
            *(side.begin(lambda: self.failure) for side in self.sides), return_exceptions=True
        )
        error = next((each for each in begun if each is not None), None)
        if error is not None:
            await self._end_tasks()
            for side in self.sides:
                await side.facts.close()
            raise error
        self._forget = self.board.listen(self._heard)
        self._deciding = True
        self._set_state(RunState.RUNNING, "")
        self.sides[0].upkeep.spawn_ticks(self._tick)
        if self._own_state() is RiskState.HALT:
            self._sweep_all(self.board.explain(self.stream, ""))

    async def pause(self, reason: str) -> StopReport:
        """Begin no new pair; the one at work is brought to its end first, then nothing of ours is left."""
        self._set_state(RunState.PAUSED, reason)
        await self._pair_over_or_late()
        return StopReport.together(await asyncio.gather(*(side.sweep.once(reason) for side in self.sides)))

    def resume(self) -> None:
        """Look for pairs again; a failed or stopped run stays what it is."""
        if self.state is RunState.PAUSED and not any(side.sweep.is_running for side in self.sides):
            self._set_state(RunState.RUNNING, "")
            self._wake()

    async def cancel_all(self, reason: str) -> StopReport:
        """Cancel whatever should stand and prove it; a pair at work goes on by what its orders came to."""
        return StopReport.together(await asyncio.gather(*(side.sweep.once(reason) for side in self.sides)))

    async def flatten(self, reason: str) -> None:
        """Refused: base on both venues is what this run works with.

        Raises:
            ControlRefusedError: always.
        """
        raise ControlRefusedError(
            self.stream, "flatten", f"it works with base on both venues ({reason}); pause it, then rebalance"
        )

    async def halt(self, reason: str, by: str = "owner") -> StopReport:
        """Send nothing more, not even to undo; wait for `rearm`."""
        self.board.halt(run_scope(self.stream), Cause.OWNER, by, reason)
        return await self.cancel_all(reason)

    def rearm(self, cause: str | None = None) -> list[str]:
        """The owner lifts restrictions of this run, or one of them; returns what was lifted."""
        return self.board.rearm(run_scope(self.stream), cause)

    async def stop(self, reason: str = "asked to stop") -> StopReport:
        """Bring the pair at work to its end, cancel everything of ours, prove it, write the last facts."""
        failed = self.state is RunState.FAILED
        if not failed:
            self._set_state(RunState.STOPPING, reason)
            await self._pair_over_or_late()
        self._deciding = False
        reports = []
        for side in self.sides:
            side.ended = True
            await side.sweep.cancel()
            await side.upkeep.rest_maintenance()
            reports.append(await side.execution.reconciler.stop())
            side.observations.mark(side.watch.top)
            side.observations.balances(side.execution.account)
        await self._end_tasks()
        if not failed:
            self._set_state(RunState.STOPPED, reason)
        for side in self.sides:
            await side.facts.close()
        self._ended.set()
        return StopReport.together(reports)

    async def abandon(self) -> None:
        """Drop everything where it is, as a crash would; the next start recovers."""
        self._deciding = False
        await self._end_tasks()
        for side in self.sides:
            await side.facts.close()
        self._ended.set()

    async def wait(self) -> None:
        """Return when the run has ended or failed."""
        await self._ended.wait()

    # What the sides report.

    def on_side_order(self, side: ArbitrageSide, order: Order) -> None:  # noqa: ARG002 - the port's
        """An order is new or has changed."""
        self.observer.on_order(order)

    def on_leg(self, side: ArbitrageSide, order: Order) -> None:
        """An order of a pair may have ended, or fell into doubt."""
        self.work.on_leg(side, order)

    def on_side_fill(self, side: ArbitrageSide, record: FillRecord, client_order_id: str) -> None:
        """A trade is durable."""
        self.work.on_fill(side, record.own.fill, client_order_id)
        self.observer.on_fill(record)

    def on_book(self, side: ArbitrageSide) -> None:  # noqa: ARG002 - the port's
        """Decide once what is at hand has been taken in."""
        self.observer.on_book()
        self._wake()

    def on_side_risk(self, side: ArbitrageSide, change: RiskChange) -> None:
        """A venue's breaker, or the owner, allows more or less."""
        if side.risk.state is RiskState.HALT:
            side.sweep.begin(side.risk.why)
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
        for side in self.sides:
            side.connected.set()

    def on_task_ended(self, name: str, error: Exception | None) -> None:
        """A part of a side ended by itself."""
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
        one, two = (side.book(levels, side.unfit()) for side in self.sides)
        sigma = self.sides[0].watch.volatility.sigma
        decision = self.strategy.decide(CrossView(self._world.monotonic_ns(), (one, two), sigma))
        if self.decision is None or decision.why != self.decision.why:
            self._on_decision(decision)
        self.decision = decision
        if decision.opportunity is not None:
            self.work.begin(decision.opportunity)

    def _reason_to_wait(self) -> str:
        if self.state is not RunState.RUNNING:
            return self.state_reason or self.state.value
        if self._own_state() > RiskState.ACTIVE:
            return self.board.explain(self.stream, "")
        if self.work.reason:
            return self.work.reason
        if self._balances_due:
            return "balances are being asked for after the last pair"
        return self.work.budget.refusal(self._world.monotonic_ns())

    def _on_pair_halted(self, detail: str) -> None:
        self.board.halt(run_scope(self.stream), Cause.PARTIAL_LEG, self.stream, detail)

    def _on_pair_over(self, end: PairEnd) -> None:
        self.pairs.append(end.record(self._wall.now_ns(), self.mid))
        if end.sent:
            self._balances_due = True
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())
        self._wake()

    async def _refresh(self) -> None:
        """Both balances, before the next pair is sized by them."""
        while self._deciding:
            answers = await asyncio.gather(*(side.refresh_balances() for side in self.sides))
            if all(answers):
                self._balances_due = False
                self._wake()
                return
            await asyncio.sleep(1)

    # Beside.

    def _tick(self) -> None:
        now_ns = self._world.monotonic_ns()
        for side in self.sides:
            side.risk.tick()
            side.observations.tick(
                side.watch.top, side.execution.account, stale=side.watch.tracker.stale is not None
            )
        self._watch_equity(now_ns)
        self.work.tick()
        self._wake()

    def _watch_equity(self, now_ns: int) -> None:
        """Losses count for both venues together: what one gives, the other takes."""
        equity, worth = self.pnl_quote, self.worth_quote
        if self.capital is None:
            self.capital = worth
        self.governor.tick(Glance(now_ns, self._wall.monotonic_ns(), equity=equity, capital=self.capital))

    def _heard(self, change: RiskChange) -> None:
        """A restriction of the run itself came or went."""
        if change.scope != run_scope(self.stream):
            return
        self.governor.on_change(change)
        held = change.restriction
        side = self.sides[0]
        side.facts.write(
            RiskChanged(
                venue=side.venue.name,
                at_ns=self._wall.now_ns(),
                symbol=side.instrument.symbol,
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

    def _pair_number(self) -> int:
        return self.work.number

    def _exposure_lots(self, venue: int) -> int:
        return self.work.exposure_lots(venue)

    def _sweep_all(self, reason: str) -> None:
        for side in self.sides:
            side.sweep.begin(reason)

    def _own_state(self) -> RiskState:
        return self.board.state(self.stream)

    async def _pair_over_or_late(self) -> None:
        """Give the pair at work the time its rules give it."""
        rules = self.strategy.leg_rules
        tries = round(2 * rules.deadline_ns / NS_PER_S / 0.05) + 1
        for _ in range(tries):
            if not self.work.is_at_work or self.failure is not None:
                return
            await asyncio.sleep(0.05)

    def _set_state(self, state: RunState, reason: str) -> None:
        if (state, reason) == (self.state, self.state_reason):
            return
        self.state, self.state_reason = state, reason
        side = self.sides[0]
        side.facts.write(
            RunStateChanged(
                venue=side.venue.name,
                at_ns=self._wall.now_ns(),
                symbol=side.instrument.symbol,
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
        for side in self.sides:
            await side.end()
