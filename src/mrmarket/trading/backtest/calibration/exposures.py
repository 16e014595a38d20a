"""What stood before each own order, by each queue model, whenever somebody traded at its price.

The models are the kernel's own: the lots ahead at the beginning are all that the level holds, trades take
from the front, and of what else goes away `stood_behind` says which part was behind. Unlike in a backtest
an order stays until it really was filled or really left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from mrmarket.core.clock import NS_PER_MS
from mrmarket.trading.backtest.calibration.own_orders import OwnOrder
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.venue.simulated.book_arrays import QueueModel
from mrmarket.trading.venue.simulated.queue_position import stood_behind

Candidate = tuple[QueueModel, int]
"""A model, and thousandths of its exponent."""


class Exposure(NamedTuple):
    """One taker at an own order's price while it waited."""

    lots: int
    """What the taker traded there, less what own orders before this one had of it."""
    ahead: tuple[int, ...]
    """Lots that stood before the order just then, by each candidate."""
    filled: bool
    """Whether this taker came through to the order."""


class _Waiting:
    __slots__ = ("ahead", "order", "traded")

    def __init__(self, order: OwnOrder, lots: int, candidates: int) -> None:
        self.order = order
        self.ahead = [lots] * candidates
        self.traded = 0


class _Taker(NamedTuple):
    at_ns: int
    buys: bool
    price_ticks: int


class _Watch:
    """Plays the tape past the orders."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self.exposures: list[Exposure] = []
        self._settings = [[int(model), milli] for model, milli in candidates]
        self._books: tuple[dict[int, int], dict[int, int]] = ({}, {})
        """Sizes by price of asks, then of bids: what an order that sells, or buys, stands among."""
        self._waiting: tuple[dict[int, list[_Waiting]], dict[int, list[_Waiting]]] = ({}, {})
        self._taker: _Taker | None = None
        self._taken = 0

    def enter(self, order: OwnOrder) -> None:
        """An order stands at the back of its level."""
        self._settle_taker()
        lots = self._books[order.buys].get(order.price_ticks, 0)
        waiting = _Waiting(order, lots, len(self._settings))
        self._waiting[order.buys].setdefault(order.price_ticks, []).append(waiting)

    def leave(self, order: OwnOrder) -> None:
        """An order is gone, unless it is already."""
        self._settle_taker()
        level = self._waiting[order.buys].get(order.price_ticks, [])
        level[:] = [waiting for waiting in level if waiting.order is not order]

    def take(self, event: MarketEvent) -> None:
        """The next event of the tape."""
        if event.kind is EventKind.TRADE:
            self._trade(event)
            return
        self._settle_taker()
        if event.kind is EventKind.TOP:
            return
        for buys, levels in ((True, event.bids), (False, event.asks)):
            if event.kind is EventKind.SNAPSHOT:
                self._replace(levels, buys=buys)
            else:
                for price, lots in levels:
                    self._resize(price, lots, buys=buys)

    def finish(self) -> None:
        """The tape is over."""
        self._settle_taker()

    def _replace(self, levels: Sequence[tuple[int, int]], *, buys: bool) -> None:
        book = self._books[buys]
        book.clear()
        book.update(levels)
        for price, waiting in self._waiting[buys].items():
            for each in waiting:
                each.ahead = [min(ahead, book.get(price, 0)) for ahead in each.ahead]
                each.traded = 0

    def _resize(self, price: int, after: int, *, buys: bool) -> None:
        book = self._books[buys]
        before = book.get(price, 0)
        if after:
            book[price] = after
        else:
            book.pop(price, None)
        for each in self._waiting[buys].get(price, ()):
            cancelled = before - after - each.traded
            if cancelled > 0:
                for number, settings in enumerate(self._settings):
                    ahead = each.ahead[number]
                    behind = max(0, before - each.traded - ahead)
                    each.ahead[number] = ahead - (
                        cancelled - stood_behind(settings, ahead, behind, cancelled)
                    )
            each.ahead = [max(0, min(ahead, after)) for ahead in each.ahead]
            each.traded = 0

    def _trade(self, event: MarketEvent) -> None:
        """Prints of one taker come one after the other, at the same time and price, one for each maker."""
        taker = _Taker(event.exchange_ns, event.taker_buys, event.price_ticks)
        if taker != self._taker:
            self._settle_taker()
            self._taker = taker
            self._pass(taker)
        self._taken += event.size_lots

    def _pass(self, taker: _Taker) -> None:
        """Orders that a taker went through are filled by every model; what they tell ends here."""
        side = self._waiting[not taker.buys]
        sign = 1 if taker.buys else -1
        beaten = [price for price in side if sign * price < sign * taker.price_ticks]
        for price in beaten:
            del side[price]

    def _settle_taker(self) -> None:
        taker, lots = self._taker, self._taken
        self._taker, self._taken = None, 0
        if taker is None:
            return
        level = self._waiting[not taker.buys].get(taker.price_ticks)
        if not level:
            return
        left = []
        reach = lots
        for each in level:
            # Venues stamp fills and public trades in milliseconds.
            filled_ms, now_ms = each.order.filled_ns // NS_PER_MS, taker.at_ns // NS_PER_MS
            if 0 < filled_ms < now_ms:
                continue  # filled by something that the tape does not show: nothing more is known of it
            filled = filled_ms == now_ms
            if reach > 0:
                self.exposures.append(Exposure(reach, tuple(each.ahead), filled))
            if filled:
                reach -= each.order.size_lots  # those behind it get what it left
            else:
                each.ahead = [max(0, ahead - max(0, reach)) for ahead in each.ahead]
                each.traded += lots
                left.append(each)
        level[:] = left


def exposures_of(
    events: Iterable[MarketEvent], orders: Sequence[OwnOrder], candidates: Sequence[Candidate]
) -> list[Exposure]:
    """Play a tape past own orders; what they were exposed to.

    Args:
        events: the whole tape, in exchange time.
        orders: ascending by `from_ns`; those from before the tape's first event are left out.
        candidates: the queue models to keep count by.

    Raises:
        TapeError: as the tape raises it.
    """
    watch = _Watch(candidates)
    entering = 0
    leaving: list[tuple[int, int]] = []
    first_ns: int | None = None
    for event in events:
        now_ns = event.exchange_ns
        if first_ns is None:
            first_ns = now_ns
            while entering < len(orders) and orders[entering].from_ns < first_ns:
                entering += 1
        # As in the kernel: who arrives by now stands there before this event.
        while entering < len(orders) and orders[entering].from_ns <= now_ns:
            watch.enter(orders[entering])
            heappush(leaving, (orders[entering].until_ns, entering))
            entering += 1
        while leaving and leaving[0][0] <= now_ns:
            watch.leave(orders[heappop(leaving)[1]])
        watch.take(event)
    watch.finish()
    return watch.exposures
