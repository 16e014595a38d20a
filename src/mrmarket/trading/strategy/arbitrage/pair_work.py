"""Carries pairs of orders out on two venues, one at a time, and settles what an earlier life has left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from mrmarket.core.clock import Clock
from mrmarket.core.decimals import format_decimal
from mrmarket.trading.execution.legs import (
    Ask,
    Begin,
    Corrected,
    Doubted,
    Ended,
    Halt,
    LegAction,
    LegEvent,
    LegRules,
    LegState,
    Send,
    Tick,
    begin,
    decide,
    resume,
)
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.order_id import parse_order_id
from mrmarket.trading.strategy.arbitrage.aftermath import plan_of
from mrmarket.trading.strategy.arbitrage.budget import PairBudget
from mrmarket.trading.strategy.arbitrage.common_grid import CommonGrid
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
    """Stands between the machine of `execution.legs` and the desks of both venues."""

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
        self.number = 0
        """Of the pair at work, a part of the ids of its orders."""
        self.budget = budget
        self._sides = sides
        self._grid = grid
        self._rules = rules
        self._next_number = next_number
        self._world = world
        self._on_halt = on_halt
        self._on_over = on_over
        self._pair: LegState | None = None
        self._chance: Opportunity | None = None
        self._tally = PairTally(grid)
        self._unsent: Send | None = None
        self._inherited = True
        self._events: deque[LegEvent] = deque()
        self._feeding = False

    @property
    def is_at_work(self) -> bool:
        """Whether a pair is not over yet."""
        return self._pair is not None and not self._pair.is_over

    @property
    def reason(self) -> str:
        """Why no new pair may begin; empty if one may."""
        if self._inherited:
            return "what an earlier life left is being settled"
        return "a pair of orders is at work" if self.is_at_work else ""

    def exposure_lots(self, venue: int) -> int:
        """What the pair at work holds, in a venue's lots: bought is positive."""
        units = 0 if self._pair is None else self._pair.exposure_units
        lots = abs(units) // self._grid.lot_units[venue]
        return lots if units > 0 else -lots

    def begin(self, chance: Opportunity) -> None:
        """Carry a pair of orders out."""
        for side in self._sides:
            side.forget(self._tally.keys)
        self._chance = chance
        self.number = self._next_number()
        self._tally = PairTally(self._grid)
        self._pair = begin(chance.plan, self._rules)
        first, second = chance.plan.first, chance.plan.second
        funds = (self._sides[first.venue].funds(first), self._sides[second.venue].funds(second))
        self._feed(Begin(self._world.monotonic_ns(), funds))

    def on_leg(self, side: ArbitrageSide, order: Order) -> None:
        """Tell the machine what has become of an order of the pair at work, or of the one just over."""
        pair, parsed = self._pair, parse_order_id(order.client_order_id)
        if pair is None or parsed is None or parsed.sequence != self.number:
            return
        now_ns = self._world.monotonic_ns()
        changed = side.settled(order)
        if changed is None:
            if order.is_doubted:
                self._feed(Doubted(now_ns, order.slot))
            return
        known, units = self._tally.learn(order.client_order_id, changed)
        if not known:
            refused = side.last_refusal if order.stage is OrderStage.REJECTED else ""
            self._feed(Ended(now_ns, order.slot, units, refused))
        elif units:
            self._feed(Corrected(now_ns, units))

    def on_fill(self, side: ArbitrageSide, fill: FillReport, client_order_id: str) -> None:
        """A trade is durable."""
        parsed = parse_order_id(client_order_id)
        if self._inherited:
            self.log.fill(client_order_id, side.changed_by(fill))
        elif parsed is not None and parsed.sequence == self.number:
            self._tally.fill(side.instrument, fill)
        else:
            # Its pair was settled without it: nobody has counted this, and nobody will undo it.
            base = side.instrument.base
            held = format_decimal(side.instrument.size(fill.size_lots) * fill.side.sign)
            self._on_halt(f"order {client_order_id}: a fill came after its pair was settled; {held} {base}")

    def tick(self) -> None:
        """Time has passed."""
        unsent = self._unsent
        if unsent is not None and self._sides[unsent.venue].execution.executor.may_send:
            self._unsent = None
            self._send(unsent)
        if self._inherited:
            self._settle_inheritance(self._world.monotonic_ns())
        else:
            self._feed(Tick(self._world.monotonic_ns()))

    def _feed(self, event: LegEvent) -> None:
        """Let the machine decide, and carry out what it says."""
        self._events.append(event)
        if self._feeding:
            return  # an order was held back while it was being sent: its turn comes below
        self._feeding = True
        try:
            while self._events and self._pair is not None:
                was_over = self._pair.is_over
                self._pair, actions = decide(self._pair, self._events.popleft())
                for action in actions:
                    self._act(action)
                if self._pair.is_over and not was_over:
                    self._over(self._pair)
        finally:
            self._feeding = False
            self._events.clear()

    def _act(self, action: LegAction) -> None:
        if isinstance(action, Send):
            self._send(action)
        elif isinstance(action, Ask):
            self._sides[action.venue].execution.reconciler.request()
        elif isinstance(action, Halt):
            self._halt(action)

    def _send(self, order: Send) -> None:
        side = self._sides[order.venue]
        if not side.execution.executor.may_send:
            # Our lease has lapsed: whoever holds it next goes on from the log. Nothing was tried.
            self._unsent = order
            return
        chance = self._chance
        refused = side.send(order) if chance is None else side.send(order, chance.why, chance.terms)
        if refused:
            self._feed(Ended(self._world.monotonic_ns(), order.slot, 0, refused))

    def _halt(self, action: Halt) -> None:
        unit = self._grid.size_unit
        held = Decimal(action.exposure_units) * unit.numerator / unit.denominator
        base = self._sides[0].instrument.base
        self._on_halt(
            f"pair {self.number}: {action.reason}; {format_decimal(held)} {base} more than before it"
        )

    def _over(self, pair: LegState) -> None:
        self.budget = self.budget.after(pair, self._tally.fees_quote, self._world.monotonic_ns())
        self._on_over(PairEnd(self.number, pair, self._chance, self._tally))

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
        self.number = last.number
        self._chance = None
        self._tally = PairTally(self._grid)
        plan = plan_of(last, units, self._sides, self._grid)
        self._pair = resume(plan, self._rules, units, max(last.unwound, default=-1) + 1, now_ns)
        self._feed(Tick(now_ns))
