"""When each event of history is due by the wall clock, and at which prices when a tape plays again.

Pure scheduling: nothing here waits or knows the time. At its end a tape starts over; the new round
is shifted so that its first book stands where the last one ended, ids go on counting, and the
book comes anew as the tape's own first SNAPSHOT.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple, Protocol

import msgspec

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.market.tape import Tape

ROUND_GAP_NS: Final = 100 * NS_PER_MS
"""Between the last event of a tape and the first of its next round, before `speed`."""

_RESUMED_LEVELS: Final = 5_000


class Source(Protocol):
    """A history: a `Tape`, or a `MarketGenerator`, which never ends."""

    @property
    def instrument(self) -> Instrument:
        """The pair it is about."""
        ...

    def events(self) -> Iterator[MarketEvent]:
        """Starts with a SNAPSHOT, `exchange_ns` never decreases. A tape starts over at every call."""
        ...


class DueEvent(NamedTuple):
    """An event with the wall time at which it happens; its own stamps say the same."""

    due_ns: int
    symbol: str
    event: MarketEvent


class SourcePosition(msgspec.Struct, frozen=True, kw_only=True):
    """How far one history was played."""

    symbol: str
    rounds: int
    taken: int
    """Events played of the present round."""
    sign: int
    offset_ticks: int
    middle_half_ticks: int
    """Best bid plus best ask, as played."""
    last_id: int
    last_trade_id: int


class ReplayPosition(msgspec.Struct, frozen=True, kw_only=True):
    """How far every history was played; `msgspec` can write and read it."""

    sources: list[SourcePosition]


class Replay:
    """Merges histories into one line of due events."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        start_ns: int,
        speed: float = 1.0,
        loop: bool = True,
        position: ReplayPosition | None = None,
    ) -> None:
        """Start at `start_ns`; `speed` 2 halves every gap.

        With a `position` a tape goes on from there and any other history from its own beginning, both
        at the prices where the position stood. Every history starts with a SNAPSHOT, resumed or not.

        Raises:
            InvalidInputError: `speed` is not above 0, no source was given, or two are of one pair.
            TapeError: a tape cannot be read.
        """
        if not 0 < speed < float("inf"):
            raise InvalidInputError("speed", speed, "a number above 0, such as 1 or 20")
        symbols = [source.instrument.symbol for source in sources]
        if not symbols or len(set(symbols)) < len(symbols):
            raise InvalidInputError("tapes", ", ".join(symbols), "at least one, and one for each pair")
        known = {saved.symbol: saved for saved in position.sources} if position else {}
        self._tracks = [
            _Track(source, start_ns, speed, known.get(source.instrument.symbol), loop=loop)
            for source in sources
        ]

    def __iter__(self) -> Iterator[DueEvent]:
        """Due events in the order of their time; endless unless every history ends and none loops.

        Raises:
            TapeError: a tape is damaged further on.
        """
        while True:
            waiting = [(track.pending, track) for track in self._tracks]
            playing = [(pending.due_ns, at) for at, (pending, _) in enumerate(waiting) if pending]
            if not playing:
                return
            pending, track = waiting[min(playing)[1]]
            if pending:
                yield track.take(pending)

    def position(self) -> ReplayPosition:
        """Where the last event that was handed out stands."""
        return ReplayPosition(sources=[track.position() for track in self._tracks])


class _Track:
    """One history on its way: the next event is known, the ones before were handed out."""

    def __init__(
        self, source: Source, start_ns: int, speed: float, saved: SourcePosition | None, *, loop: bool
    ) -> None:
        self._source = source
        self._speed = speed
        self._loop = loop
        self._book = OrderBook(source.instrument)
        self._rounds = saved.rounds if saved else 0
        self._taken = 0
        self._sign = saved.sign if saved else 1
        self._offset_ticks = saved.offset_ticks if saved else 0
        self._middle = saved.middle_half_ticks if saved else 0
        self._last_id = saved.last_id if saved else 0
        self._last_trade_id = saved.last_trade_id if saved else 0
        self._id_shift = 0
        self._trade_id_shift: int | None = None
        self._home = 0
        self._raw_middle = 0
        self._anchor_ns = start_ns
        self._origin_ns = 0
        self._events: Iterator[MarketEvent] = iter(())
        self.pending: DueEvent | None = None
        """The next event, its stamps and prices as recorded; None when there is none."""
        if saved and isinstance(source, Tape) and self._resume(saved.taken):
            return
        self._begin()

    def take(self, pending: DueEvent) -> DueEvent:
        """Hand the pending event out as it is played, and look for the one after it."""
        due_ns, symbol, raw = pending
        event = self._place(raw, due_ns)
        self._taken += 1
        self._follow(raw)
        self._advance()
        if self.pending is None and self._loop:
            self._rounds += 1
            self._anchor_ns = due_ns + int(ROUND_GAP_NS / self._speed)
            self._begin()
        return DueEvent(due_ns, symbol, event)

    def position(self) -> SourcePosition:
        """Where the last event handed out stands."""
        return SourcePosition(
            symbol=self._source.instrument.symbol,
            rounds=self._rounds,
            taken=self._taken,
            sign=self._sign,
            offset_ticks=self._offset_ticks,
            middle_half_ticks=self._middle,
            last_id=self._last_id,
            last_trade_id=self._last_trade_id,
        )

    def _begin(self) -> None:
        """Start the history from its beginning, at the prices where the last book stood."""
        self._events = self._source.events()
        self._taken = 0
        self._trade_id_shift = None
        first = next(self._events, None)
        if first is None:
            self.pending = None
            return
        self._origin_ns = first.exchange_ns
        self._home = _middle(first.bids, first.asks) or self._home
        if self._middle:
            self._sign = self._homeward()
            self._offset_ticks = (self._middle - self._sign * self._home) // 2
        self._id_shift = self._last_id + 1 - first.last_id if self._last_id else 0
        self._wait_for(first)

    def _homeward(self) -> int:
        """Which way up the next round is played.

        The drift of round after round must not run away: once the price is far from where the tape was
        recorded, a round that would lead further away is played upside down.
        """
        drift = self._raw_middle - self._home
        if self._middle > 2 * self._home:
            return -1 if drift > 0 else 1
        if 2 * self._middle < self._home:
            return -1 if drift < 0 else 1
        return 1

    def _resume(self, taken: int) -> bool:
        """Go on in the middle of a tape with a snapshot of its book; false if it is not that long."""
        events = self._source.events()
        raw: MarketEvent | None = None
        for raw in islice(events, taken):
            if self._taken == 0:
                self._home = _middle(raw.bids, raw.asks)
            self._book.apply(raw)
            self._taken += 1
        if raw is None or self._taken < taken:
            return False
        self._events = events
        self._taken -= 1  # the snapshot stands for the last event and is counted when it is handed out
        self._origin_ns = raw.exchange_ns
        self._id_shift = self._last_id + 1 - self._book.last_id
        self._wait_for(
            MarketEvent(
                kind=EventKind.SNAPSHOT,
                exchange_ns=raw.exchange_ns,
                local_ns=raw.local_ns,
                last_id=self._book.last_id,
                bids=self._book.bids(_RESUMED_LEVELS),
                asks=self._book.asks(_RESUMED_LEVELS),
            )
        )
        return True

    def _advance(self) -> None:
        raw = next(self._events, None)
        if raw is None:
            self.pending = None
        else:
            self._wait_for(raw)

    def _wait_for(self, raw: MarketEvent) -> None:
        gap_ns = raw.exchange_ns - self._origin_ns
        due_ns = self._anchor_ns + int(gap_ns / self._speed)
        self.pending = DueEvent(due_ns, self._source.instrument.symbol, raw)

    def _follow(self, raw: MarketEvent) -> None:
        """Remember where the market stands, in the prices it is played at."""
        kind = raw.kind
        if kind is EventKind.TRADE:
            return
        if kind is EventKind.TOP:
            middle = _middle(raw.bids, raw.asks)
        else:
            self._book.apply(raw)
            bid, ask = self._book.best_bid, self._book.best_ask
            middle = bid[0] + ask[0] if bid and ask else 0
        if middle:
            self._raw_middle = middle
            self._middle = self._sign * middle + 2 * self._offset_ticks

    def _place(self, raw: MarketEvent, due_ns: int) -> MarketEvent:
        """The event as it is played: shifted in time, price and ids."""
        if raw.kind is EventKind.TRADE:
            if self._trade_id_shift is None:
                shifted = self._last_trade_id + 1 - raw.last_id
                self._trade_id_shift = shifted if self._last_trade_id else 0
            self._last_trade_id = max(self._last_trade_id, raw.last_id + self._trade_id_shift)
            return MarketEvent(
                kind=raw.kind,
                exchange_ns=due_ns,
                local_ns=due_ns,
                last_id=raw.last_id + self._trade_id_shift,
                price_ticks=max(1, self._sign * raw.price_ticks + self._offset_ticks),
                size_lots=raw.size_lots,
                taker_buys=raw.taker_buys if self._sign > 0 else not raw.taker_buys,
            )
        bids, asks = (raw.bids, raw.asks) if self._sign > 0 else (raw.asks, raw.bids)
        last_id = raw.last_id + self._id_shift if raw.last_id else 0
        self._last_id = max(self._last_id, last_id)
        return MarketEvent(
            kind=raw.kind,
            exchange_ns=due_ns,
            local_ns=due_ns,
            first_id=raw.first_id + self._id_shift if raw.first_id else 0,
            last_id=last_id,
            prev_id=raw.prev_id + self._id_shift if raw.prev_id else 0,
            bids=self._shift(bids),
            asks=self._shift(asks),
        )

    def _shift(self, levels: list[Level]) -> list[Level]:
        sign, offset = self._sign, self._offset_ticks
        if sign == 1 and offset == 0:
            return levels
        return [(sign * price + offset, lots) for price, lots in levels if sign * price + offset > 0]


def _middle(bids: list[Level], asks: list[Level]) -> int:
    """Best bid plus best ask; 0 where a side is empty."""
    return bids[0][0] + asks[0][0] if bids and asks else 0
