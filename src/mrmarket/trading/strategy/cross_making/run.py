"""A maker on two venues, live: quotes on the first, and every fill passed on to the second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.events import Fact
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.risk.state import RiskState, run_scope
from mrmarket.trading.execution.targets import NO_QUOTES, TargetQuotes
from mrmarket.trading.strategy.arbitrage.run import legs_of
from mrmarket.trading.strategy.arbitrage.two_venue_run import TwoVenueRun
from mrmarket.trading.strategy.cross_making.hedge import HEDGE, MAKER
from mrmarket.trading.strategy.cross_making.hedge_work import HedgeEnd, HedgeWork
from mrmarket.trading.strategy.cross_port import CrossMaker, CrossView
from mrmarket.trading.strategy.multileg.budget import leg_budget
from mrmarket.trading.strategy.multileg.host import facts_of
from mrmarket.trading.strategy.multileg.patience import oldest_of
from mrmarket.trading.strategy.multileg.setting import Place, RunSetting
from mrmarket.trading.strategy.multileg.side import MarketSide
from mrmarket.trading.strategy.observer import FillRecord, RunState
from mrmarket.trading.strategy.past import History


class MakingRun(TwoVenueRun):
    """Runs one maker. Quotes and hedges are written down before they are sent, in the run's one stream.

    What is owed to the hedge venue is a fold over the fills in that stream. After a crash the next start
    takes the standing quotes over, finds out what became of each hedge, and passes on what is still owed.
    While a hedge is due or under way nothing is added to the quotes that stand.
    """

    def __init__(
        self,
        places: tuple[Place, Place],
        strategy: CrossMaker,
        journal: OrderJournal,
        setting: RunSetting,
        *,
        history: History | Iterable[Fact] = (),
    ) -> None:
        """Put a run together; nothing is sent before `start`.

        Args:
            places: where it quotes, and where fills are hedged: two exchanges.
            strategy: decides which quotes stand.
            journal: the trading store.
            setting: what all parts of the run are given.
            history: all facts of the stream, oldest first.

        Raises:
            WashTradeRefusedError: both places are one exchange.
        """
        super().__init__(places, strategy.symbol, strategy.leg_rules, journal, setting, rules=strategy.rules)
        self.strategy = strategy
        self._oldest_ns = oldest_of(strategy)
        self._priced = asyncio.Event()
        self._first_book_s = setting.timing.first_book_ns / NS_PER_S
        self.targets: TargetQuotes = NO_QUOTES
        """What was wanted at the last decision."""
        terms = legs_of(strategy)
        self.work: HedgeWork = HedgeWork(
            self.sides,
            self.grid,
            self._orders(leg_budget("pair", terms, 0.0, terms.max_fees_per_hour)),
            on_halt=self._halt_self,
            on_over=self._on_hedge_over,
        )
        """What is owed, and the hedge at work."""
        facts = facts_of(history)
        self.work.recall(facts, run_scope(self.stream))
        for side in self.sides:
            side.recall(facts, self.stream)

    @property
    def is_at_work(self) -> bool:
        """Whether a hedge is under way, or due and able to go."""
        return self.work.is_at_work or (self._may_hedge and self.work.due is not None)

    @property
    def _is_busy(self) -> bool:
        """A fill of a quote that was just cancelled may be on its way to the disk: it will be owed too."""
        return self.is_at_work or (self._may_hedge and not all(side.is_settled for side in self.sides))

    async def start(self) -> None:
        """Recover what an earlier life left on both venues, then quote and hedge.

        Raises:
            RunNotReadyError: a venue's user stream or its answers do not come.
        """
        if self.work.halted:
            # What the owner was told of is not traded away behind their back.
            self._halt_self(self.work.halted)
        await super().start()

    async def _before_trading(self) -> None:
        """Quotes that were taken over keep their places: the first books may take a moment to come."""
        if not len(self.sides[MAKER].execution.table):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._first_book_s):
                await self._priced.wait()
            for side in self.sides:
                side.observations.mark(side.watch.top)
                await side.facts.flush()

    def on_book(self, side: MarketSide) -> None:
        """Something changed that a decision depends on."""
        if not self._priced.is_set() and all(each.watch.top is not None for each in self.sides):
            self._priced.set()
        super().on_book(side)

    def on_leg(self, side: MarketSide, order: Order) -> None:
        """An order of a hedge may have ended, or a quote has left the way of one."""
        super().on_leg(side, order)
        if order.is_final or order.is_resting:
            self._wake()

    def on_fill(self, side: MarketSide, record: FillRecord, client_order_id: str) -> None:
        """A trade is durable: what is owed has changed."""
        super().on_fill(side, record, client_order_id)
        self._wake()

    # Deciding.

    def _decide_now(self) -> None:
        if self._may_hedge:
            self.work.begin()
        reason = self._reason_now()
        self._say_waits(reason)
        maker = self.sides[MAKER]
        maker.watch.refresh(maker.execution.table.open())
        before, self.targets = self.targets, TargetQuotes(reason=reason) if reason else self._wanted()
        top = None if reason else maker.watch.top
        todo = maker.quote(self.targets, top, self._wall.monotonic_ns())
        if todo.rests_ns:
            self._may_rest(todo.rests_ns)
        if self.targets != before:
            self.observer.on_quotes(self.targets)

    def _wanted(self) -> TargetQuotes:
        levels = self.strategy.depth_levels
        one, two = (side.book(levels, "") for side in self.sides)
        sigma = self.sides[HEDGE].watch.volatility.sigma
        targets = self.strategy.quotes(CrossView(self._world.monotonic_ns(), (one, two), sigma))
        if self._accounts.is_due or self.is_at_work or not self.sides[HEDGE].is_settled:
            return TargetQuotes(targets.quotes, targets.reason, hold=True)
        return targets

    @property
    def _may_hedge(self) -> bool:
        """Also while paused or stopping: what was filled is passed on."""
        alive = (RunState.RUNNING, RunState.PAUSED, RunState.STOPPING)
        return self._deciding and self.state in alive and self.risk_state <= RiskState.REDUCE

    def _reason_now(self) -> str:
        if self.state is not RunState.RUNNING:
            return self.state_reason or self.state.value
        if self.risk_state >= RiskState.CANCEL_ONLY:
            return self.risk_reason
        if self.work.is_undoing:
            return "a hedge is being undone"
        maker, taker = self.sides
        # That a hedge is under way is no reason to give places up.
        elsewhere = taker.unfit(settled=False)
        if elsewhere:
            return f"{taker.market}: {elsewhere}"
        return maker.unfit() or self.work.budget.refusal(self._world.monotonic_ns())

    def _on_hedge_over(self, end: HedgeEnd) -> None:
        self.pairs.append(end.record(self._wall.now_ns(), self.mid))
        self._accounts.require()
        self._wake()

    async def _rest(self, reason: str) -> None:
        """The quotes first, then what they still owe."""
        await self.sides[MAKER].sweep.once(reason)
        await self._over_or_late()
