"""Plays one venue's pairs to triangular arbitrage; its rounds go through the machine that trades live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from mrmarket.trading.backtest.deadline import Deadline
from mrmarket.trading.backtest.latency import Delays
from mrmarket.trading.backtest.leg_driver import LegDriver, OrderOut
from mrmarket.trading.backtest.leg_player import LegOutcome, PlayPlan
from mrmarket.trading.backtest.triangle_books import AssetPurse, LabPair
from mrmarket.trading.backtest.triangle_marks import TriangleMarks
from mrmarket.trading.backtest.triangle_recording import TriangleRecording
from mrmarket.trading.execution.legs import Begin
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.strategy.multileg.amounts import Amounts, decimal_of, in_words, summed
from mrmarket.trading.strategy.multileg.budget import LegBudget
from mrmarket.trading.strategy.triangular.arbitrage import TriangularArbitrage
from mrmarket.trading.strategy.triangular.port import TriangleDecision, TriangleView
from mrmarket.trading.strategy.triangular.round import RoundState, begin
from mrmarket.trading.strategy.triangular.round_plan import plan_of

_ROUNDS_TOLD: Final = 1_000


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


@dataclass(slots=True, kw_only=True)
class TriangleOutcome(LegOutcome):
    """What a play of rounds came to."""

    trades: list[TriangleTrade] = field(default_factory=list)
    rounds: list[dict[str, Any]] = field(default_factory=list)
    best_product: Fraction | None = None
    """What one unit of the home asset would have become at best, after fees."""


class TriangleDriver(LegDriver[str, RoundState]):
    """One play of a window on pairs of one venue."""

    outcome: TriangleOutcome

    def __init__(
        self,
        recording: TriangleRecording,
        pairs: Mapping[str, LabPair],
        purse: AssetPurse,
        strategy: TriangularArbitrage,
        budget: LegBudget,
        delays: Delays,
        plan: PlayPlan,
        told: Callable[[float], None],
    ) -> None:
        super().__init__(recording.events, strategy.name, budget, delays, plan, told)
        self.outcome = TriangleOutcome()
        self.marks = TriangleMarks(recording.instruments, strategy.home)
        self._pairs = pairs
        self._purse = purse
        self._strategy = strategy
        self._instruments = {each.symbol: each for each in recording.instruments}
        self._changed = set(pairs)
        self._promised = Fraction(0)
        self._first_trade = 0

    def run(self) -> TriangleOutcome:
        """Play it; a strategy that raises or hangs ends it, and the outcome says so."""
        self._play_through()
        if self._state is not None:
            self.outcome.ends["unfinished"] += 1
        return self.outcome

    def _happen(self, market: str, event: MarketEvent, deadline: Deadline) -> None:
        now_ns, pair = event.exchange_ns, self._pairs[market]
        if not pair.apply(event):
            return
        self._changed.add(market)
        self._now_ns = max(now_ns, self._plan.begin_ns)
        self.marks.add(market, now_ns, pair.double_mid)
        self._look(now_ns, deadline)

    def _decide(self, at_ns: int, deadline: Deadline) -> None:
        levels = self._strategy.depth_levels
        books = {symbol: pair.view(at_ns, levels) for symbol, pair in self._pairs.items()}
        free = self._purse.of(self._strategy.home)
        view = TriangleView(at_ns, books, frozenset(self._changed), free)
        decision = self._asked(deadline, lambda: self._strategy.decide(view))
        self._changed.clear()
        self._note(decision)
        if decision.triangle is None:
            return
        self._promised, self._first_trade = decision.triangle.profit, len(self.outcome.trades)
        plan = plan_of(decision.triangle, self._instruments, free)
        self._begin(begin(plan, self._strategy.leg_rules), Begin(at_ns, free))

    def _note(self, decision: TriangleDecision) -> None:
        outcome, product = self.outcome, decision.product
        outcome.reasons[decision.code] += 1
        if product is not None and (outcome.best_product is None or product > outcome.best_product):
            outcome.best_product = product

    def _meet(self, out: OrderOut, at_ns: int) -> Amounts:
        assert self._state is not None  # noqa: S101 - orders come from a round alone
        send = out.send
        symbol = self._state.plan.steps[send.place].symbol
        pair = self._pairs[symbol]
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
                    symbol,
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
        return changes

    def _tell_over(self, state: RoundState, now_ns: int) -> bool:
        outcome = self.outcome
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
        return len(outcome.trades) > self._first_trade


def _rounded(amount: Fraction) -> Decimal:
    return round(decimal_of(amount), 8)
