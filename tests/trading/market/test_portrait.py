"""A market in figures."""

from __future__ import annotations

import pytest

from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.market.generator import DEFAULT_INSTRUMENT
from mrmarket.trading.market.portrait import LAGS_S, Sitting, quantiles

MS = 1_000_000


def _top(at_ms: int, bid: Level | None, ask: Level | None) -> MarketEvent:
    return MarketEvent(
        kind=EventKind.TOP,
        exchange_ns=at_ms * MS,
        local_ns=0,
        bids=[bid] if bid else [],
        asks=[ask] if ask else [],
    )


def _trade(at_ms: int, price: int, size: int, *, buys: bool) -> MarketEvent:
    return MarketEvent(
        kind=EventKind.TRADE,
        exchange_ns=at_ms * MS,
        local_ns=0,
        price_ticks=price,
        size_lots=size,
        taker_buys=buys,
    )


def _watched() -> Sitting:
    book = MarketEvent(
        kind=EventKind.SNAPSHOT,
        exchange_ns=1000 * MS,
        local_ns=0,
        bids=[(100, 5), (98, 7), (50, 1)],
        asks=[(101, 5), (103, 9), (200, 1)],
    )
    frames = [
        MarketEvent(kind=EventKind.DEPTH, exchange_ns=at * MS, local_ns=0, bids=[(1, 1)])
        for at in range(1001, 1011)
    ]
    sitting = Sitting(DEFAULT_INSTRUMENT)
    sitting.watch(
        [
            book,
            _top(1000, (100, 5), (101, 5)),
            *frames,
            _trade(1100, 101, 2, buys=True),
            _trade(1100, 103, 3, buys=True),
            _trade(1150, 100, 1, buys=False),
            _top(1750, (100, 9), (111, 5)),
            _top(1800, None, (111, 5)),
            _top(2000, (110, 5), (111, 5)),
            _trade(2000, 111, 4, buys=True),
        ]
    )
    return sitting


def test_prints_of_one_side_and_millisecond_are_one_order() -> None:
    """An order's size and sweep are put together from its prints."""
    portrait = _watched().portrait()
    assert portrait.seconds == 1.0
    assert portrait.orders_per_s == 3.0
    assert portrait.sweep_share == pytest.approx(1 / 3)
    assert portrait.sweep_ticks[2] == 2
    assert portrait.same_side_share == 0.0
    assert portrait.single_print_share == 1.0
    assert portrait.order_lots[-1] == 5
    assert portrait.order_gap_ms[0] == 50


def test_best_prices_count_by_the_time_they_stood() -> None:
    """Spread and size at the touch are weighted by time; a one-sided top changes nothing."""
    portrait = _watched().portrait()
    shares = dict(portrait.spread_shares)
    # 1 tick for the first 750 ms; the wider spread then stood for 250 ms.
    assert shares[1] == pytest.approx(0.75)
    assert shares[50] == 1.0
    assert portrait.touch_mean_lots == (0.75 * 5 + 0.25 * 9 + 5) / 2
    assert portrait.mid_moves_per_s == 2.0


def test_depth_is_summed_outwards() -> None:
    """Each distance holds everything up to it."""
    depth = _watched().portrait().depth_lots
    assert depth[:4] == [5.0, 5.0, 13.0, 13.0]
    assert depth == sorted(depth)


def test_volatility_of_a_market_too_short_for_a_lag_is_zero() -> None:
    """A second of market says nothing of thirty."""
    portrait = _watched().portrait()
    assert portrait.volatility_ticks[LAGS_S.index(30.0)] == 0.0
    assert portrait.volatility_ticks[0] > 0.0


def test_quantiles_of_nothing_are_zero() -> None:
    """No values, no error."""
    assert set(quantiles([])) == {0.0}
    assert quantiles([3]) == [3.0] * 6
