"""Carries rounds out on the pairs of one account, one at a time, and settles what an earlier life left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.order_id import parse_order_id
from mrmarket.trading.strategy.triangular.amounts import Amounts, added, decimal_of, in_words
from mrmarket.trading.strategy.triangular.budget import RoundBudget
from mrmarket.trading.strategy.triangular.market import TriangleMarket
from mrmarket.trading.strategy.triangular.port import TriangleDecision
from mrmarket.trading.strategy.triangular.readings import RoundRecord
from mrmarket.trading.strategy.triangular.round import (
    Ask,
    Begin,
    Corrected,
    Doubted,
    Ended,
    Halt,
    RoundAction,
    RoundEvent,
    RoundRules,
    RoundState,
    Send,
    Tick,
    begin,
    decide,
    resume,
)
from mrmarket.trading.strategy.triangular.round_log import RoundLog, plan_home
from mrmarket.trading.strategy.triangular.round_plan import plan_of
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


@dataclass(frozen=True, slots=True)
class _Held:
    """An order that waits to be sent."""

    send: Send
    since_ns: int
    asked: bool = False


class RoundWork:
    """Stands between the machine of `triangular.round` and the desks of the pairs."""

    def __init__(
        self,
        markets: Mapping[str, TriangleMarket],
        rules: RoundRules,
        budget: RoundBudget,
        next_number: Callable[[], int],
        world: Clock,
        *,
        ask_balances: Callable[[TriangleMarket], None],
        on_halt: Callable[[str], None],
        on_over: Callable[[RoundEnd], None],
    ) -> None:
        """`ask_balances` starts a look at the account; `on_halt` hears what is held."""
        self.log = RoundLog()
        """What is known of the last round of earlier lives."""
        self.number = 0
        """Of the round at work, a part of the ids of its orders."""
        self.budget = budget
        self._markets = markets
        self._rules = rules
        self._next_number = next_number
        self._world = world
        self._ask_balances = ask_balances
        self._on_halt = on_halt
        self._on_over = on_over
        self._state: RoundState | None = None
        self._chance: TriangleDecision | None = None
        self._told: dict[str, Amounts] = {}
        self._held: _Held | None = None
        self._inherited = True
        self._events: deque[RoundEvent] = deque()
        self._feeding = False

    @property
    def is_at_work(self) -> bool:
        """Whether a round is not over yet."""
        return self._state is not None and not self._state.is_over

    @property
    def reason(self) -> str:
        """Why no new round may begin; empty if one may."""
        if self._inherited:
            return "what an earlier life left is being settled"
        return "a round is at work" if self.is_at_work else ""

    def gap_lots(self, symbol: str) -> int:
        """What a pair may bring on its way, in its lots: base held is positive, base to be bought is not."""
        state = self._state
        if state is None or state.is_over or symbol not in self._markets:
            return 0
        instrument = self._markets[symbol].instrument
        base, quote = (state.held.get(each, Fraction(0)) for each in (instrument.base, instrument.quote))
        if base > 0:
            return int(base / Fraction(instrument.lot_size))
        top = self._markets[symbol].watch.top
        if quote <= 0 or top is None:
            return 0
        return -int(quote / (top.bid_ticks * Fraction(instrument.grain)))

    def begin(self, chance: TriangleDecision, home_free: Fraction) -> None:
        """Carry a round out."""
        triangle = chance.triangle
        if triangle is None:
            return
        for market in self._markets.values():
            market.forget(self._told)
        self._chance, self._told = chance, {}
        self.number = self._next_number()
        instruments = {symbol: market.instrument for symbol, market in self._markets.items()}
        self._state = begin(plan_of(triangle, instruments, home_free), self._rules)
        self._feed(Begin(self._world.monotonic_ns(), home_free))

    def on_order(self, market: TriangleMarket, order: Order) -> None:
        """Tell the machine what has become of an order of the round at work, or of the one just over."""
        parsed = parse_order_id(order.client_order_id)
        if self._state is None or parsed is None or parsed.sequence != self.number:
            return
        now_ns = self._world.monotonic_ns()
        changes = market.settled(order)
        if changes is None:
            if order.is_doubted:
                self._feed(Doubted(now_ns, order.slot))
            return
        known = self._told.get(order.client_order_id)
        self._told[order.client_order_id] = changes
        if known is None:
            refused = market.last_refusal if order.stage is OrderStage.REJECTED else ""
            self._feed(Ended(now_ns, order.slot, changes, refused))
            return
        more = added(changes, {asset: -amount for asset, amount in known.items()})
        if any(more.values()):
            self._feed(Corrected(now_ns, more))

    def on_fill(self, market: TriangleMarket, fill: FillReport, client_order_id: str) -> None:
        """A trade is durable."""
        parsed = parse_order_id(client_order_id)
        if self._inherited:
            changes = market.changed_by(fill)
            self.log.fill(client_order_id, market.instrument.symbol, fill.side, changes)
        elif parsed is None or parsed.sequence != self.number:
            # Its round was settled without it: nobody has counted this, and nobody will undo it.
            held = in_words(market.changed_by(fill))
            self._on_halt(f"order {client_order_id}: a fill came after its round was settled; {held}")

    def retry(self) -> None:
        """Send what has waited, if it may be sent now."""
        held = self._held
        if held is None or self._state is None:
            return
        market, now_ns = self._market(held.send), self._world.monotonic_ns()
        if not market.execution.executor.may_send:
            return
        if market.covers(held.send):
            self._held = None
            self._hand_over(held.send)
        elif now_ns - held.since_ns >= _BALANCE_LATE_NS:
            self._held = None
            self._feed(Ended(now_ns, held.send.slot, {}, _NO_BALANCE))
        elif not held.asked and now_ns - held.since_ns >= _BALANCE_ASKED_NS:
            self._held = _Held(held.send, held.since_ns, asked=True)
            self._ask_balances(market)

    def tick(self) -> None:
        """Time has passed."""
        self.retry()
        if self._inherited:
            self._settle_inheritance(self._world.monotonic_ns())
        else:
            self._feed(Tick(self._world.monotonic_ns()))

    def _feed(self, event: RoundEvent) -> None:
        """Let the machine decide, and carry out what it says."""
        self._events.append(event)
        if self._feeding:
            return  # an order was held back while it was being sent: its turn comes below
        self._feeding = True
        try:
            while self._events and self._state is not None:
                was_over = self._state.is_over
                self._state, actions = decide(self._state, self._events.popleft())
                for action in actions:
                    self._act(action)
                if self._state.is_over and not was_over:
                    self._over(self._state)
        finally:
            self._feeding = False
            self._events.clear()

    def _act(self, action: RoundAction) -> None:
        if isinstance(action, Send):
            market = self._market(action)
            if market.execution.executor.may_send and market.covers(action):
                self._hand_over(action)
            else:
                # Our lease has lapsed, and whoever holds it next goes on from the log; or the balance that
                # the order before has brought is still on its way. Nothing was tried.
                self._held = _Held(action, self._world.monotonic_ns())
        elif isinstance(action, Ask):
            self._markets[self._symbol(action.step)].execution.reconciler.request()
        elif isinstance(action, Halt):
            self._on_halt(
                f"round {self.number}: {action.reason}; {in_words(action.held)} more than before it"
            )

    def _hand_over(self, order: Send) -> None:
        chance = self._chance
        why, terms = ("", ()) if chance is None else (chance.why, chance.terms)
        refused = self._market(order).send(order, why, terms)
        if refused:
            self._feed(Ended(self._world.monotonic_ns(), order.slot, {}, refused))

    def _market(self, order: Send) -> TriangleMarket:
        return self._markets[self._symbol(order.step)]

    def _symbol(self, step: int) -> str:
        assert self._state is not None  # noqa: S101 - orders come from a round alone
        return self._state.plan.steps[step].symbol

    def _over(self, state: RoundState) -> None:
        self.budget = self.budget.after(state, self._world.monotonic_ns())
        self._on_over(RoundEnd(self.number, state, self._chance))

    def _settle_inheritance(self, now_ns: int) -> None:
        """Once every order of an earlier life is known, bring home what its last round has left."""
        markets = self._markets
        if not all(market.is_settled for market in markets.values()):
            return
        last = self.log.last
        if last.halted or last.first is None or not any(last.changed.values()):
            self._inherited = False
            return
        tops = {symbol: market.watch.top for symbol, market in markets.items()}
        known = {symbol: top for symbol, top in tops.items() if top is not None}
        if len(known) < len(tops) or any(market.unfit() for market in markets.values()):
            return
        if not all(market.execution.executor.may_send for market in markets.values()):
            return
        self._inherited = False
        self.number = last.number
        self._chance, self._told = None, {}
        instruments = {symbol: market.instrument for symbol, market in markets.items()}
        plan = plan_home(last, instruments, known)
        if plan is None:
            held = in_words(last.changed)
            self._on_halt(f"round {last.number}: its pairs are not traded here any more; it changed {held}")
            return
        self._state = resume(plan, self._rules, last.changed, last.tried, now_ns)
        if not self._state.is_over:
            self._feed(Tick(now_ns))
