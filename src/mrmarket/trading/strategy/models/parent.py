"""A parent order worked in slices: passive at the touch, crossing only at its end and only if allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Annotated, Final, Protocol

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import TargetQuotes, Term
from mrmarket.trading.strategy.models.standing import (
    Wish,
    away,
    figure,
    is_too_small,
    price_term,
    stand,
    whole_lots,
)
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.schema import StrategySchema, within
from mrmarket.trading.venue.port import OrderKind

SLOT: Final = "x1"


class ParentParameters(StrategySchema, frozen=True, kw_only=True):
    """What executors of one parent order share. The clock starts with the run, and again after a restart."""

    side: Side = Side.BUY
    limit_price: Decimal | None = None
    """Nothing is bought above it, nothing sold below."""
    cross_at_deadline: bool = False
    """Whether the rest takes what the book offers once the time is over; else it goes on waiting."""
    cross_band: Decimal = Decimal("0.001")
    """How far beyond the best opposite price it may take."""
    order_refresh_time: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 2.0
    """An order that the touch has left waits this long before it follows."""
    max_order_age: Annotated[float, msgspec.Meta(gt=0, le=2_592_000)] = 1_800.0
    inventory_target_ratio: Decimal = Decimal("0.5")
    """Where the owner's `flatten` and a breaker's restriction bring the account to; not what is worked."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("limit_price", self.limit_price, "0", "1e18", low_open=True, example="60000")
        within("cross_band", self.cross_band, "0", "0.1", example="0.001")
        within("inventory_target_ratio", self.inventory_target_ratio, "0", "1", example="0.5")


class Schedule(Protocol):
    """How much of a parent order is due, and when its time is over."""

    @property
    def name(self) -> str:
        """The strategy's name."""
        ...

    @property
    def total(self) -> Decimal:
        """Base of the whole parent order."""
        ...

    @property
    def deadline_s(self) -> float:
        """Seconds after its beginning."""
        ...

    def due(self, elapsed_s: float) -> float:
        """Share of the whole that should be done by now, from 0 to 1; never falls."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a parent order has come."""

    filled_lots: int = 0
    began_ns: int | None = None


def targets(
    view: MarketView, parameters: ParentParameters, schedule: Schedule, progress: Progress
) -> TargetQuotes:
    """What should stand now."""
    instrument, side = view.instrument, parameters.side
    total = whole_lots(view, schedule.total)
    rest = total - progress.filled_lots
    told = f"{instrument.size_text(progress.filled_lots)} of {instrument.size_text(total)} {_done(side)}"
    touch = view.bid[0] if side is Side.BUY else view.ask[0]
    if rest <= 0 or is_too_small(view, touch, rest):
        return TargetQuotes(reason=f"done: {told}")
    elapsed_s = 0.0 if progress.began_ns is None else (view.now_ns - progress.began_ns) / NS_PER_S
    late = elapsed_s >= schedule.deadline_s
    open_lots = rest if late else min(total, ceil(total * schedule.due(elapsed_s))) - progress.filled_lots
    if open_lots <= 0:
        return TargetQuotes(reason=f"ahead of its schedule: {told}")
    crosses = late and parameters.cross_at_deadline
    ticks = crossing_price(view, side, parameters.cross_band) if crosses else float(touch)
    if parameters.limit_price is not None:
        limit = float(parameters.limit_price / instrument.tick_size)
        ticks = min(ticks, limit) if side is Side.BUY else max(ticks, limit)
    terms = (
        Term("done", instrument.size(progress.filled_lots), "base"),
        Term("due", instrument.size(progress.filled_lots + open_lots), "base"),
        Term("elapsed", figure(elapsed_s, 1), "s"),
        price_term(view, "best opposite price", _opposite(view, side))
        if crosses
        else price_term(view, "best price of our side", touch),
    )
    how = "takes what the book offers: the time is over" if crosses else "waits at the touch"
    wish = Wish(SLOT, side, ticks, instrument.size(open_lots), terms, f"{told}; {how}")
    quotes, notes = stand(view, [wish], post_only=not crosses)
    return TargetQuotes(tuple(quotes), "; ".join(notes) or told)


class ParentOrder:
    """The strategy as the engine holds it."""

    def __init__(self, parameters: ParentParameters, schedule: Schedule) -> None:
        self.parameters = parameters
        self.schedule = schedule
        self.progress = Progress()

    @property
    def name(self) -> str:
        """For people."""
        return self.schedule.name

    @property
    def symbol(self) -> str:
        """The pair it trades."""
        return self.parameters.pair

    @property
    def rules(self) -> RefreshRules:
        """When its live order gives way."""
        return RefreshRules(
            refresh_ns=int(self.parameters.order_refresh_time * NS_PER_S),
            max_age_ns=int(self.parameters.max_order_age * NS_PER_S),
        )

    @property
    def order_kind(self) -> OrderKind:
        """How its orders meet the book."""
        return OrderKind.LIMIT if self.parameters.cross_at_deadline else OrderKind.POST_ONLY

    @property
    def inventory_target(self) -> Decimal:
        """Share of the account's worth that it is brought to where somebody flattens it."""
        return self.parameters.inventory_target_ratio

    def quotes(self, view: MarketView) -> TargetQuotes:
        """What should stand now."""
        if self.progress.began_ns is None:
            self.progress = Progress(self.progress.filled_lots, view.now_ns)
        return targets(view, self.parameters, self.schedule, self.progress)

    def on_fill(self, own: OwnFill, now_ns: int, live: Sequence[Order]) -> None:  # noqa: ARG002 - the port's
        """Count it."""
        self._count(own.fill.side, own.fill.size_lots)

    def on_past_fill(self, side: Side, price_ticks: int, size_lots: int) -> None:  # noqa: ARG002 - the port's
        """Count it: a restart goes on with what is left."""
        self._count(side, size_lots)

    def _count(self, side: Side, size_lots: int) -> None:
        done = self.progress.filled_lots + side.sign * self.parameters.side.sign * size_lots
        self.progress = Progress(done, self.progress.began_ns)


def crossing_price(view: MarketView, side: Side, band: Decimal) -> float:
    """The worst price that may be taken, in ticks: the best opposite one and the band, rounded into it."""
    best = _opposite(view, side)
    edge = away(best * (1 + side.sign * float(band)), side)
    return float(max(edge, best) if side is Side.BUY else min(edge, best))


def _opposite(view: MarketView, side: Side) -> int:
    return view.ask[0] if side is Side.BUY else view.bid[0]


def _done(side: Side) -> str:
    return "bought" if side is Side.BUY else "sold"
