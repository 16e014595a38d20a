"""Names of market streams: `btcusdt@depth@100ms` and the rest, read once into a value."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.venue.front.candles import INTERVALS

_NAME: Final = re.compile(r"(?P<symbol>[a-z0-9_.-]{1,20})@(?P<topic>[A-Za-z0-9]+)(?P<rest>[@_][A-Za-z0-9]+)?")
_FAST_NS: Final = 100 * NS_PER_MS
_SLOW_NS: Final = NS_PER_S
_KLINE_NS: Final = 2 * NS_PER_S


class Topic(StrEnum):
    """What a stream tells."""

    TRADE = "trade"
    AGGREGATE = "aggTrade"
    DEPTH = "depth"
    PARTIAL = "partial"
    BOOK_TICKER = "bookTicker"
    KLINE = "kline"
    TICKER = "ticker"
    MINI_TICKER = "miniTicker"
    ALL_TICKERS = "!ticker"
    ALL_MINI_TICKERS = "!miniTicker"


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One market stream."""

    name: str
    topic: Topic
    symbol: str = ""
    """As on the wire, `BTCUSDT`; empty for the streams of all pairs."""
    period_ns: int = 0
    """How often it speaks at most; 0 is at once."""
    levels: int = 0
    """Of a partial book."""
    interval: str = ""
    """Of candles."""

    @property
    def conflatable(self) -> bool:
        """Whether a newer message makes an unsent older one worthless."""
        return self.topic not in (Topic.TRADE, Topic.AGGREGATE, Topic.DEPTH)


_PLAIN: Final = {
    "trade": (Topic.TRADE, 0),
    "aggTrade": (Topic.AGGREGATE, 0),
    "bookTicker": (Topic.BOOK_TICKER, 0),
    "ticker": (Topic.TICKER, _SLOW_NS),
    "miniTicker": (Topic.MINI_TICKER, _SLOW_NS),
}
_ALL: Final = {"!ticker@arr": Topic.ALL_TICKERS, "!miniTicker@arr": Topic.ALL_MINI_TICKERS}
_DEPTHS: Final = {"depth": 0, "depth5": 5, "depth10": 10, "depth20": 20}
_PERIODS: Final = {None: _SLOW_NS, "@100ms": _FAST_NS, "@1000ms": _SLOW_NS}


def parse_stream(name: str) -> Stream | None:
    """Read a stream's name; None if this venue has no such stream."""
    if name in _ALL:
        return Stream(name=name, topic=_ALL[name], period_ns=_SLOW_NS)
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    symbol, topic, rest = found["symbol"].upper(), found["topic"], found["rest"]
    if topic in _PLAIN and rest is None:
        kind, period_ns = _PLAIN[topic]
        return Stream(name=name, topic=kind, symbol=symbol, period_ns=period_ns)
    if topic in _DEPTHS and rest in _PERIODS:
        levels = _DEPTHS[topic]
        kind = Topic.PARTIAL if levels else Topic.DEPTH
        return Stream(name=name, topic=kind, symbol=symbol, period_ns=_PERIODS[rest], levels=levels)
    if topic == "kline" and rest and rest[0] == "_" and rest[1:] in INTERVALS:
        period_ns = _SLOW_NS if rest == "_1s" else _KLINE_NS
        return Stream(name=name, topic=Topic.KLINE, symbol=symbol, period_ns=period_ns, interval=rest[1:])
    return None
