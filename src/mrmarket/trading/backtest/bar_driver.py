"""Bars as an exchange: who is filled by a bar's range, honestly, and one loop for every strategy on bars.

`play_bars` is the fast way: plain integers, a function that is called at each close and places and
cancels by itself. A strategy that trades live goes through the same loop, see `bar_run`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from mrmarket.trading.backtest.bar_file import Bars

POST_ONLY, LIMIT, TAKE = 0, 1, 2
"""Refused if it would take; takes and rests; takes and ends."""

FILLED, REFUSED, EXPIRED = 0, 1, 2
"""What becomes of an order in a bar."""


class BarFill(NamedTuple):
    """One fill, or the end of an order that was not filled whole (`lots` 0)."""

    bar: int
    order: int
    sign: int
    price_ticks: int
    lots: int
    maker: bool
    end: int
    """FILLED, or why the order is gone without a fill: REFUSED, EXPIRED."""


_SIGN, _PRICE, _LOTS, _KIND = 0, 1, 2, 3


class BarMarket:
    """Orders that rest from close to close, against bars.

    An order is filled at its own price when a bar goes strictly through it. An order that was placed at
    the last close and reaches across the open (taken to be one tick wide on either side) takes there.
    """

    __slots__ = ("_made", "_new", "_orders", "_share", "bar", "bars", "fills")

    def __init__(self, bars: Bars, volume_share: Decimal | Fraction = Fraction(1, 10)) -> None:
        """`volume_share`: how much of a bar's volume all of our fills in it may have."""
        self.bars = bars
        self.bar = 0
        """Number of the bar that has just closed."""
        self.fills: list[BarFill] = []
        """Of all bars so far."""
        self._share = Fraction(volume_share)
        self._orders: dict[int, list[int]] = {}
        self._new: list[int] = []
        self._made = 0

    def place(self, sign: int, price_ticks: int, lots: int, kind: int = POST_ONLY) -> int:
        """Put an order in the market from the next bar on; returns its number."""
        self._made = number = self._made + 1
        self._orders[number] = [sign, price_ticks, lots, kind]
        self._new.append(number)
        return number

    def cancel(self, number: int) -> bool:
        """Take an order out; false if it is not there any more."""
        return self._orders.pop(number, None) is not None

    def is_open(self, number: int) -> bool:
        """Whether it rests."""
        return number in self._orders

    def match(self, bar: int) -> int:
        """Fill what a bar reaches; returns from where in `fills` the new ones stand."""
        self.bar = bar
        first = len(self.fills)
        if not self._orders:
            self._new.clear()
            return first
        bars = self.bars
        taken = 0
        if self._new:
            taken = self._arrive(bar)
        low, high, close = bars.low[bar], bars.high[bar], bars.close[bar]
        # By what they gain at the close: the worst first, so that the best find no volume left.
        reached = [
            ((close - order[_PRICE]) * order[_SIGN], number)
            for number, order in self._orders.items()
            if (low < order[_PRICE] if order[_SIGN] > 0 else high > order[_PRICE])
        ]
        if reached:
            if len(reached) > 1:
                reached.sort()
            left = self._volume(bar) - taken
            for _, number in reached:
                left -= self._fill(bar, number, left)
        return first

    def _volume(self, bar: int) -> int:
        share = self._share
        return self.bars.volume[bar] * share.numerator // share.denominator

    def _fill(self, bar: int, number: int, most: int) -> int:
        order = self._orders[number]
        lots = min(order[_LOTS], most)
        if lots > 0:
            self.fills.append(BarFill(bar, number, order[_SIGN], order[_PRICE], lots, True, FILLED))
            self._reduce(number, order, lots)
        return lots

    def _arrive(self, bar: int) -> int:
        """What was placed at the last close meets the open; returns the lots it took."""
        open_ticks = self.bars.open[bar]
        left = whole = self._volume(bar)
        for number in self._new:
            order = self._orders.get(number)
            if order is None:
                continue
            sign, kind = order[_SIGN], order[_KIND]
            crosses = (order[_PRICE] - open_ticks) * sign > 0
            if crosses and kind == POST_ONLY:
                self._end(bar, number, REFUSED)
                continue
            if crosses and (lots := min(order[_LOTS], left)):
                self.fills.append(BarFill(bar, number, sign, open_ticks + sign, lots, False, FILLED))
                self._reduce(number, order, lots)
                left -= lots
            if kind == TAKE and number in self._orders:
                self._end(bar, number, EXPIRED)
        self._new.clear()
        return whole - left

    def _reduce(self, number: int, order: list[int], lots: int) -> None:
        order[_LOTS] -= lots
        if not order[_LOTS]:
            del self._orders[number]

    def _end(self, bar: int, number: int, why: int) -> None:
        order = self._orders.pop(number)
        self.fills.append(BarFill(bar, number, order[_SIGN], order[_PRICE], 0, False, why))


def play_bars(
    bars: Bars,
    on_bar: Callable[[BarMarket, Sequence[BarFill]], None],
    *,
    begin: int = 0,
    end: int | None = None,
    volume_share: Decimal | Fraction = Fraction(1, 10),
) -> list[BarFill]:
    """Play bars `begin` up to `end` and call at each close, with what the bar did to our orders.

    Args:
        bars: of one pair.
        on_bar: places and cancels; the market's `bar` is the one that has just closed.
        begin: the first bar that is seen.
        end: the first one that is not; None plays all.
        volume_share: as for `BarMarket`.

    Returns:
        All fills, in order; those of no lots are orders that ended.
    """
    market = BarMarket(bars, volume_share)
    fills = market.fills
    match = market.match
    nothing: list[BarFill] = []
    for bar in range(begin, len(bars) if end is None else end):
        first = match(bar)
        on_bar(market, fills[first:] if first < len(fills) else nothing)
    return fills
