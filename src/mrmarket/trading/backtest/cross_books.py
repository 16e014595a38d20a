"""Two venues as the laboratory plays them: a book that remembers what we took, and an account."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import NamedTuple

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.backtest.lab_book import LabBook
from mrmarket.trading.execution.leg_pair import Leg
from mrmarket.trading.strategy.cross_port import VenueBook
from mrmarket.trading.strategy.multileg.amounts import decimal_of


class Taken(NamedTuple):
    """A part of an order that met one level."""

    price_ticks: int
    lots: int


@dataclass(slots=True)
class Purse:
    """What we hold on one venue, exact."""

    base_lots: int
    quote: Fraction


class LabVenue(LabBook):
    """One venue of two, and the account on it."""

    def __init__(self, instrument: Instrument, market: str, purse: Purse, depth_share: Fraction) -> None:
        super().__init__(instrument, depth_share)
        self.market = market
        self.purse = purse

    def view(self, now_ns: int, levels: int) -> VenueBook:
        """What a strategy sees."""
        purse = self.purse
        return VenueBook(
            self.market,
            self.instrument,
            self.left(Side.BUY, levels),
            self.left(Side.SELL, levels),
            max(0, now_ns - self.heard_ns),
            self.instrument.size(purse.base_lots),
            decimal_of(purse.quote),
        )

    def funds(self, leg: Leg) -> int:
        """What is free for a leg, in its measure."""
        if leg.side is Side.SELL:
            return self.purse.base_lots
        return floor(self.purse.quote / Fraction(self.instrument.grain))

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
        for price, size in self.reach(side, worst_ticks):
            if not lots:
                break
            taken = min(lots, floor(size * self._share))
            if side is Side.BUY:
                cost = Fraction(self.instrument.grain) * price * (1 + Fraction(self.instrument.taker_fee))
                taken = min(taken, floor(self.purse.quote / cost))
            else:
                taken = min(taken, self.purse.base_lots)
            if not taken:
                continue
            self._took(side, price, taken)
            self._pay(side, price, taken, self.instrument.taker_fee)
            found.append(Taken(price, taken))
            lots -= taken
        return found

    def _pay(self, side: Side, price: int, lots: int, fee: Decimal) -> None:
        notional = Fraction(self.instrument.grain) * price * lots
        self.purse.base_lots += side.sign * lots
        self.purse.quote -= side.sign * notional + notional * Fraction(fee)
