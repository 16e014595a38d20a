"""Paper orders live in the real market's book without touching it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fake_venue import FakeFeed
from loopback_exchange import Follower
from mrmarket.core.clock import ManualClock
from mrmarket.core.side import Side
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.venue.book_tracker import BookTracker, StaleReason
from mrmarket.trading.venue.paper import PaperVenue
from mrmarket.trading.venue.paper_memory import PaperMemory
from mrmarket.trading.venue.port import (
    BalanceReport,
    FillReport,
    NewOrder,
    OrderKind,
    OrderRefusedError,
    OrderReport,
    OrderStatus,
    StreamState,
    UnknownOrderError,
    UnknownSymbolError,
    VenueError,
)
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange

PAIR = "BTC/USDT"
BID, ASK = 6_000_000, 6_001_000


def event(kind: EventKind, **fields: Any) -> MarketEvent:
    """An event of the live market."""
    return MarketEvent(kind=kind, exchange_ns=5, local_ns=6, **fields)


BOOK = event(EventKind.SNAPSHOT, last_id=100, bids=[(BID, 200_000)], asks=[(ASK, 200_000)])
LOST = event(EventKind.SNAPSHOT)


async def no_wait(seconds: float) -> None:
    """The latency of these tests."""


@asynccontextmanager
async def followed(
    *events: MarketEvent,
) -> AsyncIterator[tuple[FakeFeed, PaperVenue, Follower[MarketEvent], ManualClock]]:
    """An open paper venue whose market is followed up to the first book."""
    feed, clock = FakeFeed(events or [BOOK]), ManualClock()
    venue = PaperVenue(feed, SimulatedExchange(), clock, session="s1", sleep=no_wait)
    await venue.open()
    market = Follower(venue.market_events(PAIR))
    await market.until(bool)
    try:
        yield feed, venue, market, clock
    finally:
        await venue.close()


def new_order(name: str, side: Side, price_ticks: int, kind: OrderKind = OrderKind.LIMIT) -> NewOrder:
    """An order of 0.01."""
    return NewOrder(
        symbol=PAIR, client_order_id=name, side=side, kind=kind, price_ticks=price_ticks, size_lots=1000
    )


async def test_the_book_is_the_live_one_with_our_order_in_it() -> None:
    """A resting order shows in the followed book as on a real exchange, and leaves with its cancel."""
    async with followed() as (_, venue, market, clock):
        tracker = BookTracker(venue.instrument(PAIR), clock)
        placed = await venue.place(new_order("mm-1", Side.BUY, BID + 300))
        assert (placed.status, placed.venue_order_id) == (OrderStatus.OPEN, "s1-1")
        await market.until(lambda seen: any((BID + 300, 1000) in event.bids for event in seen))
        for seen in market.events:
            tracker.apply(seen)
        assert tracker.best_bid == (BID + 300, 1000)
        assert tracker.gaps == 0
        count = len(market.events)
        cancelled = await venue.cancel(PAIR, "mm-1", placed.venue_order_id)
        assert cancelled.status is OrderStatus.CANCELLED
        await market.until(lambda seen: len(seen) > count)
        for seen in market.events[count:]:
            tracker.apply(seen)
        assert tracker.best_bid == (BID, 200_000)


async def test_a_live_trade_fills_us_and_everybody_is_told() -> None:
    """A print at our price fills the order; stream, history and balance agree to the last digit."""
    async with followed() as (feed, venue, _, _):
        users = Follower(venue.user_events())
        await venue.place(new_order("mm-1", Side.BUY, BID + 300, OrderKind.POST_ONLY))
        feed.put(event(EventKind.TRADE, last_id=1, price_ticks=BID + 300, size_lots=400))
        seen = await users.until(
            lambda seen: (
                any(isinstance(event, FillReport) for event in seen) and isinstance(seen[-1], BalanceReport)
            )
        )
        assert seen[0] == StreamState(connected=True)
        (fill,) = [event for event in seen if isinstance(event, FillReport)]
        assert (fill.price_ticks, fill.size_lots, fill.maker) == (BID + 300, 400, True)
        assert (fill.fee, fill.fee_asset) == ("0.000004", "BTC")
        assert fill.trade_id.startswith("s1-")
        orders = [event for event in seen if isinstance(event, OrderReport)]
        assert (orders[-1].status, orders[-1].filled_lots) == (OrderStatus.PARTIALLY_FILLED, 400)
        assert await venue.fills_since(PAIR, 0) == [fill]
        assert await venue.fills_since(PAIR, fill.venue_ns + 1) == []
        assert (await venue.query(PAIR, "mm-1", "")).filled_lots == 400
        assert [order.client_order_id for order in await venue.open_orders(PAIR)] == ["mm-1"]
        balances = {report.asset: report.free for report in await venue.balances()}
        assert balances["BTC"] == "10.003996"


async def test_what_the_exchange_refuses() -> None:
    """A post-only that would take is refused, an order of another session or none is unknown."""
    async with followed() as (_, venue, _, _):
        with pytest.raises(OrderRefusedError, match="immediately match"):
            await venue.place(new_order("mm-1", Side.BUY, ASK, OrderKind.POST_ONLY))
        with pytest.raises(UnknownOrderError):
            await venue.query(PAIR, "never", "")
        with pytest.raises(UnknownOrderError):
            await venue.cancel(PAIR, "never", "")
        with pytest.raises(UnknownOrderError, match="another session"):
            await venue.query(PAIR, "", "s0-1")
        with pytest.raises(UnknownSymbolError):
            venue.instrument("DOGE/USDT")


@pytest.mark.parametrize(
    "loss", [LOST, event(EventKind.DEPTH, first_id=150, last_id=151, bids=[(BID, 1)])], ids=["drop", "gap"]
)
async def test_without_a_feed_orders_are_refused_and_cancels_work(loss: MarketEvent) -> None:
    """A lost feed or a gap empties the followed book until the next one; nothing fills meanwhile."""
    async with followed() as (feed, venue, market, clock):
        await venue.place(new_order("mm-1", Side.BUY, BID + 300))
        feed.put(loss, event(EventKind.TRADE, last_id=1, price_ticks=BID + 300, size_lots=400))
        await market.until(lambda seen: seen[-1].kind is EventKind.SNAPSHOT and not seen[-1].bids)
        tracker = BookTracker(venue.instrument(PAIR), clock)
        for seen in market.events:
            tracker.apply(seen)
        assert tracker.stale is StaleReason.NO_BOOK
        with pytest.raises(OrderRefusedError, match="feed is lost"):
            await venue.place(new_order("mm-2", Side.BUY, BID + 300))
        assert (await venue.cancel(PAIR, "mm-1", "")).status is OrderStatus.CANCELLED
        feed.put(event(EventKind.SNAPSHOT, last_id=200, bids=[(BID - 5, 3)], asks=[(ASK, 4)]))
        await market.until(lambda seen: bool(seen[-1].bids))
        assert market.events[-1].bids == [(BID - 5, 3)]
        assert await venue.fills_since(PAIR, 0) == []
        assert (await venue.place(new_order("mm-3", Side.BUY, BID - 5))).status is OrderStatus.OPEN


async def test_a_fresh_book_in_a_live_feed_travels_as_an_update() -> None:
    """A second snapshot without a loss changes the followed book without a hole in its ids."""
    async with followed() as (feed, venue, market, clock):
        feed.put(event(EventKind.SNAPSHOT, last_id=200, bids=[(BID - 5, 3)], asks=[(ASK, 4)]))
        await market.until(lambda seen: seen[-1].kind is EventKind.DEPTH)
        tracker = BookTracker(venue.instrument(PAIR), clock)
        for seen in market.events:
            tracker.apply(seen)
        assert (tracker.best_bid, tracker.best_ask, tracker.gaps) == ((BID - 5, 3), (ASK, 4), 0)


async def test_a_stream_has_one_follower_and_ends_with_the_feed() -> None:
    """Second followers are refused; the end of the feed ends the market, closing ends the account."""
    async with followed() as (feed, venue, market, _):
        users = Follower(venue.user_events())
        await users.until(bool)
        with pytest.raises(VenueError, match="followed already"):
            await anext(venue.market_events(PAIR))
        with pytest.raises(VenueError, match="followed already"):
            await anext(venue.user_events())
        feed.finish()
        await market.end()
        await venue.close()
        await users.end()
        assert not feed.opened


async def test_ids_of_two_runs_never_meet() -> None:
    """Without a session of its own a run is named by its start, so trade ids differ between runs."""
    clock = ManualClock()
    first = PaperVenue(FakeFeed(), SimulatedExchange(), clock)
    clock.advance(1_000_000)
    exchange = SimulatedExchange()
    exchange.add_account("paper", {"BTC": 5})
    second = PaperVenue(FakeFeed(), exchange, clock)
    assert first.session != second.session
    assert await second.balances() == [BalanceReport(asset="BTC", free="0.00000005", locked="0")]


async def test_an_account_with_a_memory_goes_on_where_it_was(tmp_path: Path) -> None:
    """Orders and balances of a life that ended without a word are there in the next; ids never repeat."""
    clock = ManualClock()
    lives: list[tuple[str, list[BalanceReport]]] = []
    for name in ("one", "two"):
        memory = PaperMemory(tmp_path / "paper")
        venue = PaperVenue(
            FakeFeed([BOOK]), SimulatedExchange(), clock, sleep=no_wait, symbols=(PAIR,), memory=memory
        )
        await venue.open()
        market = Follower(venue.market_events(PAIR))
        await market.until(bool)
        known = [report.client_order_id for report in await venue.open_orders(PAIR)]
        assert known == [f"rest-{earlier}" for earlier in ("one", "two")[: len(lives)]]
        if lives:
            assert await venue.balances() == lives[0][1]
        await venue.place(new_order(f"take-{name}", Side.BUY, ASK, OrderKind.IOC))
        placed = await venue.place(new_order(f"rest-{name}", Side.BUY, BID))
        lives.append((placed.venue_order_id, await venue.balances()))
        # Nothing more is written on the way out: what a killed process leaves is the same.
        await venue.close()
        await market.end()
    assert int(lives[1][0].removeprefix("paper-")) > 1_000_000
