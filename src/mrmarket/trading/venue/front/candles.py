"""Candles and day figures of one pair, folded from its prints in ints."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.venue.simulated.records import PublicTrade

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
_WEEK_S: Final = 7 * DAY_S
_FIRST_MONDAY_S: Final = 4 * DAY_S
"""1970-01-05, where weeks start."""

INTERVALS: Final = MappingProxyType(
    {
        "1s": 1,
        "1m": MINUTE_S,
        "3m": 3 * MINUTE_S,
        "5m": 5 * MINUTE_S,
        "15m": 15 * MINUTE_S,
        "30m": 30 * MINUTE_S,
        "1h": HOUR_S,
        "2h": 2 * HOUR_S,
        "4h": 4 * HOUR_S,
        "6h": 6 * HOUR_S,
        "8h": 8 * HOUR_S,
        "12h": 12 * HOUR_S,
        "1d": DAY_S,
        "3d": 3 * DAY_S,
        "1w": _WEEK_S,
        "1M": 0,
    }
)
"""Name → seconds; 0 stands for a calendar month."""

_SECONDS_KEPT: Final = 2 * HOUR_S
_MINUTES_KEPT: Final = 3 * 24 * 60


class Candle(msgspec.Struct):
    """What was traded from `open_s` on; prices in ticks, volumes in lots and grains."""

    open_s: int
    open: int
    high: int
    low: int
    close: int
    lots: int = 0
    grains: int = 0
    buy_lots: int = 0
    """Taken by buyers."""
    buy_grains: int = 0
    count: int = 0
    first_id: int = -1
    last_id: int = -1

    def add(self, trade: PublicTrade) -> None:
        """Fold one print in."""
        price, lots = trade.price_ticks, trade.size_lots
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.lots += lots
        self.grains += price * lots
        if trade.taker_buys:
            self.buy_lots += lots
            self.buy_grains += price * lots
        if not self.count:
            self.first_id = trade.trade_id
        self.count += 1
        self.last_id = trade.trade_id

    def join(self, later: Candle) -> None:
        """Fold a later candle in."""
        if not later.count:
            self.close = later.close
            return
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.lots += later.lots
        self.grains += later.grains
        self.buy_lots += later.buy_lots
        self.buy_grains += later.buy_grains
        if not self.count:
            self.first_id = later.first_id
        self.count += later.count
        self.last_id = later.last_id


def open_of(interval: str, at_s: int) -> int:
    """When the candle of an interval that holds this second began (UTC; weeks begin on Monday)."""
    length_s = INTERVALS[interval]
    if not length_s:
        moment = datetime.fromtimestamp(at_s, UTC)
        return int(moment.replace(day=1, hour=0, minute=0, second=0).timestamp())
    origin_s = _FIRST_MONDAY_S if length_s == _WEEK_S else 0
    return at_s - (at_s - origin_s) % length_s


def close_of(interval: str, open_s: int) -> int:
    """The second at which the candle after this one begins."""
    length_s = INTERVALS[interval]
    if length_s:
        return open_s + length_s
    moment = datetime.fromtimestamp(open_s, UTC)
    return int(moment.replace(year=moment.year + moment.month // 12, month=moment.month % 12 + 1).timestamp())


class CandleStore:
    """The last two hours by seconds and three days by minutes; longer intervals are joined from those."""

    def __init__(self) -> None:
        self._seconds: deque[Candle] = deque(maxlen=_SECONDS_KEPT)
        self._minutes: deque[Candle] = deque(maxlen=_MINUTES_KEPT)
        self.last: PublicTrade | None = None

    def add(self, trade: PublicTrade) -> None:
        """Take in one print."""
        self.last = trade
        at_s = trade.at_ns // NS_PER_S
        _add(self._seconds, at_s, trade)
        _add(self._minutes, at_s - at_s % MINUTE_S, trade)

    def candles(self, interval: str, *, from_s: int, to_s: int, limit: int, newest: bool) -> list[Candle]:
        """Candles that opened in `[from_s, to_s]`, oldest first; a pause in trading gives flat ones.

        Args:
            interval: one of `INTERVALS`.
            from_s: earliest opening second.
            to_s: latest opening second; not after now, for flat candles reach up to it.
            limit: how many at most.
            newest: whether the limit keeps the newest or the oldest.
        """
        source = self._seconds if INTERVALS[interval] == 1 else self._minutes
        found = _fill(interval, _join(interval, source), open_of(interval, to_s))
        chosen = [candle for candle in found if from_s <= candle.open_s <= to_s]
        return chosen[-limit:] if newest else chosen[:limit]

    def current(self, interval: str, at_s: int) -> Candle | None:
        """The candle that holds this second; flat if nothing traded in it, None before the first print."""
        found = self.candles(interval, from_s=open_of(interval, at_s), to_s=at_s, limit=1, newest=True)
        return found[-1] if found else None

    def window(self, from_s: int) -> tuple[Candle | None, int]:
        """Everything traded since a second as one candle, and the close before it (0 if unknown)."""
        total: Candle | None = None
        before = 0
        for candle in self._minutes:
            if candle.open_s < from_s:
                before = candle.close
            elif total is None:
                total = _copy(candle)
            else:
                total.join(candle)
        return total, before


def _add(candles: deque[Candle], open_s: int, trade: PublicTrade) -> None:
    if not candles or candles[-1].open_s < open_s:
        price = trade.price_ticks
        candles.append(Candle(open_s=open_s, open=price, high=price, low=price, close=price))
    candles[-1].add(trade)


def _copy(candle: Candle) -> Candle:
    return msgspec.structs.replace(candle)


def _join(interval: str, source: Iterable[Candle]) -> Iterator[Candle]:
    joined: Candle | None = None
    for candle in source:
        open_s = open_of(interval, candle.open_s)
        if joined is not None and joined.open_s == open_s:
            joined.join(candle)
            continue
        if joined is not None:
            yield joined
        joined = _copy(candle)
        joined.open_s = open_s
    if joined is not None:
        yield joined


def _fill(interval: str, candles: Iterable[Candle], last_s: int) -> Iterator[Candle]:
    previous: Candle | None = None
    for candle in candles:
        if previous is not None:
            yield from _flat(interval, previous, candle.open_s)
        yield candle
        previous = candle
    if previous is not None:
        yield from _flat(interval, previous, close_of(interval, last_s))


def _flat(interval: str, previous: Candle, until_s: int) -> Iterator[Candle]:
    open_s = close_of(interval, previous.open_s)
    price = previous.close
    while open_s < until_s:
        yield Candle(open_s=open_s, open=price, high=price, low=price, close=price)
        open_s = close_of(interval, open_s)
