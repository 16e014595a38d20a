"""From prices in fractions of a tick and amounts of base to quotes on the instrument's grid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from math import ceil, floor, isfinite
from typing import Final

from mrmarket.core.side import Side
from mrmarket.trading.execution.targets import Quote, Term
from mrmarket.trading.strategy.port import MarketView

_DUST: Final = 1e-9
"""Of a tick: what arithmetic leaves behind must not cost a whole one."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One order as a model wants it."""

    slot: str
    side: Side
    ticks: float
    amount: Decimal
    """Base."""
    terms: tuple[Term, ...]
    why: str
    worst_ticks: float | None = None
    """A live order beyond this is no longer acceptable."""


def stand(view: MarketView, wishes: Iterable[Wish], *, post_only: bool) -> tuple[list[Quote], list[str]]:
    """(quotes, why some wishes became none). Prices are rounded away from the market: bids down, asks up."""
    quotes: list[Quote] = []
    notes: list[str] = []
    for wish in wishes:
        placed = _quote(view, wish, post_only=post_only)
        if isinstance(placed, Quote):
            quotes.append(placed)
        else:
            notes.append(placed)
    return quotes, notes


def whole_lots(view: MarketView, amount: Decimal) -> int:
    """Base in lots, rounded down."""
    return int((amount / view.instrument.lot_size).to_integral_value(ROUND_DOWN))


def is_too_small(view: MarketView, ticks: int, lots: int) -> bool:
    """Whether the venue would refuse the order for its size."""
    instrument = view.instrument
    return lots < instrument.min_lots or instrument.notional(ticks, lots) < instrument.min_notional


def away(ticks: float, side: Side) -> int:
    """On the grid, down for a buy and up for a sell."""
    return floor(ticks + _DUST) if side is Side.BUY else ceil(ticks - _DUST)


def price_term(view: MarketView, name: str, ticks: float) -> Term:
    """A price or a distance in quote, to a thousandth of a tick."""
    return Term(name, figure(ticks, 3) * view.instrument.tick_size, "quote")


def figure(value: float, digits: int = 6) -> Decimal:
    """A float as people read it."""
    return Decimal(repr(round(value, digits)))


def _quote(view: MarketView, wish: Wish, *, post_only: bool) -> Quote | str:
    instrument, side = view.instrument, wish.side
    if not isfinite(wish.ticks):
        return f"{wish.slot} has no price: the model gave {wish.ticks}"
    ticks = away(wish.ticks, side)
    terms = wish.terms
    if post_only:
        limit = view.ask[0] - 1 if side is Side.BUY else view.bid[0] + 1
        if (ticks - limit) * side.sign > 0:
            ticks = limit
            terms = (*terms, Term("kept off the other side", instrument.price(limit), "quote"))
    if ticks <= 0:
        return f"{wish.slot} has no positive price"
    lots = min(whole_lots(view, wish.amount), instrument.max_lots)
    if is_too_small(view, ticks, lots):
        return f"{wish.slot} is smaller than {instrument.venue} takes"
    worst = None
    if wish.worst_ticks is not None and isfinite(wish.worst_ticks):
        edge = away(wish.worst_ticks, side.opposite)
        worst = max(edge, ticks) if side is Side.BUY else min(edge, ticks)
    terms = (*terms, Term("price", instrument.price(ticks), "quote"))
    return Quote(wish.slot, side, ticks, lots, terms, wish.why, worst_ticks=worst)
