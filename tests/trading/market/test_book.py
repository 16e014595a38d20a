"""The order book."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.trading.market import book as book_module
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.errors import SequenceGapError
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.market.generator import DEFAULT_INSTRUMENT


def _event(
    kind: EventKind, bids: list[Level], asks: list[Level], first: int = 0, last: int = 0
) -> MarketEvent:
    return MarketEvent(
        kind=kind, exchange_ns=1, local_ns=1, first_id=first, last_id=last, bids=bids, asks=asks
    )


def _opened() -> OrderBook:
    book = OrderBook(DEFAULT_INSTRUMENT)
    book.apply(_event(EventKind.SNAPSHOT, [(100, 5), (98, 7)], [(101, 3), (104, 2)], last=10))
    return book


def test_an_empty_book_has_no_best_prices() -> None:
    """Nothing is known before the first snapshot, and updates are not taken."""
    book = OrderBook(DEFAULT_INSTRUMENT)
    assert not book.synced
    assert not book.apply(_event(EventKind.DEPTH, [(100, 5)], [], 1, 1))
    assert (book.best_bid, book.best_ask, book.bids(5), book.asks(5)) == (None, None, [], [])
    assert not book.crossed


def test_a_snapshot_replaces_everything() -> None:
    """The second snapshot leaves nothing of the first."""
    book = _opened()
    assert book.apply(_event(EventKind.SNAPSHOT, [(50, 1)], [(60, 2)], last=20))
    assert (book.bids(9), book.asks(9), book.last_id) == ([(50, 1)], [(60, 2)], 20)


def test_updates_change_add_and_remove_levels() -> None:
    """Sizes are absolute, 0 removes, and the best prices follow."""
    book = _opened()
    assert book.apply(_event(EventKind.DEPTH, [(100, 0), (99, 4), (98, 8)], [(101, 0), (103, 9)], 11, 12))
    assert book.best_bid == (99, 4)
    assert book.best_ask == (103, 9)
    assert book.bids(9) == [(99, 4), (98, 8)]
    assert book.asks(1) == [(103, 9)]
    assert (book.bid_lots(98), book.bid_lots(97), book.ask_lots(104), book.ask_lots(101)) == (8, 0, 2, 0)
    assert book.last_id == 12


def test_a_level_that_comes_back_stands_again() -> None:
    """Removing and adding one price leaves it once, at its place."""
    book = _opened()
    book.apply(_event(EventKind.DEPTH, [(100, 0)], [], 11, 11))
    book.apply(_event(EventKind.DEPTH, [(100, 6)], [], 12, 12))
    assert book.bids(9) == [(100, 6), (98, 7)]


def test_a_side_can_run_empty_and_fill_again() -> None:
    """A side without levels has no best price, and the next level is the best."""
    book = _opened()
    book.apply(_event(EventKind.DEPTH, [(100, 0), (98, 0)], [(101, 0), (104, 0)], 11, 11))
    assert (book.best_bid, book.best_ask) == (None, None)
    book.apply(_event(EventKind.DEPTH, [(97, 1)], [(105, 1)], 12, 12))
    assert (book.best_bid, book.best_ask) == ((97, 1), (105, 1))


def test_trades_and_tops_do_not_touch_the_book() -> None:
    """Only snapshots and updates make the book."""
    book = _opened()
    assert not book.apply(_event(EventKind.TOP, [(1, 1)], [(2, 2)], last=99))
    assert not book.apply(MarketEvent(kind=EventKind.TRADE, exchange_ns=1, local_ns=1, price_ticks=9))
    assert (book.best_bid, book.last_id) == ((100, 5), 10)


def test_a_gap_unsyncs_the_book() -> None:
    """After a gap the book says so until a snapshot comes."""
    book = _opened()
    with pytest.raises(SequenceGapError, match="take a new snapshot"):
        book.apply(_event(EventKind.DEPTH, [], [], 13, 14))
    assert not book.synced
    book.apply(_event(EventKind.SNAPSHOT, [], [], last=20))
    assert book.synced


def test_a_crossed_book_is_noticed() -> None:
    """A bid at or above the best ask is crossed."""
    book = _opened()
    assert not book.crossed
    book.apply(_event(EventKind.DEPTH, [(101, 1)], [], 11, 11))
    assert book.crossed


levels = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 9)), max_size=12)


@given(st.lists(st.tuples(levels, levels), max_size=30), st.integers(1, 5))
def test_the_book_equals_a_plain_dictionary(
    updates: list[tuple[list[Level], list[Level]]], every: int
) -> None:
    """After any updates, with compactions at any time, the book holds what a dictionary would."""
    book = OrderBook(DEFAULT_INSTRUMENT)
    book.apply(_event(EventKind.SNAPSHOT, [], []))
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    for number, (new_bids, new_asks) in enumerate(updates, 1):
        if number % every == 0:
            book._until_compaction = 1
        book.apply(_event(EventKind.DEPTH, new_bids, new_asks))
        bids |= dict(new_bids)
        asks |= dict(new_asks)
        wanted_bids = sorted(((p, q) for p, q in bids.items() if q), reverse=True)
        wanted_asks = sorted((p, q) for p, q in asks.items() if q)
        assert book.best_bid == (wanted_bids[0] if wanted_bids else None)
        assert book.best_ask == (wanted_asks[0] if wanted_asks else None)
        assert book.bids(100) == wanted_bids
        assert book.asks(100) == wanted_asks
    assert 0 < book._until_compaction <= book_module._COMPACT_EVERY
