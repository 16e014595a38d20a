"""What binds a run to the risk board: feeds its governor, keeps its gate informed, hears what changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final, Protocol, runtime_checkable

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.events import Fact, MarkObserved, OrderRejected, RiskChanged
from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.assembly import Execution
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.differences import Difference
from mrmarket.trading.execution.fact_writer import FactWriter
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.risk.board import RiskBoard, RiskChange
from mrmarket.trading.execution.risk.gate import RiskGate
from mrmarket.trading.execution.risk.governor import Glance, RiskGovernor
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.risk.mandate import Mandate, Stand, narrowed
from mrmarket.trading.execution.risk.position import Position
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.execution.risk.state import INSTANCE, REARMED, RiskState, run_scope, venue_scope
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.strategy.market_watch import MarketWatch
from mrmarket.trading.strategy.run_facts import RunFacts
from mrmarket.trading.strategy.totals import RunTotals
from mrmarket.trading.venue.book_tracker import StaleReason
from mrmarket.trading.venue.port import Venue
from mrmarket.trading.venue.rate_budget import KeepsBudget

_FAIR_HALF_LIFE_NS: Final = 5 * NS_PER_S
_LOOK_NS: Final = NS_PER_S // 5
_DEPTH_NS: Final = NS_PER_S
_DEPTH_LEVELS: Final = 10
_BUDGET: Final = "budget"
"""What the event log says of a change of the run's budget."""
_MANDATE: Final = "mandate"
"""The same of what is asked for from outside."""

Index = Callable[[], Decimal | None]
"""A reference price from elsewhere, in quote; None while there is none."""


@runtime_checkable
class TrustsClock(Protocol):
    """A venue that knows whether its clock and ours can be brought together."""

    @property
    def clock_trusted(self) -> bool:
        """Whether they are within 1 s of each other, once corrected."""
        ...


class RunRisk:
    """One run's share of the risk board."""

    def __init__(
        self,
        run: str,
        venue: Venue,
        instrument: Instrument,
        board: RiskBoard,
        limits: BreakerLimits,
        *,
        wall: Clock,
        world: Clock,
        index: Index | None = None,
    ) -> None:
        """Until `bind` nothing is known of the run but its scopes."""
        self.board = board
        self.governor = RiskGovernor(run, venue.name, instrument, board, limits)
        self.budget = board.budgets.of(run)
        """How much it may have in play."""
        self.mandate = board.mandates.of(run)
        """What is asked of its quotes from outside."""
        self.gate = RiskGate(
            instrument,
            self._state,
            gap_lots=self.gap_lots,
            why=self._why,
            base_total=lambda: self._execution.account.base_total,
        )
        self.gate.context.budget = self.budget
        self.capital: Decimal | None = None
        """What the account was worth in quote at the first price of this start."""
        self._run = run
        self._venue = venue
        # Asked once: a run-time check of a protocol takes longer than everything else in a tick.
        self._trusts = venue if isinstance(venue, TrustsClock) else None
        self._budgeted = venue if isinstance(venue, KeepsBudget) else None
        self._instrument = instrument
        self._wall = wall
        self._world = world
        self._index = index
        self._scopes = (run_scope(run), venue_scope(venue.name), INSTANCE)
        self._position: Position | None = None
        self._watch: MarketWatch | None = None
        self._fair: float | None = None
        self._fair_ns = 0
        self._banned_ns = 0
        self._seen: tuple[StaleReason | None, bool, bool] | None = None
        """(why the book is stale, whether the clock is trusted, whether there is a ban) at the last tick."""
        self._looked_ns = 0
        self._depth_ns: int | None = None
        """When the book's depth was last added up."""
        self._valued: tuple[int, int, int] | None = None
        """What the last equity was made of: mid, fills, cash."""
        self._equity = Decimal(0)
        self._forget: Callable[[], None] | None = None
        self._forget_budget: Callable[[], None] = lambda: None
        self._forget_mandate: Callable[[], None] = lambda: None
        self._narrowed: tuple[TargetQuotes, Mandate, MarketTop, Stand, TargetQuotes] | None = None
        """What was narrowed last, by what, and what came of it."""
        self._anchor_lots: int | None = None
        """Bought less sold when the position was first bounded."""

    @property
    def state(self) -> RiskState:
        """What the run may do now."""
        return self.board.state(self._run, self._venue.name)

    @property
    def why(self) -> str:
        """The strictest reason; empty while it is free."""
        return self.board.explain(self._run, self._venue.name)

    def narrowed(self, targets: TargetQuotes) -> TargetQuotes:
        """The strategy's wishes inside the mandate; the same object for the same question."""
        mandate = self.mandate.now
        if mandate.max_inventory is None:
            self._anchor_lots = None
        top = None if self._watch is None else self._watch.top
        if not mandate.binds or top is None or not targets.quotes:
            return targets
        stand, last = Stand(self.gap_lots(top), self._moved_lots(mandate, top)), self._narrowed
        if last is not None and last[0] is targets and last[1:4] == (mandate, top, stand):
            return last[4]
        within = narrowed(targets, mandate, self._instrument, top, stand)
        self._narrowed = (targets, mandate, top, stand, within)
        return within

    def _moved_lots(self, mandate: Mandate, top: MarketTop) -> int:
        """How far trading has taken the position; on its way to the target it takes the beginning along."""
        if mandate.max_inventory is None:
            return 0
        now, most = (
            self._totals.base_lots,
            int(mandate.max_inventory / (top.double_mid_ticks * self._instrument.grain / 2)),
        )
        anchor = now if self._anchor_lots is None else self._anchor_lots
        self._anchor_lots = max(now - most, min(now + most, anchor))
        return now - self._anchor_lots

    def bind(
        self, execution: Execution, totals: RunTotals, watch: MarketWatch, target_share: Callable[[], Decimal]
    ) -> None:
        """Get to know the rest of the run."""
        self._execution = execution
        self._totals = totals
        self._watch = watch
        self._position = Position(self._instrument, execution.account, lambda: totals.base_lots, target_share)

    def recall(self, history: Iterable[Fact], totals: RunTotals) -> Iterable[Fact]:
        """Pass facts of earlier lives on; marks say what equity was, re-arms that it was dealt with."""
        world_ns, wall_ns = self._world.monotonic_ns(), self._wall.now_ns()
        for fact in history:
            yield fact
            if isinstance(fact, RiskChanged) and fact.detail == REARMED:
                self.governor.reset(fact.cause)
            elif isinstance(fact, MarkObserved) and totals.fills:
                mid = (Decimal(fact.bid) + Decimal(fact.ask)) / 2
                self.governor.recall(world_ns - max(0, wall_ns - fact.at_ns), totals.pnl_quote(mid))

    def recall_equity(self, at_ns: int, equity: Decimal) -> None:
        """What equity was at a time (wall) of an earlier life, oldest first."""
        age_ns = max(0, self._wall.now_ns() - at_ns)
        self.governor.recall(self._world.monotonic_ns() - age_ns, equity)

    def begin(self, facts: FactWriter, on_change: Callable[[RiskChange], None]) -> None:
        """Hear of changes from now on; each that concerns the run becomes a fact."""
        written = RunFacts(facts, self._venue.name, self._instrument.symbol, self._wall)

        def heard(change: RiskChange) -> None:
            if change.scope not in self._scopes:
                return
            self.governor.on_change(change)
            self.gate.context.state = self.state
            written.risk(change, self.state)
            on_change(change)

        def told(cause: str, detail: str) -> None:
            written.allowance(self._scopes[0], self.state, cause, detail)
            on_change(RiskChange(self._scopes[0], cause, None, self.board.scope_state(self._scopes[0])))

        def funded() -> None:
            told(_BUDGET, str(self.budget) or "no limit")

        def asked() -> None:
            told(_MANDATE, self.mandate.now.idle or self.mandate.now.reason or "nothing is asked for")

        self.end()
        self._forget = self.board.listen(heard)
        self._forget_budget = self.budget.listen(funded)
        self._forget_mandate = self.mandate.listen(asked)

    def end(self) -> None:
        """Hear nothing more, hold nothing more."""
        if self._forget is not None:
            self._forget()
            self._forget_budget()
            self._forget_mandate()
            self._forget = None
            self.governor.close()

    # What happens in the run.

    def on_order(self, old: Order | None, new: Order) -> None:
        """An order changed."""
        top = self._watch.top if old is None and self._watch is not None else None
        self.governor.on_order(self._world.monotonic_ns(), old, new, top)

    def on_fact(self, fact: Fact) -> None:
        """A fact about an order."""
        if isinstance(fact, OrderRejected):
            self.governor.on_refusal(self._world.monotonic_ns(), fact)

    def on_own_fill(self, own: OwnFill) -> None:
        """A trade of ours is durable."""
        fill, fee = own.fill, Decimal(own.fill.fee)
        if fill.fee_asset == self._instrument.base:
            fee *= self._instrument.price(fill.price_ticks)
        elif fill.fee_asset != self._instrument.quote:
            fee = Decimal(0)  # of a third asset there is no price here, as in the totals
        self.governor.on_fill(self._world.monotonic_ns(), fill, own.double_mid_ticks, fee)

    def on_difference(self, difference: Difference, standing: bool) -> None:
        """We and the venue disagree, or agree again."""
        self.governor.on_difference(self._wall.monotonic_ns(), difference, standing=standing)

    def gap_lots(self, top: MarketTop) -> int:
        """Base position less its target."""
        return 0 if self._position is None else self._position.gap_lots(top)

    def tick(self) -> None:
        """Look 20 times a second whether something is wrong, and five times a second at everything."""
        watch = self._watch
        if watch is None or self._position is None:
            return
        wall_ns, execution = self._wall.monotonic_ns(), self._execution
        stale = watch.tracker.stale
        trusted = self._trusts is None or self._trusts.clock_trusted
        banned = self._is_banned(execution.executor.banned_until_ns)
        seen = (stale, trusted, banned)
        if seen == self._seen and wall_ns - self._looked_ns < _LOOK_NS:
            # A process may hold hundreds of runs: what takes a while is not done at every tick.
            return
        self._seen, self._looked_ns = seen, wall_ns
        settled = not execution.facts.urgent_pending and not execution.table.short_of_fills()
        self._position.tick(wall_ns, settled=settled)
        double_mid = None if stale is not None else watch.double_mid_ticks
        share = self._budget_share()
        context = self.gate.context
        context.budget_share = share
        if double_mid is not None:
            context.fair_double_ticks = self._follow(double_mid, wall_ns)
            if self._depth_ns is None or wall_ns - self._depth_ns >= _DEPTH_NS:
                self._depth_ns, context.depth_lots = wall_ns, self._depth(watch)
        mid = None if double_mid is None else double_mid * self._instrument.tick_size / 2
        equity = None if mid is None or double_mid is None else self._worth(double_mid, mid)
        if self.capital is None and mid is not None and execution.account.is_known:
            self.capital = execution.account.base_total * mid + execution.account.quote_total
        self.governor.tick(
            Glance(
                self._world.monotonic_ns(),
                wall_ns,
                equity=equity,
                capital=self.capital,
                stale="" if stale is None else stale.value,
                fair=mid,
                index=self._index() if self._index is not None else None,
                budget_share=share,
                clock_trusted=trusted,
                banned=banned,
            )
        )
        self.board.tick()

    def _worth(self, double_mid: int, mid: Decimal) -> Decimal:
        """Profit at this mid; worked out anew only where it is another mid, or after a fill."""
        valued = (double_mid, self._totals.fills, self._totals.cash_grains)
        if valued != self._valued:
            self._valued, self._equity = valued, self._totals.pnl_quote(mid)
        return self._equity

    def _is_banned(self, until_ns: int) -> bool:
        """Also a ban that came and went between two ticks."""
        new, self._banned_ns = until_ns > self._banned_ns, until_ns
        return new or self._wall.now_ns() < until_ns

    def _budget_share(self) -> float:
        if self._budgeted is None:
            return 1.0
        levels = self._budgeted.budget.levels()
        return min((level for name, level in levels.items() if name.startswith("weight")), default=1.0)

    def _follow(self, double_mid: int, wall_ns: int) -> int:
        """Our own fair value: the mid of others, followed with a half-life of 5 s, so that a jump shows."""
        if self._fair is None:
            self._fair = float(double_mid)
        else:
            kept: float = 0.5 ** ((wall_ns - self._fair_ns) / _FAIR_HALF_LIFE_NS)
            self._fair = double_mid + (self._fair - double_mid) * kept
        self._fair_ns = wall_ns
        return round(self._fair)

    def _depth(self, watch: MarketWatch) -> int:
        book = watch.tracker.book
        shown = sum(lots for _, lots in (*book.bids(_DEPTH_LEVELS), *book.asks(_DEPTH_LEVELS)))
        own = sum(order.remaining_lots for order in self._execution.table.open() if order.is_resting)
        return max(0, shown - own)

    def _state(self) -> RiskState:
        return self.state

    def _why(self) -> str:
        return self.why
