"""Pairs of one venue in the laboratory: books that remember what we took, and one purse for all."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import NamedTuple

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.backtest.lab_book import LabBook
from mrmarket.trading.strategy.multileg.amounts import Amounts, added
from mrmarket.trading.strategy.triangular.port import PairBook


class Part(NamedTuple):
    """A part of an order that met one level."""

    price_ticks: int
    lots: int
    fee: Fraction
    """In the asset that was received."""


@dataclass(slots=True)
class AssetPurse:
    """What we hold on one venue, exact."""

    held: dict[str, Fraction] = field(default_factory=dict)

    def of(self, asset: str) -> Fraction:
        """Of one asset."""
        return self.held.get(asset, Fraction(0))

    def change(self, changes: Amounts) -> None:
        """After a trade."""
        self.held = added(self.held, changes)


class LabPair(LabBook):
    """One pair of the venue, and the purse that all of them share."""

    def __init__(self, instrument: Instrument, purse: AssetPurse, depth_share: Fraction) -> None:
        super().__init__(instrument, depth_share)
        self._purse = purse

    def view(self, now_ns: int, levels: int) -> PairBook:
        """What a strategy sees."""
        return PairBook(
            self.instrument,
            self.left(Side.BUY, levels),
            self.left(Side.SELL, levels),
            max(0, now_ns - self.heard_ns),
        )

    def take(self, side: Side, lots: int, worst_ticks: int) -> tuple[list[Part], dict[str, Fraction]]:
        """An immediate-or-cancel order meets the book; (parts, what they changed).

        The fee is kept back from what is received. What the purse does not pay for is not taken.
        """
        instrument = self.instrument
        grain, lot = Fraction(instrument.grain), Fraction(instrument.lot_size)
        rate = Fraction(instrument.taker_fee)
        found: list[Part] = []
        changes: dict[str, Fraction] = {}
        spends = instrument.quote if side is Side.BUY else instrument.base
        left = self._purse.of(spends)
        for price, size in self.reach(side, worst_ticks):
            if not lots:
                break
            cost = price * grain if side is Side.BUY else lot
            taken = min(lots, floor(size * self._share), floor(left / cost))
            if not taken:
                continue
            self._took(side, price, taken)
            lots, left = lots - taken, left - taken * cost
            got, asset = (taken * lot, instrument.base)
            if side is Side.SELL:
                got, asset = (taken * price * grain, instrument.quote)
            changes = added(changes, {spends: -taken * cost, asset: got * (1 - rate)})
            found.append(Part(price, taken, got * rate))
        self._purse.change(changes)
        return found, changes
