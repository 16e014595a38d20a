"""Hand-written intents and facts for the store's tests."""

from __future__ import annotations

from mrmarket.core.events import Filled, MarkObserved
from mrmarket.core.side import Side
from mrmarket.store.order_journal import OrderIntent

STREAM = "run/1"


def intent(
    client_order_id: str = "mm-1", *, stream: str = STREAM, created_ns: int = 1, size_lots: int = 5
) -> OrderIntent:
    """An order about to be sent."""
    return OrderIntent(
        stream=stream,
        client_order_id=client_order_id,
        symbol="BTC/USDT",
        slot="bid-1",
        side=Side.BUY,
        kind="post_only",
        price_ticks=6_000_000,
        size_lots=size_lots,
        created_ns=created_ns,
    )


def mark(at_ns: int) -> MarkObserved:
    """A fact that may repeat."""
    return MarkObserved(
        venue="sim", at_ns=at_ns, symbol="BTC/USDT", base="BTC", quote="USDT", bid="59999.99", ask="60000.01"
    )


def fill(trade_id: str, at_ns: int = 1) -> Filled:
    """A fact that must not repeat."""
    return Filled(
        venue="sim",
        at_ns=at_ns,
        symbol="BTC/USDT",
        base="BTC",
        quote="USDT",
        trade_id=trade_id,
        client_order_id="mm-1",
        venue_order_id="77",
        side=Side.BUY,
        price="60000",
        size="0.1",
        quote_size="6000",
        fee="0.6",
        fee_asset="USDT",
        maker=True,
    )
