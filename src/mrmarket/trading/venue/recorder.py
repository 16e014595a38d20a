"""Live public data onto a tape."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.errors import MrMarketError
from mrmarket.trading.market.errors import SequenceGapError
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.sequence import DepthSequence
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.venue.port import Venue

_REPORT_NS: Final = NS_PER_S


class RecordingError(MrMarketError):
    """The tape could not be written further."""

    code = "recording_failed"

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: recording stopped ({reason}); free space or choose another file")


@dataclass(frozen=True, slots=True)
class RecordingProgress:
    """How far a recording is."""

    events: int
    """Written so far."""
    books: int
    """Snapshots among them: one to begin with, and one for every gap or reconnect."""
    trades: int
    losses: int
    """How often the feed was lost."""
    seconds: float
    last_price: str
    """Of the latest trade, or empty."""


class Recording:
    """Chooses what of a feed belongs on a tape: it begins with a book and has no hole in it. Pure."""

    def __init__(self, symbol: str) -> None:
        self.events = 0
        self.books = 0
        self.trades = 0
        self.losses = 0
        self.last_price_ticks = 0
        self._sequence = DepthSequence(symbol)
        self._local_ns = 0

    def take(self, event: MarketEvent) -> MarketEvent | None:
        """The event as it is to be written, or None.

        Updates that a book has overtaken were received before it; local times are kept from going
        back, because a tape is read in their order.
        """
        if not self._belongs(event):
            return None
        self.events += 1
        if event.local_ns < self._local_ns:
            return msgspec.structs.replace(event, local_ns=self._local_ns)
        self._local_ns = event.local_ns
        return event

    def _belongs(self, event: MarketEvent) -> bool:
        if event.kind is EventKind.SNAPSHOT:
            if not event.bids and not event.asks:
                self.losses += 1
                self._sequence.synced = False
                return False
            self._sequence.restart(event.last_id)
            self.books += 1
            return True
        if not self._sequence.synced:
            return False
        if event.kind is EventKind.DEPTH:
            try:
                return self._sequence.admit(event)
            except SequenceGapError:
                return False  # nothing is taken until the book that follows
        if event.kind is EventKind.TRADE:
            self.trades += 1
            self.last_price_ticks = event.price_ticks
        return True


async def record(
    venue: Venue,
    symbol: str,
    writer: TapeWriter,
    stop: asyncio.Event,
    progress: Callable[[RecordingProgress], None],
    clock: Clock,
) -> RecordingProgress:
    """Write a pair's live feed until `stop` is set; `progress` hears of it about once a second.

    The venue is open already and the caller closes it and the writer.

    Raises:
        RecordingError: the disk refused; what was written before stays readable.
    """
    recording = Recording(symbol)
    instrument = venue.instrument(symbol)
    began_ns = clock.monotonic_ns()

    def so_far() -> RecordingProgress:
        ticks = recording.last_price_ticks
        return RecordingProgress(
            events=recording.events,
            books=recording.books,
            trades=recording.trades,
            losses=recording.losses,
            seconds=(clock.monotonic_ns() - began_ns) / NS_PER_S,
            last_price=instrument.price_text(ticks) if ticks else "",
        )

    async def follow() -> None:
        reported_ns = began_ns
        async for event in venue.market_events(symbol):
            kept = recording.take(event)
            if kept is not None:
                try:
                    writer.write(kept)
                except OSError as error:
                    raise RecordingError(writer.path, error.strerror or str(error)) from error
            now_ns = clock.monotonic_ns()
            if now_ns - reported_ns >= _REPORT_NS:
                reported_ns = now_ns
                progress(so_far())

    following = asyncio.create_task(follow())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
    progress(so_far())
    return so_far()
