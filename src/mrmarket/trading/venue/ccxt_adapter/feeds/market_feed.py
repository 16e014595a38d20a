"""One pair's live feed: subscribe, keep the book in sequence, come back when the connection is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from mrmarket.core.clock import Clock
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.venue.ccxt_adapter.backoff import Backoff
from mrmarket.trading.venue.ccxt_adapter.client import drop
from mrmarket.trading.venue.ccxt_adapter.feeds.reader import BookGate, FrameReader, SnapshotSource, Wanted
from mrmarket.trading.venue.ccxt_adapter.numbers import exact
from mrmarket.trading.venue.event_queue import EventQueue
from mrmarket.trading.venue.port import VenueError

_NS_PER_MS: Final = 1_000_000
_MAX_ID_DIGITS: Final = 18
_FIRST_BOOK_S: Final = 20.0
"""A subscription that yields no book within this was refused without a word."""

Request = Callable[[str, Coroutine[Any, Any, Any]], Awaitable[Any]]
"""Makes a request of ccxt under the rate budget: (what for, the call) → the answer."""


class FeedLostError(Exception):
    """The feed must be set up anew."""


class MarketFeed:
    """Follows one pair through ccxt.pro and hands market events to a queue.

    With a `FrameReader` the exchange's own frames are read and the book travels as updates; without
    one, each book of ccxt becomes a SNAPSHOT of its best levels. When the connection is lost an
    empty SNAPSHOT says so at once.
    """

    def __init__(
        self,
        exchange: Any,
        instrument: Instrument,
        reader: FrameReader | None,
        clock: Clock,
        *,
        book_limit: int | None,
        max_pending: int,
        backoff: Backoff,
        request: Request,
        trades_cache: Callable[[Callable[[Any], None]], Any],
    ) -> None:
        self.queue: EventQueue[MarketEvent] = EventQueue()
        self.symbol = instrument.symbol
        self.losses = 0
        """How often the connection was lost."""
        self.overruns = 0
        """How often the follower was too slow and got a fresh book instead of what waited."""
        self.last_reason = ""
        """Why it was lost last."""
        self._exchange = exchange
        self._instrument = instrument
        self._reader = reader
        self._clock = clock
        self._book_limit = book_limit
        self._max_pending = max_pending
        self._backoff = backoff
        self._request = request
        self._trades_cache = trades_cache
        self._gate = BookGate(
            instrument.symbol, snapshot_by_request=reader is not None and reader.snapshots is not None
        )
        self._wanted = asyncio.Event()
        self._whole = asyncio.Event()
        self.connection: Any = None
        """Where the pair's frames come from, once one came."""

    @property
    def gaps(self) -> int:
        """Sequence gaps met so far."""
        return self._gate.gaps

    def offer(self, connection: Any, frame: bytes) -> bool:
        """Take a frame if it is this pair's; called for every frame of every connection."""
        if self._reader is None:
            return False
        events = self._reader.read(frame, self._clock.now_ns())
        if events is None:
            return False
        self.connection = connection
        for event in events:
            self._admit(event)
        return True

    def leave(self) -> None:
        """Drop the connection: left open it would go on with updates of a book that is forgotten."""
        connection, self.connection = self.connection, None
        drop(self._exchange, connection, FeedLostError(self.last_reason))

    async def run(self) -> None:
        """Follow the pair until cancelled."""
        while True:
            try:
                await self._follow()
            except Exception as error:  # noqa: BLE001 - whatever ended it, the feed must come back
                self.last_reason = str(error) or type(error).__name__
            self.losses += 1
            self._lose()
            await asyncio.sleep(self._backoff.next_s())

    async def _follow(self) -> None:
        jobs: list[Coroutine[Any, Any, None]] = [self._watch_book(), self._first_book()]
        if self._exchange.has.get("watchTrades"):
            jobs.append(self._watch_trades())
        if self._reader is not None:
            jobs.append(self._serve_wants(self._reader.snapshots))
        tasks = [asyncio.ensure_future(job) for job in jobs]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        failures = [end for end in ended if isinstance(end, Exception)]
        raise failures[0] if failures else FeedLostError("the connection was closed")

    async def _watch_book(self) -> None:
        exchange, symbol = self._exchange, self.symbol
        while True:
            book = await exchange.watch_order_book(symbol, self._book_limit)
            if self._reader is None:
                self._admit(self._book_event(book))

    async def _watch_trades(self) -> None:
        exchange, symbol = self._exchange, self.symbol
        if self._reader is None:
            exchange.trades[symbol] = self._trades_cache(self._take_trade)
        while True:
            await exchange.watch_trades(symbol)

    async def _first_book(self) -> None:
        try:
            # Not `wait_for`: in Python 3.11 it can swallow a cancellation.
            async with asyncio.timeout(_FIRST_BOOK_S):
                await self._whole.wait()
        except TimeoutError:
            raise FeedLostError(f"no book within {_FIRST_BOOK_S:.0f} s of subscribing") from None
        await asyncio.Event().wait()

    async def _serve_wants(self, snapshots: SnapshotSource | None) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if self._gate.wanted is Wanted.RECONNECT:
                raise FeedLostError("updates are missing")
            if snapshots is None or self._gate.wanted is not Wanted.SNAPSHOT:
                continue
            try:
                answer = await self._request("book", snapshots.fetch_snapshot(self._exchange))
            except VenueError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(self._backoff.next_s())
                self._wanted.set()
                continue
            self._emit_all(self._gate.start(snapshots.snapshot(answer, self._clock.now_ns())))
            if self._gate.wanted is Wanted.SNAPSHOT:
                # The book was older than the held updates; Binance serves it from a cache.
                await asyncio.sleep(self._backoff.next_s())
                self._wanted.set()

    def _admit(self, event: MarketEvent) -> None:
        gate = self._gate
        wanted = gate.wanted
        self._emit_all(gate.admit(event))
        if gate.wanted is not wanted and gate.wanted is not Wanted.NOTHING:
            self._wanted.set()

    def _emit_all(self, events: Any) -> None:
        for event in events:
            if event.kind is EventKind.SNAPSHOT and event.bids and event.asks:
                self._whole.set()
                self._backoff.reset()
            if len(self.queue) >= self._max_pending:
                self._overrun()
                if self._reader is not None:
                    return
            self.queue.put(event)

    def _overrun(self) -> None:
        self.queue.clear()
        self.overruns += 1
        if self._reader is not None:
            self._gate.lose()
            self._gate.wanted = Wanted.SNAPSHOT if self._reader.snapshots is not None else Wanted.RECONNECT
            self._wanted.set()
        self.queue.put(self._no_book())

    def _lose(self) -> None:
        self._gate.lose()
        self._wanted.clear()
        self._whole.clear()
        self.queue.put(self._no_book())
        self.leave()

    def _no_book(self) -> MarketEvent:
        return MarketEvent(kind=EventKind.SNAPSHOT, exchange_ns=0, local_ns=self._clock.now_ns())

    def _book_event(self, book: Any) -> MarketEvent:
        return MarketEvent(
            kind=EventKind.SNAPSHOT,
            exchange_ns=int(book.get("timestamp") or 0) * _NS_PER_MS,
            local_ns=self._clock.now_ns(),
            last_id=int(book.get("nonce") or 0),
            bids=self._levels(book["bids"]),
            asks=self._levels(book["asks"]),
        )

    def _levels(self, rows: Any) -> list[Level]:
        return [(self._instrument.price_to_ticks(exact(row[0])), self._lots(row[1])) for row in rows]

    def _lots(self, size: Any) -> int:
        """Whole lots, rounded down but never to 0: old orders rest with sizes finer than today's lot."""
        return max(1, int(exact(size) // self._instrument.lot_size))

    def _take_trade(self, trade: Any) -> None:
        grid = self._instrument
        trade_id = str(trade.get("id") or "")
        self._emit_all(
            (
                MarketEvent(
                    kind=EventKind.TRADE,
                    exchange_ns=int(trade.get("timestamp") or 0) * _NS_PER_MS,
                    local_ns=self._clock.now_ns(),
                    last_id=int(trade_id) if trade_id.isdigit() and len(trade_id) <= _MAX_ID_DIGITS else 0,
                    price_ticks=grid.price_to_ticks(exact(trade["price"])),
                    size_lots=self._lots(trade["amount"]),
                    taker_buys=trade.get("side") == "buy",
                ),
            )
        )
