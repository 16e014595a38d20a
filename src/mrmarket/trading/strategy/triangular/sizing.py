"""How much to send around a triangle: exact over three books, then rounded to lots leg by leg. Pure.

Each step turns an amount into another by a function that is increasing, concave and made of straight pieces,
one a level; so is all three together. Walking the merged pieces while the product of their rates gains more
than the margin ends at the best amount.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.market.event import Level
from mrmarket.trading.strategy.triangular.cycles import Cycle, Step


@dataclass(frozen=True, slots=True)
class SideBook:
    """A pair and its book."""

    instrument: Instrument
    bids: Sequence[Level]
    asks: Sequence[Level]


@dataclass(frozen=True, slots=True)
class TriangleLeg:
    """One order of a triangle, in ticks and lots."""

    symbol: str
    side: Side
    size_lots: int
    worst_ticks: int
    received: Fraction
    """After the fee, which is taken from it."""
    left_over: Fraction
    """Of what the leg before brought, less than a lot's worth: a cost."""


@dataclass(frozen=True, slots=True)
class Triangle:
    """Three orders that gain, in amounts of the home asset."""

    cycle: Cycle
    legs: tuple[TriangleLeg, TriangleLeg, TriangleLeg]
    spent: Fraction
    received: Fraction

    @property
    def profit(self) -> Fraction:
        """What rounding left over of the assets in between counts for nothing."""
        return self.received - self.spent


@dataclass(frozen=True, slots=True)
class NoTriangle:
    """Why nothing is sent around."""

    code: str
    """`empty_book`, `no_edge`, `no_balance`, `lot`, `min_notional` or `rounding`."""
    product: Fraction | None = None
    """What one unit becomes at the best prices; None without a book."""


@dataclass(slots=True)
class _Pieces:
    """The straight pieces of one step: (most that goes in, what comes out of one)."""

    rest: Iterator[tuple[Fraction, Fraction]]
    room: Fraction = Fraction(0)
    rate: Fraction = Fraction(0)

    def ready(self) -> bool:
        """Move on to a piece with room; False at the end of the book."""
        while not self.room:
            piece = next(self.rest, None)
            if piece is None:
                return False
            self.room, self.rate = piece
        return True


def size(
    cycle: Cycle,
    books: Mapping[str, SideBook],
    held: Fraction,
    *,
    margin: Fraction = Fraction(0),
    depth_share: Fraction = Fraction(1),
) -> Triangle | NoTriangle:
    """The best amount to send around, as orders.

    Args:
        cycle: the triangle.
        books: by symbol.
        held: of the home asset, at most this is spent.
        margin: each further unit must gain more than this.
        depth_share: share of each level that is counted on.
    """
    amount, product = best_amount(cycle, books, held, margin=margin, depth_share=depth_share)
    if product is None:
        return NoTriangle("empty_book")
    if not amount:
        return NoTriangle("no_balance" if product > 1 + margin else "no_edge", product)
    return _rounded(cycle, books, amount, product, depth_share)


def best_amount(
    cycle: Cycle,
    books: Mapping[str, SideBook],
    held: Fraction,
    *,
    margin: Fraction = Fraction(0),
    depth_share: Fraction = Fraction(1),
) -> tuple[Fraction, Fraction | None]:
    """(amount of the home asset, product of the first rates); exact, lots not looked at."""
    one, two, three = (_Pieces(iter(_pieces(books[step.symbol], step, depth_share))) for step in cycle.steps)
    spent, first = Fraction(0), None
    while one.ready() and two.ready() and three.ready():
        product = one.rate * two.rate * three.rate
        if first is None:
            first = product
        if product <= 1 + margin:
            break
        here = min(one.room, two.room / one.rate, three.room / (one.rate * two.rate), held - spent)
        if here <= 0:
            break
        spent += here
        one.room -= here
        two.room -= here * one.rate
        three.room -= here * one.rate * two.rate
    return spent, first


def through(book: SideBook, step: Step, amount: Fraction, depth_share: Fraction = Fraction(1)) -> Fraction:
    """What an amount becomes in one step, lots not looked at; what the book does not take is lost."""
    found = Fraction(0)
    for room, rate in _pieces(book, step, depth_share):
        taken = min(room, amount)
        found += taken * rate
        amount -= taken
    return found


def _pieces(book: SideBook, step: Step, depth_share: Fraction) -> list[tuple[Fraction, Fraction]]:
    instrument = book.instrument
    tick, lot = Fraction(instrument.tick_size), Fraction(instrument.lot_size)
    kept = 1 - Fraction(instrument.taker_fee)
    if step.sells:
        return [(_share(size, depth_share) * lot, price * tick * kept) for price, size in book.bids]
    return [
        (_share(size, depth_share) * lot * price * tick, kept / (price * tick)) for price, size in book.asks
    ]


def _rounded(
    cycle: Cycle, books: Mapping[str, SideBook], amount: Fraction, product: Fraction, depth_share: Fraction
) -> Triangle | NoTriangle:
    """Orders in whole lots, each of what the one before brings; looked at again as a whole."""
    legs: list[TriangleLeg] = []
    spent = amount
    for number, step in enumerate(cycle.steps):
        leg = _leg(books[step.symbol], step, amount, depth_share)
        if isinstance(leg, str):
            return NoTriangle(leg, product)
        if not number:
            # What the first leg leaves over was never spent.
            spent = amount - leg.left_over
        legs.append(leg)
        amount = leg.received
    found = Triangle(cycle, (legs[0], legs[1], legs[2]), spent, amount)
    return found if found.profit > 0 else NoTriangle("rounding", product)


def _leg(book: SideBook, step: Step, amount: Fraction, depth_share: Fraction) -> TriangleLeg | str:
    instrument = book.instrument
    grain, lot = Fraction(instrument.grain), Fraction(instrument.lot_size)
    left = amount
    lots = grains = worst = 0
    for price, size_ in book.bids if step.sells else book.asks:
        cost = lot if step.sells else price * grain
        taken = min(_share(size_, depth_share), floor(left / cost))
        if taken:
            lots, grains, worst = lots + taken, grains + taken * price, price
            left -= taken * cost
        if left < cost:
            break
    if lots < instrument.min_lots:
        return "lot"
    if grains * grain < Fraction(instrument.min_notional):
        return "min_notional"
    kept = 1 - Fraction(instrument.taker_fee)
    received = (grains * grain if step.sells else lots * lot) * kept
    return TriangleLeg(step.symbol, Side.SELL if step.sells else Side.BUY, lots, worst, received, left)


def _share(size_lots: int, share: Fraction) -> int:
    return size_lots * share.numerator // share.denominator
