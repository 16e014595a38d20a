"""Totals, profit and uptime against hand-computed figures."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fake_exchange import btc_usdt
from mrmarket.core.events import Filled, MarkObserved, OrderAccepted, OrderCancelled
from mrmarket.core.side import Side
from mrmarket.trading.strategy.totals import RunTotals, histogram_bin
from mrmarket.trading.strategy.uptime import QuoteUptime


def test_profit_is_cash_plus_inventory_less_fees() -> None:
    """Buy 0.02 at 60,000 (fee 0.00002 BTC), sell 0.01 at 60,100 (fee 0.601 USDT), marked at 60,050."""
    totals = RunTotals(btc_usdt())
    totals.count_fill(Side.BUY, 6_000_000, 2_000, Decimal("0.00002"), "BTC", maker=True)
    totals.count_fill(Side.SELL, 6_010_000, 1_000, Decimal("0.601"), "USDT", maker=False)
    mid = Decimal(60_050)
    assert totals.inventory_base == Decimal("0.01")
    assert totals.volume_quote == Decimal(1801)
    assert totals.cash_quote == Decimal(-599)
    # 0.601 + 0.00002 · 60,050
    assert totals.fees_quote(mid) == Decimal("1.802")
    # - 1,200 + 601 + 0.01 · 60,050 - 1.802
    assert totals.pnl_quote(mid) == Decimal("-0.302")
    assert (totals.fills, totals.maker_fills) == (2, 1)


def test_a_rebate_is_a_gain_and_a_third_asset_stands_apart() -> None:
    """A negative fee adds to profit; fees in another asset have no price here but are kept."""
    totals = RunTotals(btc_usdt())
    totals.count_fill(Side.BUY, 6_000_000, 1_000, Decimal("-0.06"), "USDT", maker=True)
    totals.count_fill(Side.SELL, 6_000_000, 1_000, Decimal("0.001"), "BNB", maker=True)
    assert totals.pnl_quote(Decimal(60_000)) == Decimal("0.06")
    assert totals.fees["BNB"] == Decimal("0.001")


def test_history_counts_again_after_a_restart() -> None:
    """Totals are restored from the facts of earlier lives."""
    totals = RunTotals(btc_usdt())
    common = {"venue": "fake", "at_ns": 1, "symbol": "BTC/USDT", "client_order_id": "a"}
    for fact in (
        OrderAccepted(**common, venue_order_id="1"),  # type: ignore[arg-type]  # fields by name
        Filled(
            **common,  # type: ignore[arg-type]  # fields by name
            base="BTC",
            quote="USDT",
            trade_id="1",
            venue_order_id="1",
            side=Side.SELL,
            price="60000.5",
            size="0.01",
            quote_size="600.005",
            fee="0.1",
            fee_asset="USDT",
            maker=True,
        ),
        OrderCancelled(**common, filled="0.01"),  # type: ignore[arg-type]  # fields by name
        MarkObserved(venue="fake", at_ns=1, symbol="BTC/USDT", base="BTC", quote="USDT", bid="1", ask="2"),
    ):
        totals.replay(fact)
    assert (totals.orders_placed, totals.orders_cancelled, totals.fills, totals.maker_fills) == (1, 1, 1, 1)
    assert totals.inventory_base == Decimal("-0.01")
    assert totals.pnl_quote(Decimal(60_000)) == Decimal("-0.095")


def test_spread_captured_is_weighted_by_size() -> None:
    """A buy 2 bps below the mid for 1 part and a sell 1 bp below it for 3 parts: -0.25 bps on average."""
    totals = RunTotals(btc_usdt())
    assert totals.spread_captured_bps is None
    assert totals.count_capture(Side.BUY, 5_998_800, 1_000, 12_000_000) == pytest.approx(2.0)
    assert totals.count_capture(Side.SELL, 5_999_400, 3_000, 12_000_000) == pytest.approx(-1.0)
    assert totals.spread_captured_bps == pytest.approx(-0.25, abs=1e-3)
    assert totals.captured_bins == [0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("bps", "bin_"),
    [(-9, 0), (-5.001, 0), (-5, 1), (-4.5, 1), (-0.1, 5), (0, 6), (0.99, 6), (4.99, 10), (5, 11), (80, 11)],
)
def test_the_histogram_has_twelve_bins(bps: float, bin_: int) -> None:
    """One basis point a bin from -5 to 5, and one bin at each end for the rest."""
    assert histogram_bin(bps) == bin_


def test_uptime_is_the_share_of_running_time() -> None:
    """Pauses do not count; what was true at one look holds until the next."""
    uptime = QuoteUptime()
    assert uptime.share is None
    uptime.observe(0, quoting=False, running=True)
    uptime.observe(10, quoting=True, running=True)
    uptime.observe(40, quoting=True, running=False)
    uptime.observe(90, quoting=True, running=True)
    uptime.observe(100, quoting=False, running=True)
    assert uptime.share == pytest.approx(40 / 50)
