"""Orders from a template are the very bytes that ccxt would have sent."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mrmarket.core.clock import ManualClock
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.venue.ccxt_adapter import CcxtVenueConfig
from mrmarket.trading.venue.ccxt_adapter.client import Taps, connect
from mrmarket.trading.venue.ccxt_adapter.dialects.binance import BinanceDialect
from mrmarket.trading.venue.ccxt_adapter.dialects.binance_orders import OrderTemplates, order_fields
from mrmarket.trading.venue.port import NewOrder, OrderKind

PAIR = Instrument("binance", "BTC/USDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"))
NOW_MS = 1_700_000_000_000

orders = st.builds(
    NewOrder,
    symbol=st.just("BTC/USDT"),
    client_order_id=st.text("abcXYZ019_-.~:/ é%&=+", min_size=1, max_size=36),
    side=st.sampled_from(Side),
    kind=st.sampled_from(OrderKind),
    price_ticks=st.integers(1, 10**12),
    size_lots=st.integers(1, 10**12),
)


def exchange_of(secret: str = "s" * 64, key: str = "k" * 64) -> Any:
    """Ccxt's Binance with a clock that stands still, as the adapter builds it."""
    config = CcxtVenueConfig(symbols=("BTC/USDT",), api_key=key, secret=secret)
    exchange = connect(config, BinanceDialect(), Taps(ManualClock()))
    exchange.nonce = lambda: NOW_MS
    return exchange


@pytest.fixture(scope="module")
def exchange() -> Any:
    """One for the module: a ccxt exchange takes long to build. It never connects."""
    return exchange_of()


@given(order=orders, market_id=st.sampled_from(["BTCUSDT", "ETHBTC", "币安USDT"]))
def test_a_templates_bytes_are_ccxts(exchange: Any, order: NewOrder, market_id: str) -> None:
    """Address, headers and body are equal for any order; what needs quoting is left to ccxt."""
    templates = OrderTemplates.of(exchange)
    assert templates is not None
    for _ in range(2):  # the second time from the template of the first
        signed = templates.sign(market_id, order, PAIR)
        plain = market_id.isascii() and not set(order.client_order_id) & set(":/ é%&=+")
        assert (signed is not None) == plain
        if signed is not None:
            theirs = exchange.sign("order", "private", "POST", order_fields(market_id, order, PAIR))
            assert signed._asdict() == {name: theirs[name] for name in ("url", "headers", "body")}


def test_the_stamp_is_the_moments() -> None:
    """A template does not remember the time of its first order."""
    made = exchange_of()
    ticks = iter(range(5, 100))
    made.nonce = lambda: next(ticks)
    templates = OrderTemplates.of(made)
    assert templates is not None
    order = NewOrder(
        symbol="BTC/USDT",
        client_order_id="a",
        side=Side.BUY,
        kind=OrderKind.LIMIT,
        price_ticks=1,
        size_lots=1,
    )
    bodies = [signed.body for _ in range(2) if (signed := templates.sign("BTCUSDT", order, PAIR))]
    assert [body.partition("&")[0] for body in bodies] == ["timestamp=5", "timestamp=6"]


@pytest.mark.parametrize(
    ("secret", "key"),
    [("-----BEGIN PRIVATE KEY-----x", "k"), ("", "k"), ("s", "")],
)
def test_other_ways_of_signing_are_left_to_ccxt(secret: str, key: str) -> None:
    """Keys of RSA and Ed25519, and accounts without a key, have no template."""
    assert OrderTemplates.of(exchange_of(secret, key)) is None


async def test_an_order_takes_the_template_through_the_tapped_fetch() -> None:
    """`place` hands the signed bytes to the client's `fetch`, so that taps and errors stay what they were."""
    made = exchange_of()
    sent: list[tuple[Any, ...]] = []

    async def fetch(*request: Any) -> Any:
        await asyncio.sleep(0)
        sent.append(request)
        return {"symbol": "BTCUSDT", "orderId": 1, "status": "NEW", "price": "1", "origQty": "1"}

    made.fetch = fetch
    market = {"id": "BTCUSDT", "symbol": "BTC/USDT", "spot": True, "type": "spot"}
    made.market = lambda _: market
    made.parse_order = lambda answer, _: answer
    dialect = BinanceDialect()
    order = NewOrder(
        symbol="BTC/USDT", client_order_id="a", side=Side.SELL, kind=OrderKind.IOC, price_ticks=7, size_lots=3
    )
    for name in ("a", "has space"):
        answer = await dialect.place(made, replace(order, client_order_id=name), PAIR)
        assert answer["orderId"] == 1
    await made.close()
    (url, method, headers, body), other = sent
    assert (url, method) == ("https://api.binance.com/api/v3/order", "POST")
    assert headers["X-MBX-APIKEY"] == "k" * 64
    assert body.startswith(f"timestamp={NOW_MS}&symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=IOC")
    assert "newClientOrderId=has%20space" in other[3] or "newClientOrderId=has+space" in other[3]
