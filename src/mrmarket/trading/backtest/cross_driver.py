"""Plays two venues' history to a strategy; its pairs of orders go through the machine that trades live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from mrmarket.trading.backtest.cross_books import LabVenue
from mrmarket.trading.backtest.cross_scene import Scene
from mrmarket.trading.backtest.deadline import Deadline
from mrmarket.trading.backtest.leg_driver import LegDriver, OrderOut
from mrmarket.trading.backtest.leg_player import LegOutcome
from mrmarket.trading.backtest.recording import Mids
from mrmarket.trading.backtest.tally import Trade, fee_motes
from mrmarket.trading.execution.leg_pair import PairState, begin
from mrmarket.trading.execution.legs import Begin, Send
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.strategy.cross_port import CrossDecision, CrossStrategy, CrossView, Opportunity
from mrmarket.trading.strategy.multileg.amounts import decimal_of
from mrmarket.trading.strategy.multileg.budget import LegBudget

_PAIRS_TOLD: Final = 1_000


@dataclass(slots=True, kw_only=True)
class CrossOutcome(LegOutcome):
    """What a play of pairs came to."""

    trades: list[Trade] = field(default_factory=list)
    venues: list[str] = field(default_factory=list)
    """Of each trade."""
    lots_placed: int = 0
    pairs: list[dict[str, Any]] = field(default_factory=list)
    best_edge: Decimal | None = None
    """Highest gain after fees that was seen on a first unit, as a fraction."""


class CrossDriver(LegDriver[int, PairState]):
    """One play of a window on two venues."""

    outcome: CrossOutcome

    def __init__(
        self,
        scene: Scene,
        venues: tuple[LabVenue, LabVenue],
        strategy: CrossStrategy,
        budget: LegBudget,
        told: Callable[[float], None],
    ) -> None:
        recording = scene.recording
        super().__init__(
            recording.events,
            strategy.name,
            budget,
            scene.delays,
            scene.plan,
            told,
            polled=recording.polled_ns > 0,
        )
        self.mids = Mids()
        self.outcome = CrossOutcome()
        self._venues = venues
        self._strategy = strategy
        self._grid = scene.grid
        self._common = scene.common
        self._chance: Opportunity | None = None
        self._first_trade = 0

    def run(self) -> CrossOutcome:
        """Play it; a strategy that raises or hangs ends it, and the outcome says so."""
        self._play_through()
        if self._state is not None and not self._state.is_over:
            self.outcome.ends["unfinished"] += 1
        return self.outcome

    def _happen(self, market: int, event: MarketEvent, deadline: Deadline) -> None:
        now_ns = event.exchange_ns
        self._venues[market].apply(event)
        self._now_ns = max(now_ns, self._plan.begin_ns)
        self._value(now_ns)
        out = self._out
        if self._polled and out is not None and out.send.place == market and out.arrives_ns <= now_ns:
            # Between two polls nobody knows the book: the first one after the arrival decides.
            self._arrive(out, now_ns)
            self._until(now_ns, deadline)
        if len(self.mids.at_ns):
            self._look(now_ns, deadline)

    def _value(self, now_ns: int) -> None:
        doubles = [venue.double_mid for venue in self._venues]
        if doubles[0] is not None and doubles[1] is not None:
            ticks = self._grid.tick_units
            self.mids.add(now_ns, doubles[0] * ticks[0] + doubles[1] * ticks[1])

    def _decide(self, at_ns: int, deadline: Deadline) -> None:
        levels = self._strategy.depth_levels
        view = CrossView(at_ns, (self._venues[0].view(at_ns, levels), self._venues[1].view(at_ns, levels)))
        decision = self._asked(deadline, lambda: self._strategy.decide(view))
        self._note(decision)
        chance = decision.opportunity
        if chance is None:
            return
        self._chance, self._first_trade = chance, len(self.outcome.trades)
        legs = (chance.plan.first, chance.plan.second)
        funds = (self._venues[legs[0].venue].funds(legs[0]), self._venues[legs[1].venue].funds(legs[1]))
        self._begin(begin(chance.plan, self._strategy.leg_rules), Begin(at_ns, funds))

    def _note(self, decision: CrossDecision) -> None:
        outcome = self.outcome
        edges = [each for each in decision.readings if each.edge is not None]
        if edges:
            best = max(edges, key=lambda each: each.edge or Decimal(0))
            outcome.reasons["taken" if decision.opportunity else best.code] += 1
            if best.edge is not None and (outcome.best_edge is None or best.edge > outcome.best_edge):
                outcome.best_edge = best.edge
        elif decision.readings:
            outcome.reasons[decision.readings[0].code] += 1

    def _on_sent(self, send: Send) -> None:
        self.outcome.lots_placed += send.size_lots * self._grid.lot_units[send.place]

    def _meet(self, out: OrderOut, at_ns: int) -> int:
        send, lots = out.send, 0
        venue, ticks = self._venues[send.place], 2 * self._grid.tick_units[send.place]
        unit = self._grid.lot_units[send.place]
        for taken in venue.take(send.side, send.size_lots, send.price_ticks):
            lots += taken.lots
            self.outcome.venues.append(venue.market)
            self.outcome.trades.append(
                Trade(
                    at_ns,
                    send.side.sign,
                    taken.price_ticks * ticks,
                    taken.lots * unit,
                    False,
                    send.slot,
                    out.number,
                    self.mids.at(at_ns),
                    fee_motes(taken.price_ticks * ticks, taken.lots * unit, venue.instrument.taker_fee),
                )
            )
        return send.side.sign * lots * unit

    def _tell_over(self, state: PairState, now_ns: int) -> bool:
        outcome, chance = self.outcome, self._chance
        trades = outcome.trades[self._first_trade :]
        mote = Fraction(self._common.grain) / (2 * 10**9)
        fees = decimal_of(sum(each.fee_motes for each in trades) * mote)
        self._budget = self._budget.after(state, now_ns, fees)
        if chance is not None and len(outcome.pairs) < _PAIRS_TOLD:
            outcome.pairs.append(
                {
                    "at_ns": now_ns,
                    "buy_at": self._venues[chance.buy_at].market,
                    "edge_bp": round(float(chance.edge) * 10_000, 3),
                    "promised_quote": str(round(chance.profit, 8)),
                    "made_quote": str(round(decimal_of(self._made(trades) * mote), 8)),
                    "end": state.reason,
                }
            )
        self._chance = None
        return bool(trades)

    def _made(self, trades: list[Trade]) -> int:
        """Motes that trades have made, what they left of base at the mid."""
        cash = -sum(each.sign * each.price_ticks * each.lots for each in trades) * 2 * 10**9
        base = sum(each.sign * each.lots for each in trades)
        worth = base * self.mids.double[-1] * 10**9 if trades else 0
        return cash + worth - sum(each.fee_motes for each in trades)
