"""One account and one feed for several runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from fake_exchange import SYMBOL, FakeExchange, FakeVenue
from fake_venue import GRID, FakeFeed
from mrmarket.core.clock import ManualClock
from mrmarket.core.side import Side
from mrmarket.services.engine.shared_venue import SharedVenue
from mrmarket.services.engine.venue_room import VenueRoom
from mrmarket.store.operations import RunSpec
from mrmarket.trading.execution.order_id import OrderIds
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.strategy.run_risk import TrustsClock
from mrmarket.trading.venue.port import (
    CancelsAll,
    NewOrder,
    OrderKind,
    OrderReport,
    OrderStatus,
    StreamState,
    UserEvent,
    Venue,
    VenueError,
)
from mrmarket.trading.venue.rate_budget import KeepsBudget, RateBudget, RateLimit

MINE, THEIRS = OrderIds("instance", "mine"), OrderIds("instance", "theirs")


class Account(FakeFeed):
    """A feed with a user stream."""

    def __init__(self) -> None:
        super().__init__()
        self.happened: asyncio.Queue[UserEvent | None] = asyncio.Queue()
        self.readers = 0
        self.most_readers = 0
        self.closed = 0

    async def close(self) -> None:
        """Count it."""
        self.closed += 1
        await super().close()

    async def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """As the feed, with its readers counted."""
        self.readers += 1
        self.most_readers = max(self.most_readers, self.readers)
        try:
            async for event in super().market_events(symbol):
                yield event
        finally:
            self.readers -= 1

    async def user_events(self) -> AsyncIterator[UserEvent]:
        """What was put in."""
        while (event := await self.happened.get()) is not None:
            yield event


def depth(last_id: int, bid: int) -> MarketEvent:
    """A change of one bid."""
    return MarketEvent(
        kind=EventKind.DEPTH, exchange_ns=1, local_ns=1, first_id=last_id, last_id=last_id, bids=[(bid, 5)]
    )


SNAPSHOT = MarketEvent(
    kind=EventKind.SNAPSHOT, exchange_ns=1, local_ns=1, last_id=10, bids=[(100, 1)], asks=[(102, 1)]
)


def report(ids: OrderIds, sequence: int) -> OrderReport:
    """An order of a run."""
    return OrderReport(
        symbol=GRID.symbol,
        client_order_id=ids.make("b0", sequence),
        venue_order_id=str(sequence),
        side=Side.BUY,
        status=OrderStatus.OPEN,
        price_ticks=100,
        size_lots=1,
        filled_lots=0,
        venue_ns=1,
    )


async def test_a_late_follower_begins_with_the_book_as_it_is() -> None:
    """It sees a snapshot with every change so far, then the same changes as the others; one reader reads."""
    account = Account()
    shared = SharedVenue(account)
    first = shared.for_run(GRID.symbol, MINE.prefix).market_events(GRID.symbol)
    account.put(SNAPSHOT, depth(11, 101))
    assert (await anext(first)).kind is EventKind.SNAPSHOT
    assert (await anext(first)).last_id == 11
    second = shared.for_run(GRID.symbol, THEIRS.prefix).market_events(GRID.symbol)
    begin = await anext(second)
    assert (begin.kind, begin.last_id, begin.bids) == (EventKind.SNAPSHOT, 11, [(101, 5), (100, 1)])
    account.put(depth(12, 99))
    assert (await anext(first)).last_id == (await anext(second)).last_id == 12
    assert account.most_readers == 1
    await first.aclose()  # type: ignore[attr-defined]  # it is a generator
    account.put(depth(13, 98))
    assert (await anext(second)).last_id == 13
    await second.aclose()  # type: ignore[attr-defined]  # the same


async def test_a_feed_begins_anew_after_its_last_follower_has_gone() -> None:
    """No book of the past is handed to whoever follows next."""
    account = Account()
    shared = SharedVenue(account)
    first = shared.feed(GRID.symbol).follow()
    account.put(SNAPSHOT)
    await anext(first)
    await first.aclose()  # type: ignore[attr-defined]  # it is a generator
    second = shared.feed(GRID.symbol).follow()
    account.put(depth(50, 90))
    assert (await anext(second)).last_id == 50
    assert account.readers == account.most_readers == 1
    await second.aclose()  # type: ignore[attr-defined]  # the same


async def test_each_run_hears_of_its_own_orders_and_of_what_concerns_all() -> None:
    """The stream's state also reaches a run that comes later."""
    account = Account()
    shared = SharedVenue(account)
    mine = shared.for_run(GRID.symbol, MINE.prefix).user_events()
    account.happened.put_nowait(StreamState(connected=True))
    assert await anext(mine) == StreamState(connected=True)
    theirs = shared.for_run(GRID.symbol, THEIRS.prefix).user_events()
    assert await anext(theirs) == StreamState(connected=True)
    account.happened.put_nowait(report(THEIRS, 1))
    account.happened.put_nowait(report(MINE, 2))
    assert await anext(mine) == report(MINE, 2)
    assert await anext(theirs) == report(THEIRS, 1)
    account.happened.put_nowait(None)
    with pytest.raises(StopAsyncIteration):
        await anext(mine)


async def test_a_room_opens_an_account_once_and_closes_it_after_its_last_run() -> None:
    """Public feeds come through a connection of their own and stay."""
    opened: list[Account] = []

    async def opener(venue: str, account: str) -> Venue:
        opened.append(Account())
        return opened[-1]

    public = Account()

    async def open_public(venue: str) -> Venue:
        return public

    room = VenueRoom(opener, open_public)
    specs = [RunSpec(id=run, venue="v", account="a", pair=GRID.symbol, kind="k") for run in ("x", "y")]
    for spec in specs:
        await room.enter(spec, "p")
    assert len(opened) == 1
    await room.leave(specs[0])
    assert opened[0].closed == 0
    await room.leave(specs[1])
    assert (opened[0].closed, public.closed) == (1, 0)
    await room.enter(specs[0], "p")
    assert len(opened) == 2
    await room.close()
    assert (opened[1].closed, public.closed) == (1, 1)


class Measured(Account):
    """A venue that counts its requests and knows whether the clocks agree."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = RateBudget("fake", ManualClock(), [RateLimit("weight:60", 100, 60)])
        self.clock_trusted = True


def test_breakers_see_the_budget_and_the_clock_of_a_shared_venue() -> None:
    """A run that shares its venue is restricted by them like one that has it to itself."""
    measured = Measured()
    view = SharedVenue(measured).for_run(GRID.symbol, MINE.prefix)
    assert isinstance(view, KeepsBudget)
    assert view.budget is measured.budget
    assert isinstance(view, TrustsClock)
    seen = [view.clock_trusted]
    measured.clock_trusted = False
    seen.append(view.clock_trusted)
    assert seen == [True, False]
    plain = SharedVenue(Account()).for_run(GRID.symbol, MINE.prefix)
    assert not hasattr(plain, "budget")
    assert plain.clock_trusted


class Sweeping(FakeVenue):
    """An account of which everything can be cancelled at once, and which says when an order is sent."""

    on_handed: Callable[[str, int], None] | None = None

    async def cancel_all(self, symbol: str) -> list[OrderReport]:
        """One request for all of a pair."""
        return [
            await self.cancel(symbol, each.client_order_id, "") for each in await self.open_orders(symbol)
        ]


def order(ids: OrderIds, sequence: int) -> NewOrder:
    """A bid far from the market."""
    return NewOrder(
        symbol=SYMBOL,
        client_order_id=ids.make("b0", sequence),
        side=Side.BUY,
        kind=OrderKind.POST_ONLY,
        price_ticks=100,
        size_lots=100_000,
    )


async def test_a_runs_requests_go_to_the_account_that_it_shares() -> None:
    """Placing, asking, cancelling one and all, and what the account does not offer."""
    account = Sweeping(FakeExchange(ManualClock()))
    shared = SharedVenue(account)
    mine, theirs = shared.for_run(SYMBOL, MINE.prefix), shared.for_run(SYMBOL, THEIRS.prefix)
    first, second = order(MINE, 1), order(THEIRS, 1)
    placed = await mine.place(first)
    await theirs.place(second)
    assert (await theirs.query(SYMBOL, first.client_order_id, "")).venue_order_id == placed.venue_order_id
    assert len(await theirs.open_orders(SYMBOL)) == 2
    assert (await mine.cancel(SYMBOL, first.client_order_id, "")).status is OrderStatus.CANCELLED
    assert isinstance(theirs, CancelsAll)
    assert [each.client_order_id for each in await theirs.cancel_all(SYMBOL)] == [second.client_order_id]
    with pytest.raises(VenueError, match="has none"):
        await mine.cancel_all_after(SYMBOL, 5.0)


async def test_each_run_is_told_of_its_own_orders_on_their_way() -> None:
    """The account tells one, who passes it on by the prefix; nobody hears of strangers."""
    account = Sweeping(FakeExchange(ManualClock()))
    shared = SharedVenue(account)
    mine, theirs = shared.for_run(SYMBOL, MINE.prefix), shared.for_run(SYMBOL, THEIRS.prefix)
    heard: list[tuple[str, str, int]] = []
    mine.on_handed = lambda key, at_ns: heard.append(("mine", key, at_ns))
    theirs.on_handed = lambda key, at_ns: heard.append(("theirs", key, at_ns))
    assert account.on_handed is not None
    key = MINE.make("b0", 1)
    account.on_handed(key, 5)
    account.on_handed("a stranger's", 6)
    assert heard == [("mine", key, 5)]
    assert mine.on_handed is not None
    mine.on_handed = None
    account.on_handed(key, 7)
    assert len(heard) == 1
    assert mine.on_handed is None


async def test_a_gap_of_the_feed_leaves_a_late_follower_without_a_book() -> None:
    """It is given no snapshot of what is not whole; the next one makes both whole again."""
    account = Account()
    shared = SharedVenue(account)
    first = shared.feed(GRID.symbol).follow()
    account.put(SNAPSHOT, depth(99, 101))
    assert [(await anext(first)).last_id, (await anext(first)).last_id] == [10, 99]
    second = shared.feed(GRID.symbol).follow()
    account.put(SNAPSHOT)
    assert (await anext(second)).last_id == (await anext(first)).last_id == 10
    assert shared.feed(GRID.symbol).followers == 2
    await first.aclose()  # type: ignore[attr-defined]  # it is a generator
    await second.aclose()  # type: ignore[attr-defined]  # the same
