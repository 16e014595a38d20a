"""The real Binance recordings."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, Level
from mrmarket.trading.market.tape import open_tape
from mrmarket.trading.market.tape_info import describe
from shared_data import SHARED, needs_shared

TAPES = SHARED / "market" / "binance_raw_20240808"

pytestmark = [needs_shared, pytest.mark.shared]

RECORDINGS = [
    ("spot_btcusdt", "BTC/USDT", "0.01", "0.00001"),
    ("spot_ethusdt", "ETH/USDT", "0.01", "0.0001"),
    ("usdm_btcusdt", "BTC/USDT", "0.1", "0.001"),
    ("usdm_ethusdt", "ETH/USDT", "0.01", "0.001"),
    ("cm_btcusd_perp", "BTC/USD", "0.1", "1"),
    ("cm_ethusd_perp", "ETH/USD", "0.01", "1"),
]


@pytest.mark.parametrize(("name", "symbol", "tick", "lot"), RECORDINGS)
def test_the_rebuilt_book_is_the_exchanges(name: str, symbol: str, tick: str, lot: str) -> None:
    """Best bid and ask equal bookTicker at every shared update id, and at every update the last one before.

    The diffs come every 100 ms and bookTicker with every change, so 551 to 1,345 ids are shared
    (spot BTC/USDT 564). bookTicker speaks at every change of the best prices, so its last word up
    to an update's id must agree with that update as well: 3,400 and more comparisons on each tape.
    """
    tape = open_tape(TAPES / f"{name}_20240808.gz")
    instrument = tape.instrument
    assert (instrument.symbol, instrument.tick_size, instrument.lot_size) == (
        symbol,
        Decimal(tick),
        Decimal(lot),
    )
    book = OrderBook(instrument)
    rebuilt: dict[int, tuple[Level | None, Level | None]] = {}
    tops: dict[int, tuple[Level, Level]] = {}
    now_ns = 0
    for event in tape.events():
        assert event.exchange_ns >= now_ns
        now_ns = event.exchange_ns
        if event.kind is EventKind.TOP:
            tops[event.last_id] = (event.bids[0], event.asks[0])
        elif book.apply(event):
            assert not book.crossed
            rebuilt[event.last_id] = (book.best_bid, book.best_ask)
    shared = rebuilt.keys() & tops.keys()
    assert len(shared) > 500
    assert [update_id for update_id in shared if rebuilt[update_id] != tops[update_id]] == []
    ids = iter(sorted(tops))
    said, upcoming, compared = 0, next(ids), 0
    for update_id in sorted(rebuilt):
        while upcoming and upcoming <= update_id:
            said, upcoming = upcoming, next(ids, 0)
        if said:
            compared += 1
            assert rebuilt[update_id] == tops[said], update_id
    assert compared > 3400


@pytest.mark.parametrize("name", ["spot_btcusdt", "usdm_ethusdt"])
def test_the_recordings_have_no_gaps(name: str) -> None:
    """A whole recording is playable: six minutes, no gap, never crossed."""
    info = describe(TAPES / f"{name}_20240808.gz")
    assert info.playable
    assert info.crossed_lines == []
    assert info.events["snapshot"] == 1
    assert 340 < info.span_s < 350
