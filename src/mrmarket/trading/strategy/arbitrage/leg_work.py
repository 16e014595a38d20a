"""Carries one pair of orders out on two venues: stands between the machine and the desks of both."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from mrmarket.core.clock import Clock
from mrmarket.trading.execution.legs import (
    Ask,
    Corrected,
    Doubted,
    Ended,
    Halt,
    LegAction,
    LegEvent,
    LegState,
    Send,
    Tick,
    decide,
    parse_leg_slot,
)
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.order_id import parse_order_id
from mrmarket.trading.execution.targets import Term
from mrmarket.trading.strategy.arbitrage.common_grid import CommonGrid
from mrmarket.trading.strategy.arbitrage.pair_readings import PairTally
from mrmarket.trading.strategy.arbitrage.side import ArbitrageSide
from mrmarket.trading.venue.port import FillReport


class LegWork:
    """Feeds `execution.legs` with what becomes of its orders, and sends what it says; one pair at a time."""

    def __init__(
        self,
        sides: tuple[ArbitrageSide, ArbitrageSide],
        grid: CommonGrid,
        world: Clock,
        *,
        on_halt: Callable[[Halt], None],
        on_over: Callable[[LegState, PairTally], None],
        may_go: Callable[[Send], bool] = lambda _send: True,
    ) -> None:
        """`on_halt` hears what is held, `on_over` of each pair that is over; `may_go`: one order now."""
        self.number = 0
        """Of the pair at work, a part of the ids of its orders."""
        self.tally = PairTally(grid)
        """What its orders have changed."""
        self._sides = sides
        self._grid = grid
        self._world = world
        self._on_halt = on_halt
        self._on_over = on_over
        self._may_go = may_go
        self._pair: LegState | None = None
        self._why = ""
        self._terms: tuple[Term, ...] = ()
        self._unsent: Send | None = None
        self._events: deque[LegEvent] = deque()
        self._feeding = False

    @property
    def state(self) -> LegState | None:
        """Of the pair at work or the one just over."""
        return self._pair

    @property
    def is_at_work(self) -> bool:
        """Whether a pair is not over yet."""
        return self._pair is not None and not self._pair.is_over

    def exposure_lots(self, venue: int) -> int:
        """What the pair at work holds, in a venue's lots: bought is positive."""
        units = 0 if self._pair is None else self._pair.exposure_units
        lots = abs(units) // self._grid.lot_units[venue]
        return lots if units > 0 else -lots

    def carry(
        self, number: int, pair: LegState, event: LegEvent, why: str = "", terms: tuple[Term, ...] = ()
    ) -> None:
        """Carry a pair out from its first event on; `why` and `terms` of the decision go with each order."""
        for side in self._sides:
            side.forget(self.tally.keys)
        self.number = number
        self.tally = PairTally(self._grid)
        self._pair, self._why, self._terms = pair, why, terms
        self._feed(event)

    def counts(self, client_order_id: str) -> bool:
        """Whether an order belongs to the pair at work, or to the one just over."""
        parsed = parse_order_id(client_order_id)
        return (
            parsed is not None and parsed.sequence == self.number and parse_leg_slot(parsed.slot) is not None
        )

    def on_leg(self, side: ArbitrageSide, order: Order) -> None:
        """Tell the machine what has become of an order."""
        if self._pair is None or not self.counts(order.client_order_id):
            return
        now_ns = self._world.monotonic_ns()
        changed = side.settled(order)
        if changed is None:
            if order.is_doubted:
                self._feed(Doubted(now_ns, order.slot))
            return
        known, units = self.tally.learn(order.client_order_id, changed)
        if not known:
            refused = side.last_refusal if order.stage is OrderStage.REJECTED else ""
            self._feed(Ended(now_ns, order.slot, units, refused))
        elif units and not (self._pair.is_over and self._pair.rules.carries):
            # What hedges is counted by all fills together: the next hedge knows of this one.
            self._feed(Corrected(now_ns, units))

    def on_fill(self, side: ArbitrageSide, fill: FillReport) -> None:
        """A trade of the pair is durable."""
        self.tally.fill(side.instrument, fill)

    def tick(self) -> None:
        """Time has passed, or something stands no longer in the way of an order that waits."""
        self.retry()
        self._feed(Tick(self._world.monotonic_ns()))

    def retry(self) -> None:
        """Send what waits, if it may go by now."""
        unsent = self._unsent
        if unsent is not None and self._goes(unsent):
            self._unsent = None
            self._send(unsent)

    def _goes(self, order: Send) -> bool:
        return self._sides[order.venue].execution.executor.may_send and self._may_go(order)

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
                    self._on_over(self._pair, self.tally)
        finally:
            self._feeding = False
            self._events.clear()

    def _act(self, action: LegAction) -> None:
        if isinstance(action, Send):
            self._send(action)
        elif isinstance(action, Ask):
            self._sides[action.venue].execution.reconciler.request()
        elif isinstance(action, Halt):
            self._on_halt(action)

    def _send(self, order: Send) -> None:
        if not self._goes(order):
            # Without the lease whoever holds it next goes on from the log. Nothing was tried.
            self._unsent = order
            return
        refused = self._sides[order.venue].send(order, self._why, self._terms)
        if refused:
            self._feed(Ended(self._world.monotonic_ns(), order.slot, 0, refused))
