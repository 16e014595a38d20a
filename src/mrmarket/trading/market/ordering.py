"""Puts the events of one feed in the order in which the exchange made them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final

import msgspec

from mrmarket.trading.market.event import EventKind, MarketEvent

_HORIZON_NS: Final = 500_000_000
"""An event waits until one this much younger was seen. Binance's streams lag by up to 190 ms."""

_WINDOW_NS: Final = 10_000_000_000


class LocalOffset:
    """How far the exchange's clock is ahead of the local one, from the fastest frames of late.

    A frame is received after it was made, so the largest difference seen in the last 10 to 20 s
    is the nearest to the truth.
    """

    __slots__ = ("_before", "_now", "_until_ns")

    def __init__(self) -> None:
        self._before: int | None = None
        self._now: int | None = None
        self._until_ns = 0

    def observe(self, exchange_ns: int, local_ns: int) -> None:
        """Learn from a frame that carries both times."""
        if local_ns >= self._until_ns:
            self._before, self._now = self._now, None
            self._until_ns = local_ns + _WINDOW_NS
        offset = exchange_ns - local_ns
        if self._now is None or offset > self._now:
            self._now = offset

    def exchange_ns(self, local_ns: int) -> int:
        """Estimate the exchange's time of a frame that carries none; local time before any is known."""
        known = [offset for offset in (self._before, self._now) if offset is not None]
        return max(local_ns + max(known), 1) if known else local_ns


class ExchangeOrder:
    """Sorts a feed by exchange time within a window of half a second.

    Every event leaves with an `exchange_ns`, and those never decrease. Events of one stream (the
    book's, the trades', the tops') never overtake each other, whatever their stamps say.
    """

    __slots__ = ("_count", "_floor_ns", "_heap", "_newest_ns", "_offset", "_stream_ns")

    def __init__(self) -> None:
        self._offset = LocalOffset()
        self._heap: list[tuple[int, int, MarketEvent]] = []
        self._count = 0
        self._floor_ns = 0
        self._newest_ns = 0
        self._stream_ns = [0, 0, 0]

    def push(self, event: MarketEvent) -> Iterator[MarketEvent]:
        """Take one event as received; give those whose turn has come."""
        at_ns = event.exchange_ns
        if at_ns:
            self._offset.observe(at_ns, event.local_ns)
        else:
            at_ns = self._offset.exchange_ns(event.local_ns)
        stream = max(event.kind - EventKind.DEPTH, 0)
        at_ns = max(at_ns, self._stream_ns[stream], self._floor_ns)
        self._stream_ns[stream] = at_ns
        if at_ns != event.exchange_ns:
            event = msgspec.structs.replace(event, exchange_ns=at_ns)
        self._count += 1
        heap = self._heap
        heapq.heappush(heap, (at_ns, self._count, event))
        self._newest_ns = max(self._newest_ns, at_ns)
        ripe_ns = self._newest_ns - _HORIZON_NS
        while heap[0][0] <= ripe_ns:
            yield self._pop()

    def flush(self) -> Iterator[MarketEvent]:
        """Give all that is left."""
        while self._heap:
            yield self._pop()

    def _pop(self) -> MarketEvent:
        self._floor_ns, _, event = heapq.heappop(self._heap)
        return event
