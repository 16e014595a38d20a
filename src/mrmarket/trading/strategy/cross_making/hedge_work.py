"""Passes a maker's fills on, live: adds up what is owed and has one hedge carried out at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from mrmarket.core.decimals import format_decimal
from mrmarket.core.events import Fact, Filled, RiskChanged
from mrmarket.trading.execution.leg_pair import PairState, hedge, parse_leg_slot
from mrmarket.trading.execution.legs import Halt, LegStage, Send, Tick
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.risk.state import Cause
from mrmarket.trading.strategy.arbitrage.common_grid import CommonGrid
from mrmarket.trading.strategy.arbitrage.pair_log import base_of
from mrmarket.trading.strategy.arbitrage.pair_record import PairRecord, PairTally
from mrmarket.trading.strategy.cross_making.hedge import HEDGE, MAKER, Hedge, hedge_due
from mrmarket.trading.strategy.multileg.leg_work import LegOrders, LegWork
from mrmarket.trading.strategy.multileg.side import MarketSide
from mrmarket.trading.venue.port import FillReport


@dataclass(frozen=True, slots=True)
class HedgeEnd:
    """A hedge that is over."""

    number: int
    pair: PairState
    why: str
    tally: PairTally

    def record(self, at_ns: int, mid: Decimal | None) -> PairRecord:
        """For people; what it made is against the mid, and so mostly a cost that its quote has earned."""
        return PairRecord(
            number=self.number,
            at_ns=at_ns,
            why=self.why,
            promised_quote=Decimal(0),
            made_quote=self.tally.made_quote(mid),
            fees_quote=self.tally.fees_quote,
            stage=self.pair.stage,
            end=self.pair.reason or "passed on",
        )


class HedgeWork(LegWork[PairState, PairTally]):
    """What is owed is the sum of all durable fills of both venues: nothing is kept beside the event log.

    A hedge is sent only while no earlier one of this or another life can still trade, so that lost answers
    and crashes lead to a question, never to a second order.
    """

    def __init__(
        self,
        sides: Sequence[MarketSide],
        grid: CommonGrid,
        orders: LegOrders,
        *,
        on_halt: Callable[[str], None],
        on_over: Callable[[HedgeEnd], None],
    ) -> None:
        """`on_halt` hears what is held, `on_over` of each hedge that is over."""
        self.owed = Fraction(0)
        """Base bought less sold by all fills of both venues, fees in base taken off."""
        self.halted = ""
        """What the owner was told in an earlier life and has not lifted; empty if nothing."""
        self._grid = grid
        self._base = sides[MAKER].instrument.base
        self._on_over = on_over
        super().__init__(sides, orders, on_halt)

    @property
    def is_undoing(self) -> bool:
        """Whether a hedge goes back on the quoted venue: no quote may stand there meanwhile."""
        return self.state is not None and self.state.stage is LegStage.UNWIND

    @property
    def due(self) -> Hedge | None:
        """What would be passed on now; None while it is too little, or a venue has no prices."""
        here, there = self._sides[MAKER], self._sides[HEDGE]
        if here.watch.top is None or there.watch.top is None:
            return None
        instruments = (here.instrument, there.instrument)
        return hedge_due(self.owed, self._grid, instruments, here.watch.top, there.watch.top)

    def exposure_lots(self, side: MarketSide) -> int:
        """What is owed, in a venue's lots: bought is positive."""
        lots = int(abs(self.owed) / Fraction(side.instrument.lot_size))
        return lots if self.owed > 0 else -lots

    def recall(self, facts: Iterable[Fact], scope: str) -> None:
        """Add up what earlier lives have left; `scope`: the run's, whose halts are its own."""
        for fact in facts:
            if isinstance(fact, Filled):
                in_base = fact.fee_asset == fact.base
                self.owed += base_of(fact.side, Decimal(fact.size), Decimal(fact.fee), in_base=in_base)
            elif isinstance(fact, RiskChanged) and fact.scope == scope and fact.cause == Cause.PARTIAL_LEG:
                self.halted = fact.detail if fact.detail.startswith("hedge ") else ""

    def begin(self) -> bool:
        """Send the next hedge if one is due and nothing is in doubt; whether one was begun."""
        here, there = self._sides[MAKER], self._sides[HEDGE]
        if self.is_at_work or there.unfit() or not self._is_settled(here):
            return False
        found = self.due
        if found is None or not there.may_send:
            return False
        now_ns = self._world.monotonic_ns()
        pair = hedge(found.plan, self._rules, found.units, now_ns)
        why = f"hedge of {format_decimal(self._grid.base(found.units))} {self._base}"
        self.carry(self._next_number(), pair, Tick(now_ns), why)
        return True

    def on_leg(self, side: MarketSide, order: Order) -> None:
        """An order of the hedge at work, or of the one just over, may have ended."""
        super().on_leg(side, order)
        self.retry()

    def on_fill(self, side: MarketSide, fill: FillReport, client_order_id: str) -> None:
        """A trade is durable, whoever's it is: a quote's or a hedge's, of this life or another."""
        self.owed += side.changed_by(fill).get(self._base, Fraction(0))
        if self.counts(client_order_id):
            self.tally.fill(side.instrument, fill)

    def new_tally(self) -> PairTally:
        """An empty one."""
        return PairTally(self._grid, self._base)

    def is_leg(self, slot: str) -> bool:
        """Whether a slot is that of a hedge."""
        return parse_leg_slot(slot) is not None

    def may_go(self, leg: Send) -> bool:
        """An order that undoes must not meet our own quotes."""
        return leg.place == HEDGE or not len(self._sides[MAKER].execution.table)

    def in_words(self, halt: Halt[Any]) -> str:
        """What the owner is told of a halt."""
        held = format_decimal(self._grid.base(halt.held))
        return f"hedge {self.number}: {halt.reason}; {held} {self._base} unhedged"

    def over(self, state: PairState) -> None:
        """A hedge is over."""
        self.budget = self.budget.after(state, self._world.monotonic_ns(), self.tally.fees_quote)
        self._on_over(HedgeEnd(self.number, state, self._why, self.tally))

    def _is_settled(self, here: MarketSide) -> bool:
        """Whether no order that undoes a hedge can still trade where quotes stand."""
        table = here.execution.table
        waiting = (*table.open(), *table.short_of_fills())
        return not any(self.is_leg(order.slot) for order in waiting)
