"""Two venues in the laboratory: profit only where the gross edge pays every fee, and every figure exact."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.errors import InvalidInputError, MrMarketError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.cross_recording import TwoVenuesError
from mrmarket.trading.backtest.cross_venue import run_cross
from mrmarket.trading.backtest.errors import (
    EmptyWindowError,
    PairMismatchError,
    StrategyChangedError,
    TapeChangedError,
)
from mrmarket.trading.backtest.result import BacktestResult, outcome_key
from mrmarket.trading.backtest.setting import BacktestSetting, ConstantLatency, TapeRef, Window
from mrmarket.trading.market.errors import TapeNotFoundError
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.strategy.arbitrage.cross_exchange import CrossExchangeArbitrage
from mrmarket.trading.strategy.arbitrage.parameters import CrossExchangeParameters
from mrmarket.trading.strategy.catalogue import BUILT_IN
from mrmarket.trading.strategy.cross_port import CrossDecision, CrossView
from mrmarket.trading.strategy.registry import Registry, StrategyKind, VenueCountError
from shared_data import SHARED, needs_shared

KIND = next(kind for kind in BUILT_IN if kind.name == "cross_exchange_arbitrage")
PLAIN = Registry(plugins=lambda: ())


def recorded(folder: Path, gap: float, polls: int = 200, seed: int = 3) -> Path:
    """Two exchanges polled every second in turn, whose mids lie `gap` (a fraction) apart and wander."""
    rng = Random(seed)  # noqa: S311 - a reproducible market, not a secret
    mid, lines = 50_000.0, []
    for poll in range(polls):
        mid += rng.choice((-1, 0, 1)) * 0.5
        for at, name in enumerate(("low", "high")):
            middle = mid * (1 + gap / 2 * (2 * at - 1))
            book = {
                "bids": [[round(middle - 1 - n, 2), 0.05] for n in range(5)],
                "asks": [[round(middle + 1 + n, 2), 0.05] for n in range(5)],
            }
            lines.append(json.dumps({"timestamp": 1000 + poll + at / 2, "exchange": name, **book}))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orderbooks.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def run(path: Path, fee: str, registry: Registry = PLAIN, **more: Any) -> BacktestResult:
    """Cross-exchange arbitrage at a fee for each order."""
    values: dict[str, Any] = {
        "tapes": (TapeRef(path=str(path)),),
        "strategy": "cross_exchange_arbitrage",
        "taker_fee": Decimal(fee),
        **more,
    }
    return run_cross(BacktestSetting(**values), registry, lambda _share, _doing: None)


def agrees(result: BacktestResult) -> None:
    """Cash flows, change of base and final mid make the profit, from the list of fills alone."""
    totals, fills = result.totals, result.passes[0].fills
    rows = list(zip(fills.side, fills.price, fills.size, fills.fee_quote, strict=True))
    signed = [(1 if side == "buy" else -1, price, size, fee) for side, price, size, fee in rows]
    cash = -sum((sign * price * size for sign, price, size, _ in signed), Decimal(0))
    base = sum((sign * size for sign, _, size, _ in signed), Decimal(0))
    fees = sum((fee for *_, fee in signed), Decimal(0))
    assert totals.pnl_quote == cash + base * totals.final_mid - fees
    assert (totals.cash_quote, totals.base_change, totals.fees_quote) == (cash, base, fees)
    assert totals.pnl_quote == totals.spread_quote + totals.inventory_quote - fees + totals.rebates_quote
    assert totals.trades == len(rows)


def test_profit_only_where_the_edge_pays_every_fee(tmp_path: Path) -> None:
    """Mids 36 bp apart: nothing at 20 bp an order, a profit at 10, and a larger one of each unit at none."""
    path = recorded(tmp_path / "xex_btcbrl", 0.0036)
    none = run(path, "0.0020")
    assert none.totals.trades == none.totals.pnl_quote == none.totals.fees_quote == 0
    assert none.extra["best_net_edge_bp"] < 0
    some, most = run(path, "0.0010"), run(path, "0")
    assert some.totals.pnl_quote > 0
    assert some.totals.fees_quote > 0
    assert most.totals.pnl_quote > some.totals.pnl_quote
    for result in (some, most):
        agrees(result)
        assert result.failure is None
        assert result.kind == "venues"
        assert result.totals.base_change == 0
        assert {each["buy_at"] for each in result.extra["pairs_made"]} == {"low"}


def test_a_run_repeats_from_its_own_report(tmp_path: Path) -> None:
    """The completed setting gives the same result, through JSON too, wherever the recording lies."""
    path = recorded(tmp_path / "one_btcbrl", 0.003)
    first = run(path, "0.0005")
    moved = recorded(tmp_path / "two_btcbrl", 0.003)
    setting = replace_path(first.setting, moved)
    again = run_cross(setting, PLAIN, lambda _share, _doing: None)
    assert outcome_key(again) == outcome_key(first)
    names = {each.name for each in first.assumptions}
    assert names >= {"fees", "capital", "fills", "book age", "depth", "latency", "market impact", "halts"}


def replace_path(setting: BacktestSetting, path: Path) -> BacktestSetting:
    """The same setting on a recording elsewhere, as it is read back from a report."""
    plain = msgspec.json.decode(msgspec.json.encode(setting), type=BacktestSetting)
    return msgspec.structs.replace(plain, tapes=(TapeRef(path=str(path), sha256=setting.tapes[0].sha256),))


def test_nothing_is_transferred(tmp_path: Path) -> None:
    """Half of the capital lies on each venue; once one has sold its base, the edge is left alone."""
    path = recorded(tmp_path / "xex_btcbrl", 0.004, polls=400)
    result = run(path, "0", base=Decimal("0.5"), quote=Decimal(100_000))
    agrees(result)
    held = result.extra["held_at_end"]
    assert Decimal(held["high"]["BTC"]) < Decimal("0.01")
    assert sum(Decimal(each["BTC"]) for each in held.values()) == Decimal("0.5")
    assert result.passes[0].decisions.reasons["no_base"] > 0


def test_the_wider_market_is_worth_more(tmp_path: Path) -> None:
    """Over random markets, profit is never negative by more than what a moving price explains, and exact."""
    for seed in range(3):
        agrees(run(recorded(tmp_path / f"s{seed}_btcbrl", 0.002, polls=120, seed=seed), "0.0003"))


def tape(path: Path, venue: str, prices: list[tuple[int, int]]) -> Path:
    """A tape of one venue whose book is replaced at each of (second, bid)."""
    instrument = Instrument(
        venue=venue,
        symbol="BTC/USDT",
        base="BTC",
        quote="USDT",
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.001"),
    )
    with TapeWriter(path, instrument) as writer:
        for second, bid in prices:
            writer.write(
                MarketEvent(
                    kind=EventKind.SNAPSHOT,
                    exchange_ns=second * NS_PER_S,
                    local_ns=second * NS_PER_S,
                    bids=[(bid, 100)],
                    asks=[(bid + 10, 100)],
                )
            )
    return path


def test_two_tapes_make_two_venues(tmp_path: Path) -> None:
    """An order meets the book of its arrival: an edge that is gone by then is missed or undone."""
    steady = tape(tmp_path / "one.jsonl", "one", [(s, 500_000) for s in range(1, 60)])
    dear = tape(
        tmp_path / "two.jsonl", "two", [(s, 505_000 if 10 <= s < 40 else 500_000) for s in range(1, 60)]
    )
    refs = (TapeRef(path=str(steady)), TapeRef(path=str(dear)))
    more: dict[str, Any] = {"parameters": {"max_book_age": 2, "max_book_gap": 2}}
    quick = run(tmp_path, "0.001", tapes=refs, latency=ConstantLatency(), **more)
    agrees(quick)
    assert quick.totals.pnl_quote > 0
    assert quick.extra["pairs"]["through"] > 1
    late = ConstantLatency(feed_ns=0, order_ns=35 * NS_PER_S, response_ns=0)
    slow = run(tmp_path, "0.001", tapes=refs, latency=late, **more)
    agrees(slow)
    assert slow.totals.pnl_quote <= 0
    assert "through" not in slow.extra["pairs"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"tapes": (TapeRef(path="nowhere"),)}, TapeNotFoundError),
        ({"tapes": (TapeRef(path="a"), TapeRef(path="b"), TapeRef(path="c"))}, TwoVenuesError),
        ({"parameters": {"fees_in": "received"}}, InvalidInputError),
        ({"parameters": {"pair": "ETH/BRL"}}, PairMismatchError),
        ({"snapshot": "0" * 64}, StrategyChangedError),
        ({"window": Window(begin_ns=1, end_ns=2)}, EmptyWindowError),
        ({"strategy": "grid"}, VenueCountError),
    ],
)
def test_what_cannot_be_run_is_refused(
    tmp_path: Path, changes: dict[str, Any], error: type[MrMarketError]
) -> None:
    """No recording, three tapes, a wrong pair, another snapshot, an empty window, a strategy of one venue."""
    path = recorded(tmp_path / "xex_btcbrl", 0.003, polls=5)
    with pytest.raises(error):
        run(path, "0", **changes)


def test_a_market_is_not_traded_against_itself(tmp_path: Path) -> None:
    """The same tape twice, other pairs, a folder without books, and a file that has changed are refused."""
    one = tape(tmp_path / "one.jsonl", "one", [(1, 500_000)])
    with pytest.raises(TwoVenuesError, match="given twice"):
        run(tmp_path, "0", tapes=(TapeRef(path=str(one)), TapeRef(path=str(one))))
    with pytest.raises(TwoVenuesError, match="no recording"):
        run(tmp_path, "0")
    path = recorded(tmp_path / "xex_btcbrl", 0.003, polls=5)
    with pytest.raises(TapeChangedError):
        run(path, "0", tapes=(TapeRef(path=str(path), sha256="0" * 64),))


class Raising(CrossExchangeArbitrage):
    """A strategy with a bug."""

    def decide(self, view: CrossView) -> CrossDecision:
        """Raise once it has something to do."""
        found = super().decide(view)
        if found.opportunity is not None:
            raise ZeroDivisionError("a bug")
        return found


def test_a_strategy_that_raises_fails_its_run(tmp_path: Path) -> None:
    """The result says so, with the time and the decision, and what was done before stands."""
    kind = StrategyKind(
        name="cross_exchange_arbitrage",
        version="1",
        summary="Raises.",
        schema=CrossExchangeParameters,
        make=Raising,
        venues=2,
    )
    registry = Registry(built_in=(kind,), plugins=lambda: ())
    result = run(recorded(tmp_path / "xex_btcbrl", 0.003, polls=20), "0", registry)
    assert result.failure is not None
    assert result.failure.code == "strategy_raised"
    assert result.totals.trades == 0


@needs_shared
def test_two_real_exchanges_leave_nothing_at_forty_basis_points() -> None:
    """On 9.7 h of two real books: no trade at 20 bp an order, a profit at 5."""
    path = SHARED / "market" / "xex_btcbrl_20200621"
    none = run(path, "0.0020")
    assert none.totals.trades == none.totals.pnl_quote == none.totals.fees_quote == 0
    some = run(path, "0.0005", window=Window(begin=0.4, end=0.6))
    agrees(some)
    assert some.totals.pnl_quote > 0
