"""Answers of exchanges as ccxt hands them on: a report or a typed error comes out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.mangling import FUZZ, JSON, NUMBERS, TEXTS, documents, refuse_or_take
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.venue.ccxt_adapter.dialects.binance import BinanceDialect
from mrmarket.trading.venue.ccxt_adapter.dialects.bybit import BybitDialect
from mrmarket.trading.venue.ccxt_adapter.dialects.generic import Dialect
from mrmarket.trading.venue.ccxt_adapter.dialects.okx import OkxDialect
from mrmarket.trading.venue.ccxt_adapter.faults import Attempt
from mrmarket.trading.venue.ccxt_adapter.market_listing import instrument_of
from mrmarket.trading.venue.ccxt_adapter.numbers import exact_or_none
from mrmarket.trading.venue.ccxt_adapter.reports import ReportReader
from mrmarket.trading.venue.port import NewOrder, OrderKind
from mrmarket.trading.venue.rate_budget import RequestKind

GRID = Instrument(
    venue="binance",
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
)
SENT = NewOrder(
    symbol="BTC/USDT",
    client_order_id="mm1",
    side=Side.BUY,
    kind=OrderKind.LIMIT,
    price_ticks=6_000_000,
    size_lots=100,
)
ORDER: dict[str, Any] = {
    "info": {"clientOrderId": "mm1"},
    "id": "7",
    "clientOrderId": "mm1",
    "symbol": "BTC/USDT",
    "type": "limit",
    "side": "buy",
    "price": "60000.01",
    "amount": "0.001",
    "filled": "0.0005",
    "status": "open",
    "timestamp": 1_700_000_000_000,
    "lastUpdateTimestamp": 1_700_000_000_001,
}
FILL: dict[str, Any] = {
    "info": {"execFee": "0.1"},
    "id": "9",
    "order": "7",
    "symbol": "BTC/USDT",
    "side": "sell",
    "takerOrMaker": "maker",
    "price": "60000.01",
    "amount": "0.001",
    "fee": {"cost": "0.06", "currency": "USDT"},
    "fees": [{"cost": "0.06", "currency": "USDT"}],
    "timestamp": 1_700_000_000_000,
}
TRANSFER: dict[str, Any] = {
    "id": "3",
    "txid": "0xab",
    "type": "deposit",
    "status": "ok",
    "currency": "USDT",
    "amount": "10.5",
    "fee": {"cost": "1", "currency": "USDT"},
    "timestamp": 1_700_000_000_000,
}
MARKET: dict[str, Any] = {
    "symbol": "BTC/USDT",
    "base": "BTC",
    "quote": "USDT",
    "precision": {"price": "0.01", "amount": "0.00001"},
    "limits": {"amount": {"min": "0.00001", "max": "9000"}, "cost": {"min": "5"}},
    "maker": "0.001",
    "taker": "0.001",
}
DIALECTS = (Dialect, BinanceDialect, OkxDialect, BybitDialect)


def reader(dialect: type[Dialect]) -> ReportReader:
    """Knows one pair."""
    return ReportReader("venue", dialect(), {"BTC/USDT": GRID}.get)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_the_mangling_starts_from_is_read(dialect: type[Dialect]) -> None:
    """Otherwise the tests below would only see refusals."""
    assert reader(dialect).order(ORDER).filled_lots == 50
    assert reader(dialect).fill(FILL).size_lots == 100
    assert reader(dialect).transfer(TRANSFER) is not None
    assert instrument_of("venue", MARKET, 4, None, (None, None)).max_lots == 900_000_000


@pytest.mark.parametrize("dialect", DIALECTS)
@FUZZ
@given(order=documents([ORDER]), fill=documents([FILL]), transfer=documents([TRANSFER]), acked=st.booleans())
def test_a_report_is_read_or_refused(
    dialect: type[Dialect], order: dict[str, Any], fill: dict[str, Any], transfer: dict[str, Any], acked: bool
) -> None:
    """Missing, of another type, off the grid, infinite: never a bare Python error."""
    read = reader(dialect)
    refuse_or_take(lambda raw: read.order(raw, SENT if acked else None), order)
    refuse_or_take(read.fill, fill)
    refuse_or_take(read.transfer, transfer)


@FUZZ
@given(
    st.dictionaries(
        st.sampled_from(["BTC", "USDT", "info", "free", ""]),
        st.dictionaries(
            st.sampled_from(["free", "used", "total"]), st.sampled_from((*NUMBERS, *TEXTS)) | JSON
        ),
    )
)
def test_balances_are_read_or_refused(raw: dict[str, Any]) -> None:
    """An amount with an exponent of a billion is refused instead of written out."""
    refuse_or_take(reader(Dialect).balances, raw)


@pytest.mark.parametrize(
    "text", ["1e999999", "1E+999999999", "-1e-999999999", "9" * 400, "NaN", "Infinity", "x"]
)
def test_a_number_that_would_fill_the_memory_is_no_number(text: str) -> None:
    """Nothing on an exchange needs more than forty digits on either side of the point."""
    with pytest.raises(ValueError, match="number"):
        exact_or_none(text)


@FUZZ
@given(st.sampled_from((*NUMBERS, *TEXTS, "²", "3", "1.5")) | st.text(max_size=6))
def test_a_wish_to_wait_is_heard_or_passed_over(text: str) -> None:
    """`Retry-After` of anything but a number is none, and of no number we wait for ever."""
    asked = Attempt(RequestKind.READ, "read", headers={"retry-after": text}).retry_after_s
    assert asked is None or 0 <= asked <= 7 * 86_400


@FUZZ
@given(market=documents([MARKET]), mode=st.integers(0, 5))
def test_a_market_is_listed_or_refused(market: dict[str, Any], mode: int) -> None:
    """A grid that is none is no instrument."""
    refuse_or_take(lambda raw: instrument_of("venue", raw, mode, None, (None, None)), market)
