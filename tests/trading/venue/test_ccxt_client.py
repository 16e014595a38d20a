"""The taps on ccxt change nothing that ccxt's own code would have said."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ccxt.async_support.base.exchange import Exchange
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.clock import ManualClock
from mrmarket.trading.venue.ccxt_adapter import CcxtVenueConfig, ClockSkewError, VenueUrls
from mrmarket.trading.venue.ccxt_adapter.client import Taps, _plain_query, connect, trades_cache
from mrmarket.trading.venue.ccxt_adapter.clock_offset import measure_offset_ms
from mrmarket.trading.venue.ccxt_adapter.dialects.binance import BinanceDialect
from mrmarket.trading.venue.ccxt_adapter.dialects.generic import Dialect

values = st.one_of(
    st.text(alphabet="abcXYZ019._-~=&%+ /:\u00e9", max_size=8),
    st.integers(),
    st.booleans(),
    st.none(),
    st.floats(),
)


@given(st.dictionaries(st.text(alphabet="abc=& ", min_size=1, max_size=4), values, max_size=6))
def test_a_plain_query_is_what_ccxt_would_have_written(params: dict[str, Any]) -> None:
    """Whenever quoting is skipped, quoting would have changed nothing."""
    text = _plain_query(params)
    assert text is None or text == Exchange.urlencode(params)


def test_an_orders_query_is_plain() -> None:
    """What orders are made of takes the short way."""
    params = {"symbol": "BTCUSDT", "price": "61000.1", "timestamp": 1_700_000_000_000}
    assert _plain_query(params) == "symbol=BTCUSDT&price=61000.1&timestamp=1700000000000"


async def test_stamps_follow_the_venues_clock() -> None:
    """The offset goes into millisecond nonces and whole seconds, and into nothing else."""
    taps = Taps(ManualClock())
    exchange = connect(CcxtVenueConfig(), BinanceDialect(), taps)
    before_ms, before_s = exchange.nonce(), exchange.seconds()
    taps.offset_ms = 60_000
    assert 60_000 <= exchange.nonce() - before_ms < 61_000
    assert 60 <= exchange.seconds() - before_s <= 61
    seconds_only = connect(CcxtVenueConfig(exchange="kraken"), Dialect(), taps)
    assert seconds_only.number is float
    await exchange.close()
    await seconds_only.close()


async def test_every_address_moves_and_keeps_its_path() -> None:
    """An exchange without a dialect is pointed elsewhere by its host alone."""
    urls = VenueUrls(rest="http://127.0.0.1:1", ws="ws://127.0.0.1:2")
    exchange = connect(CcxtVenueConfig(exchange="kraken", urls=urls), Dialect(), Taps(ManualClock()))
    api = exchange.urls["api"]
    assert api["public"].startswith("http://127.0.0.1:1")
    assert api["ws"]["public"].startswith("ws://127.0.0.1:2")
    await exchange.close()


async def test_a_handing_on_cache_keeps_nothing() -> None:
    """Entries pass through; whoever asks the cache finds it empty and without an order to add fees to."""
    seen: list[Any] = []
    cache = trades_cache(seen.append)
    for number in range(3):
        cache.append({"id": number, "symbol": "BTC/USDT"})
    assert [entry["id"] for entry in seen] == [0, 1, 2]
    assert list(cache) == []
    assert cache.hashmap == {}
    assert cache.getLimit("BTC/USDT", 5) == 5


@pytest.mark.parametrize("skew_ms", [0, 700, -45_000])
async def test_the_offset_is_the_median_of_midpoints(skew_ms: int) -> None:
    """A slow answer counts by its middle, and one wild reading does not move the median."""
    clock = ManualClock()
    answers = iter([0, 0, 5000, 0, 0, 0])

    async def server_time() -> int:
        clock.advance(40_000_000)
        now_ms = clock.now_ns() // 1_000_000 + skew_ms + next(answers)
        clock.advance(40_000_000)
        await asyncio.sleep(0)
        return now_ms

    assert abs(await measure_offset_ms(server_time, clock, "x") - skew_ms) <= 1


async def test_a_clock_that_runs_away_is_refused() -> None:
    """If the corrected reading is still off by more than a second, no stamp can be trusted."""
    clock = ManualClock()
    jumps = iter([0, 0, 0, 0, 0, -1002])

    async def server_time() -> int:
        return clock.now_ns() // 1_000_000 + next(jumps)

    with pytest.raises(ClockSkewError, match="-1002 ms"):
        await measure_offset_ms(server_time, clock, "x")
