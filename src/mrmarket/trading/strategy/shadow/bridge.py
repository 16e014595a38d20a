"""A market feed in another thread's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Final

from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.venue.event_queue import EventQueue, QueueClosedError
from mrmarket.trading.venue.port import UnknownSymbolError

_LOOK_S: Final = 0.05
_MOST_BEHIND: Final = 20_000
"""A thread that is so far behind is told that the feed is lost, and hears of it again with a whole book."""


class FeedBridge:
    """One pair's events, put in on the owner's loop and read on the shadow's.

    The part of a `Venue` that `PaperVenue` uses. `put` never waits: a shadow that is stuck keeps nobody.
    """

    def __init__(self, name: str, instrument: Instrument) -> None:
        self.name = name
        self._instrument = instrument
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: EventQueue[MarketEvent] | None = None
        # Each counter is written by one thread alone.
        self._given = 0
        self._taken = 0
        self._lost = True

    @property
    def behind(self) -> int:
        """Events that were given and not taken yet."""
        return self._given - self._taken

    @property
    def is_lost(self) -> bool:
        """Whether events were left out, so that only a snapshot helps."""
        return self._lost

    @property
    def is_followed(self) -> bool:
        """Whether somebody reads."""
        return self._queue is not None

    def put(self, event: MarketEvent) -> None:
        """Pass an event on; on the owner's loop."""
        loop, queue = self._loop, self._queue
        if loop is None or queue is None:
            return
        if event.kind is EventKind.SNAPSHOT:
            self._lost = False
        if self._lost:
            return
        if self.behind >= _MOST_BEHIND:
            self._lost = True
            event = MarketEvent(kind=EventKind.SNAPSHOT, exchange_ns=0, local_ns=event.local_ns)
        self._given += 1
        try:
            loop.call_soon_threadsafe(queue.put, event)
        except RuntimeError:
            # The shadow's loop has ended.
            self._loop = None

    async def open(self) -> None:
        """It is open."""

    async def close(self) -> None:
        """Read no more."""
        if self._queue is not None:
            self._queue.close()

    def instrument(self, symbol: str) -> Instrument:
        """Grid, limits and fees of the pair; raises `UnknownSymbolError` for another."""
        if symbol != self._instrument.symbol:
            raise UnknownSymbolError(self.name, symbol, [self._instrument.symbol])
        return self._instrument

    def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """The events, on the shadow's loop; they begin with the next snapshot that is put in."""
        self.instrument(symbol)
        return self._read()

    async def _read(self) -> AsyncGenerator[MarketEvent, None]:
        queue: EventQueue[MarketEvent] = EventQueue()
        self._taken = self._given
        self._loop, self._queue = asyncio.get_running_loop(), queue
        try:
            while True:
                event = await queue.get()
                self._taken += 1
                yield event
        except QueueClosedError:
            return
        finally:
            self._queue = None


async def pump(feed: Callable[[], AsyncIterator[MarketEvent]], bridge: FeedBridge) -> None:
    """Carry a feed over a bridge until cancelled; on the owner's loop.

    Args:
        feed: follows the pair; each time it begins with a snapshot, or one comes soon.
        bridge: is followed on the other side now and then.

    Raises:
        Exception: what ended the feed.
    """
    while True:
        await asyncio.sleep(_LOOK_S)
        if not bridge.is_followed or bridge.behind:
            continue
        async for event in feed():
            bridge.put(event)
            if bridge.is_lost and event.kind is not EventKind.SNAPSHOT:
                break
        else:
            return
