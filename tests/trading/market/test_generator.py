"""The built-in market."""

from __future__ import annotations

from collections import Counter
from itertools import islice, takewhile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.generator import DEFAULT_INSTRUMENT, DEFAULT_PARAMETERS, MarketGenerator
from mrmarket.trading.market.generator_parameters import MarketParameters, load_parameters
from mrmarket.trading.market.portrait import Sitting
from mrmarket.trading.market.tape import open_tape

START_NS = 1_723_161_600_000_000_000
COMMITTED = Path(__file__).resolve().parents[2] / "tapes" / "generated.tape.gz"


def _make(count: int, seed: int = 1, **changes: float) -> list[MarketEvent]:
    parameters = msgspec.structs.replace(DEFAULT_PARAMETERS, **changes)
    return list(islice(MarketGenerator(parameters, DEFAULT_INSTRUMENT, seed, START_NS).events(), count))


def _check_market(events: list[MarketEvent]) -> OrderBook:
    """What every market of the generator keeps to; gives the book it ends with."""
    book = OrderBook(DEFAULT_INSTRUMENT)
    now_ns, last_id, trade_id = START_NS, 0, 0
    standing: tuple[tuple[int, int], tuple[int, int]] | None = None
    for event in events:
        assert event.exchange_ns >= now_ns
        assert event.local_ns > event.exchange_ns
        now_ns = event.exchange_ns
        assert all(price > 0 and lots >= 0 for price, lots in event.bids + event.asks)
        if event.kind is EventKind.DEPTH:
            assert event.first_id == last_id + 1
            assert event.last_id >= event.first_id
            assert event.bids or event.asks
        if event.kind in {EventKind.SNAPSHOT, EventKind.DEPTH}:
            last_id = event.last_id
            assert book.apply(event)
            assert not book.crossed
            assert standing is None or (book.best_bid, book.best_ask) == standing
        elif event.kind is EventKind.TOP:
            assert event.bids[0][0] < event.asks[0][0]
            assert event.bids[0][1] > 0
            assert event.asks[0][1] > 0
            assert standing != (event.bids[0], event.asks[0])
            standing = (event.bids[0], event.asks[0])
        else:
            assert event.last_id == trade_id + 1
            trade_id = event.last_id
            assert event.size_lots > 0
    return book


def test_the_default_market_is_consistent() -> None:
    """Snapshot first, no hole in the ids, never crossed, and the book's best prices are the tops'."""
    events = _make(8000)
    assert events[0].kind is EventKind.SNAPSHOT
    assert events[0].exchange_ns == START_NS
    _check_market(events)
    assert set(Counter(event.kind for event in events)) == set(EventKind)


def test_a_seed_makes_one_market() -> None:
    """Equal seeds give equal events, other seeds others."""
    assert _make(500, 3) == _make(500, 3)
    assert _make(500, 3) != _make(500, 4)


def test_trades_take_their_size_from_the_best_level() -> None:
    """A run of trades starts at the best price that stood, goes only deeper, and what it took is gone."""
    top: MarketEvent | None = None
    run: list[MarketEvent] = []
    runs = 0
    for event in _make(6000):
        if event.kind is EventKind.TRADE:
            run.append(event)
        elif event.kind is EventKind.TOP:
            if run and top is not None:
                runs += 1
                buys = run[0].taker_buys
                price, lots = (top.asks if buys else top.bids)[0]
                after, left = (event.asks if buys else event.bids)[0]
                prices = [trade.price_ticks for trade in run]
                assert prices == sorted(prices, reverse=not buys)
                assert prices[0] == price
                taken = sum(trade.size_lots for trade in run if trade.price_ticks == price)
                assert taken <= lots
                if after == price:
                    assert left == lots - taken
            top, run = event, []
    assert runs > 100


def test_it_goes_on_where_it_was() -> None:
    """A second call of `events` starts with a snapshot of the present and keeps the ids going."""
    generator = MarketGenerator(DEFAULT_PARAMETERS, DEFAULT_INSTRUMENT, 1, START_NS)
    first = list(islice(generator.events(), 2000))
    second = list(islice(generator.events(), 2000))
    assert second[0].kind is EventKind.SNAPSHOT
    assert second[0].exchange_ns >= first[-1].exchange_ns
    assert second[0].last_id >= first[-1].last_id
    trades = [event.last_id for event in first + second if event.kind is EventKind.TRADE]
    assert trades == sorted(set(trades))


def test_far_from_its_start_the_price_is_pulled_back() -> None:
    """A sweep goes up more often below the starting price, and always near zero."""
    generator = MarketGenerator(DEFAULT_PARAMETERS, DEFAULT_INSTRUMENT, 1, START_NS)
    start = DEFAULT_PARAMETERS.start_price_ticks
    chances = []
    for price in (start - 200_000, start, start + 200_000):
        for side in (generator._bids, generator._asks):
            side.sizes.clear()
            side.keys.clear()
        generator._bids.put(price, 1)
        generator._asks.put(-price - 1, 1)
        chances.append(generator._rise_chance())
    assert chances[0] > chances[1] == 0.5 > chances[2]
    generator._bids.keys[:] = [DEFAULT_PARAMETERS.depth_range_ticks]
    assert generator._rise_chance() == 1.0


def test_a_market_too_close_to_zero_is_refused() -> None:
    """The book must have room below the price."""
    with pytest.raises(InvalidInputError, match="start_price_ticks"):
        _make(1, start_price_ticks=1000)


def test_a_market_without_churn_has_frames_only_when_something_changed() -> None:
    """Frames without a change are not sent."""
    events = _make(300, churn_per_frame=0.1, touch_rate_per_s=0.5, order_rate_per_s=0.2)
    _check_market(events)
    frames = [event for event in events if event.kind is EventKind.DEPTH]
    seconds = (events[-1].exchange_ns - START_NS) / 1e9
    assert len(frames) < 10 * seconds


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    sweep_share=st.floats(0, 0.9),
    sweep_kept_share=st.floats(0.1, 3),
    touch_cancel_share=st.floats(0, 0.5),
    depth_levels=st.integers(10, 60),
    near_share=st.floats(0, 0.9),
    single_print_share=st.floats(0, 0.9),
    refill_mean_ms=st.floats(0.1, 500),
)
def test_wild_markets_are_consistent_too(seed: int, **changes: float) -> None:
    """Whatever the parameters, the market keeps its rules."""
    _check_market(_make(1200, seed, **changes))


def test_the_generated_market_looks_like_the_recorded_one() -> None:
    """A quarter of an hour has the figures measured on the real tape, within the noise of so short a time."""
    sitting = Sitting(DEFAULT_INSTRUMENT)
    end_ns = START_NS + 900 * 1_000_000_000
    generator = MarketGenerator(DEFAULT_PARAMETERS, DEFAULT_INSTRUMENT, 11, START_NS)
    sitting.watch(takewhile(lambda event: event.exchange_ns < end_ns, generator.events()))
    made = sitting.portrait()
    assert made.spread_shares[0][1] == pytest.approx(0.993, abs=0.005)
    assert made.orders_per_s == pytest.approx(9.3, rel=0.25)
    assert made.events_per_s["depth"] == pytest.approx(10, rel=0.01)
    assert made.touch_mean_lots == pytest.approx(225_000, rel=0.25)
    assert made.same_side_share == pytest.approx(0.68, abs=0.05)
    assert made.sweep_share == pytest.approx(0.14, abs=0.04)
    assert made.volatility_ticks[4] == pytest.approx(700, rel=0.4)
    # Volatility is about the same over all lags: no bounce, no trend.
    assert made.volatility_ticks[6] == pytest.approx(made.volatility_ticks[1], rel=0.4)


def test_the_committed_calibration_is_complete() -> None:
    """Both calibrated markets load, and a parameter that nobody knows would not."""
    assert load_parameters("BTC/USDT") == DEFAULT_PARAMETERS
    assert load_parameters("ETH/USDT").start_price_ticks < DEFAULT_PARAMETERS.start_price_ticks
    with pytest.raises(KeyError):
        load_parameters("XYZ/USDT")
    text = msgspec.json.encode(DEFAULT_PARAMETERS)[:-1] + b',"surprise":1}'
    with pytest.raises(msgspec.ValidationError, match="surprise"):
        msgspec.json.decode(text, type=MarketParameters)


def test_the_committed_tape_is_what_its_script_writes(tmp_path: Path) -> None:
    """The small tape of the tests is the generator's, unpacked byte for byte."""
    import gzip
    import runpy

    script = COMMITTED.parents[2] / "tools" / "make_generated_tape.py"
    write_tape = runpy.run_path(str(script))["write_tape"]
    fresh = tmp_path / "generated.tape.gz"
    count = write_tape(fresh)
    # Packed bytes may differ between versions of zlib.
    assert gzip.decompress(fresh.read_bytes()) == gzip.decompress(COMMITTED.read_bytes())
    tape = open_tape(COMMITTED)
    assert tape.instrument == DEFAULT_INSTRUMENT
    events = list(tape.events())
    assert len(events) == count
    _check_market(events)
    assert events[-1].exchange_ns - events[0].exchange_ns > 119 * 1_000_000_000
    assert COMMITTED.stat().st_size <= 300_000
