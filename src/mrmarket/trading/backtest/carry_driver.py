"""Plays a spot market and its perpetual to a carry strategy: every order late, funding paid as recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import merge
from math import log, sqrt
from typing import Final, NamedTuple

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.backtest.carry_recording import PERP, SPOT, CarryRecording, Funding, Touch
from mrmarket.trading.backtest.deadline import Deadline
from mrmarket.trading.backtest.strategy_play import PlayOutcome, StrategyPlay
from mrmarket.trading.strategy.carry.rules import Carry, CarryCosts, CarryDecision, CarryView
from mrmarket.trading.strategy.carry.strategy import SpotPerpetualCarry

_DAY_S: Final = 86_400.0
_HALF_LIFE_S: Final = 86_400.0
_ZERO: Final = Decimal(0)


class CarryPlan(NamedTuple):
    """What of the setting the driver needs."""

    begin_ns: int
    end_ns: int
    delay_ns: int
    """From a price to an order that meets one."""
    decision_limit_s: float
    lot: Decimal
    """Base: both markets trade whole ones."""
    fees: tuple[Decimal, Decimal]
    """Of spot and perpetual."""


class CarryFill(NamedTuple):
    """One order of ours, filled as a whole."""

    at_ns: int
    market: int
    sign: int
    price: Decimal
    size: Decimal
    fee: Decimal
    mid: Decimal


@dataclass(slots=True)
class CarryBooks:
    """What a carry adds up to, in quote."""

    spot: Decimal = _ZERO
    """Base held in spot, less what is owed of it."""
    perp: Decimal = _ZERO
    """Base in the perpetual; short is negative."""
    cash: Decimal = _ZERO
    """Paid and received for both, before fees."""
    fees: Decimal = _ZERO
    spread: Decimal = _ZERO
    """What fills were better than the mid; negative."""
    funding: Decimal = _ZERO
    borrow: Decimal = _ZERO

    def basis(self, spot_mid: Decimal, perp_mid: Decimal) -> Decimal:
        """What both legs together have gained, before fees and funding."""
        return self.cash + self.spot * spot_mid + self.perp * perp_mid

    def pnl(self, spot_mid: Decimal, perp_mid: Decimal) -> Decimal:
        """All of it."""
        return self.basis(spot_mid, perp_mid) + self.funding - self.fees - self.borrow


@dataclass(slots=True, kw_only=True)
class CarryOutcome(PlayOutcome):
    """What a play of a carry came to."""

    books: CarryBooks = field(default_factory=CarryBooks)
    fills: list[CarryFill] = field(default_factory=list)
    points: list[tuple[int, Decimal, Decimal, Decimal, Decimal]] = field(default_factory=list)
    """(time, spot mid, PnL, spread, fees) at each decision."""
    payments: int = 0
    """Of funding, while something was held."""
    exits: Counter[str] = field(default_factory=Counter)
    basis: list[float] = field(default_factory=list)
    """At each decision."""
    held_ns: int = 0
    liquidated: int = 0


class CarryDriver(StrategyPlay):
    """One play of a window."""

    outcome: CarryOutcome

    def __init__(
        self, recording: CarryRecording, strategy: SpotPerpetualCarry, costs: CarryCosts, plan: CarryPlan
    ) -> None:
        super().__init__(strategy.name, plan.begin_ns, plan.decision_limit_s)
        self.outcome = CarryOutcome()
        self._recording = recording
        self._strategy = strategy
        self._costs = costs
        self._plan = plan
        self._forecast = strategy.forecast(recording.interval_hours)
        self._touch: dict[int, Touch] = {}
        self._position: Carry | None = None
        self._collateral = _ZERO
        self._since_ns = 0
        self._due: tuple[int, CarryDecision] | None = None
        self._next_ns = plan.begin_ns
        self._variance = 0.0
        """Of a second."""
        self._last: tuple[int, float] | None = None

    def run(self) -> CarryOutcome:
        """Play it; a strategy that raises or hangs ends it, and the outcome says so."""
        self._play_through()
        if self._position is not None:
            self.outcome.held_ns += self._now_ns - self._since_ns
        return self.outcome

    @property
    def mids(self) -> tuple[Decimal, Decimal]:
        """Of spot and perpetual, now."""
        spot, perp = self._touch[SPOT], self._touch[PERP]
        return (spot.bid + spot.ask) / 2, (perp.bid + perp.ask) / 2

    def _go_through(self, deadline: Deadline) -> None:
        recording, plan = self._recording, self._plan
        events: Iterable[Touch | Funding] = merge(recording.touches, recording.funding, key=_when)
        for event in events:
            if event.at_ns >= plan.end_ns:
                break
            if isinstance(event, Funding):
                self._fund(event, deadline)
                continue
            self._touch[event.market] = event
            if len(self._touch) == PERP + 1:
                self._measure(event.at_ns)
                if event.at_ns >= plan.begin_ns:
                    self._step(event.at_ns, deadline)

    def _step(self, now_ns: int, deadline: Deadline) -> None:
        self._now_ns = now_ns
        due = self._due
        # Both legs meet prices that were seen after the orders' delay.
        if due is not None and min(each.at_ns for each in self._touch.values()) >= due[0]:
            self._due = None
            self._carry_out(due[1], now_ns)
        if self._position is not None and self._distance() <= 0:
            self._leave(now_ns, "liquidated")
            self.outcome.liquidated += 1
        if now_ns >= self._next_ns:
            self._next_ns = now_ns + round(self._strategy.parameters.decide_every * NS_PER_S)
            self._decide(now_ns, deadline)

    def _fund(self, event: Funding, deadline: Deadline) -> None:
        """Funding is known when it is paid; what was held then pays or is paid."""
        self._forecast = self._forecast.after(float(event.rate))
        books = self.outcome.books
        if event.at_ns < self._plan.begin_ns or len(self._touch) != PERP + 1:
            return
        self._now_ns = event.at_ns
        spot_mid, perp_mid = self.mids
        if books.perp:
            self.outcome.payments += 1
            books.funding -= event.rate * books.perp * perp_mid
            books.borrow += self._strategy.parameters.borrow * abs(books.spot) * spot_mid
        self._decide(event.at_ns, deadline)

    def _decide(self, now_ns: int, deadline: Deadline) -> None:
        outcome = self.outcome
        spot_mid, perp_mid = self.mids
        books = outcome.books
        outcome.points.append((now_ns, spot_mid, books.pnl(spot_mid, perp_mid), books.spread, books.fees))
        basis = float(perp_mid / spot_mid - 1)
        outcome.basis.append(basis)
        if self._due is not None:
            return
        view = CarryView(
            self._forecast, basis, sqrt(self._variance * _DAY_S), self._distance(), self._position
        )
        decision = self._asked(deadline, lambda: self._strategy.decide(view, self._costs))
        outcome.reasons[decision.action] += 1
        if decision.action in ("enter", "exit"):
            self._due = (now_ns + self._plan.delay_ns, decision)

    def _carry_out(self, decision: CarryDecision, now_ns: int) -> None:
        if decision.action == "exit":
            self._leave(now_ns, decision.why)
            return
        spot, perp = self._touch[SPOT], self._touch[PERP]
        price = spot.ask if decision.direction > 0 else spot.bid
        size = self._strategy.parameters.notional / price // self._plan.lot * self._plan.lot
        if not size:
            return
        self._trade(now_ns, SPOT, decision.direction * size)
        self._trade(now_ns, PERP, -decision.direction * size)
        self._position = Carry(decision.direction, float(perp.bid / spot.ask - 1))
        self._collateral = self._strategy.parameters.perp_margin * size * perp.bid
        self._since_ns = now_ns

    def _leave(self, now_ns: int, why: str) -> None:
        books = self.outcome.books
        self._trade(now_ns, SPOT, -books.spot)
        self._trade(now_ns, PERP, -books.perp)
        self._position, self._due = None, None
        self.outcome.held_ns += now_ns - self._since_ns
        self.outcome.exits[why] += 1

    def _trade(self, now_ns: int, market: int, change: Decimal) -> None:
        """Signed base; the best price, and the slippage beyond it."""
        if not change:
            return
        touch, sign = self._touch[market], 1 if change > 0 else -1
        slipped = 1 + sign * self._strategy.parameters.slippage
        price = (touch.ask if sign > 0 else touch.bid) * slipped
        mid, size = (touch.bid + touch.ask) / 2, abs(change)
        fee = self._plan.fees[market] * price * size
        books = self.outcome.books
        books.cash -= change * price
        books.fees += fee
        books.spread += change * (mid - price)
        if market == SPOT:
            books.spot += change
        else:
            books.perp += change
        self.outcome.fills.append(CarryFill(now_ns, market, sign, price, size, fee, mid))

    def _distance(self) -> float:
        """How far the price may move until the perpetual is closed, as a fraction; or would be."""
        parameters, books = self._strategy.parameters, self.outcome.books
        if not books.perp:
            return float(parameters.perp_margin - parameters.maintenance)
        _, perp_mid = self.mids
        entry = next(fill.price for fill in reversed(self.outcome.fills) if fill.market == PERP)
        left = self._collateral + books.perp * (perp_mid - entry)
        return float(left / (abs(books.perp) * perp_mid) - parameters.maintenance)

    def _measure(self, now_ns: int) -> None:
        """The variance of a second, with a half-life of a day."""
        price = float(self.mids[0])
        if self._last is not None and now_ns > self._last[0]:
            seconds = (now_ns - self._last[0]) / NS_PER_S
            kept = 0.5 ** (seconds / _HALF_LIFE_S)
            moved = log(price / self._last[1]) ** 2 / seconds
            self._variance = moved if not self._variance else self._variance * kept + moved * (1 - kept)
        elif self._last is not None:
            return
        self._last = (now_ns, price)


def _when(event: Touch | Funding) -> int:
    return event.at_ns
