"""Our own trades out of the event log, each with what it cost and what it gained against the fair value."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.events import Fact, Filled, MarkObserved
from mrmarket.partners.hufi.estimate import OwnTrade
from mrmarket.store.trading_port import TradingLog

HORIZON_MS: Final = 15_000
"""So long after a trade the mid of others says what the asset was worth."""
_KINDS: Final = ("filled", "mark_observed")
_REMEMBERED: Final = 60_000
"""Facts that a first look goes back; afterwards each look reads only what is new."""
_PAGE: Final = 5_000
_MOST_TRADES: Final = 50_000
_THIRD_ASSET_PPM: Final = 1_000
"""Charged for a fee in an asset that is neither of the pair: no price is known here, and it is no gift."""


@dataclass(frozen=True, slots=True)
class TimedTrade:
    """One of our trades."""

    at_ms: int
    """World time."""
    symbol: str
    trade: OwnTrade


@dataclass(slots=True)
class _Book:
    """What is known of one stream."""

    seq: int = 0
    done: list[TimedTrade] = field(default_factory=list)
    """Those whose horizon has passed, oldest first."""
    waiting: list[tuple[int, Filled]] = field(default_factory=list)
    mid: Decimal | None = None
    """Of the newest mark."""

    def take(self, at_ms: int, fact: Fact) -> None:
        if isinstance(fact, Filled):
            self.waiting.append((at_ms, fact))
        elif isinstance(fact, MarkObserved):
            self.mid = (Decimal(fact.bid) + Decimal(fact.ask)) / 2
            late = [each for each in self.waiting if each[0] + HORIZON_MS <= at_ms]
            self.waiting = [each for each in self.waiting if each[0] + HORIZON_MS > at_ms]
            self.done += [valued(*each, self.mid) for each in late]
            del self.done[:-_MOST_TRADES]


class OwnTradeReader:
    """Reads the runs' streams, from any process that can open the log. Synchronous, from any thread."""

    def __init__(self, log: TradingLog, world_ns: Callable[[int], int] = lambda wall_ns: wall_ns) -> None:
        """`world_ns` makes the wall time of a fact the time by which cycles are counted."""
        self._log = log
        self._world_ns = world_ns
        self._books: dict[str, _Book] = {}
        self._reading = threading.Lock()

    def read(self, stream: str, symbol: str, since_ms: int, until_ms: int) -> list[TimedTrade]:
        """A stream's trades of a pair from a world time on, up to another, oldest first. Raises a StoreError.

        One whose horizon has not passed is valued at the newest mid.
        """
        with self._reading:
            book = self._follow(stream)
            first = bisect_left(book.done, since_ms, key=lambda each: each.at_ms)
            trades = book.done[first:]
            fresh = [valued(at_ms, fill, book.mid) for at_ms, fill in book.waiting if at_ms >= since_ms]
        found = [each for each in (*trades, *fresh) if each.symbol == symbol and each.at_ms < until_ms]
        return sorted(found, key=lambda each: each.at_ms)

    def read_all(self, streams: Iterable[str], symbol: str, since_ms: int, until_ms: int) -> list[TimedTrade]:
        """Of several streams."""
        found = [each for stream in streams for each in self.read(stream, symbol, since_ms, until_ms)]
        return sorted(found, key=lambda each: each.at_ms)

    def _follow(self, stream: str) -> _Book:
        book = self._books.get(stream)
        if book is None:
            book = _Book()
            for row in reversed(self._log.latest_facts(stream, _REMEMBERED, _KINDS)):
                book.take(self._at_ms(row.at_ns), row.fact)
                book.seq = row.seq
            self._books[stream] = book
        while rows := self._log.read_facts(stream, book.seq, _PAGE):
            for row in rows:
                book.take(self._at_ms(row.at_ns), row.fact)
            book.seq = rows[-1].seq
        return book

    def _at_ms(self, wall_ns: int) -> int:
        return self._world_ns(wall_ns) // NS_PER_MS


def valued(at_ms: int, fill: Filled, mid: Decimal | None) -> TimedTrade:
    """A trade against a mid; without one it has gained and lost nothing."""
    price, size, notional = Decimal(fill.price), Decimal(fill.size), Decimal(fill.quote_size)
    fee = Decimal(fill.fee)
    if fill.fee_asset == fill.base:
        fee *= price
    elif fill.fee_asset != fill.quote:
        fee = notional * _THIRD_ASSET_PPM / 1_000_000
    edge = Decimal(0) if mid is None else fill.side.sign * (mid - price) * size
    return TimedTrade(at_ms, fill.symbol, OwnTrade(cost=notional, is_maker=fill.maker, fee=fee, edge=edge))


def volume_of(trades: Sequence[TimedTrade]) -> Decimal:
    """What they come to, in quote."""
    return sum((each.trade.cost for each in trades), Decimal(0))


def spent_on(trades: Sequence[TimedTrade]) -> Decimal:
    """Fees, and what was lost to the fair value; negative where making the volume earned money."""
    return sum((each.trade.fee - each.trade.edge for each in trades), Decimal(0))
