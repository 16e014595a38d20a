"""When a book may be quoted on, and when it may not."""

from __future__ import annotations

from typing import Any

from fake_venue import GRID
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.venue.book_tracker import BookTracker, LastTrade, StaleReason


def snapshot(last_id: int = 10, **changes: Any) -> MarketEvent:
    """A book of one level a side, 99.00 to 101.00."""
    values = {"bids": [(9900, 5)], "asks": [(10100, 7)], **changes}
    return MarketEvent(kind=EventKind.SNAPSHOT, exchange_ns=1, local_ns=2, last_id=last_id, **values)


def depth(first_id: int, last_id: int, **changes: Any) -> MarketEvent:
    """An update."""
    return MarketEvent(
        kind=EventKind.DEPTH, exchange_ns=1, local_ns=2, first_id=first_id, last_id=last_id, **changes
    )


def tracker() -> tuple[BookTracker, ManualClock]:
    """A tracker with short limits on a clock of the test's own."""
    clock = ManualClock()
    return BookTracker(GRID, clock, max_age_ns=5 * NS_PER_S, max_crossed_ns=NS_PER_S), clock


def why(book: BookTracker) -> StaleReason | None:
    """Why it is stale now."""
    return book.stale


def test_there_is_no_book_before_the_first_snapshot() -> None:
    """Nothing is known, so nothing is fresh."""
    book, _ = tracker()
    assert why(book) is StaleReason.NO_BOOK
    assert (book.age_ns, book.message_age_ns, book.mid_double_ticks) == (None, None, None)
    assert not book.apply(depth(1, 2))
    assert why(book) is StaleReason.NO_BOOK


def test_a_snapshot_makes_it_fresh_until_it_is_old() -> None:
    """Age counts from the last change of the book, and only changes of the book renew it."""
    book, clock = tracker()
    assert book.apply(snapshot())
    assert why(book) is None
    assert (book.best_bid, book.best_ask, book.mid_double_ticks) == ((9900, 5), (10100, 7), 20_000)
    clock.advance(5 * NS_PER_S)
    assert why(book) is None
    trade = MarketEvent(
        kind=EventKind.TRADE, exchange_ns=3, local_ns=4, price_ticks=10_000, size_lots=2, taker_buys=True
    )
    assert not book.apply(trade)
    clock.advance(1)
    assert why(book) is StaleReason.OLD
    assert (book.age_ns, book.message_age_ns) == (5 * NS_PER_S + 1, 1)
    assert book.last_trade == LastTrade(10_000, 2, taker_buys=True, exchange_ns=3, local_ns=4)
    book.apply(depth(11, 11, bids=[(9950, 1)]))
    assert why(book) is None
    assert book.events == 3


def test_a_gap_is_stale_until_the_next_snapshot() -> None:
    """Updates after the gap do not heal it; a book does."""
    book, _ = tracker()
    book.apply(snapshot())
    assert book.apply(depth(15, 16))
    assert (book.stale, book.gaps) == (StaleReason.SEQUENCE_GAP, 1)
    assert not book.apply(depth(17, 17))
    assert why(book) is StaleReason.SEQUENCE_GAP
    book.apply(snapshot(20))
    assert why(book) is None


def test_a_crossed_book_is_stale_after_its_limit_and_fresh_once_uncrossed() -> None:
    """A moment of crossing is common; one that lasts means that updates are missing."""
    book, clock = tracker()
    book.apply(snapshot())
    book.apply(depth(11, 11, bids=[(10100, 1)]))
    clock.advance(NS_PER_S)
    assert why(book) is None
    book.apply(depth(12, 12, bids=[(10150, 1)]))
    clock.advance(1)
    assert why(book) is StaleReason.CROSSED
    book.apply(depth(13, 13, bids=[(10100, 0), (10150, 0)]))
    assert why(book) is None


def test_a_lost_feed_and_a_one_sided_book_are_named() -> None:
    """An empty snapshot leaves no book; a book without asks is no book to quote on."""
    book, _ = tracker()
    book.apply(snapshot())
    book.apply(depth(11, 11, asks=[(10100, 0)]))
    assert why(book) is StaleReason.ONE_SIDED
    assert book.mid_double_ticks is None
    book.apply(snapshot(0, bids=[], asks=[]))
    assert why(book) is StaleReason.NO_BOOK


def test_mids_are_kept_once_for_each_change() -> None:
    """An update deep in the book adds no mid; one at the touch does, with its time."""
    book, clock = tracker()
    book.apply(snapshot())
    clock.advance(7)
    book.apply(depth(11, 11, bids=[(9000, 1)]))
    book.apply(depth(12, 12, bids=[(9902, 1)]))
    assert list(book.mids) == [(0, 20_000), (7, 20_002)]
