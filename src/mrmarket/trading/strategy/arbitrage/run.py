"""A strategy on two venues, live: decides, and has one pair of orders carried out at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.events import Fact
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.risk.pretrade import RiskLimits
from mrmarket.trading.execution.risk.state import Cause, RiskState, run_scope
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.strategy.arbitrage.budget import pair_budget
from mrmarket.trading.strategy.arbitrage.pair_work import PairEnd, PairWork
from mrmarket.trading.strategy.arbitrage.parameters import LegSchema
from mrmarket.trading.strategy.arbitrage.side import ArbitrageSide
from mrmarket.trading.strategy.arbitrage.two_venue_run import WHOLE_ACCOUNT, Place, TwoVenueRun
from mrmarket.trading.strategy.cross_port import CrossDecision, CrossStrategy, CrossView
from mrmarket.trading.strategy.observer import FillRecord, RunObserver, RunState
from mrmarket.trading.strategy.past import History

__all__ = ["ArbitrageRun", "Place"]


class ArbitrageRun(TwoVenueRun):
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
        limits: RiskLimits = WHOLE_ACCOUNT,
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
        super().__init__(
            places,
            strategy.symbol,
            strategy.leg_rules,
            journal,
            instance=instance,
            stream=stream,
            wall=wall,
            world=world,
            fence=fence,
            limits=limits,
            timing=timing,
            observer=observer,
            guard=guard,
            board=board,
            breakers=breakers,
            mark_every_ns=mark_every_ns,
            balances_every_ns=balances_every_ns,
        )
        self.strategy = strategy
        self._on_decision = on_decision
        parameters = getattr(strategy, "parameters", None)
        fallback = parameters if isinstance(parameters, LegSchema) else LegSchema()
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

    @property
    def is_at_work(self) -> bool:
        """Whether a pair of orders is not over yet."""
        return self.work.is_at_work

    def on_leg(self, side: ArbitrageSide, order: Order) -> None:
        """An order of a pair may have ended, or fell into doubt."""
        self.work.on_leg(side, order)

    def on_side_fill(self, side: ArbitrageSide, record: FillRecord, client_order_id: str) -> None:
        """A trade is durable."""
        self.work.on_fill(side, record.own.fill, client_order_id)
        self.observer.on_fill(record)

    def _recover(self) -> None:
        ticks = (self.sides[0].instrument.tick_size, self.sides[1].instrument.tick_size)
        self.work.log.intents(self._journal.open_intents(self.stream), ticks)

    def _work_tick(self) -> None:
        self.work.tick()

    def _pair_number(self) -> int:
        return self.work.number

    def _exposure_lots(self, venue: int) -> int:
        return self.work.exposure_lots(venue)

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
            self._ask_balances()
        self._wake()
