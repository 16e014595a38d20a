"""The order book of one instrument, rebuilt from snapshots and updates."""

from __future__ import annotations

from bisect import insort
from itertools import islice
from typing import Final

from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.market.sequence import DepthSequence

_COMPACT_EVERY: Final = 4096
"""Updates between two compactions: rarer would cost `bids(n)` time, more often costs `apply`."""


class OrderBook:
    """Price levels in int ticks and lots, with sequence checks.

    A level that vanishes stays as a size of 0 until it would be the best one or the next
    compaction: most levels that vanish come back within milliseconds, and the lists keep still.
    """

    __slots__ = (
        "_ask_prices",
        "_asks",
        "_bid_prices",
        "_bids",
        "_sequence",
        "_until_compaction",
        "instrument",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self._sequence = DepthSequence(instrument.symbol)
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        # Both ascending with the best at the end, so that the busy end moves nothing; asks negated.
        self._bid_prices: list[int] = []
        self._ask_prices: list[int] = []
        self._until_compaction = _COMPACT_EVERY

    @property
    def synced(self) -> bool:
        """Whether a snapshot was applied and no update is missing since."""
        return self._sequence.synced

    @property
    def last_id(self) -> int:
        """Id of the last update in the book; 0 where the feed has none."""
        return self._sequence.last_id

    def apply(self, event: MarketEvent) -> bool:
        """Take an event in; say whether the book took it (TRADE and TOP never, stale DEPTH not).

        Raises:
            SequenceGapError: updates are missing; the book is not `synced` until the next SNAPSHOT.
        """
        kind = event.kind
        if kind is EventKind.DEPTH:
            if not self._sequence.admit(event):
                return False
            self._update(event.bids, event.asks)
            return True
        if kind is EventKind.SNAPSHOT:
            self._replace(event.bids, event.asks)
            self._sequence.restart(event.last_id)
            return True
        return False

    @property
    def best_bid(self) -> Level | None:
        """Highest bid, or None where there is none."""
        prices, sizes = self._bid_prices, self._bids
        while prices:
            price = prices[-1]
            size = sizes[price]
            if size:
                return price, size
            prices.pop()
            del sizes[price]
        return None

    @property
    def best_ask(self) -> Level | None:
        """Lowest ask, or None where there is none."""
        prices, sizes = self._ask_prices, self._asks
        while prices:
            price = -prices[-1]
            size = sizes[price]
            if size:
                return price, size
            prices.pop()
            del sizes[price]
        return None

    @property
    def crossed(self) -> bool:
        """Whether the best bid reaches the best ask, which no exchange's book does for long."""
        bid, ask = self.best_bid, self.best_ask
        return bid is not None and ask is not None and bid[0] >= ask[0]

    def bids(self, count: int) -> list[Level]:
        """Up to `count` levels, highest first."""
        if self.best_bid is None:  # asking also clears what vanished above the best
            return []
        sizes = self._bids
        held = ((price, size) for price in reversed(self._bid_prices) if (size := sizes[price]))
        return list(islice(held, count))

    def asks(self, count: int) -> list[Level]:
        """Up to `count` levels, lowest first."""
        if self.best_ask is None:
            return []
        sizes = self._asks
        held = ((-price, size) for price in reversed(self._ask_prices) if (size := sizes[-price]))
        return list(islice(held, count))

    def bid_lots(self, price_ticks: int) -> int:
        """Lots bid at a price; 0 where there is no level."""
        return self._bids.get(price_ticks, 0)

    def ask_lots(self, price_ticks: int) -> int:
        """Lots offered at a price; 0 where there is no level."""
        return self._asks.get(price_ticks, 0)

    def _update(self, bids: list[Level], asks: list[Level]) -> None:
        # dict.update runs in C; whatever it added stands at the end of the dict's order.
        if bids:
            sizes = self._bids
            before = len(sizes)
            sizes.update(bids)
            added = len(sizes) - before
            if added:
                prices = self._bid_prices
                for price in islice(reversed(sizes), added):
                    insort(prices, price)
        if asks:
            sizes = self._asks
            before = len(sizes)
            sizes.update(asks)
            added = len(sizes) - before
            if added:
                prices = self._ask_prices
                for price in islice(reversed(sizes), added):
                    insort(prices, -price)
        self._until_compaction -= 1
        if self._until_compaction == 0:
            self._replace(list(self._bids.items()), list(self._asks.items()))

    def _replace(self, bids: list[Level], asks: list[Level]) -> None:
        self._bids = {price: size for price, size in bids if size}
        self._asks = {price: size for price, size in asks if size}
        self._bid_prices = sorted(self._bids)
        self._ask_prices = sorted(-price for price in self._asks)
        self._until_compaction = _COMPACT_EVERY
