"""Carries rounds out on the pairs of one account, one at a time; an earlier life's is brought home first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.legs import Begin, Halt, Send, Tick
from mrmarket.trading.strategy.multileg.amounts import Amounts, added, decimal_of, in_words
from mrmarket.trading.strategy.multileg.leg_work import LegOrders, RecoveringWork
from mrmarket.trading.strategy.multileg.side import MarketSide
from mrmarket.trading.strategy.triangular.port import TriangleDecision
from mrmarket.trading.strategy.triangular.readings import RoundRecord
from mrmarket.trading.strategy.triangular.round import RoundState, begin, resume
from mrmarket.trading.strategy.triangular.round_log import RoundLog, plan_home
from mrmarket.trading.strategy.triangular.round_plan import parse_round_slot, plan_of
from mrmarket.trading.venue.port import FillReport

_BALANCE_ASKED_NS: Final = NS_PER_S // 2
_BALANCE_LATE_NS: Final = 10 * NS_PER_S
_NO_BALANCE: Final = "what the order before has brought did not show in the balances"


@dataclass(frozen=True, slots=True)
class RoundEnd:
    """A round that is over."""

    number: int
    state: RoundState
    chance: TriangleDecision | None

    @property
    def sent(self) -> int:
        """Orders of it."""
        return sum(self.state.sent)

    def record(self, at_ns: int) -> RoundRecord:
        """For people."""
        triangle = None if self.chance is None else self.chance.triangle
        return RoundRecord(
            number=self.number,
            at_ns=at_ns,
            why="undone after a restart" if self.chance is None else self.chance.why,
            promised=decimal_of(Fraction(0) if triangle is None else triangle.profit),
            made=decimal_of(self.state.gained),
            left_over=in_words(self.state.held),
            stage=self.state.stage,
            end=self.state.reason,
        )


@dataclass(slots=True)
class RoundTally:
    """What a round's orders are known to have changed."""

    told: dict[str, Amounts] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """Client order ids of the orders that have ended."""
        return tuple(self.told)

    def learn(self, client_order_id: str, changed: Amounts) -> tuple[bool, Amounts]:
        """(known before, what is new) once an order is known to have changed so much."""
        known = self.told.get(client_order_id)
        self.told[client_order_id] = changed
        if known is None:
            return False, changed
        return True, added(changed, {asset: -amount for asset, amount in known.items()})

    def fill(self, instrument: Instrument, fill: FillReport) -> None:
        """One trade: what it changed is told when its order ends."""


class RoundWork(RecoveringWork[RoundState, RoundTally]):
    """One round at a time; what an earlier life has left goes home before the first."""

    WHAT: ClassVar[str] = "round"
    AT_WORK: ClassVar[str] = "a round is at work"

    def __init__(
        self,
        sides: Sequence[MarketSide],
        orders: LegOrders,
        *,
        ask_balances: Callable[[], None],
        on_halt: Callable[[str], None],
        on_over: Callable[[RoundEnd], None],
    ) -> None:
        """`ask_balances` starts a look at the account; `on_halt` hears what is held."""
        self.log = RoundLog()
        """What is known of the last round of earlier lives."""
        self._by_symbol = {side.instrument.symbol: side for side in sides}
        self._ask_balances = ask_balances
        self._on_over = on_over
        self._chance: TriangleDecision | None = None
        self._asked_for = ""
        """Slot of the order that balances were asked for."""
        super().__init__(sides, orders, on_halt)

    def exposure_lots(self, side: MarketSide) -> int:
        """What a pair may bring on its way, in its lots: base held is positive, base to be bought is not."""
        state, instrument = self.state, side.instrument
        if state is None or state.is_over:
            return 0
        base, quote = (state.held.get(each, Fraction(0)) for each in (instrument.base, instrument.quote))
        if base > 0:
            return int(base / Fraction(instrument.lot_size))
        top = side.watch.top
        if quote <= 0 or top is None:
            return 0
        return -int(quote / (top.bid_ticks * Fraction(instrument.grain)))

    def begin(self, chance: TriangleDecision, home_free: Fraction) -> None:
        """Carry a round out."""
        if chance.triangle is None:
            return
        self._chance = chance
        state = begin(plan_of(chance.triangle, self._instruments(), home_free), self._rules)
        event = Begin(self._world.monotonic_ns(), home_free)
        self.carry(self._next_number(), state, event, chance.why, chance.terms)

    def side_of(self, place: int) -> MarketSide:
        """The pair of a step."""
        assert self.state is not None  # noqa: S101 - orders come from a round alone
        return self._by_symbol[self.state.plan.steps[place].symbol]

    def may_go(self, leg: Send) -> bool:
        """Whether the balance that an order spends has come."""
        side = self.side_of(leg.place)
        instrument = side.instrument
        if leg.side is Side.SELL:
            return side.free(instrument.base) >= Fraction(instrument.size(leg.size_lots))
        return side.free(instrument.quote) >= Fraction(instrument.notional(leg.price_ticks, leg.size_lots))

    def gives_up(self, leg: Send, since_ns: int) -> str:
        """What the order before has brought may be on its way; after a while balances are asked for."""
        waited_ns = self._world.monotonic_ns() - since_ns
        if waited_ns >= _BALANCE_LATE_NS:
            return _NO_BALANCE
        if self._asked_for != leg.slot and waited_ns >= _BALANCE_ASKED_NS:
            self._asked_for = leg.slot
            self._ask_balances()
        return ""

    def new_tally(self) -> RoundTally:
        """An empty one."""
        self._asked_for = ""
        return RoundTally()

    def is_leg(self, slot: str) -> bool:
        """Whether a slot is that of a round's order."""
        return parse_round_slot(slot) is not None

    def in_words(self, halt: Halt[Any]) -> str:
        """What the owner is told of a halt."""
        return f"round {self.number}: {halt.reason}; {in_words(halt.held)} more than before it"

    def fill_in_words(self, side: MarketSide, fill: FillReport) -> str:
        """What a trade has changed, for the owner."""
        return in_words(side.changed_by(fill))

    def over(self, state: RoundState) -> None:
        """A round is over."""
        self.budget = self.budget.after(state, self._world.monotonic_ns())
        self._on_over(RoundEnd(self.number, state, self._chance))

    def recall_fill(self, side: MarketSide, fill: FillReport, client_order_id: str) -> None:
        """A trade of an earlier life has come."""
        self.log.fill(client_order_id, side.instrument.symbol, fill.side, side.changed_by(fill))

    def settle(self, now_ns: int) -> None:
        """Bring home what the last round of earlier lives has left, once every pair can be traded."""
        last = self.log.last
        if last.halted or last.first is None or not any(last.changed.values()):
            self.inherited = False
            return
        tops = {symbol: side.watch.top for symbol, side in self._by_symbol.items()}
        known = {symbol: top for symbol, top in tops.items() if top is not None}
        if len(known) < len(tops) or any(side.unfit() or not side.may_send for side in self._sides):
            return
        self.inherited = False
        self.number = last.number
        self._chance = None
        plan = plan_home(last, self._instruments(), known)
        if plan is None:
            held = in_words(last.changed)
            self._on_halt(f"round {last.number}: its pairs are not traded here any more; it changed {held}")
            return
        state = resume(plan, self._rules, last.changed, last.tried, now_ns)
        self.carry(last.number, state, Tick(now_ns))

    def _instruments(self) -> dict[str, Instrument]:
        return {symbol: side.instrument for symbol, side in self._by_symbol.items()}
