"""What is recorded can be replayed: it begins with a book and has no hole in it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fake_venue import GRID, FakeFeed
from mrmarket.core.clock import ManualClock
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import TapeWriter, open_tape
from mrmarket.trading.venue.recorder import RecordingError, RecordingProgress, record


def event(kind: EventKind, at_ns: int, **fields: Any) -> MarketEvent:
    """An event at a time."""
    return MarketEvent(kind=kind, exchange_ns=at_ns, local_ns=at_ns, **fields)


BOOK: dict[str, Any] = {"bids": [(9900, 5)], "asks": [(10100, 7)]}

FEED = [
    event(EventKind.TRADE, 1, price_ticks=10_000, size_lots=1, last_id=1),
    event(EventKind.SNAPSHOT, 10, last_id=100, **BOOK),
    event(EventKind.DEPTH, 8, first_id=99, last_id=101, bids=[(9901, 1)]),
    event(EventKind.TRADE, 12, price_ticks=10_100, size_lots=2, last_id=2, taker_buys=True),
    event(EventKind.DEPTH, 13, first_id=90, last_id=95, bids=[(9800, 1)]),
    event(EventKind.DEPTH, 14, first_id=105, last_id=106, bids=[(9902, 1)]),
    event(EventKind.DEPTH, 15, first_id=107, last_id=107, bids=[(9903, 1)]),
    event(EventKind.SNAPSHOT, 16, last_id=110, **BOOK),
    event(EventKind.DEPTH, 17, first_id=111, last_id=111, bids=[(9904, 1)]),
    event(EventKind.SNAPSHOT, 18),
    event(EventKind.TRADE, 19, price_ticks=10_100, size_lots=2, last_id=3),
    event(EventKind.SNAPSHOT, 20, last_id=200, **BOOK),
]


async def test_the_tape_of_a_troubled_feed_is_whole(tmp_path: Path) -> None:
    """A gap, a loss, an old update and early trades leave a tape that replays without an error."""
    feed, stop, heard = FakeFeed(FEED), asyncio.Event(), list[RecordingProgress]()
    path = tmp_path / "live.tape"
    with TapeWriter(path, GRID) as writer:
        recording = asyncio.ensure_future(record(feed, "BTC/USDT", writer, stop, heard.append, ManualClock()))
        await feed.played.wait()
        await asyncio.sleep(0)
        stop.set()
        summary = await recording
    assert summary == RecordingProgress(events=6, books=3, trades=1, losses=1, seconds=0.0, last_price="101")
    assert heard[-1] == summary
    events = list(open_tape(path).events())
    assert [event.last_id for event in events if event.kind is not EventKind.TRADE] == [
        100,
        101,
        110,
        111,
        200,
    ]
    local = [event.local_ns for _, event in open_tape(path).parsed()]
    assert local == sorted(local)


async def test_it_ends_with_the_feed_and_reports_about_once_a_second(tmp_path: Path) -> None:
    """A feed that ends ends the recording; progress follows the clock, not the events."""
    clock = ManualClock()

    class Ticking(FakeFeed):
        async def market_events(self, symbol: str) -> Any:
            async for event in super().market_events(symbol):
                clock.advance(400_000_000)
                yield event

    feed, heard = Ticking(FEED), list[RecordingProgress]()
    feed.finish()
    with TapeWriter(tmp_path / "live.tape", GRID) as writer:
        summary = await record(feed, "BTC/USDT", writer, asyncio.Event(), heard.append, clock)
    assert summary.seconds == pytest.approx(0.4 * len(FEED))
    assert len(heard) == 4 + 1


async def test_a_full_disk_stops_it_with_a_sentence(tmp_path: Path) -> None:
    """The disk's refusal is told with the file's name."""

    class FullDisk(TapeWriter):
        def write(self, event: MarketEvent) -> None:
            raise OSError(28, "No space left on device")

    with (
        FullDisk(tmp_path / "live.tape", GRID) as writer,
        pytest.raises(RecordingError, match="No space left"),
    ):
        await record(FakeFeed(FEED), "BTC/USDT", writer, asyncio.Event(), lambda _: None, ManualClock())
