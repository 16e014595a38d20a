"""Carries pairs of orders out on two venues, one at a time, and undoes what an earlier life has left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

from mrmarket.core.decimals import format_decimal
from mrmarket.core.side import Side
from mrmarket.trading.execution.leg_pair import Leg, PairState, begin, parse_leg_slot, resume
from mrmarket.trading.execution.legs import Begin, Halt, Tick
from mrmarket.trading.strategy.arbitrage.aftermath import plan_of
from mrmarket.trading.strategy.arbitrage.common_grid import CommonGrid
from mrmarket.trading.strategy.arbitrage.pair_log import PairLog
from mrmarket.trading.strategy.arbitrage.pair_record import PairRecord, PairTally
from mrmarket.trading.strategy.cross_port import Opportunity
from mrmarket.trading.strategy.multileg.leg_work import LegOrders, RecoveringWork
from mrmarket.trading.strategy.multileg.side import MarketSide
from mrmarket.trading.venue.port import FillReport


@dataclass(frozen=True, slots=True)
class PairEnd:
    """A pair that is over."""

    number: int
    pair: PairState
    chance: Opportunity | None
    tally: PairTally

    @property
    def sent(self) -> int:
        """Orders of it."""
        return sum(self.pair.sent)

    def record(self, at_ns: int, mid: Decimal | None) -> PairRecord:
        """For people."""
        chance = self.chance
        return PairRecord(
            number=self.number,
            at_ns=at_ns,
            why="undone after a restart" if chance is None else chance.why,
            promised_quote=Decimal(0) if chance is None else chance.profit,
            made_quote=self.tally.made_quote(mid),
            fees_quote=self.tally.fees_quote,
            stage=self.pair.stage,
            end=self.pair.reason,
        )


class PairWork(RecoveringWork[PairState, PairTally]):
    """One pair at a time; what an earlier life has left is undone before the first."""

    WHAT: ClassVar[str] = "pair"
    AT_WORK: ClassVar[str] = "a pair of orders is at work"

    def __init__(
        self,
        sides: Sequence[MarketSide],
        grid: CommonGrid,
        orders: LegOrders,
        *,
        on_halt: Callable[[str], None],
        on_over: Callable[[PairEnd], None],
    ) -> None:
        """`on_halt` hears what is held, `on_over` of each pair that is over."""
        self.log = PairLog()
        """What is known of the last pair of earlier lives."""
        self._grid = grid
        self._base = sides[0].instrument.base
        self._on_over = on_over
        self._chance: Opportunity | None = None
        super().__init__(sides, orders, on_halt)

    def exposure_lots(self, side: MarketSide) -> int:
        """What the pair at work holds, in a venue's lots: bought is positive."""
        units = 0 if self.state is None else self.state.held
        lots = abs(units) // self._grid.lot_units[side.number]
        return lots if units > 0 else -lots

    def begin(self, chance: Opportunity) -> None:
        """Carry a pair of orders out."""
        self._chance = chance
        first, second = chance.plan.first, chance.plan.second
        funds = (funds_for(first, self._sides[first.venue]), funds_for(second, self._sides[second.venue]))
        event = Begin(self._world.monotonic_ns(), funds)
        self.carry(self._next_number(), begin(chance.plan, self._rules), event, chance.why, chance.terms)

    def new_tally(self) -> PairTally:
        """An empty one."""
        return PairTally(self._grid, self._base)

    def is_leg(self, slot: str) -> bool:
        """Whether a slot is that of a pair's order."""
        return parse_leg_slot(slot) is not None

    def in_words(self, halt: Halt[Any]) -> str:
        """What the owner is told of a halt."""
        held = format_decimal(self._grid.base(halt.held))
        return f"pair {self.number}: {halt.reason}; {held} {self._base} more than before it"

    def fill_in_words(self, side: MarketSide, fill: FillReport) -> str:
        """What a trade has changed, for the owner."""
        return f"{format_decimal(side.instrument.size(fill.size_lots) * fill.side.sign)} {self._base}"

    def over(self, state: PairState) -> None:
        """A pair is over."""
        self.budget = self.budget.after(state, self._world.monotonic_ns(), self.tally.fees_quote)
        self._on_over(PairEnd(self.number, state, self._chance, self.tally))

    def recall_fill(self, side: MarketSide, fill: FillReport, client_order_id: str) -> None:
        """A trade of an earlier life has come."""
        self.log.fill(client_order_id, side.changed_by(fill).get(self._base, Fraction(0)))

    def settle(self, now_ns: int) -> None:
        """Undo what the last pair of earlier lives has left, once its venue can be traded."""
        last = self.log.last
        units = 0 if last.halted else last.units(self._grid.size_unit)
        if not units:
            self.inherited = False
            return
        side = self._sides[last.first_venue]
        if side.watch.top is None or side.unfit() or not side.may_send:
            return
        self.inherited = False
        self._chance = None
        plan = plan_of(last, units, self._sides, self._grid)
        pair = resume(plan, self._rules, units, max(last.unwound, default=-1) + 1, now_ns)
        self.carry(last.number, pair, Tick(now_ns))


def funds_for(leg: Leg, side: MarketSide) -> int:
    """What is free for a leg: lots for a sale, ticks times lots for a buy."""
    instrument = side.instrument
    if leg.side is Side.SELL:
        return int(side.free(instrument.base) / Fraction(instrument.lot_size))
    return int(side.free(instrument.quote) / Fraction(instrument.grain))
