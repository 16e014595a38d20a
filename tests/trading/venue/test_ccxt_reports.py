"""ccxt's structures become exact reports, or an error; never something in between."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.venue.ccxt_adapter.dialects.generic import Dialect
from mrmarket.trading.venue.ccxt_adapter.dialects.okx import OkxDialect
from mrmarket.trading.venue.ccxt_adapter.faults import MalformedAnswerError
from mrmarket.trading.venue.ccxt_adapter.market_listing import instrument_of, is_spot
from mrmarket.trading.venue.ccxt_adapter.reports import ReportReader
from mrmarket.trading.venue.port import (
    BalanceReport,
    FillReport,
    NewOrder,
    OrderKind,
    OrderReport,
    OrderStatus,
)

GRID = Instrument(
    venue="x",
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
)


def reader(dialect: Dialect | None = None) -> ReportReader:
    """A reader that knows one pair."""
    return ReportReader("x", dialect or Dialect(), {GRID.symbol: GRID}.get)


def order(**changes: Any) -> dict[str, Any]:
    """A unified order of ccxt."""
    return {
        "id": "1",
        "clientOrderId": "mm-1",
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "limit",
        "price": 61000.1,
        "amount": 0.0015,
        "filled": 0.0005,
        "status": "open",
        "timestamp": 1_700_000_000_000,
        "lastTradeTimestamp": None,
        **changes,
    }


def trade(**changes: Any) -> dict[str, Any]:
    """A unified trade of ccxt."""
    return {
        "id": "9",
        "order": "1",
        "symbol": "BTC/USDT",
        "side": "sell",
        "price": "61000.10",
        "amount": "0.00150",
        "takerOrMaker": "taker",
        "fee": {"cost": 1.5e-7, "currency": "BNB"},
        "timestamp": 1_700_000_000_000,
        "info": {},
        **changes,
    }


@pytest.mark.parametrize(
    ("status", "filled", "wanted"),
    [
        ("open", 0, OrderStatus.OPEN),
        ("open", 0.0005, OrderStatus.PARTIALLY_FILLED),
        ("open", 0.0015, OrderStatus.FILLED),
        (None, 0, OrderStatus.OPEN),
        ("canceling", 0, OrderStatus.OPEN),
        ("closed", 0.0015, OrderStatus.FILLED),
        ("closed", 0.0005, OrderStatus.CANCELLED),
        ("canceled", 0.0005, OrderStatus.CANCELLED),
        ("expired", 0, OrderStatus.EXPIRED),
        ("rejected", 0, OrderStatus.REJECTED),
    ],
)
def test_each_unified_status_has_one_meaning(status: str | None, filled: float, wanted: OrderStatus) -> None:
    """The port's status follows from ccxt's and from how much is filled."""
    assert reader().order(order(status=status, filled=filled)).status is wanted


def test_floats_are_read_by_their_shortest_text() -> None:
    """61000.1 and 0.0015 lie on the grid although no float is exactly either."""
    report = reader().order(order())
    assert (report.price_ticks, report.size_lots, report.filled_lots) == (6_100_010, 150, 50)
    assert report.venue_ns == 1_700_000_000_000_000_000


def test_a_market_orders_average_is_not_its_price() -> None:
    """What ccxt shows as the price of a market order is its average, which need not lie on the grid."""
    assert reader().order(order(type="market", price=61000.123456)).price_ticks == 0
    assert reader().order(order(price=None)).price_ticks == 0


@pytest.mark.parametrize(
    "broken",
    [
        {"id": None},
        {"price": 61000.105},
        {"amount": "0.000015"},
        {"amount": None},
        {"amount": "many"},
        {"filled": "NaN"},
        {"side": "sideways"},
        {"status": "melted"},
        {"symbol": "DOGE/USDT"},
    ],
)
def test_a_broken_order_is_an_error(broken: dict[str, Any]) -> None:
    """What is missing, off the grid or unheard of is never guessed."""
    with pytest.raises(MalformedAnswerError):
        reader().order(order(**broken))


@pytest.mark.parametrize(
    "broken",
    [{"id": None}, {"price": None}, {"amount": "0.000015"}, {"fee": None}, {"fee": {}}, {"side": None}],
)
def test_a_broken_fill_is_an_error(broken: dict[str, Any]) -> None:
    """A fill without price, size, id or fee would be booked wrongly, so it is refused."""
    with pytest.raises(MalformedAnswerError):
        reader().fill(trade(**broken))


def test_a_fills_fee_is_exact_and_defaults_to_the_quote_asset() -> None:
    """A tiny float fee is written out without an exponent; a rebate stays negative."""
    assert reader().fill(trade()).fee == "0.00000015"
    rebate = reader().fill(trade(fee={"cost": "-0.10", "currency": None}, info={"clOrdId": "mm-7"}))
    assert (rebate.fee, rebate.fee_asset, rebate.client_order_id) == ("-0.1", "USDT", "mm-7")


def test_balances_fill_in_what_the_exchange_leaves_out() -> None:
    """Free, locked and total determine each other."""
    raw = {
        "info": {"any": 1},
        "free": {"BTC": 1},
        "BTC": {"free": 1.5, "used": None, "total": 2.0},
        "ETH": {"free": None, "used": "0.5", "total": "2"},
        "USDT": {"free": None, "used": None, "total": None},
        "timestamp": 1,
    }
    assert reader().balances(raw) == [
        BalanceReport(asset="BTC", free="1.5", locked="0.5"),
        BalanceReport(asset="ETH", free="1.5", locked="0.5"),
        BalanceReport(asset="USDT", free="0", locked="0"),
    ]


def test_okx_takes_the_orders_fee_for_its_only_fill() -> None:
    """A first fill without a fee of its own paid what the order paid."""
    info = {"state": "filled", "fillSz": "1", "accFillSz": "1", "fee": "-0.02", "feeCcy": "USDT"}
    assert OkxDialect().fee({"info": info}) == ("0.02", "USDT")
    assert OkxDialect().fee({"info": {**info, "accFillSz": "2"}}) is None


json_values = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.lists(st.integers(), max_size=2),
)


@given(st.dictionaries(st.sampled_from(sorted(order())), json_values), st.booleans())
def test_no_order_is_read_wrongly(changes: dict[str, Any], sent: bool) -> None:
    """Whatever an exchange sends, the reader gives a report on the grid or the adapter's error."""
    placed = NewOrder(
        symbol="BTC/USDT",
        client_order_id="mm-1",
        side=Side.BUY,
        kind=OrderKind.LIMIT,
        price_ticks=1,
        size_lots=150,
    )
    try:
        report = reader().order(order(**changes), placed if sent else None)
    except MalformedAnswerError:
        return
    assert isinstance(report, OrderReport)
    assert report.venue_order_id


@given(st.dictionaries(st.sampled_from(sorted(trade())), json_values))
def test_no_fill_is_read_wrongly(changes: dict[str, Any]) -> None:
    """Whatever an exchange sends, the reader gives a fill on the grid or the adapter's error."""
    try:
        report = reader().fill(trade(**changes))
    except MalformedAnswerError:
        return
    assert isinstance(report, FillReport)
    assert report.trade_id


def market(**changes: Any) -> dict[str, Any]:
    """A unified market of ccxt."""
    return {
        "symbol": "BTC/USDT",
        "base": "BTC",
        "quote": "USDT",
        "spot": True,
        "active": True,
        "precision": {"price": 0.01, "amount": "0.00001"},
        "limits": {"amount": {"min": 0.000015, "max": None}, "cost": {"min": None}},
        "maker": 0.001,
        "taker": "0.002",
        **changes,
    }


def test_a_market_becomes_an_instrument() -> None:
    """Steps are exact, the smallest size is rounded up to a lot, and fees may be overridden."""
    found = instrument_of("x", market(), 4, None, (None, Decimal("0.003")))
    assert (found.tick_size, found.lot_size, found.min_lots) == (Decimal("0.01"), Decimal("0.00001"), 2)
    assert (found.maker_fee, found.taker_fee) == (Decimal("0.001"), Decimal("0.003"))
    places = instrument_of(
        "x", market(precision={"price": 2, "amount": 5}), 2, ("0.0005", "0.001"), (None, None)
    )
    assert (places.tick_size, places.lot_size, places.maker_fee) == (
        Decimal("0.01"),
        Decimal("0.00001"),
        Decimal("0.0005"),
    )
    assert is_spot(market())
    assert not is_spot(market(active=False))


@pytest.mark.parametrize(
    ("changes", "mode"),
    [({"precision": {"price": None, "amount": 1}}, 4), ({}, 3), ({"limits": None}, 4)],
)
def test_a_market_without_a_grid_is_refused(changes: dict[str, Any], mode: int) -> None:
    """Significant digits and missing steps cannot be traded in ticks."""
    with pytest.raises(MalformedAnswerError):
        instrument_of("x", market(**changes), mode, None, (None, None))
