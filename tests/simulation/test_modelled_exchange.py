"""The modelled exchange keeps its own books: what checkers believe must be right."""

from __future__ import annotations

import random

import pytest

from mrmarket.core.side import Side
from mrmarket.simulation.exchange import (
    MAKER_FEE_UNITS,
    QUOTE_PER_GRAIN,
    TAKER_FEE_UNITS,
    Exchange,
    RefusedError,
    pair,
)
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.venue.port import FillReport, NewOrder, OrderKind, OrderReport, OrderStatus, UserEvent

NOW_NS = 1_700_000_000_000_000_000


def new_exchange(seed: int = 1) -> Exchange:
    """Ten base, a hundred thousand quote."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    return Exchange(pair("sim1", "BTC", "USDT"), rng, base_lots=100_000, quote_units=100_000 * 10**10)


def order(
    key: str, side: Side, price: int, lots: int = 100, kind: OrderKind = OrderKind.POST_ONLY
) -> NewOrder:
    """An order to be placed."""
    return NewOrder(
        symbol="BTC/USDT", client_order_id=key, side=side, kind=kind, price_ticks=price, size_lots=lots
    )


@pytest.mark.parametrize("seed", range(5))
def test_balances_are_the_sum_of_trades(seed: int) -> None:
    """After any market the account is what it was at first, plus its trades, less their fees."""
    exchange = new_exchange(seed)
    for turn in range(300):
        middle = exchange.middle_ticks
        for side in Side:
            if len(exchange.standing()) < 4:
                exchange.place(order(f"{turn}{side.value}", side, middle - side.sign * 150), NOW_NS + turn)
        exchange.move(NOW_NS + turn)
        if turn % 7 == 0:
            for standing in exchange.standing()[:1]:
                exchange.cancel(standing.order.client_order_id, "", NOW_NS)
    assert exchange.counts.fills > 50
    base, quote = 100_000, 100_000 * 10**10
    for trade in exchange.trades:
        grains = trade.price_ticks * trade.size_lots
        base += trade.side.sign * trade.size_lots
        quote -= trade.side.sign * grains * QUOTE_PER_GRAIN
        quote -= grains * (MAKER_FEE_UNITS if trade.maker else TAKER_FEE_UNITS)
    assert (base, quote) == (exchange.base_lots, exchange.quote_units)
    for standing in exchange.orders.values():
        done = sum(
            trade.size_lots
            for trade in exchange.trades
            if trade.client_order_id == standing.order.client_order_id
        )
        assert done == standing.filled_lots <= standing.order.size_lots


def test_the_stream_tells_what_happens() -> None:
    """Every trade and every end of an order is told to whoever listens."""
    exchange = new_exchange()
    heard: list[UserEvent] = []
    exchange.listeners.append(heard.append)
    exchange.place(order("a", Side.BUY, exchange.middle_ticks - 100), NOW_NS)
    for _ in range(50):
        exchange.move(NOW_NS)
    assert [each for each in heard if isinstance(each, FillReport)] == exchange.trades
    assert any(isinstance(each, OrderReport) and each.status is OrderStatus.FILLED for each in heard)


def test_the_feed_is_the_book() -> None:
    """Snapshot and changes add up to the book that is published, without a gap."""
    exchange = new_exchange()
    events: list[MarketEvent] = [exchange.snapshot(NOW_NS)]
    exchange.watchers.append(events.append)
    exchange.place(order("a", Side.SELL, exchange.middle_ticks + 500), NOW_NS)
    for _ in range(20):
        exchange.move(NOW_NS)
        exchange.idle(NOW_NS)
    book = OrderBook(exchange.instrument)
    for event in events:
        book.apply(event)
    truth = exchange.snapshot(NOW_NS)
    assert (book.bids(10), book.asks(10)) == (truth.bids, truth.asks)


def test_what_it_refuses() -> None:
    """Too much, what would take, an id that stands, and a cancel of nothing."""
    exchange = new_exchange()
    middle = exchange.middle_ticks
    exchange.place(order("a", Side.BUY, middle - 500), NOW_NS)
    for bad, code in (
        (order("b", Side.BUY, middle + 500), "would take"),
        (order("c", Side.BUY, middle - 500, lots=10**7), "insufficient balance"),
        (order("d", Side.SELL, middle + 500, lots=10**7), "insufficient balance"),
        (order("a", Side.BUY, middle - 600), "duplicate order id"),
    ):
        with pytest.raises(RefusedError, match=code):
            exchange.place(bad, NOW_NS)
    with pytest.raises(RefusedError, match="unknown order"):
        exchange.cancel("zzz", "", NOW_NS)
    with pytest.raises(RefusedError, match="unknown order"):
        exchange.query("zzz", "", NOW_NS)


def test_an_order_may_take() -> None:
    """An order that may take is filled at the best price and pays the taker's fee."""
    exchange = new_exchange()
    report = exchange.place(order("a", Side.BUY, exchange.middle_ticks + 500, 3, OrderKind.IOC), NOW_NS)
    assert report.status is OrderStatus.FILLED
    assert not exchange.trades[0].maker


def test_the_switch_falls_once() -> None:
    """The dead man's switch cancels everything unless it is set again in time."""
    exchange = new_exchange()
    exchange.place(order("a", Side.BUY, exchange.middle_ticks - 5_000), NOW_NS)
    exchange.arm(10, NOW_NS)
    exchange.arm(20, NOW_NS + 5 * 10**9)
    exchange.move(NOW_NS + 15 * 10**9)
    assert exchange.standing()
    exchange.move(NOW_NS + 30 * 10**9)
    assert not exchange.standing()
    assert exchange.switch_fell == 1


def test_a_transfer_happens_once() -> None:
    """Money comes and goes once for each id, and never more than is free."""
    exchange = new_exchange()
    before = exchange.quote_units
    assert exchange.transfer("t1", 5, NOW_NS)
    assert exchange.transfer("t1", 5, NOW_NS)
    assert exchange.quote_units == before + 5
    assert not exchange.transfer("t2", -10 * before, NOW_NS)
    assert [report.transfer_id for report in exchange.transfers.values()] == ["t1"]
