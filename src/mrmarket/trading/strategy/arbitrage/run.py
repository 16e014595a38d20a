"""A strategy on two venues, live: decides, and has one pair of orders carried out at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mrmarket.core.events import Fact
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.strategy.arbitrage.pair_work import PairEnd, PairWork
from mrmarket.trading.strategy.arbitrage.parameters import LegSchema
from mrmarket.trading.strategy.arbitrage.two_venue_run import TwoVenueRun
from mrmarket.trading.strategy.cross_port import CrossDecision, CrossStrategy, CrossView
from mrmarket.trading.strategy.multileg.budget import leg_budget
from mrmarket.trading.strategy.multileg.host import facts_of
from mrmarket.trading.strategy.multileg.patience import oldest_of
from mrmarket.trading.strategy.multileg.setting import Place, RunSetting
from mrmarket.trading.strategy.past import History


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
        setting: RunSetting,
        *,
        legs: LegSchema | None = None,
        pause_s: float = 0.2,
        on_decision: Callable[[CrossDecision], None] = lambda _decision: None,
        history: History | Iterable[Fact] = (),
    ) -> None:
        """Put a run together; nothing is sent before `start`.

        Args:
            places: two open venues, of different exchanges.
            strategy: decides which pairs of orders are sent.
            journal: the trading store.
            setting: what all parts of the run are given.
            legs: budgets for pairs that go wrong; the strategy's own parameters where it has some.
            pause_s: rest between two pairs, in seconds of the strategy's clock.
            on_decision: told of each decision that differs from the one before, at once.
            history: all facts of the stream, oldest first (`read_history(…, with_fold=False)`).

        Raises:
            WashTradeRefusedError: both places are one exchange.
        """
        super().__init__(places, strategy.symbol, strategy.leg_rules, journal, setting)
        self.strategy = strategy
        self._oldest_ns = oldest_of(strategy)
        self._on_decision = on_decision
        terms = legs or legs_of(strategy)
        self.work: PairWork = PairWork(
            self.sides,
            self.grid,
            self._orders(leg_budget("pair", terms, pause_s, terms.max_fees_per_hour)),
            on_halt=self._halt_self,
            on_over=self._on_pair_over,
        )
        """The pair of orders at work."""
        facts = facts_of(history)
        for fact in facts:
            self.work.log.take(fact)
        for side in self.sides:
            side.recall(facts, self.stream)

    def _recover(self) -> None:
        ticks = (self.sides[0].instrument.tick_size, self.sides[1].instrument.tick_size)
        self.work.log.intents(self._journal.open_intents(self.stream), ticks)

    def _decide_now(self) -> None:
        self._may_rest()
        reason = self._reason_now()
        self._say_waits(reason)
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

    def _reason_now(self) -> str:
        return self._reason_to_wait(self.work)

    def _on_pair_over(self, end: PairEnd) -> None:
        self.pairs.append(end.record(self._wall.now_ns(), self.mid))
        if end.sent:
            self._accounts.require()
        self._wake()


def legs_of(strategy: object) -> LegSchema:
    """The budgets in a strategy's own parameters, or the defaults."""
    parameters = getattr(strategy, "parameters", None)
    return parameters if isinstance(parameters, LegSchema) else LegSchema()
