"""Plays one venue's pairs to triangular arbitrage; its rounds go through the machine that trades live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple

from mrmarket.core.errors import MrMarketError
from mrmarket.trading.backtest.deadline import Deadline
from mrmarket.trading.backtest.errors import StrategyFailedError, StrategyHungError
from mrmarket.trading.backtest.latency import Delays
from mrmarket.trading.backtest.result import Failure
from mrmarket.trading.backtest.triangle_books import AssetPurse, LabPair
from mrmarket.trading.backtest.triangle_marks import TriangleMarks
from mrmarket.trading.backtest.triangle_recording import TriangleRecording
from mrmarket.trading.strategy.triangular.amounts import Amounts, decimal_of, in_words, summed
from mrmarket.trading.strategy.triangular.arbitrage import TriangularArbitrage
from mrmarket.trading.strategy.triangular.budget import RoundBudget
from mrmarket.trading.strategy.triangular.port import TriangleDecision, TriangleView
from mrmarket.trading.strategy.triangular.round import (
    Begin,
    Ended,
    Halt,
    RoundEvent,
    RoundStage,
    RoundState,
    Send,
    begin,
    decide,
)
from mrmarket.trading.strategy.triangular.round_plan import plan_of

_ROUNDS_TOLD: Final = 1_000
_TELL_EVERY: Final = 2_000


class TrianglePlan(NamedTuple):
    """What of the setting the driver needs."""

    begin_ns: int
    end_ns: int
    feed_ns: int
    decide_every_ns: int
    decision_limit_s: float


@dataclass(frozen=True, slots=True)
class TriangleTrade:
    """One fill of ours."""

    at_ns: int
    """Exchange time."""
    symbol: str
    sign: int
    """+1 bought, −1 sold."""
    price_ticks: int
    lots: int
    fee: Fraction
    fee_asset: str
    slot: str
    order: int
    changes: Amounts
    """Of base and quote, the fee taken off."""


@dataclass(slots=True)
class _Out:
    """An order on its way."""

    send: Send
    symbol: str
    arrives_ns: int
    number: int


@dataclass(slots=True)
class TriangleOutcome:
    """What a play came to."""

    trades: list[TriangleTrade] = field(default_factory=list)
    placed: int = 0
    decided: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """What was found, by the decision's code."""
    ends: Counter[str] = field(default_factory=Counter)
    """How rounds ended."""
    rounds: list[dict[str, Any]] = field(default_factory=list)
    best_product: Fraction | None = None
    """What one unit of the home asset would have become at best, after fees."""
    failure: Failure | None = None


class TriangleDriver:
    """One play of a window. Every order takes its latency, and meets the book as it is by then."""

    def __init__(
        self,
        recording: TriangleRecording,
        pairs: Mapping[str, LabPair],
        purse: AssetPurse,
        strategy: TriangularArbitrage,
        budget: RoundBudget,
        delays: Delays,
        plan: TrianglePlan,
        told: Callable[[float], None],
    ) -> None:
        self.outcome = TriangleOutcome()
        self.marks = TriangleMarks(recording.instruments, strategy.home)
        self._recording = recording
        self._pairs = pairs
        self._purse = purse
        self._strategy = strategy
        self._budget = budget
        self._delays = delays
        self._plan = plan
        self._told = told
        self._instruments = {each.symbol: each for each in recording.instruments}
        self._changed = set(pairs)
        self._round: RoundState | None = None
        self._promised = Fraction(0)
        self._first_trade = 0
        self._out: _Out | None = None
        self._answer: Ended | None = None
        self._looked_ns = -(2**62)
        self._now_ns = plan.begin_ns

    def run(self) -> TriangleOutcome:
        """Play it; a strategy that raises or hangs ends it, and the outcome says so."""
        with Deadline(self._plan.decision_limit_s) as deadline:
            try:
                self._play(deadline)
            except StrategyHungError:
                self._fail(StrategyHungError(self._strategy.name, self._plan.decision_limit_s))
            except StrategyFailedError as error:
                self._fail(error)
        if self._round is not None:
            self.outcome.ends["unfinished"] += 1
        return self.outcome

    def _play(self, deadline: Deadline) -> None:
        events, plan = self._recording.events, self._plan
        for number, (symbol, event) in enumerate(events):
            now_ns = event.exchange_ns
            if now_ns >= plan.end_ns:
                return
            if not number % _TELL_EVERY:
                self._told(number / len(events))
            self._until(now_ns)
            pair = self._pairs[symbol]
            if not pair.apply(event):
                continue
            self._changed.add(symbol)
            self._now_ns = max(now_ns, plan.begin_ns)
            self.marks.add(symbol, now_ns, pair.double_mid)
            if now_ns >= plan.begin_ns:
                self._look(now_ns, deadline)

    def _until(self, now_ns: int) -> None:
        """Whatever is due by now, in its order: orders that arrive at a book, and answers."""
        while True:
            if self._answer is not None and self._answer.now_ns <= now_ns:
                answer, self._answer = self._answer, None
                self._feed(answer)
            elif self._out is not None and self._out.arrives_ns <= now_ns:
                self._arrive(self._out)
            else:
                return

    def _look(self, now_ns: int, deadline: Deadline) -> None:
        if self._round is not None or now_ns - self._looked_ns < self._plan.decide_every_ns:
            return
        self._looked_ns = now_ns
        at_ns = now_ns + self._plan.feed_ns
        resting = self._budget.refusal(at_ns)
        if resting:
            self.outcome.reasons[resting] += 1
            return
        levels = self._strategy.depth_levels
        books = {symbol: pair.view(at_ns, levels) for symbol, pair in self._pairs.items()}
        free = self._purse.of(self._strategy.home)
        decision = self._ask(TriangleView(at_ns, books, frozenset(self._changed), free), deadline)
        self._changed.clear()
        self._note(decision)
        if decision.triangle is None:
            return
        self._promised, self._first_trade = decision.triangle.profit, len(self.outcome.trades)
        plan = plan_of(decision.triangle, self._instruments, free)
        self._round = begin(plan, self._strategy.round_rules)
        self._feed(Begin(at_ns, free))

    def _ask(self, view: TriangleView, deadline: Deadline) -> TriangleDecision:
        self.outcome.decided += 1
        deadline.enter()
        try:
            return self._strategy.decide(view)
        except (StrategyHungError, MrMarketError):
            raise
        except Exception as error:
            raise StrategyFailedError(self._strategy.name, error) from error
        finally:
            deadline.leave()

    def _note(self, decision: TriangleDecision) -> None:
        outcome, product = self.outcome, decision.product
        outcome.reasons[decision.code] += 1
        if product is not None and (outcome.best_product is None or product > outcome.best_product):
            outcome.best_product = product

    def _feed(self, event: RoundEvent) -> None:
        state = self._round
        if state is None:
            return
        self._round, actions = decide(state, event)
        for action in actions:
            if isinstance(action, Send):
                self.outcome.placed += 1
                arrives_ns = event.now_ns + self._delays.order_ns(event.now_ns)
                symbol = state.plan.steps[action.step].symbol
                self._out = _Out(action, symbol, arrives_ns, self.outcome.placed)
            elif isinstance(action, Halt):
                self.outcome.ends["halted"] += 1
        if self._round.is_over:
            self._over(self._round, event.now_ns)

    def _arrive(self, out: _Out) -> None:
        """The order meets the book of its pair; the answer is on its way."""
        self._out = None
        send, pair, at_ns = out.send, self._pairs[out.symbol], out.arrives_ns
        parts, changes = pair.take(send.side, send.size_lots, send.price_ticks)
        instrument = pair.instrument
        asset = instrument.quote if send.side.sign < 0 else instrument.base
        for part in parts:
            base = send.side.sign * part.lots * Fraction(instrument.lot_size)
            quote = -send.side.sign * part.lots * part.price_ticks * Fraction(instrument.grain)
            moved = summed(({instrument.base: base}, {instrument.quote: quote}, {asset: -part.fee}))
            self.outcome.trades.append(
                TriangleTrade(
                    at_ns,
                    out.symbol,
                    send.side.sign,
                    part.price_ticks,
                    part.lots,
                    part.fee,
                    asset,
                    send.slot,
                    out.number,
                    moved,
                )
            )
        self._answer = Ended(at_ns + self._delays.response_ns(at_ns), send.slot, changes)

    def _over(self, state: RoundState, now_ns: int) -> None:
        outcome = self.outcome
        trades = outcome.trades[self._first_trade :]
        if state.stage is not RoundStage.HALTED:
            word = "refused" if state.stage is RoundStage.REFUSED else "missed" if not trades else "through"
            outcome.ends["undone" if state.failed else word] += 1
        self._budget = self._budget.after(state, now_ns)
        if len(outcome.rounds) < _ROUNDS_TOLD:
            outcome.rounds.append(
                {
                    "at_ns": now_ns,
                    "path": [step.symbol for step in state.plan.steps],
                    "promised": str(_rounded(self._promised)),
                    "made": str(_rounded(state.gained)),
                    "left_over": in_words(state.held),
                    "end": state.reason,
                }
            )
        self._round = None

    def _fail(self, error: MrMarketError) -> None:
        self.outcome.failure = Failure(
            code=error.code, message=str(error), at_ns=self._now_ns, decision=self.outcome.decided - 1
        )


def _rounded(amount: Fraction) -> Decimal:
    return round(decimal_of(amount), 8)
