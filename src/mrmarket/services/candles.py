"""The last hours of trades as candles of any length."""

from __future__ import annotations

from collections import deque
from typing import Final

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.core.decimals import format_decimal
from mrmarket.core.instrument import Instrument
from mrmarket.services.api.schema import Candle
from mrmarket.trading.market.bars import Bar, BarBuilder
from mrmarket.trading.market.event import MarketEvent

_KEPT: Final = 4 * 3600
"""Bars of one second."""


class CandleStore:
    """Keeps one-second bars and joins them on request."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._builder = BarBuilder(NS_PER_S)
        self._bars: deque[Bar] = deque(maxlen=_KEPT)

    def add(self, event: MarketEvent) -> None:
        """Take a trade in; other events change nothing."""
        closed = self._builder.add(event)
        if closed is not None:
            self._bars.append(closed)

    def candles(self, interval_s: int, limit: int) -> list[Candle]:
        """The newest candles, oldest first; an interval without trades has none."""
        width_ns = interval_s * NS_PER_S
        joined: list[list[Bar]] = []
        bars = [*self._bars, self._builder.current] if self._builder.current else list(self._bars)
        for bar in reversed(bars):
            start_ns = bar.open_ns - bar.open_ns % width_ns
            if joined and joined[-1][-1].open_ns >= start_ns and joined[-1][0].open_ns < start_ns + width_ns:
                joined[-1].append(bar)
            elif len(joined) == limit:
                break
            else:
                joined.append([bar])
        return [self._candle(list(reversed(group)), width_ns) for group in reversed(joined)]

    def _candle(self, bars: list[Bar], width_ns: int) -> Candle:
        price, start_ns = self._instrument.price_text, bars[0].open_ns
        return Candle(
            start_ms=(start_ns - start_ns % width_ns) // NS_PER_MS,
            open=price(bars[0].open_ticks),
            high=price(max(bar.high_ticks for bar in bars)),
            low=price(min(bar.low_ticks for bar in bars)),
            close=price(bars[-1].close_ticks),
            volume=format_decimal(self._instrument.size(sum(bar.volume_lots for bar in bars))),
        )
