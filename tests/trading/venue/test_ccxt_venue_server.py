"""The adapter against the simulated venue's own front, over real sockets, as the product runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from decimal import Decimal
from pathlib import Path

import pytest

from loopback_exchange import Follower
from mrmarket.core.clock import NS_PER_MS, SystemClock
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.venue.ccxt_adapter import CcxtVenue, CcxtVenueConfig, VenueUrls
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.faults import FaultConfig, FaultKind, FaultRule
from mrmarket.trading.venue.front.server import VenueServer
from mrmarket.trading.venue.port import (
    BalanceReport,
    FillReport,
    NewOrder,
    OrderKind,
    OrderRefusedError,
    OrderReport,
    OrderStatus,
    OutcomeUnknownError,
    RateLimitedError,
    StreamState,
    UnknownOrderError,
    UserEvent,
)

PAIR = "BTC/USDT"
BEST_BID, BEST_ASK = 6_000_000, 6_001_000
START_NS = 1_723_075_200_000 * NS_PER_MS


@pytest.fixture(scope="module")
def still_tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A still book with a spread of ten dollars; one far level flickers ten times a second."""
    path = tmp_path_factory.mktemp("tape") / "still.tape"
    instrument = Instrument(
        venue="binance",
        symbol=PAIR,
        base="BTC",
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.00001"),
        min_notional=Decimal(5),
        maker_fee=Decimal("0.001"),
        taker_fee=Decimal("0.001"),
    )
    with TapeWriter(path, instrument) as writer:
        writer.write(
            MarketEvent(
                kind=EventKind.SNAPSHOT,
                exchange_ns=START_NS,
                local_ns=START_NS,
                last_id=1000,
                bids=[(BEST_BID - 100 * step, 200_000) for step in range(20)],
                asks=[(BEST_ASK + 100 * step, 200_000) for step in range(20)],
            )
        )
        for number in range(3000):
            at_ns = START_NS + (number + 1) * 100 * NS_PER_MS
            writer.write(
                MarketEvent(
                    kind=EventKind.DEPTH,
                    exchange_ns=at_ns,
                    local_ns=at_ns,
                    first_id=1001 + number,
                    last_id=1001 + number,
                    bids=[(BEST_BID - 1500, 100_000 + number % 2)],
                )
            )
    return path


class Place:
    """One simulated venue and adapters for its accounts."""

    def __init__(self, tape: Path, stack: AsyncExitStack) -> None:
        self._tape = tape
        self._stack = stack

    async def start(self, *faults: FaultRule) -> VenueServer:
        """Start the venue with two accounts."""
        self.server = VenueServer(
            VenueConfig(
                tapes=[str(self._tape)],
                accounts={"alice": {}, "bob": {}},
                faults=FaultConfig(rules=list(faults)),
            )
        )
        await self.server.start()
        self._stack.push_async_callback(self.server.stop)
        return self.server

    async def adapter(self, account: int = 0, timeout_ms: int = 5000) -> CcxtVenue:
        """Open the adapter for an account."""
        server, key = self.server, self.server.keys[account]
        venue = CcxtVenue(
            CcxtVenueConfig(
                name="simulated",
                symbols=(PAIR,),
                api_key=key.key,
                secret=key.secret,
                timeout_ms=timeout_ms,
                urls=VenueUrls(rest=server.rest_url, ws=server.ws_url, ws_api=server.ws_api_url),
            ),
            SystemClock(),
            random=lambda: 0.0,
        )
        self._stack.push_async_callback(venue.close)
        await venue.open()
        return venue


@pytest.fixture
async def place(still_tape: Path) -> AsyncIterator[Place]:
    """A venue to be started; everything is closed at the end."""
    async with AsyncExitStack() as stack:
        yield Place(still_tape, stack)


def new_order(name: str, side: Side, price_ticks: int, kind: OrderKind = OrderKind.LIMIT) -> NewOrder:
    """An order of 0.01."""
    return NewOrder(
        symbol=PAIR,
        client_order_id=name,
        side=side,
        kind=kind,
        price_ticks=price_ticks,
        size_lots=1000,
    )


async def test_an_orders_whole_life(place: Place) -> None:
    """Place, query, list, cancel, and be told that it is gone."""
    await place.start()
    venue = await place.adapter()
    assert venue.instrument(PAIR).maker_fee == Decimal("0.001")
    placed = await venue.place(new_order("mm-1", Side.BUY, BEST_BID - 5, OrderKind.POST_ONLY))
    assert (placed.status, placed.price_ticks, placed.size_lots) == (OrderStatus.OPEN, BEST_BID - 5, 1000)
    found = await venue.query(PAIR, "mm-1", "")
    assert found == await venue.query(PAIR, "", placed.venue_order_id)
    assert (found.venue_order_id, found.side) == (placed.venue_order_id, Side.BUY)
    assert [order.client_order_id for order in await venue.open_orders(PAIR)] == ["mm-1"]
    balances = {report.asset: report for report in await venue.balances()}
    assert Decimal(balances["USDT"].locked) == (BEST_BID - 5) * Decimal("0.0001")
    cancelled = await venue.cancel(PAIR, "mm-1", "")
    assert (cancelled.client_order_id, cancelled.status) == ("mm-1", OrderStatus.CANCELLED)
    assert await venue.open_orders(PAIR) == []
    with pytest.raises(UnknownOrderError):
        await venue.cancel(PAIR, "mm-1", "")
    with pytest.raises(UnknownOrderError):
        await venue.query(PAIR, "never", "")


async def test_what_the_venue_refuses(place: Place) -> None:
    """A post-only that would take, a size below the minimum and an empty wallet are refusals."""
    await place.start()
    venue = await place.adapter()
    with pytest.raises(OrderRefusedError, match="immediately match"):
        await venue.place(new_order("mm-1", Side.BUY, BEST_ASK, OrderKind.POST_ONLY))
    with pytest.raises(OrderRefusedError):
        await venue.place(
            NewOrder(
                symbol=PAIR,
                client_order_id="mm-2",
                side=Side.BUY,
                kind=OrderKind.LIMIT,
                price_ticks=BEST_BID,
                size_lots=1,
            )
        )
    with pytest.raises(OrderRefusedError, match="insufficient"):
        await venue.place(
            NewOrder(
                symbol=PAIR,
                client_order_id="mm-3",
                side=Side.SELL,
                kind=OrderKind.LIMIT,
                price_ticks=BEST_ASK,
                size_lots=5_000_000,
            )
        )


async def test_a_fill_reaches_the_stream_the_history_and_the_balance(place: Place) -> None:
    """Maker and taker are each told of the same trade with their own fee."""
    await place.start()
    maker, taker = await place.adapter(0), await place.adapter(1)
    stream = Follower(maker.user_events())
    await stream.until(lambda seen: seen == [StreamState(connected=True)])
    await maker.place(new_order("mm-1", Side.SELL, BEST_ASK - 200))
    hit = await taker.place(new_order("hit-1", Side.BUY, 0, OrderKind.MARKET))
    assert (hit.status, hit.filled_lots, hit.price_ticks) == (OrderStatus.FILLED, 1000, 0)
    seen = await stream.until(
        lambda seen: (
            any(isinstance(event, FillReport) for event in seen)
            and any(isinstance(event, BalanceReport) for event in seen)
            and any(isinstance(event, OrderReport) and event.status is OrderStatus.FILLED for event in seen)
        )
    )
    (streamed,) = [event for event in seen if isinstance(event, FillReport)]
    assert (streamed.client_order_id, streamed.maker, streamed.fee_asset) == ("mm-1", True, "USDT")
    assert (streamed.price_ticks, streamed.size_lots) == (BEST_ASK - 200, 1000)
    (listed,) = await maker.fills_since(PAIR, 0)
    assert (listed.trade_id, listed.fee, listed.price_ticks) == (
        streamed.trade_id,
        streamed.fee,
        streamed.price_ticks,
    )
    (taken,) = await taker.fills_since(PAIR, 0)
    assert (taken.trade_id, taken.maker, taken.fee_asset) == (streamed.trade_id, False, "BTC")


async def test_the_book_is_live_and_holds_our_own_orders(place: Place) -> None:
    """The followed book equals the venue's and an own order appears in it and leaves it."""
    await place.start()
    venue = await place.adapter()
    book = OrderBook(venue.instrument(PAIR))
    async with asyncio.timeout(20), aclosing(venue.market_events(PAIR)) as events:
        async for event in events:
            book.apply(event)
            if book.best_bid == (BEST_BID, 200_000):
                break
        await venue.place(new_order("mm-1", Side.BUY, BEST_BID + 300))
        async for event in events:
            book.apply(event)
            if book.best_bid == (BEST_BID + 300, 1000):
                break
        await venue.cancel(PAIR, "mm-1", "")
        async for event in events:
            book.apply(event)
            if book.best_bid == (BEST_BID, 200_000):
                break
    assert book.synced


async def test_a_dropped_depth_message_is_healed(place: Place) -> None:
    """A hole in the stream is seen, told and closed by a fresh book."""
    await place.start(FaultRule(kind=FaultKind.DROP, match="btcusdt@depth*", from_s=1.0, times=1))
    venue = await place.adapter()
    stream = Follower(venue.market_events(PAIR))

    def snapshots(seen: list[MarketEvent]) -> int:
        return sum(event.kind is EventKind.SNAPSHOT for event in seen)

    async with asyncio.timeout(30):
        await stream.until(lambda seen: snapshots(seen) == 2)
    assert venue.feeds[PAIR].gaps == 1
    assert venue.feeds[PAIR].losses == 0


async def test_a_cut_user_stream_comes_back(place: Place) -> None:
    """A disconnect is told, and orders after the return are heard of again."""
    await place.start(FaultRule(kind=FaultKind.DISCONNECT, match="user:executionReport", times=1))
    venue = await place.adapter()
    stream = Follower(venue.user_events())
    async with asyncio.timeout(30):
        await stream.until(bool)
        await venue.place(new_order("mm-1", Side.BUY, BEST_BID - 5))
        await stream.until(lambda seen: len([e for e in seen if isinstance(e, StreamState)]) == 3)
        assert [e.connected for e in stream.events if isinstance(e, StreamState)] == [True, False, True]
        await venue.place(new_order("mm-2", Side.BUY, BEST_BID - 5))
        await stream.until(lambda seen: any(isinstance(e, OrderReport) for e in seen))


async def test_an_account_can_be_followed_again_whatever_had_just_come_in(place: Place) -> None:
    """Whoever leaves at the moment of an event leaves no subscription behind, which nobody would confirm."""
    await place.start()
    venue = await place.adapter()
    for _ in range(3):
        connected = asyncio.Event()

        async def follow(connected: asyncio.Event = connected) -> None:
            async for event in venue.user_events():
                if isinstance(event, StreamState) and event.connected:
                    connected.set()

        following = asyncio.create_task(follow())
        async with asyncio.timeout(5):
            await connected.wait()
        following.cancel()
        # What ccxt waits for comes now, and is read while the follower leaves.
        client = venue._client()
        for connection in list(client.clients.values()):
            connection.resolve(client.orders, "orders")
        await asyncio.gather(following, return_exceptions=True)
        for _ in range(20):
            await asyncio.sleep(0)
        assert client.clients == {}


@pytest.mark.parametrize("kind", [FaultKind.TIMEOUT_AFTER, FaultKind.SERVER_ERROR_AFTER])
async def test_an_order_without_an_answer_is_unknown_and_may_live(place: Place, kind: FaultKind) -> None:
    """The effect came and the answer did not: the outcome is unknown, and a query finds the order."""
    await place.start(FaultRule(kind=kind, match="POST /api/v3/order", times=1))
    venue = await place.adapter(timeout_ms=500)
    with pytest.raises(OutcomeUnknownError):
        await venue.place(new_order("mm-1", Side.BUY, BEST_BID - 5))
    assert (await venue.query(PAIR, "mm-1", "")).status is OrderStatus.OPEN


async def test_the_venues_429_is_obeyed(place: Place) -> None:
    """The pause it asks for is known and kept."""
    rule = FaultRule(kind=FaultKind.TOO_MANY_REQUESTS, match="POST /api/v3/order", times=1, retry_after_s=9)
    await place.start(rule)
    venue = await place.adapter()
    with pytest.raises(RateLimitedError) as told:
        await venue.place(new_order("mm-1", Side.BUY, BEST_BID - 5))
    assert told.value.retry_after_s == 9
    assert venue.budget.pause_s > 8


async def test_a_skewed_venue_clock_is_followed(place: Place) -> None:
    """A venue that is a minute ahead still takes our orders within a two-second window."""
    await place.start(FaultRule(kind=FaultKind.CLOCK_SKEW, delay_ms=60_000))
    venue = await place.adapter()
    assert abs(venue.clock_offset_ms - 60_000) < 1000
    assert (await venue.place(new_order("mm-1", Side.BUY, BEST_BID - 5))).status is OrderStatus.OPEN


async def test_money_from_outside_changes_what_is_free_and_nothing_else(place: Place) -> None:
    """While an order holds quote, each report after a credit and a debit is whole: what is locked stays."""
    server = await place.start()
    venue = await place.adapter()
    stream = Follower(venue.user_events())
    held = (BEST_BID - 5) * Decimal("0.0001")
    rest = 1_000_000 - held

    def quote(seen: list[UserEvent]) -> list[tuple[Decimal, Decimal]]:
        reports = [event for event in seen if isinstance(event, BalanceReport) and event.asset == "USDT"]
        return [(Decimal(report.free), Decimal(report.locked)) for report in reports]

    async with asyncio.timeout(30):
        await stream.until(bool)
        await venue.place(new_order("mm-1", Side.BUY, BEST_BID - 5))
        await stream.until(lambda seen: quote(seen) == [(rest, held)])
        server.gateway.transfer("t-1", "alice", "USDT", 1_250_000_000)
        await stream.until(lambda seen: len(quote(seen)) > 1)
        server.gateway.transfer("t-2", "alice", "USDT", -250_000_000)
        await stream.until(lambda seen: (rest + 10, held) in quote(seen))
    assert quote(stream.events) == [
        (rest, held),
        (rest + Decimal("12.5"), held),
        (rest + 10, held),
    ]
