"""Carries pairs of orders out on two venues, one at a time, and settles what an earlier life has left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from mrmarket.core.clock import Clock
from mrmarket.core.decimals import format_decimal
from mrmarket.trading.execution.legs import Begin, Halt, LegRules, LegState, Tick, begin, resume
from mrmarket.trading.execution.order import Order
from mrmarket.trading.strategy.arbitrage.aftermath import plan_of
from mrmarket.trading.strategy.arbitrage.budget import PairBudget
from mrmarket.trading.strategy.arbitrage.common_grid import CommonGrid
from mrmarket.trading.strategy.arbitrage.leg_work import LegWork
from mrmarket.trading.strategy.arbitrage.pair_log import PairLog
from mrmarket.trading.strategy.arbitrage.pair_readings import PairRecord, PairTally
from mrmarket.trading.strategy.arbitrage.side import ArbitrageSide
from mrmarket.trading.strategy.cross_port import Opportunity
from mrmarket.trading.venue.port import FillReport


@dataclass(frozen=True, slots=True)
class PairEnd:
    """A pair that is over."""

    number: int
    pair: LegState
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


class PairWork:
    """One pair at a time, by `LegWork`; what an earlier life has left is undone before the first."""

    def __init__(
        self,
        sides: tuple[ArbitrageSide, ArbitrageSide],
        grid: CommonGrid,
        rules: LegRules,
        budget: PairBudget,
        next_number: Callable[[], int],
        world: Clock,
        *,
        on_halt: Callable[[str], None],
        on_over: Callable[[PairEnd], None],
    ) -> None:
        """`on_halt` hears what is held, `on_over` of each pair that is over."""
        self.log = PairLog()
        """What is known of the last pair of earlier lives."""
        self.budget = budget
        self._legs = LegWork(sides, grid, world, on_halt=self._halt, on_over=self._over)
        self._sides = sides
        self._grid = grid
        self._rules = rules
        self._next_number = next_number
        self._world = world
        self._on_halt = on_halt
        self._on_over = on_over
        self._chance: Opportunity | None = None
        self._inherited = True

    @property
    def number(self) -> int:
        """Of the pair at work, a part of the ids of its orders."""
        return self._legs.number

    @property
    def is_at_work(self) -> bool:
        """Whether a pair is not over yet."""
        return self._legs.is_at_work

    @property
    def reason(self) -> str:
        """Why no new pair may begin; empty if one may."""
        if self._inherited:
            return "what an earlier life left is being settled"
        return "a pair of orders is at work" if self.is_at_work else ""

    def exposure_lots(self, venue: int) -> int:
        """What the pair at work holds, in a venue's lots: bought is positive."""
        return self._legs.exposure_lots(venue)

    def begin(self, chance: Opportunity) -> None:
        """Carry a pair of orders out."""
        self._chance = chance
        first, second = chance.plan.first, chance.plan.second
        funds = (self._sides[first.venue].funds(first), self._sides[second.venue].funds(second))
        event = Begin(self._world.monotonic_ns(), funds)
        self._legs.carry(
            self._next_number(), begin(chance.plan, self._rules), event, chance.why, chance.terms
        )

    def on_leg(self, side: ArbitrageSide, order: Order) -> None:
        """Tell the machine what has become of an order of the pair at work, or of the one just over."""
        self._legs.on_leg(side, order)

    def on_fill(self, side: ArbitrageSide, fill: FillReport, client_order_id: str) -> None:
        """A trade is durable."""
        if self._inherited:
            self.log.fill(client_order_id, side.changed_by(fill))
        elif self._legs.counts(client_order_id):
            self._legs.on_fill(side, fill)
        else:
            # Its pair was settled without it: nobody has counted this, and nobody will undo it.
            base = side.instrument.base
            held = format_decimal(side.instrument.size(fill.size_lots) * fill.side.sign)
            self._on_halt(f"order {client_order_id}: a fill came after its pair was settled; {held} {base}")

    def tick(self) -> None:
        """Time has passed."""
        if self._inherited:
            self._settle_inheritance(self._world.monotonic_ns())
        else:
            self._legs.tick()

    def _halt(self, action: Halt) -> None:
        unit = self._grid.size_unit
        held = Decimal(action.exposure_units) * unit.numerator / unit.denominator
        base = self._sides[0].instrument.base
        self._on_halt(
            f"pair {self.number}: {action.reason}; {format_decimal(held)} {base} more than before it"
        )

    def _over(self, pair: LegState, tally: PairTally) -> None:
        self.budget = self.budget.after(pair, tally.fees_quote, self._world.monotonic_ns())
        self._on_over(PairEnd(self.number, pair, self._chance, tally))

    def _settle_inheritance(self, now_ns: int) -> None:
        """Once every order of an earlier life is known, undo what its last pair has left."""
        if not all(side.is_settled for side in self._sides):
            return
        last = self.log.last
        units = 0 if last.halted else last.units(self._grid.size_unit)
        if not units:
            self._inherited = False
            return
        side = self._sides[last.first_venue]
        if side.watch.top is None or side.unfit() or not side.execution.executor.may_send:
            return
        self._inherited = False
        self._chance = None
        plan = plan_of(last, units, self._sides, self._grid)
        pair = resume(plan, self._rules, units, max(last.unwound, default=-1) + 1, now_ns)
        self._legs.carry(last.number, pair, Tick(now_ns))
