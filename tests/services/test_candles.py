"""Candles of any length from one-second bars."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.instrument import Instrument
from mrmarket.services.candles import CandleStore
from mrmarket.trading.market.event import EventKind, MarketEvent

PAIR = Instrument("sim", "BTC/USDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"))
START_S = 1_700_000_000


def trade(second: int, price_ticks: int, size_lots: int = 1) -> MarketEvent:
    """A public trade so many seconds after the start."""
    at_ns = (START_S + second) * NS_PER_S
    return MarketEvent(
        kind=EventKind.TRADE, exchange_ns=at_ns, local_ns=at_ns, price_ticks=price_ticks, size_lots=size_lots
    )


def store_of(trades: list[MarketEvent]) -> CandleStore:
    """A store that has seen these."""
    store = CandleStore(PAIR)
    for event in trades:
        store.add(event)
    return store


def test_a_candle_has_the_first_last_highest_and_lowest_price_of_its_interval() -> None:
    """Seconds join into the interval they fall into; an interval without trades has no candle."""
    store = store_of([trade(0, 100), trade(1, 300), trade(3, 50), trade(4, 200), trade(12, 400)])
    first, last = store.candles(5, 10)
    assert (first.open, first.high, first.low, first.close, first.volume) == ("1", "3", "0.5", "2", "0.00004")
    assert first.start_ms == START_S * 1000
    assert last.start_ms == (START_S + 10) * 1000


def test_the_newest_candles_are_kept_when_there_are_too_many() -> None:
    """The limit cuts the oldest."""
    store = store_of([trade(second, 100 + second) for second in range(10)])
    assert [candle.close for candle in store.candles(1, 3)] == ["1.07", "1.08", "1.09"]
    assert store_of([]).candles(5, 10) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 1000), st.integers(1, 50)), min_size=1, max_size=60
    ),
    st.integers(1, 30),
)
def test_joining_loses_no_volume(rows: list[tuple[int, int, int]], interval_s: int) -> None:
    """The candles' volumes sum to the trades', whatever the interval."""
    trades = [trade(*row) for row in sorted(rows, key=lambda row: row[0])]
    candles = store_of(trades).candles(interval_s, 1000)
    assert sum(Decimal(candle.volume) for candle in candles) == PAIR.size(sum(row[2] for row in rows))
    assert [candle.start_ms for candle in candles] == sorted({candle.start_ms for candle in candles})
    assert all(candle.start_ms % (interval_s * 1000) == 0 for candle in candles)
