"""Plays two venues to a maker: quotes with queue and latency on one, each fill hedged on the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.backtest.cross_books import LabVenue
from mrmarket.trading.backtest.cross_quotes import Rested, RestingQuotes
from mrmarket.trading.backtest.cross_scene import Scene
from mrmarket.trading.backtest.deadline import Deadline
from mrmarket.trading.backtest.leg_player import LegOutcome, LegPlayer
from mrmarket.trading.backtest.recording import Mids
from mrmarket.trading.backtest.tally import Trade, fee_motes
from mrmarket.trading.execution.differ import LiveOrder, plan
from mrmarket.trading.execution.leg_pair import PairState, hedge
from mrmarket.trading.execution.legs import Ended, Halt, LegEvent, LegStage, Send, Tick, decide
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.targets import Quote, TargetQuotes
from mrmarket.trading.market.estimators.volatility import VolatilityEstimator
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.strategy.cross_making.hedge import HEDGE, MAKER, hedge_due
from mrmarket.trading.strategy.cross_port import CrossMaker, CrossView
from mrmarket.trading.strategy.multileg.amounts import decimal_of
from mrmarket.trading.strategy.multileg.budget import LegBudget
from mrmarket.trading.venue.port import OrderKind, OrderReport, OrderStatus

_HEDGES_TOLD: Final = 1_000
_REARM_NS: Final = NS_PER_S
"""A hedge that halted is tried again after so long: live, the owner looks first."""


class _Place(NamedTuple):
    order: Order


class _Cancel(NamedTuple):
    number: int


class _Heard(NamedTuple):
    """An answer about a quote has arrived."""

    number: int
    status: OrderStatus
    lots: int = 0
    """Filled by it."""


class _Met(NamedTuple):
    """A hedge order arrives."""

    send: Send
    number: int


_Event = _Place | _Cancel | _Heard | _Met | Ended[int]


@dataclass(slots=True)
class _Live:
    """A quote as the strategy knows it."""

    order: Order
    placed_ns: int
    cancelled_ns: int = 0


@dataclass(slots=True, kw_only=True)
class MakingOutcome(LegOutcome):
    """What a play of hedged quotes came to."""

    trades: list[Trade] = field(default_factory=list)
    venues: list[str] = field(default_factory=list)
    """Of each trade."""
    cancelled: int = 0
    rejected: int = 0
    lots_placed: int = 0
    """Of quotes and hedges, in lots of the common grid."""
    two_sided_ns: int = 0
    """Time with quotes on both sides."""
    idle: int = 0
    """Decisions that wanted nothing."""
    hedges: list[dict[str, Any]] = field(default_factory=list)
    most_owed_units: int = 0
    """The most that was ever unhedged, in size units."""
    owed_units: int = 0
    """Unhedged at the end; bought is positive."""


class MakingDriver(LegPlayer[int]):
    """One play of a window. Every request and every answer takes its latency."""

    outcome: MakingOutcome

    def __init__(
        self,
        scene: Scene,
        venues: tuple[LabVenue, LabVenue],
        resting: RestingQuotes,
        strategy: CrossMaker,
        budget: LegBudget,
        told: Callable[[float], None],
    ) -> None:
        super().__init__(scene.recording.events, strategy.name, scene.plan, told)
        self.mids = Mids()
        self.outcome = MakingOutcome()
        self._venues = venues
        self._resting = resting
        self._strategy = strategy
        self._budget = budget
        self._grid = scene.grid
        self._common = scene.common
        self._delays = scene.delays
        self._polled = scene.recording.polled_ns > 0
        self._sigma = VolatilityEstimator()
        self._live: dict[int, _Live] = {}
        self._orders: dict[int, Order] = {}
        """Quotes on their way or standing, as they were sent."""
        self._due: list[tuple[int, int, _Event]] = []
        self._sent = 0
        self._pushed = 0
        self._owed_units = 0
        self._pair: PairState | None = None
        self._first_trade = 0
        self._out: tuple[int, _Met] | None = None
        """Polled: a hedge that waits for the next poll of its venue."""
        self._undoing: Send | None = None
        """Waits until no quote of ours could meet it."""
        self._rests_until_ns = 0
        self._two_since_ns: int | None = None

    def run(self) -> MakingOutcome:
        """Play it; a strategy that raises or hangs ends it, and the outcome says so."""
        self._play_through()
        outcome = self.outcome
        if self._two_since_ns is not None:
            outcome.two_sided_ns += max(0, self._plan.end_ns - self._two_since_ns)
        if self._pair is not None:
            outcome.ends["unfinished"] += 1
        outcome.owed_units = self._owed_units
        return outcome

    def _happen(self, market: int, event: MarketEvent, deadline: Deadline) -> None:
        now_ns, plan = event.exchange_ns, self._plan
        self._venues[market].apply(event)
        self._now_ns = max(now_ns, plan.begin_ns)
        if market == MAKER:
            for part in self._resting.apply(event):
                self._filled(part, now_ns)
            self._watch_sides(now_ns)
        self._value(now_ns)
        if self._out is not None and self._out[1].send.place == market and self._out[0] <= now_ns:
            # Between two polls nobody knows the book: the first one after the arrival decides.
            met, self._out = self._out[1], None
            self._meet(met, now_ns)
        self._until(now_ns, deadline)
        if now_ns >= plan.begin_ns and self._may_look(now_ns):
            self._looked_ns = now_ns
            self._hedge(now_ns + plan.feed_ns)
            self._decide(now_ns + plan.feed_ns, deadline)

    def _value(self, now_ns: int) -> None:
        doubles = [venue.double_mid for venue in self._venues]
        here, there = doubles
        if there is not None:
            self._sigma.observe(now_ns, there)
        if here is not None and there is not None:
            ticks = self._grid.tick_units
            self.mids.add(now_ns, here * ticks[MAKER] + there * ticks[HEDGE])

    def _may_look(self, now_ns: int) -> bool:
        if not len(self.mids.at_ns):
            return False
        return self._polled or now_ns - self._looked_ns >= self._plan.decide_every_ns

    # What is under way.

    def _push(self, due_ns: int, event: _Event) -> None:
        self._pushed += 1
        heappush(self._due, (due_ns, self._pushed, event))

    def _until(self, now_ns: int, deadline: Deadline) -> None:
        """Whatever is due by now, in its order."""
        while self._due and self._due[0][0] <= now_ns:
            at_ns, _, event = heappop(self._due)
            match event:
                case _Place():
                    self._rest(event.order, at_ns)
                case _Cancel():
                    if self._resting.withdraw(event.number):
                        self._answer(at_ns, _Heard(event.number, OrderStatus.CANCELLED))
                case _Met():
                    self._meet(event, at_ns)
                case _Heard():
                    self._hear(event, at_ns)
                    self._decide(at_ns, deadline)
                case Ended():
                    self._feed(event)
                    self._decide(at_ns, deadline)
            self._watch_sides(at_ns)

    def _answer(self, at_ns: int, event: _Heard) -> None:
        self._push(at_ns + self._delays.response_ns(at_ns), event)

    def _watch_sides(self, now_ns: int) -> None:
        both = self._resting.on_both_sides
        if both and self._two_since_ns is None:
            self._two_since_ns = now_ns
        elif not both and self._two_since_ns is not None:
            self.outcome.two_sided_ns += now_ns - self._two_since_ns
            self._two_since_ns = None

    # Quotes.

    def _rest(self, order: Order, at_ns: int) -> None:
        number, venue = int(order.client_order_id), self._venues[MAKER]
        rests = venue.affords(order.side, order.price_ticks, order.size_lots) and self._resting.place(
            number, order.side, order.price_ticks, order.size_lots
        )
        self.outcome.rejected += not rests
        self._answer(at_ns, _Heard(number, OrderStatus.OPEN if rests else OrderStatus.REJECTED))

    def _filled(self, part: Rested, at_ns: int) -> None:
        order = self._orders[part.number]
        venue = self._venues[MAKER]
        venue.filled(order.side, order.price_ticks, part.lots)
        self._note(at_ns, MAKER, order.side, order.price_ticks, part.lots, order.slot, part.number)
        self._answer(at_ns, _Heard(part.number, OrderStatus.PARTIALLY_FILLED, part.lots))

    def _hear(self, heard: _Heard, at_ns: int) -> None:
        live, order = self._live.get(heard.number), self._orders[heard.number]
        if heard.lots:
            self._owe(order.side.sign * heard.lots * self._grid.lot_units[MAKER])
        if live is None:
            return
        report = OrderReport(
            symbol=order.symbol,
            client_order_id=order.client_order_id,
            venue_order_id="",
            side=order.side,
            status=heard.status,
            price_ticks=order.price_ticks,
            size_lots=order.size_lots,
            filled_lots=live.order.reported_lots + heard.lots,
            venue_ns=at_ns,
        )
        live.order = live.order.with_report(report, at_ns)
        if live.order.is_final:
            self.outcome.cancelled += live.order.stage is OrderStage.CANCELLED
            del self._live[heard.number]
            undoing = self._undoing
            if undoing is not None and not self._live:
                self._undoing = None
                self._send(undoing, at_ns)
        self._hedge(at_ns)

    def _decide(self, at_ns: int, deadline: Deadline) -> None:
        if at_ns < self._plan.begin_ns:
            return
        targets = self._targets(at_ns, deadline)
        live = [
            LiveOrder(each.order, at_ns - each.placed_ns, at_ns - each.cancelled_ns)
            for each in self._live.values()
        ]
        todo = plan(targets, live, self._strategy.rules, at_ns)
        for cancellation in todo.cancels:
            number = int(cancellation.order.client_order_id)
            each = self._live[number]
            each.order, each.cancelled_ns = each.order.cancelling(at_ns), at_ns
            self._push(at_ns + self._delays.order_ns(at_ns), _Cancel(number))
        for quote in todo.placements:
            self._place(quote, at_ns)

    def _targets(self, at_ns: int, deadline: Deadline) -> TargetQuotes:
        outcome = self.outcome
        if self._undoing is not None or (self._pair is not None and self._pair.stage is LegStage.UNWIND):
            return TargetQuotes(reason="a hedge is being undone")
        resting = self._budget.refusal(at_ns)
        if resting or at_ns < self._rests_until_ns:
            return TargetQuotes(reason=resting or "a hedge has halted")
        levels = self._strategy.depth_levels
        books = (self._venues[0].view(at_ns, levels), self._venues[1].view(at_ns, levels))
        view = CrossView(at_ns, books, self._sigma.sigma)
        targets = self._asked(deadline, lambda: self._strategy.quotes(view))
        outcome.idle += not targets.quotes
        if targets.reason:
            outcome.reasons[targets.reason] += 1
        # What stands may stay while a hedge is under way, but nothing is added to what it has to pass on.
        if self._pair is not None:
            return TargetQuotes(targets.quotes, targets.reason, hold=True)
        return targets

    def _place(self, quote: Quote, at_ns: int) -> None:
        self._sent += 1
        order = Order(
            str(self._sent),
            self._strategy.symbol,
            quote.slot,
            quote.side,
            OrderKind.POST_ONLY,
            quote.price_ticks,
            quote.size_lots,
            created_ns=at_ns,
            stage=OrderStage.SENT,
        )
        self._orders[self._sent] = order
        self._live[self._sent] = _Live(order, at_ns)
        self.outcome.placed += 1
        self.outcome.lots_placed += quote.size_lots * self._grid.lot_units[MAKER]
        self._push(at_ns + self._delays.order_ns(at_ns), _Place(order))

    # Hedges.

    def _owe(self, units: int) -> None:
        self._owed_units += units
        self.outcome.most_owed_units = max(self.outcome.most_owed_units, abs(self._owed_units))

    def _hedge(self, at_ns: int) -> None:
        """Begin the next hedge, if what is owed is enough for one."""
        here, there = self._venues[MAKER], self._venues[HEDGE]
        if self._pair is not None or at_ns < self._rests_until_ns or here.top is None or there.top is None:
            return
        owed = self._owed_units * self._grid.size_unit
        due = hedge_due(owed, self._grid, (here.instrument, there.instrument), here.top, there.top)
        if due is not None:
            self._first_trade = len(self.outcome.trades)
            self._pair = hedge(due.plan, self._strategy.leg_rules, due.units, at_ns)
            self._feed(Tick(at_ns))

    def _feed(self, event: LegEvent) -> None:
        pair = self._pair
        if pair is None:
            return
        if isinstance(event, Ended):
            self._owe(event.change)
        pair, actions = decide(pair, event)
        self._pair = pair
        for action in actions:
            if isinstance(action, Halt):
                self._rests_until_ns = event.now_ns + _REARM_NS
            elif isinstance(action, Send):
                if action.place == MAKER and self._live:
                    self._undoing = action
                else:
                    self._send(action, event.now_ns)
        if pair.is_over:
            self._over(pair, event.now_ns)

    def _send(self, send: Send, at_ns: int) -> None:
        self._sent += 1
        self.outcome.placed += 1
        self.outcome.lots_placed += send.size_lots * self._grid.lot_units[send.place]
        met, arrives_ns = _Met(send, self._sent), at_ns + self._delays.order_ns(at_ns)
        if self._polled:
            self._out = (arrives_ns, met)
        else:
            self._push(arrives_ns, met)

    def _meet(self, met: _Met, at_ns: int) -> None:
        """The order meets the book of its venue; the answer is on its way."""
        send, lots = met.send, 0
        for taken in self._venues[send.place].take(send.side, send.size_lots, send.price_ticks):
            lots += taken.lots
            self._note(
                at_ns,
                send.place,
                send.side,
                taken.price_ticks,
                taken.lots,
                send.slot,
                met.number,
                maker=False,
            )
        units = send.side.sign * lots * self._grid.lot_units[send.place]
        back_ns = at_ns + self._delays.response_ns(at_ns)
        self._push(back_ns, Ended(back_ns, send.slot, units))

    def _over(self, pair: PairState, now_ns: int) -> None:
        outcome = self.outcome
        trades = [each for each in outcome.trades[self._first_trade :] if not each.maker]
        halted = pair.stage is LegStage.HALTED
        word = "halted" if halted else "undone" if pair.undone else "through"
        outcome.ends[word] += 1
        mote = Fraction(self._common.grain) / (2 * 10**9)
        fees = decimal_of(sum(each.fee_motes for each in trades) * mote)
        self._budget = self._budget.after(pair, now_ns, fees)
        if len(outcome.hedges) < _HEDGES_TOLD:
            lots = sum(each.sign * each.lots for each in trades)
            outcome.hedges.append(
                {
                    "at_ns": now_ns,
                    "base": str(self._common.size(lots)),
                    "fees_quote": str(round(fees, 8)),
                    "took_ms": (now_ns - pair.begun_ns) // 10**6,
                    "end": pair.reason or "through",
                }
            )
        self._pair = None
        self._hedge(now_ns)

    def _note(
        self,
        at_ns: int,
        at: int,
        side: Side,
        price: int,
        lots: int,
        slot: str,
        number: int,
        *,
        maker: bool = True,
    ) -> None:
        venue, ticks = self._venues[at], price * 2 * self._grid.tick_units[at]
        units = lots * self._grid.lot_units[at]
        fee = venue.instrument.maker_fee if maker else venue.instrument.taker_fee
        self.outcome.venues.append(venue.market)
        self.outcome.trades.append(
            Trade(
                at_ns,
                side.sign,
                ticks,
                units,
                maker,
                slot,
                number,
                self.mids.at(at_ns),
                fee_motes(ticks, units, fee),
            )
        )
