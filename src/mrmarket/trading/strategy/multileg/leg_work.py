"""Carries legs out, one order after the other: stands between the machine and the desks of its markets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from mrmarket.core.clock import Clock
from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.legs import (
    Ask,
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
    decide,
)
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.order_id import parse_order_id
from mrmarket.trading.execution.targets import Term
from mrmarket.trading.strategy.multileg.amounts import Amounts
from mrmarket.trading.strategy.multileg.budget import LegBudget
from mrmarket.trading.strategy.multileg.side import MarketSide
from mrmarket.trading.venue.port import FillReport


class Tally(Protocol):
    """What the orders of one thing at work have changed so far, in the measure of its state."""

    @property
    def keys(self) -> Sequence[str]:
        """Client order ids of the orders that have ended."""
        ...

    def learn(self, client_order_id: str, changed: Amounts) -> tuple[bool, Any]:
        """(known before, what is new) once an order is known to have changed so much."""
        ...

    def fill(self, instrument: Instrument, fill: FillReport) -> None:
        """One trade."""
        ...


@dataclass(frozen=True, slots=True)
class LegOrders:
    """How orders that belong together are carried out in a run."""

    rules: LegRules
    budget: LegBudget
    """Unused."""
    next_number: Callable[[], int]
    """The number of what begins now."""
    clock: Clock
    """The strategy's."""


State = TypeVar("State", bound=LegState[Any, Any])
Counted = TypeVar("Counted", bound=Tally)


@dataclass(frozen=True, slots=True)
class _Held:
    """An order that waits to be sent."""

    leg: Send
    since_ns: int


class LegWork(ABC, Generic[State, Counted]):
    """Feeds `execution.legs` with what becomes of its orders, and sends what it says; one thing at a time."""

    def __init__(
        self, sides: Sequence[MarketSide], orders: LegOrders, on_halt: Callable[[str], None]
    ) -> None:
        """`on_halt` hears what is held, in words."""
        self.budget = orders.budget
        """What may still go wrong before nothing new is sent."""
        self.number = 0
        """Of what is at work, a part of the ids of its orders."""
        self.state: State | None = None
        """Of what is at work, or just over."""
        self.tally = self.new_tally()
        """What its orders have changed."""
        self._sides = sides
        self._rules = orders.rules
        self._next_number = orders.next_number
        self._world = orders.clock
        self._on_halt = on_halt
        self._why = ""
        self._terms: tuple[Term, ...] = ()
        self._held: _Held | None = None
        self._events: deque[LegEvent] = deque()
        self._feeding = False

    # What a subclass knows.

    @abstractmethod
    def exposure_lots(self, side: MarketSide) -> int:
        """What is to be brought back, in a side's lots: bought is positive."""

    @abstractmethod
    def on_fill(self, side: MarketSide, fill: FillReport, client_order_id: str) -> None:
        """A trade is durable."""

    @abstractmethod
    def new_tally(self) -> Counted:
        """An empty one."""

    @abstractmethod
    def is_leg(self, slot: str) -> bool:
        """Whether a slot is that of an order of this work."""

    @abstractmethod
    def in_words(self, halt: Halt[Any]) -> str:
        """What the owner is told of a halt."""

    @abstractmethod
    def over(self, state: State) -> None:
        """What was at work is over."""

    def side_of(self, place: int) -> MarketSide:
        """Which market an order goes to."""
        return self._sides[place]

    def may_go(self, leg: Send) -> bool:  # noqa: ARG002 - others have something to wait for
        """Whether nothing stands in the way of one order now, the lease apart."""
        return True

    def gives_up(self, leg: Send, since_ns: int) -> str:  # noqa: ARG002 - most wait as long as it takes
        """Why an order that may not go is not waited for any longer; empty if it is."""
        return ""

    # What is at work.

    @property
    def is_at_work(self) -> bool:
        """Whether something is not over yet."""
        return self.state is not None and not self.state.is_over

    def carry(
        self, number: int, state: State, event: LegEvent, why: str = "", terms: tuple[Term, ...] = ()
    ) -> None:
        """Carry something out from its first event on; each order says `why` and `terms` of the decision."""
        for side in self._sides:
            side.forget(self.tally.keys)
        self.number = number
        self.tally = self.new_tally()
        self.state, self._why, self._terms = state, why, terms
        if not state.is_over:
            self._feed(event)

    def counts(self, client_order_id: str) -> bool:
        """Whether an order belongs to what is at work, or just over."""
        parsed = parse_order_id(client_order_id)
        return parsed is not None and parsed.sequence == self.number and self.is_leg(parsed.slot)

    def on_leg(self, side: MarketSide, order: Order) -> None:
        """Tell the machine what has become of an order."""
        state = self.state
        if state is None or not self.counts(order.client_order_id):
            return
        now_ns = self._world.monotonic_ns()
        changed = side.settled(order)
        if changed is None:
            if order.is_doubted:
                self._feed(Doubted(now_ns, order.slot))
            return
        known, change = self.tally.learn(order.client_order_id, changed)
        if not known:
            refused = side.last_refusal if order.stage is OrderStage.REJECTED else ""
            self._feed(Ended(now_ns, order.slot, change, refused))
        elif not state.is_nothing(change) and not (state.is_over and state.rules.carries):
            # What hedges is counted by all fills together: the next hedge knows of this one.
            self._feed(Corrected(now_ns, change))

    def tick(self) -> None:
        """Time has passed, or something stands no longer in the way of an order that waits."""
        self.retry()
        self._feed(Tick(self._world.monotonic_ns()))

    def retry(self) -> None:
        """Send what waits, if it may go by now."""
        held = self._held
        if held is None or not self.side_of(held.leg.place).may_send:
            return
        if self.may_go(held.leg):
            self._held = None
            self._hand_over(held.leg)
            return
        too_late = self.gives_up(held.leg, held.since_ns)
        if too_late:
            self._held = None
            self._not_sent(held.leg, too_late)

    def _feed(self, event: LegEvent) -> None:
        """Let the machine decide, and carry out what it says."""
        self._events.append(event)
        if self._feeding:
            return  # an order was held back while it was being sent: its turn comes below
        self._feeding = True
        try:
            while self._events and self.state is not None:
                was_over = self.state.is_over
                self.state, actions = decide(self.state, self._events.popleft())
                for action in actions:
                    self._act(action)
                if self.state.is_over and not was_over:
                    self.over(self.state)
        finally:
            self._feeding = False
            self._events.clear()

    def _act(self, action: LegAction) -> None:
        if isinstance(action, Send):
            if self.side_of(action.place).may_send and self.may_go(action):
                self._hand_over(action)
            else:
                # Without the lease whoever holds it next goes on from the log. Nothing was tried.
                self._held = _Held(action, self._world.monotonic_ns())
        elif isinstance(action, Ask):
            self.side_of(action.place).execution.reconciler.request()
        elif isinstance(action, Halt):
            self._on_halt(self.in_words(action))

    def _hand_over(self, leg: Send) -> None:
        refused = self.side_of(leg.place).send(leg, self._why, self._terms)
        if refused:
            self._not_sent(leg, refused)

    def _not_sent(self, leg: Send, reason: str) -> None:
        if self.state is not None:
            self._feed(Ended(self._world.monotonic_ns(), leg.slot, self.state.NOTHING, reason))


class RecoveringWork(LegWork[State, Counted]):
    """Work that first settles what the last of earlier lives has left, once every order of it is known."""

    WHAT: ClassVar[str]
    """What is carried out, for people."""
    AT_WORK: ClassVar[str]
    """What is said while it is."""

    def __init__(
        self, sides: Sequence[MarketSide], orders: LegOrders, on_halt: Callable[[str], None]
    ) -> None:
        super().__init__(sides, orders, on_halt)
        self.inherited = True
        """Whether something of an earlier life may still have to be settled."""

    @abstractmethod
    def recall_fill(self, side: MarketSide, fill: FillReport, client_order_id: str) -> None:
        """A trade of an earlier life has come."""

    @abstractmethod
    def settle(self, now_ns: int) -> None:
        """Every order of an earlier life is known: bring back what was left, as soon as that can be done."""

    @abstractmethod
    def fill_in_words(self, side: MarketSide, fill: FillReport) -> str:
        """What a trade has changed, for the owner."""

    @property
    def reason(self) -> str:
        """Why nothing new may begin; empty if something may."""
        if self.inherited:
            return "what an earlier life left is being settled"
        return self.AT_WORK if self.is_at_work else ""

    def on_fill(self, side: MarketSide, fill: FillReport, client_order_id: str) -> None:
        """A trade is durable."""
        if self.inherited:
            self.recall_fill(side, fill, client_order_id)
        elif self.counts(client_order_id):
            self.tally.fill(side.instrument, fill)
        else:
            # It was settled without this: nobody has counted it, and nobody will undo it.
            held = self.fill_in_words(side, fill)
            self._on_halt(f"order {client_order_id}: a fill came after its {self.WHAT} was settled; {held}")

    def tick(self) -> None:
        """Time has passed."""
        if not self.inherited:
            super().tick()
            return
        self.retry()
        if all(side.is_settled for side in self._sides):
            self.settle(self._world.monotonic_ns())
