"""Candles."""

from __future__ import annotations

import pytest

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.market.bars import Bar, BarBuilder
from mrmarket.trading.market.event import EventKind, MarketEvent


def _trade(at_ns: int, price: int, size: int, *, buys: bool = False) -> MarketEvent:
    return MarketEvent(
        kind=EventKind.TRADE,
        exchange_ns=at_ns,
        local_ns=0,
        price_ticks=price,
        size_lots=size,
        taker_buys=buys,
    )


def test_a_bar_sums_up_its_trades() -> None:
    """Open, extremes, close, volumes and count are those of the interval's trades."""
    bars = BarBuilder(100)
    for event in (
        _trade(205, 10, 2, buys=True),
        _trade(210, 14, 1),
        _trade(250, 8, 3),
        _trade(299, 9, 4, buys=True),
    ):
        assert bars.add(event) is None
    assert bars.add(_trade(300, 20, 1)) == Bar(
        open_ns=200,
        open_ticks=10,
        high_ticks=14,
        low_ticks=8,
        close_ticks=9,
        volume_lots=10,
        volume_grains=20 + 14 + 24 + 36,
        taker_buy_lots=6,
        trades=4,
    )
    assert bars.current is not None
    assert bars.current.open_ns == 300


def test_an_interval_without_trades_has_no_bar() -> None:
    """The next bar starts where the next trade falls."""
    bars = BarBuilder(100)
    bars.add(_trade(5, 10, 1))
    closed = bars.add(_trade(950, 11, 1))
    assert closed is not None
    assert closed.open_ns == 0
    assert bars.current is not None
    assert bars.current.open_ns == 900


def test_time_alone_closes_a_bar() -> None:
    """A quiet market's bar is given as soon as its interval is over."""
    bars = BarBuilder(100)
    assert bars.close_before(500) is None
    bars.add(_trade(5, 10, 1))
    assert bars.close_before(99) is None
    assert bars.close_before(100) is not None
    assert bars.current is None


def test_a_late_trade_counts_in_the_current_bar() -> None:
    """No trade is lost for being late."""
    bars = BarBuilder(100)
    bars.add(_trade(105, 10, 1))
    assert bars.add(_trade(95, 12, 1)) is None
    assert bars.current is not None
    assert (bars.current.open_ns, bars.current.trades) == (100, 2)


def test_only_trades_count() -> None:
    """Other events leave the bars alone."""
    bars = BarBuilder(100)
    assert bars.add(MarketEvent(kind=EventKind.TOP, exchange_ns=5, local_ns=5)) is None
    assert bars.current is None


def test_a_length_of_nothing_is_refused() -> None:
    """An interval needs a length."""
    with pytest.raises(InvalidInputError):
        BarBuilder(0)
