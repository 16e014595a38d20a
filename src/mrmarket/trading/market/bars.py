"""Candles from trades."""

from __future__ import annotations

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.market.event import EventKind, MarketEvent


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One candle. An interval without trades has no bar."""

    open_ns: int
    """Start of the interval, a multiple of its length."""
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: int
    volume_grains: int
    """Sum of ticks times lots."""
    taker_buy_lots: int
    trades: int


class BarBuilder:
    """Collects trades into bars of one length."""

    __slots__ = ("_current", "interval_ns")

    def __init__(self, interval_ns: int) -> None:
        if interval_ns <= 0:
            raise InvalidInputError("interval_ns", interval_ns, "a length above 0")
        self.interval_ns = interval_ns
        self._current: Bar | None = None

    @property
    def current(self) -> Bar | None:
        """The bar that is not closed yet, or None before the first trade."""
        return self._current

    def add(self, event: MarketEvent) -> Bar | None:
        """Take a market event in by its exchange time; whatever is no trade changes nothing."""
        if event.kind is not EventKind.TRADE:
            return None
        return self.add_trade(
            event.exchange_ns, event.price_ticks, event.size_lots, taker_buys=event.taker_buys
        )

    def add_trade(self, at_ns: int, price_ticks: int, size_lots: int, *, taker_buys: bool) -> Bar | None:
        """Take a trade in; give the bar that it closed, if it is the first of a later interval.

        A trade that comes late, after its interval has ended, counts in the current bar.
        """
        closed = self.close_before(at_ns)
        bar = self._current
        bought_lots = size_lots if taker_buys else 0
        if bar is None:
            self._current = Bar(
                open_ns=at_ns - at_ns % self.interval_ns,
                open_ticks=price_ticks,
                high_ticks=price_ticks,
                low_ticks=price_ticks,
                close_ticks=price_ticks,
                volume_lots=size_lots,
                volume_grains=price_ticks * size_lots,
                taker_buy_lots=bought_lots,
                trades=1,
            )
        else:
            self._current = Bar(
                open_ns=bar.open_ns,
                open_ticks=bar.open_ticks,
                high_ticks=max(bar.high_ticks, price_ticks),
                low_ticks=min(bar.low_ticks, price_ticks),
                close_ticks=price_ticks,
                volume_lots=bar.volume_lots + size_lots,
                volume_grains=bar.volume_grains + price_ticks * size_lots,
                taker_buy_lots=bar.taker_buy_lots + bought_lots,
                trades=bar.trades + 1,
            )
        return closed

    def close_before(self, now_ns: int) -> Bar | None:
        """Give the current bar if its interval has ended by `now_ns`."""
        bar = self._current
        if bar is None or now_ns < bar.open_ns + self.interval_ns:
            return None
        self._current = None
        return bar
