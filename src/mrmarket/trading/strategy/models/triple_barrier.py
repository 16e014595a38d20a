"""One position with three barriers: take profit, stop loss, a time limit, and a stop that may trail.

M. López de Prado, "Advances in Financial Machine Learning", 2018, chapter 3, labels prices by the barriers;
here they close a position. It enters passively, and leaves by its take profit's resting order or, at the
other barriers, by taking what the book offers inside a band. Every exit is at most what the entry has filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Final

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import TargetQuotes, Term
from mrmarket.trading.strategy.models.parent import crossing_price
from mrmarket.trading.strategy.models.standing import (
    Wish,
    figure,
    is_too_small,
    price_term,
    stand,
    whole_lots,
)
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.schema import ParameterRefusedError, StrategySchema, within
from mrmarket.trading.venue.port import OrderKind

ENTRY: Final = "e1"
EXIT: Final = "x1"
"""One slot for every exit: never are two of them live, so together they never close more than is held."""
_BPS: Final = 10_000


class TripleBarrierParameters(StrategySchema, frozen=True, kw_only=True, tag="triple_barrier"):
    """One position, entered once. Barriers are fractions of the entry's mean price."""

    side: Side = Side.BUY
    """Of the entry; a sale sells base that the account holds, and buys it back."""
    amount: Decimal = Decimal("0.01")
    """Base."""
    entry_price: Decimal | None = None
    """Where the entry waits. None: at the touch, which it follows."""
    entry_time_s: Annotated[float, msgspec.Meta(gt=0, le=2_592_000)] = 600.0
    """After so long the entry is given up; what it has filled is a position like any other."""
    take_profit: Decimal | None = Decimal("0.002")
    stop_loss: Decimal | None = Decimal("0.002")
    time_limit_s: Annotated[float, msgspec.Meta(gt=0, le=2_592_000)] | None = 3_600.0
    """After the entry's first fill."""
    trailing_activation: Decimal | None = None
    """Profit from which the stop trails."""
    trailing_distance: Decimal = Decimal("0.001")
    """How far behind the best price so far, once it trails."""
    cross_band: Decimal = Decimal("0.002")
    """How far beyond the best opposite price an exit may take; the rest goes on at the next decision."""
    order_refresh_time: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 1.0
    """An order younger than this is left alone: so long an exit may wait for the one it replaces."""
    inventory_target_ratio: Decimal = Decimal("0.5")
    """Where the owner's `flatten` and a breaker's restriction bring the account to."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("amount", self.amount, "0", "1e12", low_open=True, example="0.01")
        within("entry_price", self.entry_price, "0", "1e18", low_open=True, example="60000")
        for name in ("take_profit", "stop_loss", "trailing_activation", "trailing_distance"):
            within(name, getattr(self, name), "0", "0.9", low_open=True, example="0.002")
        within("cross_band", self.cross_band, "0", "0.1", example="0.002")
        within("inventory_target_ratio", self.inventory_target_ratio, "0", "1", example="0.5")
        if self.stop_loss is None and self.time_limit_s is None:
            raise ParameterRefusedError(
                "stop_loss", "none", "a stop loss, or a time_limit_s: one must end it"
            )


@dataclass(frozen=True, slots=True)
class Position:
    """What the entry and the exits have done so far."""

    entered_lots: int = 0
    entered_grains: int = 0
    """Ticks times lots."""
    left_lots: int = 0
    began_ns: int | None = None
    """The first decision."""
    entered_ns: int | None = None
    """The first decision after the entry's first fill."""
    best: float = 0.0
    """Greatest profit so far, as a fraction of the entry's price."""
    leaving: str = ""
    """Which barrier was touched; it is never taken back."""

    @property
    def held_lots(self) -> int:
        """What exits may be for."""
        return self.entered_lots - self.left_lots

    @property
    def entry_ticks(self) -> float:
        """Mean price of the entry."""
        return self.entered_grains / self.entered_lots if self.entered_lots else 0.0


def seen(view: MarketView, parameters: TripleBarrierParameters, position: Position) -> Position:
    """The position after a look at the market: best profit, and whether a barrier was touched."""
    if position.began_ns is None:
        position = replace(position, began_ns=view.now_ns)
    if position.held_lots <= 0 or position.leaving:
        return position
    if position.entered_ns is None:
        position = replace(position, entered_ns=view.now_ns)
    profit = _profit(view, parameters, position)
    position = replace(position, best=max(position.best, profit))
    return replace(position, leaving=_touched(view, parameters, position, profit))


def targets(view: MarketView, parameters: TripleBarrierParameters, position: Position) -> TargetQuotes:
    """What should stand now, by a position that has been `seen`."""
    instrument = view.instrument
    held = position.held_lots
    wishes: list[Wish] = []
    told = f"{instrument.size_text(position.entered_lots)} entered, {instrument.size_text(held)} held"
    if _is_entering(view, parameters, position):
        wishes.append(_entry(view, parameters, position))
    reason = f"waits for its entry: {told}"
    if position.entered_lots:
        if held <= 0 or is_too_small(view, view.bid[0], held):
            if not wishes or position.left_lots:
                left = "" if held <= 0 else f"; {instrument.size_text(held)} is smaller than the venue takes"
                return TargetQuotes(reason=f"done: closed by {position.leaving or 'take profit'}{left}")
        else:
            reason = f"in position: {told}"
            wishes.extend(_exits(view, parameters, position))
    elif not wishes:
        return TargetQuotes(reason="done: the entry was given up, nothing was filled")
    quotes, notes = stand(view, wishes, post_only=False)
    return TargetQuotes(tuple(quotes), "; ".join([reason, *notes]))


class TripleBarrier:
    """The strategy as the engine holds it."""

    name = "triple_barrier"
    order_kind = OrderKind.LIMIT

    def __init__(self, parameters: TripleBarrierParameters) -> None:
        self.parameters = parameters
        self.position = Position()

    @property
    def symbol(self) -> str:
        """The pair it trades."""
        return self.parameters.pair

    @property
    def rules(self) -> RefreshRules:
        """When its live orders give way."""
        return RefreshRules(refresh_ns=int(self.parameters.order_refresh_time * NS_PER_S))

    @property
    def inventory_target(self) -> Decimal:
        """Share of the account's worth that it is brought to where somebody flattens it."""
        return self.parameters.inventory_target_ratio

    def quotes(self, view: MarketView) -> TargetQuotes:
        """What should stand now."""
        self.position = seen(view, self.parameters, self.position)
        return targets(view, self.parameters, self.position)

    def on_fill(self, own: OwnFill, now_ns: int, live: Sequence[Order]) -> None:  # noqa: ARG002 - the port's
        """Count it."""
        self.on_past_fill(own.fill.side, own.fill.price_ticks, own.fill.size_lots)

    def on_past_fill(self, side: Side, price_ticks: int, size_lots: int) -> None:
        """Count it. A restart knows the position; its times and its best profit begin anew."""
        position = self.position
        if side is self.parameters.side:
            self.position = replace(
                position,
                entered_lots=position.entered_lots + size_lots,
                entered_grains=position.entered_grains + price_ticks * size_lots,
            )
        else:
            self.position = replace(position, left_lots=position.left_lots + size_lots)


def _profit(view: MarketView, parameters: TripleBarrierParameters, position: Position) -> float:
    """By the price at which one could leave now."""
    out = view.bid[0] if parameters.side is Side.BUY else view.ask[0]
    return parameters.side.sign * (out / position.entry_ticks - 1.0)


def _touched(view: MarketView, parameters: TripleBarrierParameters, position: Position, profit: float) -> str:
    if parameters.stop_loss is not None and profit <= -float(parameters.stop_loss):
        return "stop loss"
    activation = parameters.trailing_activation
    if (
        activation is not None
        and position.best >= float(activation)
        and profit <= position.best - float(parameters.trailing_distance)
    ):
        return "trailing stop"
    since, limit = position.entered_ns, parameters.time_limit_s
    is_over = limit is not None and since is not None and view.now_ns - since >= limit * NS_PER_S
    return "time limit" if is_over else ""


def _is_entering(view: MarketView, parameters: TripleBarrierParameters, position: Position) -> bool:
    if position.leaving or position.left_lots or position.began_ns is None:
        return False
    rest = whole_lots(view, parameters.amount) - position.entered_lots
    in_time = view.now_ns - position.began_ns < parameters.entry_time_s * NS_PER_S
    return in_time and rest > 0 and not is_too_small(view, view.bid[0], rest)


def _entry(view: MarketView, parameters: TripleBarrierParameters, position: Position) -> Wish:
    side = parameters.side
    touch = view.bid[0] if side is Side.BUY else view.ask[0]
    ticks = float(touch)
    if parameters.entry_price is not None:
        given = float(parameters.entry_price / view.instrument.tick_size)
        ticks = min(given, view.ask[0] - 1) if side is Side.BUY else max(given, view.bid[0] + 1)
    amount = parameters.amount - view.instrument.size(position.entered_lots)
    terms = (price_term(view, "best price of our side", touch),)
    return Wish(ENTRY, side, ticks, amount, terms, "the entry waits for its price")


def _exits(view: MarketView, parameters: TripleBarrierParameters, position: Position) -> list[Wish]:
    side = parameters.side.opposite
    entry = position.entry_ticks
    amount = view.instrument.size(position.held_lots)
    terms = (
        price_term(view, "entry", entry),
        Term("profit now", figure(_profit(view, parameters, position) * _BPS, 2), "bps"),
        Term("best profit", figure(position.best * _BPS, 2), "bps"),
    )
    if position.leaving:
        ticks = crossing_price(view, side, parameters.cross_band)
        return [Wish(EXIT, side, ticks, amount, terms, f"{position.leaving}: takes what the book offers")]
    if parameters.take_profit is None:
        return []
    ticks = entry * (1.0 + parameters.side.sign * float(parameters.take_profit))
    ticks = max(ticks, view.bid[0] + 1) if side is Side.SELL else min(ticks, view.ask[0] - 1)
    return [Wish(EXIT, side, ticks, amount, terms, "take profit waits for its price")]
