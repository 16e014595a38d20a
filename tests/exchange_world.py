"""A small exchange with one pair whose figures can be worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from random import Random

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.market.tape import Tape
from mrmarket.trading.venue.port import NewOrder, OrderKind
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from mrmarket.trading.venue.simulated.records import (
    UNITS_PER_WHOLE,
    DepthPublished,
    ExchangeOrder,
    ExchangeRefusedError,
    ExchangeTrade,
    Publication,
    SelfTrade,
)

SYMBOL = "BTC/USDT"
PAIR = Instrument(
    venue="simulated",
    symbol=SYMBOL,
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    min_lots=1,
    max_lots=100_000,
    min_notional=Decimal("0.2"),
    maker_fee=Decimal("0.001"),
    taker_fee=Decimal("0.002"),
)
"""One lot is 100,000 units of BTC; one tick times one lot is 10,000 units of USDT."""

BIDS: list[Level] = [(1000, 50), (999, 40), (998, 30)]
ASKS: list[Level] = [(1001, 60), (1002, 20), (1003, 10)]


def snapshot(bids: list[Level] | None = None, asks: list[Level] | None = None) -> MarketEvent:
    """A whole book."""
    return MarketEvent(
        kind=EventKind.SNAPSHOT,
        exchange_ns=1,
        local_ns=1,
        bids=BIDS if bids is None else bids,
        asks=ASKS if asks is None else asks,
    )


def depth(bids: list[Level] | None = None, asks: list[Level] | None = None, last_id: int = 0) -> MarketEvent:
    """Changed levels."""
    return MarketEvent(
        kind=EventKind.DEPTH, exchange_ns=1, local_ns=1, bids=bids or [], asks=asks or [], last_id=last_id
    )


def top(bid: Level | None, ask: Level | None, last_id: int = 0) -> MarketEvent:
    """Best bid and ask."""
    return MarketEvent(
        kind=EventKind.TOP,
        exchange_ns=1,
        local_ns=1,
        bids=[bid] if bid else [],
        asks=[ask] if ask else [],
        last_id=last_id,
    )


def trade(price_ticks: int, size_lots: int, *, taker_buys: bool) -> MarketEvent:
    """One historical print."""
    return MarketEvent(
        kind=EventKind.TRADE,
        exchange_ns=1,
        local_ns=1,
        price_ticks=price_ticks,
        size_lots=size_lots,
        taker_buys=taker_buys,
    )


class ExchangeWorld:
    """An exchange whose clock ticks by one at every call; accounts `ann` and `bob`."""

    def __init__(self, exchange: SimulatedExchange | None = None, *, opened: bool = True) -> None:
        self.exchange = exchange or SimulatedExchange()
        self.exchange.add_market(PAIR)
        self.exchange.add_account("ann")
        self.exchange.add_account("bob", {"BTC": UNITS_PER_WHOLE, "USDT": 1_000 * UNITS_PER_WHOLE})
        self.now_ns = 1_000
        self.published: list[Publication] = []
        if opened:
            self.happen(snapshot())

    def happen(self, *events: MarketEvent) -> list[Publication]:
        """Let history happen and return what was published."""
        for event in events:
            self.now_ns += 1
            self.exchange.on_market(SYMBOL, event, self.now_ns)
        return self.drain()

    def drain(self) -> list[Publication]:
        """Take what was published; everything stays in `published`."""
        new = self.exchange.drain()
        self.published += new
        return new

    def place(
        self,
        account: str,
        side: Side,
        price_ticks: int,
        size_lots: int,
        kind: OrderKind = OrderKind.LIMIT,
        *,
        client_order_id: str = "",
        self_trade: SelfTrade = SelfTrade.EXPIRE_MAKER,
    ) -> ExchangeOrder:
        """Place an order."""
        self.now_ns += 1
        return self.exchange.place(
            account,
            NewOrder(
                symbol=SYMBOL,
                client_order_id=client_order_id,
                side=side,
                kind=kind,
                price_ticks=price_ticks,
                size_lots=size_lots,
            ),
            self.now_ns,
            self_trade=self_trade,
        )

    def buy(self, price_ticks: int, size_lots: int, kind: OrderKind = OrderKind.LIMIT) -> ExchangeOrder:
        """`ann` buys."""
        return self.place("ann", Side.BUY, price_ticks, size_lots, kind)

    def sell(self, price_ticks: int, size_lots: int, kind: OrderKind = OrderKind.LIMIT) -> ExchangeOrder:
        """`ann` sells."""
        return self.place("ann", Side.SELL, price_ticks, size_lots, kind)

    def cancel(self, account: str, order_id: int) -> ExchangeOrder:
        """Cancel by id."""
        self.now_ns += 1
        return self.exchange.cancel(account, SYMBOL, order_id=order_id, now_ns=self.now_ns)

    def look(self, order: ExchangeOrder) -> ExchangeOrder:
        """The order as it is now."""
        return self.exchange.order(order.account, SYMBOL, order_id=order.order_id)

    def trades(self, account: str) -> list[ExchangeTrade]:
        """Trades of an account."""
        return self.exchange.trades(account, SYMBOL)

    def book(self, limit: int = 100) -> tuple[list[Level], list[Level]]:
        """Visible bids and asks."""
        _, bids, asks = self.exchange.depth(SYMBOL, limit)
        return bids, asks


def rebuild(published: list[Publication]) -> tuple[list[Level], list[Level]]:
    """The book a subscriber holds who heard every depth publication from the first."""
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    for message in published:
        if isinstance(message, DepthPublished):
            for side, levels in ((bids, message.bids), (asks, message.asks)):
                for price, lots in levels:
                    if lots:
                        side[price] = lots
                    else:
                        side.pop(price, None)
    return sorted(bids.items(), reverse=True), sorted(asks.items())


def trade_along(tape: Tape, limit: int, *, compiled: bool = False) -> SimulatedExchange:
    """Two clients quote, take and cancel at random (seeded) while the tape plays."""
    instrument = tape.instrument
    symbol = instrument.symbol
    exchange = SimulatedExchange(compiled=compiled)
    exchange.add_market(instrument)
    units = {instrument.base: 10**9, instrument.quote: 10**14}
    for name in ("ann", "bob"):
        exchange.add_account(name, units)
    rng = Random(7)  # noqa: S311 - a reproducible crowd, not a secret
    kinds = [OrderKind.POST_ONLY] * 6 + list(OrderKind)
    refused = 0
    for number, event in enumerate(islice(tape.events(), limit)):
        exchange.on_market(symbol, event, event.exchange_ns)
        exchange.drain()
        if number % 5:
            continue
        account = rng.choice(["ann", "bob"])
        live = exchange.open_orders(account, symbol)
        if len(live) > 8:
            exchange.cancel(account, symbol, order_id=rng.choice(live).order_id, now_ns=event.exchange_ns)
        bid, ask = exchange.top(symbol)
        if bid is None or ask is None:
            continue
        side, kind = rng.choice(list(Side)), rng.choice(kinds)
        own, away = (bid, -1) if side is Side.BUY else (ask, 1)
        try:
            exchange.place(
                account,
                NewOrder(
                    symbol=symbol,
                    client_order_id=f"c{number}",
                    side=side,
                    kind=kind,
                    price_ticks=0 if kind is OrderKind.MARKET else own[0] + away * rng.randint(-3, 20),
                    size_lots=rng.randint(500, 5_000),
                ),
                event.exchange_ns,
            )
        except ExchangeRefusedError:
            refused += 1
        for asset, deposited in units.items():
            assert exchange.ledger.total(asset) == 2 * deposited
    assert refused < limit // 20
    return exchange


def everything(exchange: SimulatedExchange, symbol: str) -> list[object]:
    """Orders, trades, balances and the book."""
    state: list[object] = [exchange.depth(symbol, 500), exchange.public_trades(symbol, 5_000)]
    for account in exchange.accounts:
        state += [
            exchange.balances(account),
            exchange.all_orders(account, symbol),
            exchange.trades(account, symbol),
        ]
    return state
