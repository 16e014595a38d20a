"""The live paper path end to end: a Binance feed over real sockets, ccxt.pro, the kernel, our fills."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

import binance_script
from loopback_exchange import Answer, Follower, LoopbackExchange
from mrmarket.core.clock import SystemClock
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.market.binance import FrameParser
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import TapeWriter, open_tape
from mrmarket.trading.venue.book_tracker import BookTracker
from mrmarket.trading.venue.ccxt_adapter import CcxtVenue, CcxtVenueConfig, VenueUrls
from mrmarket.trading.venue.paper import PaperVenue
from mrmarket.trading.venue.port import FillReport, NewOrder, OrderKind, UnknownOrderError
from mrmarket.trading.venue.recorder import record
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from shared_data import SHARED, needs_shared

PAIR = "BTC/USDT"
GENERATED = Path(__file__).resolve().parents[2] / "tapes" / "generated.tape.gz"
RECORDED = SHARED / "market/binance_raw_20240808/spot_btcusdt_20240808.gz"
LINES = 12_000


def generated_frames() -> tuple[bytes, list[bytes]]:
    """The committed tape in Binance's dialect: (the REST book, raw frames)."""
    tape = open_tape(GENERATED)
    events = list(tape.events())
    (first, *rest) = events
    return msgspec.json.encode(as_book(first, tape.instrument)), [
        msgspec.json.encode(as_frame(event, tape.instrument))
        for event in rest
        if event.kind in (EventKind.DEPTH, EventKind.TRADE)
    ]


def levels(side: list[tuple[int, int]], grid: Instrument) -> list[tuple[str, str]]:
    """Levels as decimal text."""
    return [(grid.price_text(ticks), grid.size_text(lots)) for ticks, lots in side]


def as_book(event: MarketEvent, grid: Instrument) -> dict[str, object]:
    """A REST book."""
    return {
        "lastUpdateId": event.last_id,
        "bids": levels(event.bids, grid),
        "asks": levels(event.asks, grid),
    }


def as_frame(event: MarketEvent, grid: Instrument) -> dict[str, object]:
    """A raw stream frame."""
    at_ms = event.exchange_ns // 1_000_000
    if event.kind is EventKind.TRADE:
        return {
            "e": "trade",
            "E": at_ms,
            "s": "BTCUSDT",
            "t": event.last_id,
            "p": grid.price_text(event.price_ticks),
            "q": grid.size_text(event.size_lots),
            "T": at_ms,
            "m": not event.taker_buys,
        }
    return {
        "e": "depthUpdate",
        "E": at_ms,
        "s": "BTCUSDT",
        "U": event.first_id,
        "u": event.last_id,
        "b": levels(event.bids, grid),
        "a": levels(event.asks, grid),
    }


def recorded_frames() -> tuple[bytes, list[bytes]]:
    """The first minutes of the real tape: (the REST book, raw frames as a raw stream sends them)."""
    book = b""
    frames = []
    for line in recorded_lines():
        if line.startswith(b'{"lastUpdateId"'):
            book = line
        elif b"@bookTicker" not in line[:40]:
            frames.append(line[line.index(b'"data":') + 7 : -1])
    return book, frames


def recorded_lines() -> Iterator[bytes]:
    """The JSON of the first lines."""
    with gzip.open(RECORDED) as tape:
        for number, line in enumerate(tape):
            if number == LINES:
                return
            yield line.partition(b" ")[2].strip()


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(generated_frames, id="generated"),
        pytest.param(recorded_frames, id="recorded", marks=[needs_shared, pytest.mark.shared]),
    ],
)
async def test_quotes_at_the_touch_are_filled_by_the_live_market(
    source: Callable[[], tuple[bytes, list[bytes]]],
) -> None:
    """Orders in the kernel fill from the feed's own trades, and the followed book stays the market's."""
    book, frames = source()
    async with LoopbackExchange() as exchange:
        binance_script.script(exchange)
        exchange.on("GET", "/api/v3/depth", Answer(book.decode()))
        urls = VenueUrls(rest=exchange.rest, ws=f"{exchange.ws}/ws")
        config = CcxtVenueConfig(symbols=(PAIR,), public_only=True, urls=urls, max_pending_events=10**6)
        clock = SystemClock()
        venue = PaperVenue(CcxtVenue(config, clock), SimulatedExchange(), clock, latency_s=0.0)
        await venue.open()
        market, users = Follower(venue.market_events(PAIR)), Follower(venue.user_events())
        await exchange.until(lambda: len(exchange.messages) == 2)
        tracker = BookTracker(venue.instrument(PAIR), clock)
        applied = 0

        def catch_up(seen: list[MarketEvent]) -> BookTracker:
            nonlocal applied
            for event in seen[applied:]:
                tracker.apply(event)
            applied = len(seen)
            return tracker

        await exchange.push(*[frame.decode() for frame in frames[:50]])
        await market.until(lambda seen: catch_up(seen).best_bid and tracker.best_ask)
        assert tracker.best_bid is not None
        assert tracker.best_ask is not None
        touch = ((Side.BUY, tracker.best_bid[0]), (Side.SELL, tracker.best_ask[0]))
        for side, price_ticks in touch:
            await venue.place(
                NewOrder(
                    symbol=PAIR,
                    client_order_id=f"paper-{side}",
                    side=side,
                    kind=OrderKind.POST_ONLY,
                    price_ticks=price_ticks,
                    size_lots=100,
                )
            )
        await exchange.push(*[frame.decode() for frame in frames[50:]])
        seen = await users.until(lambda seen: any(isinstance(event, FillReport) for event in seen))
        fill = next(event for event in seen if isinstance(event, FillReport))
        assert fill.maker
        assert (fill.side, fill.price_ticks) in touch
        for order in await venue.open_orders(PAIR):
            with contextlib.suppress(UnknownOrderError):  # it may fill meanwhile
                await venue.cancel(PAIR, order.client_order_id, "")
        sentinel = {
            "e": "trade",
            "E": 1,
            "s": "BTCUSDT",
            "t": 10**12,
            "p": "1.00",
            "q": "1",
            "T": 1,
            "m": True,
        }
        await exchange.push(sentinel)
        await market.until(lambda seen: any(event.price_ticks == 100 for event in seen[-5:]))
        catch_up(market.events)
        assert tracker.gaps == 0
        assert tracker.stale is None
        reference = OrderBook(venue.instrument(PAIR))
        parser = FrameParser(venue.instrument(PAIR), round_sizes=True)
        for frame in (book, *frames):
            event = parser.parse(frame, 0)
            assert event is not None
            reference.apply(event)
        assert (tracker.best_bid, tracker.best_ask) == (reference.best_bid, reference.best_ask)
        assert tracker.book.bids(50) == reference.bids(50)
        assert tracker.book.asks(50) == reference.asks(50)
        await venue.close()


async def test_what_is_recorded_from_a_live_feed_is_the_tape_that_was_played(tmp_path: Path) -> None:
    """Generated market → sockets → ccxt.pro → recorder → tape: the same events come out."""
    book, frames = generated_frames()
    frames = frames[:500]
    async with LoopbackExchange() as exchange:
        binance_script.script(exchange)
        exchange.on("GET", "/api/v3/depth", Answer(book.decode()))
        urls = VenueUrls(rest=exchange.rest, ws=f"{exchange.ws}/ws")
        venue = CcxtVenue(CcxtVenueConfig(symbols=(PAIR,), public_only=True, urls=urls), SystemClock())
        await venue.open()
        stop, done = asyncio.Event(), asyncio.Event()

        class Counting(TapeWriter):
            written = 0

            def write(self, event: MarketEvent) -> None:
                super().write(event)
                Counting.written += 1
                if Counting.written > len(frames):
                    done.set()

        path = tmp_path / "live.tape.gz"
        with Counting(path, venue.instrument(PAIR)) as writer:
            recording = asyncio.ensure_future(
                record(venue, PAIR, writer, stop, lambda _: None, SystemClock())
            )
            await exchange.until(lambda: len(exchange.messages) == 2)
            first_update = next(number for number, frame in enumerate(frames) if b"depthUpdate" in frame)
            await exchange.push(frames[first_update].decode())
            await exchange.until(lambda: bool(exchange.requests("GET", "/api/v3/depth")))
            await exchange.push(*[frame.decode() for frame in frames[first_update + 1 :]])
            del frames[:first_update]
            await done.wait()
            stop.set()
            summary = await recording
        await venue.close()
    assert summary.events == len(frames) + 1
    played = [event for event in open_tape(GENERATED).events() if event.kind is not EventKind.TOP]
    wanted = {event.last_id: event for event in played if event.kind is EventKind.DEPTH}
    for event in open_tape(path).events():
        if event.kind is EventKind.DEPTH:
            assert (event.bids, event.asks) == (wanted[event.last_id].bids, wanted[event.last_id].asks)
