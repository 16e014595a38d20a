"""Plays two venues' history to a strategy; its pairs of orders go through the machine that trades live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple, TypeVar

from mrmarket.core.errors import MrMarketError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.cross_books import LabVenue, decimal_of
from mrmarket.trading.backtest.cross_recording import CrossRecording
from mrmarket.trading.backtest.deadline import Deadline
from mrmarket.trading.backtest.errors import StrategyFailedError, StrategyHungError
from mrmarket.trading.backtest.latency import Delays
from mrmarket.trading.backtest.recording import Mids
from mrmarket.trading.backtest.result import Failure
from mrmarket.trading.backtest.tally import Trade, fee_motes
from mrmarket.trading.execution.legs import (
    Begin,
    Ended,
    Halt,
    LegEvent,
    LegStage,
    LegState,
    Send,
    begin,
    decide,
)
from mrmarket.trading.strategy.arbitrage.budget import PairBudget
from mrmarket.trading.strategy.arbitrage.common_grid import CommonGrid
from mrmarket.trading.strategy.cross_port import CrossDecision, CrossStrategy, CrossView, Opportunity

_PAIRS_TOLD: Final = 1_000
_TELL_EVERY: Final = 2_000


Answer = TypeVar("Answer")


def asked(name: str, deadline: Deadline, call: Callable[[], Answer]) -> Answer:
    """What a strategy answers.

    Raises:
        StrategyFailedError, StrategyHungError: it raised, or took too long.
    """
    deadline.enter()
    try:
        return call()
    except StrategyHungError:
        raise
    except Exception as error:
        raise StrategyFailedError(name, error) from error
    finally:
        deadline.leave()


class CrossPlan(NamedTuple):
    """What of the setting the driver needs."""

    begin_ns: int
    end_ns: int
    feed_ns: int
    decide_every_ns: int
    decision_limit_s: float


@dataclass(slots=True)
class _Out:
    """An order on its way."""

    send: Send
    arrives_ns: int
    number: int


@dataclass(slots=True)
class CrossOutcome:
    """What a play came to."""

    trades: list[Trade] = field(default_factory=list)
    venues: list[str] = field(default_factory=list)
    """Of each trade."""
    placed: int = 0
    lots_placed: int = 0
    decided: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """What was found, by the code of the better direction."""
    ends: Counter[str] = field(default_factory=Counter)
    """How pairs of orders ended."""
    pairs: list[dict[str, Any]] = field(default_factory=list)
    best_edge: Decimal | None = None
    """Highest gain after fees that was seen on a first unit, as a fraction."""
    failure: Failure | None = None


class CrossDriver:
    """One play of a window. Every order takes its latency, and meets the book as it is by then."""

    def __init__(
        self,
        recording: CrossRecording,
        venues: tuple[LabVenue, LabVenue],
        strategy: CrossStrategy,
        budget: PairBudget,
        grid: CommonGrid,
        common: Instrument,
        delays: Delays,
        plan: CrossPlan,
        told: Callable[[float], None],
    ) -> None:
        """`common`: on its grid both venues' trades are counted, half a price unit a tick."""
        self.mids = Mids()
        self.outcome = CrossOutcome()
        self._recording = recording
        self._venues = venues
        self._strategy = strategy
        self._budget = budget
        self._grid = grid
        self._common = common
        self._delays = delays
        self._plan = plan
        self._told = told
        self._polled = recording.polled_ns > 0
        self._pair: LegState | None = None
        self._chance: Opportunity | None = None
        self._first_trade = 0
        self._out: _Out | None = None
        self._answer: Ended | None = None
        self._looked_ns = -(2**62)
        self._now_ns = plan.begin_ns

    def run(self) -> CrossOutcome:
        """Play it; a strategy that raises or hangs ends it, and the outcome says so."""
        with Deadline(self._plan.decision_limit_s) as deadline:
            try:
                self._play(deadline)
            except StrategyHungError:
                self._fail(StrategyHungError(self._strategy.name, self._plan.decision_limit_s))
            except StrategyFailedError as error:
                self._fail(error)
        if self._pair is not None and not self._pair.is_over:
            self.outcome.ends["unfinished"] += 1
        return self.outcome

    def _play(self, deadline: Deadline) -> None:
        events, plan = self._recording.events, self._plan
        for number, (venue, event) in enumerate(events):
            now_ns = event.exchange_ns
            if now_ns >= plan.end_ns:
                return
            if not number % _TELL_EVERY:
                self._told(number / len(events))
            self._until(now_ns)
            self._venues[venue].apply(event)
            self._now_ns = max(now_ns, plan.begin_ns)
            self._value(now_ns)
            if self._is_met(venue, now_ns):
                self._arrive(now_ns)
                self._until(now_ns)
            if now_ns >= plan.begin_ns:
                self._look(now_ns, deadline)

    def _is_met(self, venue: int, now_ns: int) -> bool:
        """Between two polls nobody knows the book: the first one after the arrival decides."""
        out = self._out
        return self._polled and out is not None and out.send.venue == venue and out.arrives_ns <= now_ns

    def _value(self, now_ns: int) -> None:
        doubles = [venue.double_mid for venue in self._venues]
        if doubles[0] is not None and doubles[1] is not None:
            ticks = self._grid.tick_units
            self.mids.add(now_ns, doubles[0] * ticks[0] + doubles[1] * ticks[1])

    def _until(self, now_ns: int) -> None:
        """Whatever is due by now, in its order: orders that arrive at a book we know, and answers."""
        while True:
            if self._answer is not None and self._answer.now_ns <= now_ns:
                answer, self._answer = self._answer, None
                self._feed(answer)
            elif not self._polled and self._out is not None and self._out.arrives_ns <= now_ns:
                self._arrive(self._out.arrives_ns)
            else:
                return

    def _look(self, now_ns: int, deadline: Deadline) -> None:
        if self._pair is not None or not len(self.mids.at_ns):
            return
        if not self._polled and now_ns - self._looked_ns < self._plan.decide_every_ns:
            return
        self._looked_ns = now_ns
        at_ns = now_ns + self._plan.feed_ns
        resting = self._budget.refusal(at_ns)
        if resting:
            self.outcome.reasons[resting] += 1
            return
        levels = self._strategy.depth_levels
        view = CrossView(at_ns, (self._venues[0].view(at_ns, levels), self._venues[1].view(at_ns, levels)))
        decision = self._ask(view, deadline)
        self._note(decision)
        chance = decision.opportunity
        if chance is None:
            return
        self._chance, self._first_trade = chance, len(self.outcome.trades)
        self._pair = begin(chance.plan, self._strategy.leg_rules)
        legs = (chance.plan.first, chance.plan.second)
        funds = (self._venues[legs[0].venue].funds(legs[0]), self._venues[legs[1].venue].funds(legs[1]))
        self._feed(Begin(at_ns, funds))

    def _ask(self, view: CrossView, deadline: Deadline) -> CrossDecision:
        self.outcome.decided += 1
        return asked(self._strategy.name, deadline, lambda: self._strategy.decide(view))

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

    def _feed(self, event: LegEvent) -> None:
        pair = self._pair
        if pair is None:
            return
        pair, actions = decide(pair, event)
        self._pair = pair
        for action in actions:
            if isinstance(action, Send):
                self.outcome.placed += 1
                self.outcome.lots_placed += action.size_lots * self._grid.lot_units[action.venue]
                arrives_ns = event.now_ns + self._delays.order_ns(event.now_ns)
                self._out = _Out(action, arrives_ns, self.outcome.placed)
            elif isinstance(action, Halt):
                self.outcome.ends["halted"] += 1
        if pair.is_over:
            self._over(pair, event.now_ns)

    def _arrive(self, now_ns: int) -> None:
        """The order meets the book of its venue; the answer is on its way."""
        out, self._out = self._out, None
        if out is None:
            return
        send = out.send
        venue, ticks, lots = self._venues[send.venue], 2 * self._grid.tick_units[send.venue], 0
        unit = self._grid.lot_units[send.venue]
        for taken in venue.take(send.side, send.size_lots, send.price_ticks):
            lots += taken.lots
            self.outcome.venues.append(venue.market)
            self.outcome.trades.append(
                Trade(
                    now_ns,
                    send.side.sign,
                    taken.price_ticks * ticks,
                    taken.lots * unit,
                    False,
                    send.slot,
                    out.number,
                    self.mids.at(now_ns),
                    fee_motes(taken.price_ticks * ticks, taken.lots * unit, venue.instrument.taker_fee),
                )
            )
        back_ns = now_ns + self._delays.response_ns(now_ns)
        self._answer = Ended(back_ns, send.slot, send.side.sign * lots * unit)

    def _over(self, pair: LegState, now_ns: int) -> None:
        outcome, chance = self.outcome, self._chance
        trades = outcome.trades[self._first_trade :]
        if pair.stage is not LegStage.HALTED:
            word = "refused" if pair.stage is LegStage.REFUSED else "missed" if not trades else "through"
            outcome.ends["undone" if pair.sent[2] else word] += 1
        mote = Fraction(self._common.grain) / (2 * 10**9)
        fees = decimal_of(sum(each.fee_motes for each in trades) * mote)
        self._budget = self._budget.after(pair, fees, now_ns)
        if chance is not None and len(outcome.pairs) < _PAIRS_TOLD:
            outcome.pairs.append(
                {
                    "at_ns": now_ns,
                    "buy_at": self._venues[chance.buy_at].market,
                    "edge_bp": round(float(chance.edge) * 10_000, 3),
                    "promised_quote": str(round(chance.profit, 8)),
                    "made_quote": str(round(decimal_of(self._made(trades) * mote), 8)),
                    "end": pair.reason,
                }
            )
        self._pair = self._chance = None

    def _made(self, trades: list[Trade]) -> int:
        """Motes that trades have made, what they left of base at the mid."""
        cash = -sum(each.sign * each.price_ticks * each.lots for each in trades) * 2 * 10**9
        base = sum(each.sign * each.lots for each in trades)
        worth = base * self.mids.double[-1] * 10**9 if trades else 0
        return cash + worth - sum(each.fee_motes for each in trades)

    def _fail(self, error: MrMarketError) -> None:
        self.outcome.failure = Failure(
            code=error.code, message=str(error), at_ns=self._now_ns, decision=self.outcome.decided - 1
        )
