"""Triangular arbitrage, live: decides, and has one round of three orders carried out at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final

from mrmarket.core.events import Fact
from mrmarket.store.order_journal import OrderRecord
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.strategy.multileg.amounts import Amounts, added
from mrmarket.trading.strategy.multileg.budget import leg_budget
from mrmarket.trading.strategy.multileg.host import MultiLegRun, facts_of
from mrmarket.trading.strategy.multileg.patience import oldest_of
from mrmarket.trading.strategy.multileg.setting import Place, RunSetting
from mrmarket.trading.strategy.multileg.side import MarketSide
from mrmarket.trading.strategy.observer import FillRecord
from mrmarket.trading.strategy.past import History
from mrmarket.trading.strategy.triangular.arbitrage import TriangularArbitrage
from mrmarket.trading.strategy.triangular.cycles import CycleIndex
from mrmarket.trading.strategy.triangular.port import (
    NoTriangleError,
    PairBook,
    TriangleDecision,
    TriangleView,
)
from mrmarket.trading.strategy.triangular.readings import RoundRecord, held_of, worth_of
from mrmarket.trading.strategy.triangular.round_work import RoundEnd, RoundWork
from mrmarket.trading.venue.port import Venue

_ROUNDS_KEPT: Final = 500


class TriangularRun(MultiLegRun):
    """Runs one strategy on several pairs of one account. Everything happens on one event loop.

    At most one round is at work, carried out by the machine of `execution.legs`. Its orders are written
    down before they are sent, in the run's one stream, under ids that say round, part and attempt; fills are
    durable there before the machine hears of them. After a crash the next start finds out what became of each
    order and brings home what the last round has left.
    """

    def __init__(
        self,
        venues: Mapping[str, Venue],
        strategy: TriangularArbitrage,
        journal: OrderJournal,
        setting: RunSetting,
        *,
        on_decision: Callable[[TriangleDecision], None] = lambda _decision: None,
        history: History | Iterable[Fact] = (),
    ) -> None:
        """Put a run together; nothing is sent before `start`.

        Args:
            venues: by pair, the one account as that pair sees it; open, and closed by whoever opened it.
            strategy: decides which rounds are sent.
            journal: the trading store.
            setting: what all parts of the run are given; breakers count losses in the home asset.
            on_decision: told of each decision that differs from the one before, at once.
            history: all facts of the stream, oldest first (`read_history(…, with_fold=False)`).

        Raises:
            NoTriangleError: the pairs close none through the home asset.
        """
        self.home = strategy.home
        instruments = [venue.instrument(symbol) for symbol, venue in venues.items()]
        if not CycleIndex(instruments, [self.home]).cycles:
            raise NoTriangleError(tuple(venues), self.home)
        self.strategy = strategy
        self.decision: TriangleDecision | None = None
        """The last one."""
        self.rounds: deque[RoundRecord] = deque(maxlen=_ROUNDS_KEPT)
        """Rounds that are over, the newest last; since this start."""
        self._on_decision = on_decision
        super().__init__(
            [Place(venue, symbol=symbol) for symbol, venue in venues.items()],
            journal,
            setting,
            leg_rules=strategy.leg_rules,
            shares_account=True,
        )
        self._oldest_ns = oldest_of(strategy)
        self.work: RoundWork = RoundWork(
            self.sides,
            self._orders(leg_budget("round", strategy.parameters, strategy.parameters.pause)),
            ask_balances=self._accounts.ask,
            on_halt=self._halt_self,
            on_over=self._on_round_over,
        )
        """The round at work."""
        facts = facts_of(history)
        for fact in facts:
            self.work.log.take(fact)
        self.changed: Amounts = dict(self.work.log.changed)
        """What all its trades have changed since the run's first start."""
        for side in self.sides:
            side.recall(facts, self.stream)
        self._stale = {side.instrument.symbol for side in self.sides}
        """Pairs whose book has changed since the last decision."""

    @property
    def markets(self) -> dict[str, MarketSide]:
        """By pair."""
        return {side.instrument.symbol: side for side in self.sides}

    @property
    def pnl_home(self) -> Decimal | None:
        """What trading has earned since the first start, at the mids; None without one that is needed."""
        return worth_of(self.changed, self.home, self.sides)

    @property
    def worth_home(self) -> Decimal | None:
        """What the account holds of the traded assets; None until prices and balances are known."""
        held = held_of(self.sides)
        return None if held is None else worth_of(held, self.home, self.sides)

    def owns(self, side: MarketSide, record: OrderRecord) -> bool:
        """By its pair."""
        return record.symbol == side.instrument.symbol

    def on_fill(self, side: MarketSide, record: FillRecord, client_order_id: str) -> None:
        """A trade is durable."""
        self.changed = added(self.changed, side.changed_by(record.own.fill))
        super().on_fill(side, record, client_order_id)

    def on_book(self, side: MarketSide) -> None:
        """The triangles of this pair are priced anew at the next decision."""
        self._stale.add(side.instrument.symbol)
        super().on_book(side)

    # Deciding.

    def _recover(self) -> None:
        self.work.log.intents(self._journal.open_intents(self.stream))

    def _decide_now(self) -> None:
        self.work.retry()
        self._may_rest()
        reason = self._reason_now()
        self._say_waits(reason)
        if reason:
            return
        levels = self.strategy.depth_levels
        books = {side.instrument.symbol: _book_of(side, levels) for side in self.sides}
        changed, self._stale = frozenset(self._stale), set()
        free = next(
            side.free(self.home)
            for side in self.sides
            if self.home in (side.instrument.base, side.instrument.quote)
        )
        decision = self.strategy.decide(TriangleView(self._world.monotonic_ns(), books, changed, free))
        if self.decision is None or decision.why != self.decision.why:
            self._on_decision(decision)
        self.decision = decision
        if decision.triangle is not None:
            self.work.begin(decision, free)

    def _reason_now(self) -> str:
        return self._reason_to_wait(self.work)

    def _on_round_over(self, end: RoundEnd) -> None:
        self.rounds.append(end.record(self._wall.now_ns()))
        if end.sent:
            self._accounts.require()
        self._wake()

    def _valued(self) -> tuple[Decimal | None, Decimal | None]:
        return self.pnl_home, self.worth_home

    def _not_flattened(self, reason: str) -> str:
        return f"between two rounds it holds {self.home} alone ({reason}); pause it instead"


def _book_of(side: MarketSide, levels: int) -> PairBook:
    bids, asks = side.levels(levels)
    return PairBook(side.instrument, bids, asks, side.age_ns, side.unfit())
