"""A market's book in the laboratory: history goes on as recorded, less what we took from it."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, Level, MarketEvent

ALL_LEVELS: Final = 1_000


class LabBook:
    """What we took from a level is gone until that is next updated."""

    def __init__(self, instrument: Instrument, depth_share: Fraction) -> None:
        """`depth_share` of each level is there for our orders; the rest others are taken to have had."""
        self.instrument = instrument
        self.heard_ns = 0
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
    def top(self) -> MarketTop | None:
        """Best prices; None without both sides."""
        bid, ask = self._book.best_bid, self._book.best_ask
        return None if bid is None or ask is None else MarketTop(bid[0], ask[0])

    @property
    def double_mid(self) -> int | None:
        """Twice the mid in ticks; None without both sides."""
        bid, ask = self._book.best_bid, self._book.best_ask
        return None if bid is None or ask is None else bid[0] + ask[0]

    def left(self, side: Side, count: int) -> list[Level]:
        """A side as recorded, less what we took."""
        levels = self._book.bids(count) if side is Side.BUY else self._book.asks(count)
        if not self._gone:
            return levels
        left = [(price, size - self._gone.get((side, price), 0)) for price, size in levels]
        return [(price, size) for price, size in left if size > 0]

    def reach(self, side: Side, worst_ticks: int) -> list[Level]:
        """The levels that an order of ours may take from, the best first, down to its worst price."""
        levels = self.left(side.opposite, ALL_LEVELS)
        if side is Side.BUY:
            return [level for level in levels if level[0] <= worst_ticks]
        return [level for level in levels if level[0] >= worst_ticks]

    def _took(self, side: Side, price: int, lots: int) -> None:
        key = side.opposite, price
        self._gone[key] = self._gone.get(key, 0) + lots
