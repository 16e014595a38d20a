"""Bars: files as archives publish them, honest fills, and the live strategies on them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest_stage import registry, setting
from mrmarket.core.errors import MrMarketError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.bar_driver import (
    EXPIRED,
    FILLED,
    LIMIT,
    POST_ONLY,
    REFUSED,
    TAKE,
    BarFill,
    BarMarket,
    play_bars,
)
from mrmarket.trading.backtest.bar_file import Bars, is_bar_file, load_bars
from mrmarket.trading.backtest.result import outcome_key
from mrmarket.trading.backtest.runner import prepare, run_backtest
from mrmarket.trading.backtest.setting import TapeRef, Window
from shared_data import SHARED, needs_shared

MINUTE_NS = 60 * 10**9
GRID = Instrument(
    venue="", symbol="BTC/USD", base="BTC", quote="USD", tick_size=Decimal(1), lot_size=Decimal(1)
)


def bars(*rows: tuple[int, int, int, int, int]) -> Bars:
    """Minutes of (open, high, low, close, volume)."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    times = [(number + 1) * MINUTE_NS for number in range(len(rows))]
    return Bars(Path("made"), "", GRID, MINUTE_NS, times, *columns)


def fills_of(
    made: Bars, *orders: tuple[int, int, int, int], share: Fraction = Fraction(1)
) -> list[tuple[int, ...]]:
    """(bar, order, price, lots, maker, end) of orders (sign, price, lots, kind) placed at the first close."""

    def on_bar(market: BarMarket, _fills: Sequence[BarFill]) -> None:
        if market.bar == 0:
            for order in orders:
                market.place(*order)

    return [
        (each.bar, each.order, each.price_ticks, each.lots, int(each.maker), each.end)
        for each in play_bars(made, on_bar, volume_share=share)
    ]


def test_a_touch_fills_nobody_and_a_bar_through_the_price_does() -> None:
    """A bid at 95 survives a low of 95 and is filled at 95 by a low of 94."""
    made = bars((100, 100, 100, 100, 50), (100, 101, 95, 98, 50), (98, 99, 94, 97, 50))
    assert fills_of(made, (1, 95, 10, POST_ONLY)) == [(2, 1, 95, 10, 1, FILLED)]


def test_an_ask_is_filled_above_it_alone() -> None:
    """The mirror image."""
    made = bars((100, 100, 100, 100, 50), (100, 105, 100, 102, 50), (102, 106, 101, 103, 50))
    assert fills_of(made, (-1, 105, 10, POST_ONLY)) == [(2, 1, 105, 10, 1, FILLED)]


def test_fills_stay_within_the_share_of_the_volume() -> None:
    """A tenth of 50 lots is 5; the rest waits for the next bar through the price."""
    made = bars((100, 100, 100, 100, 50), (100, 100, 90, 95, 50), (95, 95, 90, 92, 30))
    found = fills_of(made, (1, 95, 10, POST_ONLY), share=Fraction(1, 10))
    assert found == [(1, 1, 95, 5, 1, FILLED), (2, 1, 95, 3, 1, FILLED)]


def test_the_worst_fill_of_a_bar_takes_the_volume_first() -> None:
    """The bar closes at 90: of a bid at 95 and an ask at 105 the bid, which loses, gets the 5 lots."""
    made = bars((100, 100, 100, 100, 50), (100, 110, 85, 90, 50))
    orders = ((-1, 105, 5, POST_ONLY), (1, 95, 5, POST_ONLY))
    assert fills_of(made, *orders, share=Fraction(1, 10)) == [(1, 2, 95, 5, 1, FILLED)]


def test_what_reaches_across_the_open_takes_there_or_is_refused() -> None:
    """At an open of 100 a buy at 103 pays 101 as a taker, post-only it is refused; an IOC at 99 ends."""
    made = bars((100, 100, 100, 100, 50), (100, 100, 100, 100, 50))
    orders = ((1, 103, 5, LIMIT), (1, 103, 5, POST_ONLY), (-1, 90, 5, TAKE), (1, 99, 5, TAKE))
    assert fills_of(made, *orders) == [
        (1, 1, 101, 5, 0, FILLED),
        (1, 2, 103, 0, 0, REFUSED),
        (1, 3, 99, 5, 0, FILLED),
        (1, 4, 99, 0, 0, EXPIRED),
    ]


def test_what_takers_leave_of_the_volume_is_for_the_rest() -> None:
    """5 lots in all: 3 taken at the open, 2 for the resting bid."""
    made = bars((100, 100, 100, 100, 50), (100, 100, 90, 95, 50))
    orders = ((1, 103, 3, LIMIT), (1, 95, 5, POST_ONLY))
    assert fills_of(made, *orders, share=Fraction(1, 10)) == [
        (1, 1, 101, 3, 0, FILLED),
        (1, 2, 95, 2, 1, FILLED),
    ]


def test_a_cancelled_order_is_gone() -> None:
    """Before the bar that would fill it, and also in the bar in which it was placed."""
    made = bars((100, 100, 100, 100, 50), (100, 100, 99, 100, 50), (100, 100, 80, 85, 50))
    seen = []

    def on_bar(market: BarMarket, _fills: Sequence[BarFill]) -> None:
        if market.bar == 0:
            market.cancel(market.place(1, 200, 1))
            market.place(1, 95, 1)
        elif market.bar == 1:
            seen.append((market.is_open(2), market.cancel(2), market.cancel(2), market.is_open(2)))

    assert play_bars(made, on_bar) == []
    assert seen == [(True, True, False, False)]


@settings(max_examples=60, deadline=None)
@given(
    moves=st.lists(st.tuples(*[st.integers(0, 4)] * 4, st.integers(0, 100)), min_size=2, max_size=30),
    orders=st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(90, 110)), min_size=1, max_size=6),
)
def test_no_fill_is_better_than_the_bar(
    moves: list[tuple[int, int, int, int, int]], orders: list[tuple[int, int]]
) -> None:
    """Resting fills lie strictly inside the bar's range and all of a bar's within the volume's share."""
    price, rows = 100, []
    for up, down, above, below, volume in moves:
        opened, price = price, max(20, price + up - down)
        rows.append((opened, max(opened, price) + above, min(opened, price) - below, price, volume))
    made = bars(*rows)

    def on_bar(market: BarMarket, _fills: Sequence[BarFill]) -> None:
        for sign, ticks in orders:
            market.place(sign, ticks, 7)

    found = play_bars(made, on_bar, volume_share=Fraction(1, 5))
    for each in found:
        if each.maker:
            assert (
                made.low[each.bar] < each.price_ticks
                if each.sign > 0
                else made.high[each.bar] > each.price_ticks
            )
    for bar in range(len(made)):
        assert sum(each.lots for each in found if each.bar == bar) <= made.volume[bar] // 5


def write_csv(path: Path, text: str) -> Path:
    """A file of bars, packed where its name says so."""
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


KRAKEN = """exchange,pair,closing_time,open,high,low,close,base_volume
kraken,ETH/USD,1569270300,200.10,200.20,200.00,200.10,1.5
kraken,BTC/USD,1569270300,8000.5,8010,7990,8000,0.25
kraken,BTC/USD,1569270600,8000,8020.5,7980,8010,1
kraken,BTC/USD,1569271500,8010,8012,8001,8002,2
"""


def test_a_file_of_several_pairs_is_read_by_the_pair(tmp_path: Path) -> None:
    """Grid from the numbers, times as they close, missing bars missing, the exchange as the venue."""
    path = write_csv(tmp_path / "kraken_300s.csv.gz", KRAKEN)
    found = load_bars(TapeRef(path=str(path)), "BTC/USD")
    assert (found.instrument.venue, found.instrument.symbol) == ("kraken", "BTC/USD")
    assert (found.instrument.tick_size, found.instrument.lot_size) == (Decimal("0.1"), Decimal("0.01"))
    assert found.interval_ns == 300 * 10**9
    assert found.close_ns == [1569270300 * 10**9, 1569270600 * 10**9, 1569271500 * 10**9]
    assert found.high == [80_100, 80_205, 80_120]
    assert found.volume == [25, 100, 200]
    with pytest.raises(MrMarketError, match="holds BTC/USD, ETH/USD; say which one is meant"):
        load_bars(TapeRef(path=str(path)))
    with pytest.raises(MrMarketError, match="LTC/USD is not among them"):
        load_bars(TapeRef(path=str(path)), "LTC/USD")
    with pytest.raises(MrMarketError, match="SHA-256"):
        load_bars(TapeRef(path=str(path), sha256="00"), "BTC/USD")


@pytest.mark.parametrize(
    ("times", "close_s"),
    [
        (("2020-01-01 00:00:00", "2020-01-01 00:01:00"), 1577836860),
        (("1577836800000", "1577836860000"), 1577836860),
        (("1577836800", "1577836860"), 1577836860),
        (("1577836800000000000", "1577836860000000000"), 1577836860),
    ],
)
def test_times_are_read_as_they_are_written(tmp_path: Path, times: tuple[str, str], close_s: int) -> None:
    """Words, seconds, milliseconds and nanoseconds; an opening time is moved to the close."""
    rows = "".join(f"{at},1,2,0.5,1,3\n" for at in times)
    path = write_csv(tmp_path / "x.csv", f"timestamp,Open,High,Low,Close,Volume\n{rows}")
    assert load_bars(TapeRef(path=str(path))).close_ns[0] == close_s * 10**9


def test_a_feather_file_is_read_and_named_by_its_file(tmp_path: Path) -> None:
    """`LTC_BTC-5m.feather` is LTC/BTC; float noise behind the eighth decimal is dropped."""
    frame = pl.DataFrame(
        {
            "date": [1_500_000_000_000, 1_500_000_300_000],
            "open": [0.0169325, 0.01698499],
            "high": [0.017, 0.0170000000001],
            "low": [0.0169, 0.0169],
            "close": [0.01698, 0.01699],
            "volume": [105.5, 104.25],
        }
    ).with_columns(pl.col("date").cast(pl.Datetime("ms", "UTC")))
    path = tmp_path / "LTC_BTC-5m.feather"
    frame.write_ipc(path)
    found = load_bars(TapeRef(path=str(path)))
    assert found.instrument.symbol == "LTC/BTC"
    assert found.instrument.tick_size == Decimal("1E-8")
    assert found.high == [1_700_000, 1_700_000]
    assert found.volume == [10_550, 10_425]
    assert found.close_ns[0] == 1_500_000_300_000 * 10**6


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bar_file"),
        ("timestamp,open,high,low,close\n1,1,1,1,1\n", "tape_channel_missing"),
        ("open,high,low,close,volume\n1,1,1,1,1\n", "tape_channel_missing"),
        ("timestamp,open,high,low,close,volume\n", "bar_file"),
        ("timestamp,open,high,low,close,volume\n60,1,1,1,1,1\n", "bar_file"),
        ("timestamp,open,high,low,close,volume\n60,1,x,1,1,1\n120,1,1,1,1,1\n", "bar_file"),
        ("timestamp,open,high,low,close,volume\n60,1,1,2,1,1\n120,1,1,1,1,1\n", "bar_file"),
        ("timestamp,open,high,low,close,volume\n60,1,1,1,1,1\n60,1,1,1,1,1\n", "bar_file"),
    ],
)
def test_files_that_are_no_bars_are_refused(tmp_path: Path, text: str, code: str) -> None:
    """Empty, without a column, without a row, with one row, with words, impossible, twice."""
    path = write_csv(tmp_path / "x.csv", text)
    with pytest.raises(MrMarketError) as caught:
        load_bars(TapeRef(path=str(path)))
    assert caught.value.code == code
    with pytest.raises(MrMarketError) as caught:
        load_bars(TapeRef(path=str(tmp_path / "none.csv")))
    assert caught.value.code == "tape_not_found"
    assert is_bar_file(path)
    assert not is_bar_file("x.gz")


def sawtooth(tmp_path: Path, count: int = 60) -> Path:
    """Minutes that swing by 1 % around 100."""
    rows = []
    for number in range(count):
        opened, closed = (100, 101) if number % 2 else (101, 100)
        rows.append(f"{60 * (number + 1)},{opened}.00,101.50,99.50,{closed}.00,500.5\n")
    return write_csv(tmp_path / "saw.csv", "timestamp,open,high,low,close,volume\n" + "".join(rows))


def test_a_live_strategy_runs_on_bars(tmp_path: Path) -> None:
    """Fixed spread in a sawtooth earns its spread; every identity of the totals holds; a repeat is equal."""
    path = sawtooth(tmp_path)
    asked = setting(
        path,
        "pure_market_making",
        parameters={"bid_spread": "0.006", "ask_spread": "0.006", "order_amount": "1", "number_of_layers": 1},
        maker_fee=Decimal("0.0002"),
        symbol="BTC/USD",
    )
    prepare(asked)
    result = run_backtest(asked)
    totals = result.totals
    assert result.kind == "bars"
    assert totals.trades > 20
    assert totals.pnl_quote == totals.cash_quote + totals.base_change * totals.final_mid - totals.fees_quote
    assert totals.pnl_quote == totals.spread_quote + totals.inventory_quote - totals.fees_quote
    assert totals.fees_quote == totals.maker_volume_quote * Decimal("0.0002")
    assert totals.quote_uptime is not None
    assert totals.quote_uptime > 0.9
    assert result.passes[0].curve.pnl_quote[-1] == pytest.approx(float(totals.pnl_quote))
    assert {each.name for each in result.assumptions} >= {"inside a bar", "volume", "missing bars"}
    assert outcome_key(run_backtest(result.setting)) == outcome_key(result)


@pytest.mark.parametrize("kind", ["ioc", "market", "limit", "post_only"])
def test_every_kind_of_order_goes_through_bars(tmp_path: Path, kind: str) -> None:
    """A buy across the open takes unless it is post-only, which is refused and rests."""
    path = sawtooth(tmp_path)
    asked = setting(
        path,
        parameters={"bid_ticks": 1_030, "ask_ticks": 0, "lots": 10, "order_kind": kind},
        symbol="BTC/USD",
    )
    totals = run_backtest(asked, registry=registry()).totals
    if kind == "post_only":
        assert (totals.trades, totals.orders_rejected > 0) == (0, False)
    else:
        assert (totals.trades, totals.taker_fills) == (1, 1)


def test_a_strategy_that_raises_on_bars_fails_its_run(tmp_path: Path) -> None:
    """As on ticks."""
    asked = setting(sawtooth(tmp_path), parameters={"raises_at": 7}, symbol="BTC/USD")
    result = run_backtest(asked, registry=registry())
    assert result.failure is not None
    assert (result.failure.code, result.failure.decision) == ("strategy_raised", 7)


def test_a_window_of_bars(tmp_path: Path) -> None:
    """The second half alone, or a refusal where there are not two bars."""
    path = sawtooth(tmp_path)
    half = run_backtest(
        setting(path, parameters={"bid_ticks": 0}, symbol="BTC/USD", window=Window(begin=0.5)),
        registry=registry(),
    )
    assert half.rows == 31
    with pytest.raises(MrMarketError, match="fewer than two bars"):
        run_backtest(setting(path, symbol="BTC/USD", window=Window(begin=0.5, end=0.51)), registry=registry())


@needs_shared
def test_recorded_bars_are_played() -> None:
    """Kraken's five minutes of BTC/USD: bars are missing, and no fill is outside of its bar."""
    path = SHARED / "market" / "ohlcv_kraken_gemini_2019" / "kraken_300s.csv.gz"
    asked = setting(
        path,
        "pure_market_making",
        parameters={"bid_spread": "0.002", "ask_spread": "0.002"},
        symbol="BTC/USD",
        quote=Decimal(80_000),
    )
    result = run_backtest(asked)
    found = load_bars(TapeRef(path=str(path)), "BTC/USD")
    at = {close: number for number, close in enumerate(found.close_ns)}
    assert len(at) * found.interval_ns <= found.close_ns[-1] - found.close_ns[0] + found.interval_ns
    fills = result.passes[0].fills
    assert len(fills.at_ns) > 100
    for when, price in zip(fills.at_ns, fills.price, strict=True):
        ticks = found.instrument.price_to_ticks(price)
        assert found.low[at[when]] <= ticks <= found.high[at[when]]
