"""A maker on two venues in the laboratory: queue and latency where it quotes, a hedge for every fill."""

from __future__ import annotations

import json
import lzma
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.backtest.cross_quotes import RestingQuotes
from mrmarket.trading.backtest.cross_venue import run_cross
from mrmarket.trading.backtest.result import BacktestResult, outcome_key
from mrmarket.trading.backtest.setting import (
    CALIBRATED,
    RISK_AVERSE,
    BacktestSetting,
    ConstantLatency,
    TapeRef,
    Window,
)
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.strategy.cross_making.maker import CrossExchangeMarketMaking
from mrmarket.trading.strategy.cross_making.parameters import CrossMakingParameters
from mrmarket.trading.strategy.cross_port import CrossView, WashTradeRefusedError
from mrmarket.trading.strategy.kind import StrategyKind
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.venue.simulated.book_arrays import QueueModel
from shared_data import SHARED, needs_shared

PLAIN = Registry(plugins=lambda: ())
GRID = Instrument(
    venue="maker",
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
)
SECOND = NS_PER_S


def book(at_ns: int, bid: int, ask: int, lots: int = 500) -> MarketEvent:
    """A whole book with one level a side."""
    kind = EventKind.SNAPSHOT
    return MarketEvent(kind=kind, exchange_ns=at_ns, local_ns=at_ns, bids=[(bid, lots)], asks=[(ask, lots)])


def sold(at_ns: int, price: int, lots: int, *, taker_buys: bool = False) -> MarketEvent:
    """A print."""
    return MarketEvent(
        kind=EventKind.TRADE,
        exchange_ns=at_ns,
        local_ns=at_ns,
        price_ticks=price,
        size_lots=lots,
        taker_buys=taker_buys,
    )


def write(path: Path, venue: str, events: list[MarketEvent]) -> TapeRef:
    """A tape."""
    with TapeWriter(path, replace(GRID, venue=venue)) as writer:
        for event in events:
            writer.write(event)
    return TapeRef(path=str(path))


def market(folder: Path, seed: int, edge_ticks: int, seconds: int = 90) -> tuple[TapeRef, TapeRef]:
    """A wide venue with prints, and a tight one around the same wandering price; half spreads in ticks."""
    rng = Random(seed)  # noqa: S311 - a reproducible market, not a secret
    mid, here, there = 500_000, [], []
    for second in range(1, seconds):
        mid += rng.choice((-3, 0, 3))
        at_ns = second * SECOND
        here.append(book(at_ns, mid - edge_ticks, mid + edge_ticks))
        there.append(book(at_ns + SECOND // 4, mid - 5, mid + 5))
        if rng.random() < 0.4:
            buys = rng.random() < 0.5
            price = mid + edge_ticks if buys else mid - edge_ticks
            here.append(sold(at_ns + SECOND // 2, price, rng.randrange(1, 60), taker_buys=buys))
    return write(folder / "here.jsonl", "wide", here), write(folder / "there.jsonl", "tight", there)


def run(tapes: tuple[TapeRef, ...], registry: Registry = PLAIN, **more: Any) -> BacktestResult:
    """The maker, at a maker fee of 2 bp and a taker fee of 5."""
    table = {"order_amount": "0.02", "adverse_sigmas": 0, "depth_share": "1", "order_refresh_time": 1}
    table["order_refresh_tolerance"] = "0"
    values: dict[str, Any] = {
        "tapes": tapes,
        "strategy": "cross_exchange_market_making",
        "maker_fee": Decimal("0.0002"),
        "taker_fee": Decimal("0.0005"),
        "sample_ns": SECOND,
        **more,
    }
    values["parameters"] = {**table, **values.get("parameters", {})}
    return run_cross(BacktestSetting(**values), registry, lambda _share, _doing: None)


def agrees(result: BacktestResult) -> None:
    """Cash, base and fees of the list of fills make the profit; the split and the hedges add up to them."""
    for each in result.passes:
        totals, fills = each.totals, each.fills
        rows = list(zip(fills.side, fills.price, fills.size, fills.fee_quote, fills.maker, strict=True))
        signed: list[tuple[int, Decimal, Decimal, Decimal, bool]] = [
            (1 if side == "buy" else -1, price, size, fee, mine) for side, price, size, fee, mine in rows
        ]
        cash = -sum((sign * price * size for sign, price, size, *_ in signed), Decimal(0))
        base = sum((sign * size for sign, _, size, *_ in signed), Decimal(0))
        fees = sum((fee for *_, fee, _ in signed), Decimal(0))
        assert totals.pnl_quote == cash + base * totals.final_mid - fees
        assert totals.pnl_quote == totals.spread_quote + totals.inventory_quote - fees + totals.rebates_quote
        found = result.extra["by_queue"][each.queue]
        parts = found["split"].values()
        assert sum(part["fills"] for part in parts) == totals.trades
        assert sum(Decimal(part["spread_quote"]) for part in parts) == totals.spread_quote
        assert sum(Decimal(part["fees_quote"]) for part in parts) == fees
        quoted = sum((sign * size for sign, _, size, _, mine in signed if mine), Decimal(0))
        hedged = sum((sign * size for sign, _, size, _, mine in signed if not mine), Decimal(0))
        filled = sum((size for _, _, size, _, mine in signed if mine), Decimal(0))
        assert abs(hedged) <= filled
        assert quoted + hedged == totals.base_change
        held = found["held_at_end"].values()
        assert (
            sum(Decimal(each["BTC"]) for each in held)
            == (result.setting.base or Decimal(0)) + totals.base_change
        )


def test_every_fill_is_hedged_and_pays(tmp_path: Path) -> None:
    """Half spreads of 20 bp against fees of 7: a profit in either queue model, nothing left unhedged."""
    result = run(market(tmp_path, 1, 1_000))
    agrees(result)
    assert result.failure is None
    assert (result.kind, [each.queue for each in result.passes]) == ("venues", ["risk_averse", "power:2"])
    for each in result.passes:
        found = result.extra["by_queue"][each.queue]
        assert each.totals.maker_fills > 3
        assert each.totals.taker_fills > 3
        assert each.totals.pnl_quote > 0
        assert set(found["hedges"]) == {"through"}
        assert found["unhedged_at_end"] == "0"
        assert each.totals.base_change == 0
        assert (
            Decimal(found["split"]["quotes"]["spread_quote"])
            > 0
            > Decimal(found["split"]["hedges"]["spread_quote"])
        )
        # Two quotes at most stand beside what is being hedged.
        assert Decimal(found["most_unhedged"]) <= Decimal("0.04")
        assert each.totals.quote_uptime is not None
        assert each.totals.quote_uptime > 0.3
    assert set(result.passes[0].fills.venue) == {"wide", "tight"}


def test_nothing_is_quoted_where_fees_are_dearer_than_the_spread(tmp_path: Path) -> None:
    """The quotes stand behind everybody, nobody comes so far, and there is no trade and no loss."""
    result = run(market(tmp_path, 2, 50), parameters={"min_profit": "0.001"})
    agrees(result)
    assert result.totals.trades == result.totals.pnl_quote == 0
    assert result.totals.orders_placed > 0


def test_a_run_repeats_from_its_own_report(tmp_path: Path) -> None:
    """The completed setting gives the same passes."""
    first = run(market(tmp_path, 3, 800))
    again = run_cross(first.setting, PLAIN, lambda _share, _doing: None)
    assert outcome_key(again) == outcome_key(first)
    assert {each.name for each in first.assumptions} >= {"fees", "quotes", "fills", "depth", "halts"}


@pytest.mark.parametrize("seed", range(4))
def test_the_books_balance_whatever_the_market_does(tmp_path: Path, seed: int) -> None:
    """Random markets, slow answers, coarse lots on the hedge venue: fills, hedges and balances add up."""
    slow = ConstantLatency(feed_ns=SECOND // 10, order_ns=SECOND // 2, response_ns=SECOND // 3)
    result = run(
        market(tmp_path, seed, 300, 60),
        latency=slow,
        queue=(CALIBRATED,),
        base=Decimal("0.3"),
        quote=Decimal(20_000),
    )
    agrees(result)


def test_a_late_hedge_pays_what_the_price_did(tmp_path: Path) -> None:
    """The taker's book falls a per cent while the order is under way: it misses its band, and is undone."""
    here = [book(second * SECOND, 499_000, 501_000) for second in range(1, 40)]
    here.append(sold(20 * SECOND + SECOND // 2, 499_001, 10_000))
    here.sort(key=lambda event: event.exchange_ns)
    there = [book(s * SECOND, 500_000, 500_010) for s in range(1, 21)]
    there += [book(21 * SECOND, 490_000, 490_010)]
    there += [book(s * SECOND, 490_000, 490_010) for s in range(22, 40)]
    tapes = write(tmp_path / "a.jsonl", "a", here), write(tmp_path / "b.jsonl", "b", there)
    slow = ConstantLatency(feed_ns=0, order_ns=SECOND, response_ns=0)
    result = run(tapes, latency=slow, queue=(RISK_AVERSE,), parameters={"failure_cooldown": 0})
    agrees(result)
    found = result.extra["by_queue"]["risk_averse"]
    assert found["hedges"].get("undone") == 1
    slots = result.passes[0].fills.slot
    assert slots[0] == "b1"
    assert slots[1].startswith("au")
    assert result.totals.pnl_quote < 0
    prompt = run(tapes, queue=(RISK_AVERSE,))
    assert prompt.extra["by_queue"]["risk_averse"]["hedges"] == {"through": 1}
    assert prompt.totals.pnl_quote > result.totals.pnl_quote


def test_a_hedge_that_nobody_takes_is_counted_as_halted(tmp_path: Path) -> None:
    """Both books are empty of bids at the right price: the owner would look; here it is tried again later."""
    here = [book(s * SECOND, 499_000, 501_000) for s in range(1, 20)]
    here += [sold(20 * SECOND, 499_001, 10_000), book(21 * SECOND, 300_000, 501_000)]
    there = [book(s * SECOND, 500_000, 500_010) for s in range(1, 20)]
    there += [book(20 * SECOND + 1, 300_000, 500_010), book(30 * SECOND, 300_000, 500_010)]
    tapes = write(tmp_path / "a.jsonl", "a", here), write(tmp_path / "b.jsonl", "b", there)
    slow = ConstantLatency(feed_ns=0, order_ns=2 * SECOND, response_ns=0)
    result = run(tapes, latency=slow, queue=(RISK_AVERSE,))
    found = result.extra["by_queue"]["risk_averse"]
    assert result.totals.maker_fills == 1
    assert "through" not in found["hedges"]
    assert found["unhedged_at_end"] == "0.02"


def polled(folder: Path) -> TapeRef:
    """Two exchanges, polled in turn; the best bid of the first loses half of its size each second time."""
    folder.mkdir()
    lines = []
    for poll in range(60):
        for at, (name, bid, ask) in enumerate((("maker", 49_900, 50_100), ("taker", 49_999, 50_001))):
            size = 0.5 if poll % 2 else 0.25
            levels = {"bids": [[bid, size], [bid - 50, 1]], "asks": [[ask, 0.5], [ask + 50, 1]]}
            lines.append(json.dumps({"timestamp": 1000 + poll + at / 2, "exchange": name, **levels}))
    (folder / "orderbooks.jsonl").write_text("\n".join(lines) + "\n")
    return TapeRef(path=str(folder))


def test_a_polled_recording_brackets_what_it_does_not_show(tmp_path: Path) -> None:
    """Risk-averse only what crosses us fills; otherwise what the best level lost between polls has traded."""
    result = run((polled(tmp_path / "xex_btcusdt"),), maker_fee=Decimal(0))
    agrees(result)
    assert [each.totals.maker_fills > 0 for each in result.passes] == [False, True]
    assert result.passes[1].totals.pnl_quote > 0
    assert {
        each
        for each, mine in zip(result.passes[1].fills.side, result.passes[1].fills.maker, strict=True)
        if mine
    } == {"buy"}
    said = next(each.meaning for each in result.assumptions if each.name == "quotes")
    assert "polled" in said


def test_the_quoted_exchange_is_named(tmp_path: Path) -> None:
    """Either name turns the recording; one that is not there, or the same twice, is refused."""
    ref = polled(tmp_path / "xex_btcusdt")
    for named in ({"exchange": "taker"}, {"other_exchange": "maker"}):
        result = run((ref,), parameters=named, window=Window(end=0.2))
        assert result.extra["venues"] == ["taker", "maker"]
    with pytest.raises(InvalidInputError, match="maker or taker"):
        run((ref,), parameters={"exchange": "elsewhere"})
    with pytest.raises(WashTradeRefusedError):
        run((ref,), parameters={"exchange": "maker", "other_exchange": "maker"})


class Raising(CrossExchangeMarketMaking):
    """A strategy with a bug."""

    def quotes(self, view: CrossView) -> TargetQuotes:
        """Raise."""
        raise ZeroDivisionError("a bug")


def test_a_strategy_that_raises_fails_its_run(tmp_path: Path) -> None:
    """The result says so after the first pass; nothing else is played."""
    kind = StrategyKind(
        name="cross_exchange_market_making",
        version="1",
        summary="Raises.",
        schema=CrossMakingParameters,
        make=Raising,
        venues=2,
        hedged=True,
    )
    result = run(market(tmp_path, 1, 500, 5), Registry(built_in=(kind,), plugins=lambda: ()))
    assert result.failure is not None
    assert result.failure.code == "strategy_raised"
    assert len(result.passes) == 1


def test_resting_quotes_know_their_queue() -> None:
    """Behind 500 lots a print of 510 fills ten; a cancel after the rest is filled finds nothing."""
    quotes = RestingQuotes(GRID, QueueModel.RISK_AVERSE, 2_000)
    assert quotes.apply(sold(1, 499_000, 1)) == []
    assert not quotes.place(1, Side.BUY, 499_000, 20)
    quotes.apply(book(1, 499_000, 501_000))
    assert not quotes.place(2, Side.BUY, 501_000, 20)
    assert quotes.place(3, Side.BUY, 499_000, 20)
    assert quotes.place(4, Side.SELL, 501_000, 20)
    assert quotes.on_both_sides
    assert [(each.number, each.lots) for each in quotes.apply(sold(2, 499_000, 510))] == [(3, 10)]
    assert [(each.number, each.lots) for each in quotes.apply(sold(3, 498_000, 1))] == [(3, 10)]
    assert not quotes.withdraw(3)
    assert quotes.withdraw(4)
    assert not quotes.on_both_sides


@needs_shared
def test_two_real_exchanges_pay_only_above_the_fees(tmp_path: Path) -> None:
    """The first 900 polls: nothing at 20 bp an order, a profit at 5 bp and more of it without fees."""
    whole = SHARED / "market" / "xex_btcbrl_20200621" / "orderbooks_first_two_thirds.jsonl.xz"
    folder = tmp_path / "xex_btcbrl"
    folder.mkdir()
    with lzma.open(whole, "rt") as file:
        (folder / "orderbooks.jsonl").write_text("".join(islice(file, 900)))
    made = []
    for fee in ("0.002", "0.0005", "0"):
        result = run(
            (TapeRef(path=str(folder)),),
            maker_fee=Decimal(fee),
            taker_fee=Decimal(fee),
            queue=(CALIBRATED,),
            parameters={"adverse_sigmas": 1},
        )
        agrees(result)
        made.append(result.totals.pnl_quote)
    assert made[0] == 0
    assert 0 < made[1] < made[2]
