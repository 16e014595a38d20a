"""Candles, prints and day figures."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from front_desk import quiet_instrument
from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.venue.front.candles import INTERVALS, CandleStore, close_of, open_of
from mrmarket.trading.venue.front.grid import Grid
from mrmarket.trading.venue.front.prints import Prints, candle_row, percent_text
from mrmarket.trading.venue.simulated.records import PublicTrade, TopPublished

MIDNIGHT_S = int(datetime(2024, 8, 8, tzinfo=UTC).timestamp())
NOON_S = MIDNIGHT_S + 43_200


def trade(number: int, at_s: float, price: int = 100, lots: int = 1, *, buys: bool = True) -> PublicTrade:
    """A print."""
    return PublicTrade(
        trade_id=number, price_ticks=price, size_lots=lots, taker_buys=buys, at_ns=int(at_s * NS_PER_S)
    )


@pytest.mark.parametrize(
    ("interval", "opens", "closes"),
    [
        ("1s", "2024-08-08T13:47:09", "2024-08-08T13:47:10"),
        ("15m", "2024-08-08T13:45:00", "2024-08-08T14:00:00"),
        ("4h", "2024-08-08T12:00:00", "2024-08-08T16:00:00"),
        ("1d", "2024-08-08T00:00:00", "2024-08-09T00:00:00"),
        ("1w", "2024-08-05T00:00:00", "2024-08-12T00:00:00"),
        ("1M", "2024-08-01T00:00:00", "2024-09-01T00:00:00"),
    ],
)
def test_intervals_open_on_utc_weeks_on_monday_months_on_the_first(
    interval: str, opens: str, closes: str
) -> None:
    """Candle boundaries are Binance's."""
    at_s = int(datetime(2024, 8, 8, 13, 47, 9, tzinfo=UTC).timestamp())
    open_s = open_of(interval, at_s)
    assert datetime.fromtimestamp(open_s, UTC).isoformat() == opens + "+00:00"
    assert datetime.fromtimestamp(close_of(interval, open_s), UTC).isoformat() == closes + "+00:00"


def test_december_closes_in_january() -> None:
    """A month's candle passes the year's end."""
    december_s = int(datetime(2024, 12, 1, tzinfo=UTC).timestamp())
    assert close_of("1M", december_s) == int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())


def test_a_candle_is_what_was_traded_in_it() -> None:
    """Open, extremes, close, volumes, taker volumes and ids of a minute."""
    store = CandleStore()
    for number, (price, lots, buys) in enumerate(
        [(100, 1, True), (105, 2, False), (95, 3, True), (101, 4, False)], start=1
    ):
        store.add(trade(number, NOON_S + number, price, lots, buys=buys))
    candle = store.current("1m", NOON_S + 30)
    assert candle is not None
    assert (candle.open, candle.high, candle.low, candle.close) == (100, 105, 95, 101)
    assert (candle.lots, candle.grains, candle.buy_lots, candle.buy_grains) == (10, 999, 4, 385)
    assert (candle.count, candle.first_id, candle.last_id, candle.open_s) == (4, 1, 4, NOON_S)


def test_a_pause_in_trading_gives_flat_candles_at_the_last_price() -> None:
    """Between and after prints the candles have no volume and the last close."""
    store = CandleStore()
    store.add(trade(1, NOON_S, 100))
    store.add(trade(2, NOON_S + 180, 110))
    found = store.candles("1m", from_s=0, to_s=NOON_S + 300, limit=100, newest=True)
    assert [(candle.open, candle.close, candle.count) for candle in found] == [
        (100, 100, 1),
        (100, 100, 0),
        (100, 100, 0),
        (110, 110, 1),
        (110, 110, 0),
        (110, 110, 0),
    ]
    assert [candle.open_s for candle in found] == [NOON_S + 60 * number for number in range(6)]


def test_longer_candles_are_joined_from_minutes() -> None:
    """An hour has the extremes of its minutes and the sum of their volumes."""
    store = CandleStore()
    for minute in range(120):
        store.add(trade(minute + 1, NOON_S + 60 * minute, 100 + minute, 2))
    first, second = store.candles("1h", from_s=NOON_S, to_s=NOON_S + 7_199, limit=10, newest=True)
    assert (first.open, first.close, first.lots, first.first_id, first.last_id) == (100, 159, 120, 1, 60)
    assert (second.low, second.high, second.count) == (160, 219, 60)
    for interval in INTERVALS:
        whole = store.candles(interval, from_s=0, to_s=NOON_S + 7_199, limit=10**6, newest=True)
        assert sum(candle.lots for candle in whole) == 240


def test_the_limit_keeps_the_newest_or_the_oldest() -> None:
    """Without a start the newest are wanted, with one the oldest."""
    store = CandleStore()
    for second in range(10):
        store.add(trade(second + 1, NOON_S + second))
    newest = store.candles("1s", from_s=0, to_s=NOON_S + 9, limit=2, newest=True)
    oldest = store.candles("1s", from_s=NOON_S + 3, to_s=NOON_S + 9, limit=2, newest=False)
    assert [candle.open_s - NOON_S for candle in newest + oldest] == [8, 9, 3, 4]
    assert CandleStore().current("1m", NOON_S) is None


def test_a_kline_row_is_binances() -> None:
    """Twelve fields, closing a millisecond before the next candle."""
    grid = Grid(quiet_instrument())
    store = CandleStore()
    store.add(trade(1, NOON_S, 6_000_000, 1_000))
    candle = store.current("1m", NOON_S)
    assert candle is not None
    assert candle_row(grid, "1m", candle) == [
        NOON_S * 1000, "60000.00000000", "60000.00000000", "60000.00000000", "60000.00000000", "0.01000000",
        NOON_S * 1000 + 59_999, "600.00000000", 1, "0.01000000", "600.00000000", "0",
    ]  # fmt: skip


def test_day_figures_look_back_24_hours() -> None:
    """Older prints give only the previous close."""
    prints = Prints(Grid(quiet_instrument()))
    prints.add(trade(1, NOON_S - 90_000, 5_000_000, 100))
    prints.add(trade(2, NOON_S - 3_600, 6_000_000, 100))
    prints.add(trade(3, NOON_S - 1_800, 6_600_000, 300))
    day = prints.day(NOON_S * NS_PER_S)
    assert (day["prevClosePrice"], day["openPrice"], day["lastPrice"]) == (
        "50000.00000000",
        "60000.00000000",
        "66000.00000000",
    )
    assert (day["priceChange"], day["priceChangePercent"], day["count"]) == ("6000.00000000", "10.000", 2)
    assert (day["weightedAvgPrice"], day["volume"], day["quoteVolume"]) == (
        "64500.00000000",
        "0.00400000",
        "258.00000000",
    )
    assert prints.mean_price(NOON_S * NS_PER_S) == "66000.00000000"
    assert prints.mean_price((NOON_S - 1_800) * NS_PER_S) == "66000.00000000"


def test_a_pair_without_prints_has_zeros() -> None:
    """A venue that has just started answers, with nothing in it."""
    prints = Prints(Grid(quiet_instrument()))
    day = prints.day(NOON_S * NS_PER_S)
    assert (day["lastPrice"], day["priceChangePercent"], day["count"]) == ("0.00000000", "0.000", 0)
    assert prints.book_ticker()["bidPrice"] == "0.00000000"
    prints.top = TopPublished(symbol="BTC/USDT", last_id=1, bid=None, ask=(6_000_000, 1), at_ns=0)
    assert prints.book_ticker()["askQty"] == "0.00001000"


@pytest.mark.parametrize(
    ("change", "base", "text"), [(1, 3, "33.333"), (-1, 3, "-33.333"), (0, 5, "0.000"), (-1, 10**9, "0.000")]
)
def test_percentages_have_three_decimals(change: int, base: int, text: str) -> None:
    """Rounded towards zero, without a negative zero."""
    assert percent_text(change, base) == text


def test_prints_of_one_step_at_one_price_are_one_aggregate() -> None:
    """Price, side and instant must agree; what was taken once is never changed again."""
    prints = Prints(Grid(quiet_instrument()))
    prints.add(trade(1, NOON_S, 100, 1))
    prints.add(trade(2, NOON_S, 100, 2))
    prints.add(trade(3, NOON_S, 100, 4, buys=False))
    prints.add(trade(4, NOON_S, 101, 8, buys=False))
    prints.add(trade(5, NOON_S + NS_PER_MS / NS_PER_S, 101, 16, buys=False))
    fresh = prints.take_fresh()
    assert [(row.first_id, row.last_id, row.size_lots) for row in fresh] == [
        (1, 2, 3),
        (3, 3, 4),
        (4, 4, 8),
        (5, 5, 16),
    ]
    prints.add(trade(6, NOON_S + NS_PER_MS / NS_PER_S, 101, 32, buys=False))
    assert [row.first_id for row in prints.take_fresh()] == [6]
