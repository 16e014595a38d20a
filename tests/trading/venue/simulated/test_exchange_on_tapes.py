"""The exchange over whole tapes: history comes out as it went in, and money is conserved."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pytest

from exchange_world import trade_along
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import Tape, open_tape
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from mrmarket.trading.venue.simulated.records import TopPublished, TradePublished
from shared_data import SHARED, needs_shared

GENERATED = Path(__file__).resolve().parents[3] / "tapes" / "generated.tape.gz"
RECORDED = SHARED / "market" / "binance_raw_20240808"


def history_comes_out(tape: Tape, events: Iterable[MarketEvent]) -> tuple[int, int]:
    """Play without clients; the number of best quotes and prints that were compared."""
    symbol = tape.instrument.symbol
    exchange = SimulatedExchange()
    exchange.add_market(tape.instrument)
    book = OrderBook(tape.instrument)
    tops = prints = newest_top = 0
    for event in events:
        exchange.on_market(symbol, event, event.exchange_ns)
        published = exchange.drain()
        if event.kind is EventKind.TRADE:
            made = [message.trade for message in published if isinstance(message, TradePublished)]
            assert [(t.price_ticks, t.size_lots, t.taker_buys) for t in made] == [
                (event.price_ticks, event.size_lots, event.taker_buys)
            ]
            prints += 1
        elif event.kind is EventKind.TOP:
            if event.last_id > book.last_id:
                newest_top = event.last_id
                assert exchange.top(symbol) == (event.bids[0], event.asks[0])
                tops += 1
        else:
            book.apply(event)
            if book.last_id >= newest_top:
                _, bids, asks = exchange.depth(symbol, 50)
                assert (bids, asks) == (book.bids(50), book.asks(50))
        assert all(message.symbol == symbol for message in published if isinstance(message, TopPublished))
    return tops, prints


def test_without_clients_the_generated_market_is_published_as_it_is() -> None:
    """Every print, every best quote, and 50 levels after every update."""
    tape = open_tape(GENERATED)
    tops, prints = history_comes_out(tape, tape.events())
    assert tops > 1_000
    assert prints > 1_000


@needs_shared
@pytest.mark.parametrize("name", ["spot_btcusdt", "usdm_ethusdt"])
def test_without_clients_a_recorded_market_is_published_as_it_is(name: str) -> None:
    """The same on what Binance sent."""
    tape = open_tape(RECORDED / f"{name}_20240808.gz")
    tops, prints = history_comes_out(tape, islice(tape.events(), 15_000))
    assert tops > 1_000
    assert prints > 1_000


def test_clients_on_the_generated_market_trade_and_lose_nothing() -> None:
    """Makers and takers both fill, and every unit is accounted for at every step."""
    tape = open_tape(GENERATED)
    exchange = trade_along(tape, 6_000)
    trades = exchange.trades("ann", tape.instrument.symbol) + exchange.trades("bob", tape.instrument.symbol)
    assert {trade.maker for trade in trades} == {True, False}
    assert len(trades) > 200


@needs_shared
def test_clients_on_a_recorded_market_trade_and_lose_nothing() -> None:
    """The same on Binance's spot tape."""
    tape = open_tape(RECORDED / "spot_btcusdt_20240808.gz")
    exchange = trade_along(tape, 10_000)
    assert any(trade.maker for trade in exchange.trades("ann", tape.instrument.symbol))
