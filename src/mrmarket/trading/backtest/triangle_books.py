"""Pairs of one venue in the laboratory: books that remember what we took, and one purse for all."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import Final, NamedTuple

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.strategy.triangular.amounts import Amounts, added
from mrmarket.trading.strategy.triangular.port import PairBook

_ALL_LEVELS: Final = 1_000


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


class LabPair:
    """One pair: history goes on as recorded, less what we took from a level until it is next updated."""

    def __init__(self, instrument: Instrument, purse: AssetPurse, depth_share: Fraction) -> None:
        """`depth_share` of each level is there for our orders; the rest others are taken to have had."""
        self.instrument = instrument
        self.heard_ns = 0
        self._purse = purse
        self._book = OrderBook(instrument)
        self._share = depth_share
        self._gone: dict[tuple[Side, int], int] = {}

    def apply(self, event: MarketEvent) -> bool:
        """Let history happen; whether the book changed."""
        if not self._book.apply(event):
            return False
        self.heard_ns = event.exchange_ns
        if event.kind is EventKind.SNAPSHOT:
            self._gone.clear()
        for side, levels in ((Side.BUY, event.bids), (Side.SELL, event.asks)):
            for price, _ in levels:
                self._gone.pop((side, price), None)
        return True

    @property
    def double_mid(self) -> int | None:
        """Twice the mid in ticks; None without both sides."""
        bid, ask = self._book.best_bid, self._book.best_ask
        return None if bid is None or ask is None else bid[0] + ask[0]

    def view(self, now_ns: int, levels: int) -> PairBook:
        """What a strategy sees."""
        return PairBook(
            self.instrument,
            self._left(Side.BUY, levels),
            self._left(Side.SELL, levels),
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
        for price, size in self._left(side.opposite, _ALL_LEVELS):
            if not lots or (price > worst_ticks if side is Side.BUY else price < worst_ticks):
                break
            cost = price * grain if side is Side.BUY else lot
            taken = min(lots, floor(size * self._share), floor(left / cost))
            if not taken:
                continue
            key = side.opposite, price
            self._gone[key] = self._gone.get(key, 0) + taken
            lots, left = lots - taken, left - taken * cost
            got, asset = (taken * lot, instrument.base)
            if side is Side.SELL:
                got, asset = (taken * price * grain, instrument.quote)
            changes = added(changes, {spends: -taken * cost, asset: got * (1 - rate)})
            found.append(Part(price, taken, got * rate))
        self._purse.change(changes)
        return found, changes

    def _left(self, side: Side, count: int) -> list[Level]:
        levels = self._book.bids(count) if side is Side.BUY else self._book.asks(count)
        if not self._gone:
            return levels
        left = [(price, size - self._gone.get((side, price), 0)) for price, size in levels]
        return [(price, size) for price, size in left if size > 0]
