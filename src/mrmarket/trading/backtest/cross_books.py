"""Two venues as the laboratory plays them: a book that remembers what we took, and an account."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import NamedTuple

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.legs import Leg
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.strategy.cross_port import VenueBook

_ALL_LEVELS = 1_000


class Taken(NamedTuple):
    """A part of an order that met one level."""

    price_ticks: int
    lots: int


@dataclass(slots=True)
class Purse:
    """What we hold on one venue, exact."""

    base_lots: int
    quote: Fraction


class LabVenue:
    """One venue: history goes on as recorded, less what we took from a level until it is next updated."""

    def __init__(self, instrument: Instrument, market: str, purse: Purse, depth_share: Fraction) -> None:
        """`depth_share` of each level is there for our orders; the rest others are taken to have had."""
        self.instrument = instrument
        self.market = market
        self.purse = purse
        self.heard_ns = 0
        self._book = OrderBook(instrument)
        self._share = depth_share
        self._gone: dict[tuple[Side, int], int] = {}

    def apply(self, event: MarketEvent) -> None:
        """Let history happen."""
        if not self._book.apply(event):
            return
        self.heard_ns = event.exchange_ns
        if event.kind is EventKind.SNAPSHOT:
            self._gone.clear()
        for side, levels in ((Side.BUY, event.bids), (Side.SELL, event.asks)):
            for price, _ in levels:
                self._gone.pop((side, price), None)

    @property
    def double_mid(self) -> int | None:
        """Twice the mid in ticks; None without both sides."""
        bid, ask = self._book.best_bid, self._book.best_ask
        return None if bid is None or ask is None else bid[0] + ask[0]

    def view(self, now_ns: int, levels: int) -> VenueBook:
        """What a strategy sees."""
        purse = self.purse
        return VenueBook(
            self.market,
            self.instrument,
            self._left(Side.BUY, levels),
            self._left(Side.SELL, levels),
            max(0, now_ns - self.heard_ns),
            self.instrument.size(purse.base_lots),
            decimal_of(purse.quote),
        )

    def funds(self, leg: Leg) -> int:
        """What is free for a leg, in its measure."""
        if leg.side is Side.SELL:
            return self.purse.base_lots
        return floor(self.purse.quote / Fraction(self.instrument.grain))

    @property
    def top(self) -> MarketTop | None:
        """Best prices; None without both sides."""
        bid, ask = self._book.best_bid, self._book.best_ask
        return None if bid is None or ask is None else MarketTop(bid[0], ask[0])

    def affords(self, side: Side, price: int, lots: int) -> bool:
        """Whether an order that rests here could be paid for if it were filled now."""
        if side is Side.SELL:
            return lots <= self.purse.base_lots
        fee = max(Fraction(self.instrument.maker_fee), Fraction(0))
        return Fraction(self.instrument.grain) * price * lots * (1 + fee) <= self.purse.quote

    def filled(self, side: Side, price: int, lots: int) -> None:
        """An order of ours that rested was filled; the fee is in quote."""
        self._pay(side, price, lots, self.instrument.maker_fee)

    def take(self, side: Side, lots: int, worst_ticks: int) -> list[Taken]:
        """An immediate-or-cancel order meets the book; what it took is paid for, the fee in quote."""
        found: list[Taken] = []
        book_side = side.opposite
        for price, size in self._left(book_side, _ALL_LEVELS):
            if not lots or (price > worst_ticks if side is Side.BUY else price < worst_ticks):
                break
            taken = min(lots, floor(size * self._share))
            if side is Side.BUY:
                cost = Fraction(self.instrument.grain) * price * (1 + Fraction(self.instrument.taker_fee))
                taken = min(taken, floor(self.purse.quote / cost))
            else:
                taken = min(taken, self.purse.base_lots)
            if not taken:
                continue
            self._gone[book_side, price] = self._gone.get((book_side, price), 0) + taken
            self._pay(side, price, taken, self.instrument.taker_fee)
            found.append(Taken(price, taken))
            lots -= taken
        return found

    def _pay(self, side: Side, price: int, lots: int, fee: Decimal) -> None:
        notional = Fraction(self.instrument.grain) * price * lots
        self.purse.base_lots += side.sign * lots
        self.purse.quote -= side.sign * notional + notional * Fraction(fee)

    def _left(self, side: Side, count: int) -> list[Level]:
        levels = self._book.bids(count) if side is Side.BUY else self._book.asks(count)
        if not self._gone:
            return levels
        left = [(price, size - self._gone.get((side, price), 0)) for price, size in levels]
        return [(price, size) for price, size in left if size > 0]


def decimal_of(value: Fraction) -> Decimal:
    """A fraction as a decimal of the context's precision."""
    return Decimal(value.numerator) / Decimal(value.denominator)
