"""Triangular arbitrage in the laboratory: profit only where the cross strays by more than three fees."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.errors import InvalidInputError, MrMarketError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.result import BacktestResult, outcome_key
from mrmarket.trading.backtest.runner import run_backtest
from mrmarket.trading.backtest.setting import BacktestSetting, ConstantLatency, TapeRef, Window
from mrmarket.trading.backtest.triangle_recording import TriangleTapesError
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.market.triangle_tapes import Straying, write_triangle
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.strategy.triangular.port import NoTriangleError

PLAIN = Registry(plugins=lambda: ())
STEP_NS = 100 * NS_PER_MS


@pytest.fixture(scope="module")
def markets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Twenty seconds of three pairs, once with a cross that follows and once with one that strays."""
    folder = tmp_path_factory.mktemp("triangles")
    straying = Straying(bps=60, every_s=6, lasts_s=2)
    return {
        "fair": write_triangle(folder / "fair", 20),
        "strays": write_triangle(folder / "strays", 20, straying=straying),
    }


def run(paths: list[Path], **more: Any) -> BacktestResult:
    """Triangular arbitrage with 100,000 of the home asset."""
    values: dict[str, Any] = {
        "tapes": tuple(TapeRef(path=str(path)) for path in paths),
        "strategy": "triangular_arbitrage",
        "quote": Decimal(100_000),
        **more,
    }
    return run_backtest(BacktestSetting(**values), registry=PLAIN)


def tape(folder: Path, symbol: str, shown: list[tuple[int, int, int]], **grid: str) -> Path:
    """A pair whose whole book is replaced at each of (step, bid, ask), 1000 lots a side."""
    base, quote = symbol.split("/")
    instrument = Instrument(
        venue=grid.pop("venue", "one"),
        symbol=symbol,
        base=base,
        quote=quote,
        tick_size=Decimal(grid.get("tick", "0.01")),
        lot_size=Decimal(grid.get("lot", "0.001")),
        taker_fee=Decimal("0.001"),
        maker_fee=Decimal("0.001"),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{instrument.venue_symbol}.jsonl"
    with TapeWriter(path, instrument) as writer:
        for number, (step, bid, ask) in enumerate(shown, start=1):
            at_ns = 10**18 + step * STEP_NS
            writer.write(
                MarketEvent(
                    kind=EventKind.SNAPSHOT,
                    exchange_ns=at_ns,
                    local_ns=at_ns,
                    last_id=number,
                    bids=[(bid, 1000)],
                    asks=[(ask, 1000)],
                )
            )
    return path


def simple(folder: Path, cross_ask: int, later: list[tuple[int, int, int]] | None = None) -> list[Path]:
    """B/A at 100.00, C/A at 200.00, and C/B for 2.00 or what is asked there; ten steps long."""
    still = [(0, 9_999, 10_000), (10, 9_999, 10_000)]
    dear = [(0, 20_000, 20_001), (10, 20_000, 20_001)]
    return [
        tape(folder, "B/A", still),
        tape(folder, "C/B", [(1, cross_ask - 1, cross_ask), *(later or [(10, cross_ask - 1, cross_ask)])]),
        tape(folder, "C/A", dear),
    ]


def agrees(result: BacktestResult) -> None:
    """The parts make the whole, and what is held says the same as the profit."""
    totals = result.totals
    assert totals.pnl_quote == totals.spread_quote + totals.inventory_quote - totals.fees_quote
    assert totals.trades == len(result.passes[0].fills.at_ns)
    home = Decimal(result.extra["held_at_end"][result.extra["home"]])
    assert abs(home - 100_000 - totals.cash_quote) < Decimal("0.00000002")


def test_a_cross_that_follows_leaves_nothing(markets: dict[str, list[Path]]) -> None:
    """Three fees of 10 bp are more than any difference of a consistent market: no order is sent."""
    result = run(markets["fair"])
    agrees(result)
    assert result.failure is None
    assert result.kind == "triangle"
    assert result.totals.orders_placed == 0
    assert result.totals.pnl_quote == 0
    assert result.extra["best_net_edge_bp"] < 0
    assert set(result.passes[0].decisions.reasons) <= {"no_edge", "empty_book"}


def test_a_cross_that_strays_pays(markets: dict[str, list[Path]]) -> None:
    """60 bp off pays three fees in both directions, each round gains, and dearer fees leave nothing."""
    result = run(markets["strays"])
    agrees(result)
    rounds = result.extra["rounds_made"]
    assert result.totals.pnl_quote > 0
    assert result.totals.fees_quote > 0
    assert result.extra["rounds"]["through"] > 1
    assert {each["path"][0] for each in rounds} == {"BTC/USDT", "ETH/USDT"}
    through = [each for each in rounds if each["end"] == "all three are through"]
    assert all(Decimal(each["made"]) > 0 for each in through)
    names = {each.name for each in result.assumptions}
    assert names >= {"fees", "capital", "fills", "depth", "latency", "market impact", "halts"}
    assert run(markets["strays"], taker_fee=Decimal("0.003")).totals.orders_placed == 0


def test_less_may_be_sent_around(markets: dict[str, list[Path]]) -> None:
    """No first order is larger than `max_notional`, and less is earned."""
    most = Decimal(500)
    result = run(markets["strays"], parameters={"max_notional": "500"})
    agrees(result)
    fills = result.passes[0].fills
    first: dict[int, Decimal] = {}
    for slot, order, price, size in zip(fills.slot, fills.order, fills.price, fills.size, strict=True):
        if slot == "t100":
            first[order] = first.get(order, Decimal(0)) + price * size
    assert first
    assert all(spent <= most for spent in first.values())
    assert 0 < result.totals.pnl_quote < run(markets["strays"]).totals.pnl_quote


def test_a_run_repeats_from_its_own_report(markets: dict[str, list[Path]]) -> None:
    """The completed setting, read back from JSON, gives the same result."""
    first = run(markets["strays"], window=Window(begin=0.2, end=0.7))
    setting = msgspec.json.decode(msgspec.json.encode(first.setting), type=BacktestSetting)
    assert outcome_key(run_backtest(setting, registry=PLAIN)) == outcome_key(first)


def test_equal_seeds_make_equal_tapes(tmp_path: Path, markets: dict[str, list[Path]]) -> None:
    """The files are the same byte by byte; another seed makes others."""
    again, other = write_triangle(tmp_path / "a", 20), write_triangle(tmp_path / "b", 20, seed=8)
    for one, two, three in zip(markets["fair"], again, other, strict=True):
        assert one.read_bytes() == two.read_bytes() != three.read_bytes()


def test_a_round_is_what_the_books_say(tmp_path: Path) -> None:
    """A at 100, C/B at 1.96 instead of 2: 2.04 % less three fees, in whole lots."""
    result = run(simple(tmp_path, 196), parameters={"depth_share": "1", "pause": 60})
    agrees(result)
    assert result.extra["rounds"] == {"through": 1}
    (made,) = result.extra["rounds_made"]
    # What rounding left over of the first asset goes home by its own pair, which nothing was promised for.
    assert Decimal(made["promised"]) < Decimal(made["made"]) < Decimal(made["promised"]) + Decimal("0.2")
    spent = sum(
        price * size
        for slot, price, size in zip(
            result.passes[0].fills.slot,
            result.passes[0].fills.price,
            result.passes[0].fills.size,
            strict=True,
        )
        if slot.startswith("t1")
    )
    gained = Decimal(made["promised"]) / spent
    assert Decimal("0.01") < gained < Decimal(2) / Decimal("1.96") * Decimal("0.999") ** 3 - 1
    assert result.passes[0].fills.slot == ["t100", "t200", "t300", "tb00"]


def test_a_cross_that_is_gone_is_undone(tmp_path: Path) -> None:
    """The cheap offer is gone when the second order arrives: what was bought goes home at a small loss."""
    slow = ConstantLatency(feed_ns=0, order_ns=60 * NS_PER_MS, response_ns=0)
    result = run(
        simple(tmp_path, 196, [(2, 205, 206), (10, 205, 206)]), latency=slow, parameters={"pause": 60}
    )
    agrees(result)
    assert result.extra["rounds"] == {"undone": 1}
    assert result.passes[0].fills.slot == ["t100", "tb00"]
    assert result.totals.pnl_quote < 0
    assert result.extra["rounds_made"][0]["end"].startswith("undone")


@pytest.mark.parametrize(
    ("case", "error"),
    [("two", TriangleTapesError), ("twice", TriangleTapesError), ("venues", TriangleTapesError),
     ("open", NoTriangleError), ("pairs", InvalidInputError), ("home", InvalidInputError)],
)  # fmt: skip
def test_what_is_no_triangle_is_refused(tmp_path: Path, case: str, error: type[MrMarketError]) -> None:
    """Two tapes, one twice, two venues, no closed way, other pairs, another home: one clear line each."""
    paths = simple(tmp_path, 196)
    parameters: dict[str, Any] = {}
    if case == "two":
        paths = paths[:2]
    elif case == "twice":
        paths[2] = tape(tmp_path / "more", "B/A", [(0, 1, 2), (10, 1, 2)])
    elif case == "venues":
        paths[2] = tape(tmp_path / "more", "C/A", [(0, 1, 2), (10, 1, 2)], venue="two")
    elif case == "open":
        paths[2] = tape(tmp_path / "more", "D/A", [(0, 1, 2), (10, 1, 2)])
    elif case == "pairs":
        parameters = {"pairs": ["C/B", "D/A"]}
    else:
        parameters = {"home": "C"}
    with pytest.raises(error) as refused:
        run(paths, parameters=parameters)
    assert "\n" not in str(refused.value)
