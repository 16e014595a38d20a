"""Binance's user stream and book feed through the real ccxt code path, against scripted frames."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

import binance_script
from binance_venue import PAIR, opened
from loopback_exchange import Answer, Follower, LoopbackExchange
from mrmarket.core.clock import SystemClock
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.venue.book_tracker import BookTracker, StaleReason
from mrmarket.trading.venue.port import (
    BalanceReport,
    FillReport,
    OrderReport,
    OrderStatus,
    StreamState,
    UserEvent,
    VenueError,
)


async def test_the_user_stream_gives_every_step_once_with_exact_fees() -> None:
    """Order, fill and balance frames become reports in the order in which they came."""
    async with opened() as (exchange, venue):
        stream = Follower(venue.user_events())
        await stream.until(lambda seen: seen == [StreamState(connected=True)])
        await exchange.push(
            binance_script.execution_report("NEW"),
            binance_script.execution_report(
                "TRADE",
                X="PARTIALLY_FILLED",
                l="0.00100000",
                z="0.00100000",
                L="61000.10000000",
                n="0.00000100",
                N="BTC",
                t=77,
                m=True,
            ),
            binance_script.execution_report(
                "TRADE",
                X="FILLED",
                l="0.00050000",
                z="0.00150000",
                L="61000.10000000",
                n="0.00012345",
                N="BNB",
                t=78,
                m=False,
            ),
            binance_script.execution_report("CANCELED", c="cancel-1", C="mm-1", z="0.00150000"),
            {
                "subscriptionId": 0,
                "event": {
                    "e": "outboundAccountPosition",
                    "E": 1_700_000_000_300,
                    "B": [{"a": "USDT", "f": "999938.99990000", "l": "30.50005000"}],
                },
            },
            path="ws-api",
        )
        seen = await stream.until(lambda seen: any(isinstance(event, BalanceReport) for event in seen))
        fills = [event for event in seen if isinstance(event, FillReport)]
        orders = [event for event in seen if isinstance(event, OrderReport)]
        assert [(fill.trade_id, fill.fee, fill.fee_asset, fill.maker) for fill in fills] == [
            ("77", "0.000001", "BTC", True),
            ("78", "0.00012345", "BNB", False),
        ]
        assert {fill.client_order_id for fill in fills} == {"mm-1"}
        assert [(order.status, order.filled_lots) for order in orders] == [
            (OrderStatus.OPEN, 0),
            (OrderStatus.PARTIALLY_FILLED, 100),
            (OrderStatus.FILLED, 150),
            (OrderStatus.CANCELLED, 150),
        ]
        assert {order.client_order_id for order in orders} == {"mm-1"}
        assert seen[-1] == BalanceReport(asset="USDT", free="999938.9999", locked="30.50005")


def _has_orders(count: int, seen: list[UserEvent]) -> bool:
    return sum(isinstance(event, OrderReport) for event in seen) == count


async def test_a_deposits_delta_is_left_to_the_position_that_comes_with_it() -> None:
    """Binance tells a deposit twice; the delta alone would forget what orders hold, or count twice."""

    def position(free: str) -> dict[str, object]:
        balance = {"a": "USDT", "f": free, "l": "30.00000000"}
        return {"subscriptionId": 0, "event": {"e": "outboundAccountPosition", "E": 1, "B": [balance]}}

    delta = {
        "subscriptionId": 0,
        "event": {"e": "balanceUpdate", "E": 1, "a": "USDT", "d": "5.00000000", "T": 1},
    }
    async with opened() as (exchange, venue):
        stream = Follower(venue.user_events())
        await stream.until(bool)
        for count, frame in enumerate((position("970.00000000"), delta, position("975.00000000"), delta), 1):
            await exchange.push(frame, path="ws-api")
            await exchange.push(binance_script.execution_report("NEW"), path="ws-api")
            await stream.until(partial(_has_orders, count))
        reports = [event for event in stream.events if isinstance(event, BalanceReport)]
        assert reports == [
            BalanceReport(asset="USDT", free="970", locked="30"),
            BalanceReport(asset="USDT", free="975", locked="30"),
        ]


async def test_a_lost_user_stream_is_told_and_comes_back() -> None:
    """The stream's end and its return both reach the follower, and orders after it too."""
    async with opened() as (exchange, venue):
        stream = Follower(venue.user_events())
        await stream.until(bool)
        await exchange.drop("ws-api")
        await stream.until(lambda seen: StreamState(connected=True) in seen[1:])
        states = [event.connected for event in stream.events if isinstance(event, StreamState)]
        assert states == [True, False, True]
        await exchange.push(binance_script.execution_report("NEW"), path="ws-api")
        await stream.until(lambda seen: isinstance(seen[-1], OrderReport))


async def test_a_refused_user_stream_says_why() -> None:
    """A key that may not follow the account is reported instead of waiting in silence."""
    async with opened() as (exchange, venue):
        exchange.listener = lambda path, message: [
            {"id": message["id"], "status": 401, "error": {"code": -2015, "msg": "Invalid API-key, IP."}}
        ]
        stream = Follower(venue.user_events())
        seen = await stream.until(bool)
        assert isinstance(seen[0], StreamState)
        assert not seen[0].connected
        assert "Invalid API-key" in seen[0].reason


async def test_an_order_of_another_pair_is_left_out() -> None:
    """The account's other business does not reach this venue's follower."""
    async with opened() as (exchange, venue):
        stream = Follower(venue.user_events())
        await stream.until(bool)
        await exchange.push(
            binance_script.execution_report("NEW", s="ETHUSDT", c="other"),
            binance_script.execution_report("NEW"),
            path="ws-api",
        )
        seen = await stream.until(lambda seen: len(seen) == 2)
        assert isinstance(seen[1], OrderReport)
        assert seen[1].client_order_id == "mm-1"


async def test_a_frame_that_breaks_the_parser_restarts_the_stream_instead_of_deafening_it() -> None:
    """An order off the grid is told as a loss; the stream comes back and goes on."""
    async with opened() as (exchange, venue):
        stream = Follower(venue.user_events())
        await stream.until(bool)
        await exchange.push(binance_script.execution_report("NEW", p="61000.10500000"), path="ws-api")
        seen = await stream.until(lambda seen: len(seen) >= 3)
        assert isinstance(seen[1], StreamState)
        assert not seen[1].connected
        assert "61000.105" in seen[1].reason
        assert seen[2] == StreamState(connected=True)


def book_ids(events: list[MarketEvent]) -> list[tuple[str, int, int]]:
    """Kind and ids of the book events; an empty book shows as `lost`."""
    names = []
    for event in events:
        if event.kind is not EventKind.TRADE:
            lost = event.kind is EventKind.SNAPSHOT and not event.bids
            names.append(("lost" if lost else event.kind.name, event.first_id, event.last_id))
    return names


async def feed_is_up(exchange: LoopbackExchange) -> None:
    """Wait until both streams of the pair are subscribed."""
    wanted = {"btcusdt@depth@100ms", "btcusdt@trade"}
    await exchange.until(
        lambda: (
            wanted
            <= {
                name
                for path, message in exchange.messages
                if path.startswith("/ws/")
                for name in message["params"]
            }
        )
    )


async def test_the_book_begins_with_a_snapshot_and_continues_with_the_updates_after_it() -> None:
    """Updates older than the REST book are dropped, the straddling one follows it."""
    async with opened(public_only=True) as (exchange, venue):
        stream = Follower(venue.market_events(PAIR))
        await feed_is_up(exchange)
        await exchange.push(
            binance_script.depth_update(95, 99),
            binance_script.depth_update(100, 103),
            {
                "e": "trade",
                "E": 1,
                "s": "BTCUSDT",
                "t": 5,
                "p": "61000.10",
                "q": "0.25",
                "T": 1_700_000_000_301,
                "m": True,
            },
            binance_script.depth_update(104, 104, s="ETHUSDT"),
            binance_script.depth_update(104, 106),
        )
        seen = await stream.until(lambda seen: seen and seen[-1].last_id == 106)
        assert book_ids(seen) == [("SNAPSHOT", 0, 100), ("DEPTH", 100, 103), ("DEPTH", 104, 106)]
        trade = next(event for event in seen if event.kind is EventKind.TRADE)
        assert (trade.price_ticks, trade.size_lots, trade.taker_buys) == (6_100_010, 25_000, False)
        book = OrderBook(venue.instrument(PAIR))
        for event in seen:
            book.apply(event)
        assert (book.best_bid, book.best_ask) == ((6_100_000, 100_000), (6_100_030, 300_000))
        assert exchange.requests("GET", "/api/v3/depth")[0].params == {"symbol": "BTCUSDT", "limit": "1000"}


async def test_a_gap_makes_the_book_stale_at_once_and_a_snapshot_heals_it() -> None:
    """The update that reveals the gap passes, then a fresh book and what follows it."""
    async with opened(public_only=True) as (exchange, venue):
        stream = Follower(venue.market_events(PAIR))
        await feed_is_up(exchange)
        await exchange.push(binance_script.depth_update(99, 101))
        await stream.until(lambda seen: bool(seen) and seen[-1].last_id == 101)
        exchange.on("GET", "/api/v3/depth", binance_script.depth(110))
        await exchange.push(binance_script.depth_update(105, 108), binance_script.depth_update(109, 112))
        seen = await stream.until(lambda seen: seen[-1].last_id == 112)
        assert book_ids(seen)[2:] == [("DEPTH", 105, 108), ("SNAPSHOT", 0, 110), ("DEPTH", 109, 112)]
        assert venue.feeds[PAIR].gaps == 1
        tracker = BookTracker(venue.instrument(PAIR), SystemClock())
        for event in seen[:3]:
            tracker.apply(event)
        assert tracker.stale is StaleReason.SEQUENCE_GAP
        for event in seen[3:]:
            tracker.apply(event)
        assert tracker.stale is None


async def test_a_snapshot_older_than_the_stream_is_asked_for_again() -> None:
    """Binance may serve the book from a cache; it is fetched until it meets the updates."""
    async with opened(public_only=True) as (exchange, venue):
        answers = iter([binance_script.depth(90), binance_script.depth(100)])
        exchange.on("GET", "/api/v3/depth", lambda seen: Answer(next(answers)))
        stream = Follower(venue.market_events(PAIR))
        await feed_is_up(exchange)
        await exchange.push(binance_script.depth_update(98, 101))
        seen = await stream.until(lambda seen: len(seen) == 2)
        assert book_ids(seen) == [("SNAPSHOT", 0, 100), ("DEPTH", 98, 101)]


async def test_a_snapshot_that_fails_is_asked_for_again() -> None:
    """A server error on the book does not end the feed."""
    async with opened(public_only=True) as (exchange, venue):
        answers = iter([Answer({}, 502), Answer(binance_script.depth(100))])
        exchange.on("GET", "/api/v3/depth", lambda seen: next(answers))
        stream = Follower(venue.market_events(PAIR))
        await feed_is_up(exchange)
        await exchange.push(binance_script.depth_update(98, 101))
        seen = await stream.until(lambda seen: len(seen) == 2)
        assert book_ids(seen)[0] == ("SNAPSHOT", 0, 100)
        assert venue.feeds[PAIR].losses == 0


async def test_a_lost_feed_is_told_by_an_empty_book_and_comes_back_whole() -> None:
    """After a drop the follower gets an empty SNAPSHOT, then a full one by itself."""
    async with opened(public_only=True) as (exchange, venue):
        stream = Follower(venue.market_events(PAIR))
        await feed_is_up(exchange)
        await exchange.push(binance_script.depth_update(98, 101))
        await stream.until(lambda seen: len(seen) == 2)
        exchange.messages.clear()
        await exchange.drop("/ws/")
        await feed_is_up(exchange)
        exchange.on("GET", "/api/v3/depth", binance_script.depth(200))
        await exchange.push(binance_script.depth_update(199, 201))
        seen = await stream.until(lambda seen: seen[-1].last_id == 201)
        assert book_ids(seen)[2:] == [("lost", 0, 0), ("SNAPSHOT", 0, 200), ("DEPTH", 199, 201)]
        assert venue.feeds[PAIR].losses == 1
        assert "closed" in venue.feeds[PAIR].last_reason


async def test_a_frame_off_the_grid_ends_the_connection_and_is_named() -> None:
    """A price between two ticks is never rounded; the feed is lost and says why."""
    async with opened(public_only=True) as (exchange, venue):
        stream = Follower(venue.market_events(PAIR))
        await feed_is_up(exchange)
        await exchange.push(binance_script.depth_update(98, 101, b=[["61000.005", "1"]]))
        await stream.until(bool)
        assert book_ids(stream.events) == [("lost", 0, 0)]
        assert "61000.005" in venue.feeds[PAIR].last_reason


async def test_bursts_never_stop_the_reading() -> None:
    """3,000 frames that arrive faster than they are read are all read, and so is the one after them."""
    async with opened(public_only=True) as (exchange, venue):
        stream = Follower(venue.market_events(PAIR))
        await feed_is_up(exchange)
        await exchange.push(*[binance_script.depth_update(number, number) for number in range(99, 3100)])
        await stream.until(lambda seen: seen and seen[-1].last_id == 3099)
        await exchange.push(binance_script.depth_update(3100, 3100))
        await stream.until(lambda seen: seen[-1].last_id == 3100)
        assert venue.feeds[PAIR].losses == 0


async def test_a_size_finer_than_the_lot_is_taken_as_the_lower_lot() -> None:
    """Orders from before a change of the lot rest on with their old sizes; they do not end the feed."""
    async with opened(public_only=True) as (exchange, venue):
        stream = Follower(venue.market_events(PAIR))
        await feed_is_up(exchange)
        await exchange.push(
            binance_script.depth_update(98, 101, b=[["61000.01", "0.000029"], ["61000.00", "0.0000001"]])
        )
        seen = await stream.until(lambda seen: len(seen) == 2)
        assert seen[1].bids == [(6_100_001, 2), (6_100_000, 1)]


async def test_a_slow_follower_gets_a_fresh_book_instead_of_a_backlog() -> None:
    """What waits beyond the limit is dropped, told as a loss, and replaced by a snapshot."""
    async with opened(public_only=True, max_pending_events=5) as (exchange, venue):
        events = venue.market_events(PAIR)
        first = asyncio.ensure_future(anext(events))
        await feed_is_up(exchange)
        await exchange.push(binance_script.depth_update(98, 101))
        assert (await first).kind is EventKind.SNAPSHOT
        exchange.on("GET", "/api/v3/depth", binance_script.depth(110))
        await exchange.push(*[binance_script.depth_update(number, number) for number in range(102, 112)])
        await exchange.until(lambda: len(exchange.requests("GET", "/api/v3/depth")) == 2)
        seen: list[MarketEvent] = []
        while not seen or seen[-1].last_id != 111:
            seen.append(await anext(events))
        assert book_ids(seen)[:2] == [("lost", 0, 0), ("SNAPSHOT", 0, 110)]
        assert venue.feeds[PAIR].overruns == 1


async def test_a_stream_has_one_follower_and_ends_with_the_venue() -> None:
    """A second follower is refused; closing ends the first without an error."""
    async with opened() as (exchange, venue):
        market, users = Follower(venue.market_events(PAIR)), Follower(venue.user_events())
        await users.until(bool)
        await feed_is_up(exchange)
        with pytest.raises(VenueError, match="followed already"):
            await anext(venue.market_events(PAIR))
        with pytest.raises(VenueError, match="followed already"):
            await anext(venue.user_events())
        await venue.close()
        await market.end()
        await users.end()
        await venue.close()
