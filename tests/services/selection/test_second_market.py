"""The second market follows the first, and now and then goes its own way."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

from fake_venue import GRID
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.services.selection.second_market import SECOND, FollowingFeed, Premium
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.venue.book_tracker import BookTracker

BID, ASK = 6_000_000, 6_000_010


def test_the_premium_is_calm_and_apart_in_turns_with_alternating_sign() -> None:
    """Equal seeds are equal; stretches apart are between two thirds and four thirds of the mean height."""
    course = list(map(Premium(7).at, range(1_200)))
    assert course == list(map(Premium(7).at, range(1_200)))
    heights = [height for height, before in zip(course[1:], course, strict=False) if height and not before]
    assert len(heights) > 4
    assert all(one * other < 0 for one, other in itertools.pairwise(heights))
    assert all(25 * 2 / 3 <= abs(height) <= 25 * 4 / 3 for height in heights)


async def test_every_event_is_moved_and_a_new_premium_is_a_whole_book() -> None:
    """The book stays in sequence, its distance grows a step at a time, and trades are moved with it."""
    clock = ManualClock()

    async def first() -> AsyncIterator[MarketEvent]:
        yield MarketEvent(
            kind=EventKind.SNAPSHOT, exchange_ns=1, local_ns=1, last_id=1, bids=[(BID, 5)], asks=[(ASK, 5)]
        )
        for number in range(2, 200):
            clock.advance(NS_PER_S)
            yield MarketEvent(
                kind=EventKind.DEPTH,
                exchange_ns=number,
                local_ns=number,
                first_id=number,
                last_id=number,
                bids=[(BID, 5 + number)],
                asks=[],
            )
            yield MarketEvent(
                kind=EventKind.TRADE, exchange_ns=1, local_ns=1, last_id=number, price_ticks=BID, size_lots=1
            )

    feed = FollowingFeed(GRID, first, lambda: Premium(7), clock)
    await feed.open()
    assert feed.instrument(GRID.symbol).venue == SECOND
    tracker = BookTracker(feed.instrument(GRID.symbol), clock)
    distances, trades = [], []
    async for event in feed.market_events(GRID.symbol):
        tracker.apply(event)
        if event.kind is EventKind.TRADE:
            assert tracker.best_bid is not None
            assert tracker.best_ask is not None
            assert tracker.best_ask[0] - tracker.best_bid[0] == ASK - BID
            distances.append(tracker.best_bid[0] - BID)
            trades.append(event.price_ticks - BID)
    await feed.close()
    assert tracker.gaps == 0
    assert trades == distances
    steps = [abs(one - other) for one, other in itertools.pairwise(distances)]
    assert 0 < max(steps) <= BID * 2 // 10_000 + 1
    assert max(map(abs, distances)) > BID * 15 // 10_000
