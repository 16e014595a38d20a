"""A venue over a market so quiet that a test can say what happens in it, with and without sockets."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec

from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.venue.front.faults import FaultConfig, Faults
from mrmarket.trading.venue.front.gateway import Gateway, NoLog
from mrmarket.trading.venue.front.server import VenueServer
from mrmarket.trading.venue.front.signature import ApiKey, sign
from mrmarket.trading.venue.front.weights import Limits, Meters
from mrmarket.trading.venue.port import NewOrder, OrderKind
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from mrmarket.trading.venue.simulated.records import ExchangeOrder, SelfTrade

START_NS = 1_723_075_200_000 * NS_PER_MS
BEST_BID = 6_000_000
BEST_ASK = 6_001_000
"""Ticks of 0.01: 60,000.00 and 60,010.00, a spread of ten dollars that nobody in history touches."""

StartVenue = Callable[..., Awaitable[VenueServer]]


def quiet_instrument() -> Instrument:
    """BTC/USDT on Binance's grid."""
    return Instrument(
        venue="binance",
        symbol="BTC/USDT",
        base="BTC",
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.00001"),
        min_lots=1,
        max_lots=900_000_000,
        min_notional=Decimal(5),
        maker_fee=Decimal("0.001"),
        taker_fee=Decimal("0.001"),
    )


def quiet_events(seconds: int = 600) -> Iterator[MarketEvent]:
    """A still book of 50 levels a side, one print at each best price, then a flicker far from the touch.

    Nothing in it ever fills an order that rests inside the spread.
    """
    at_ns = START_NS
    yield MarketEvent(
        kind=EventKind.SNAPSHOT,
        exchange_ns=at_ns,
        local_ns=at_ns,
        last_id=1_000,
        bids=[(BEST_BID - 100 * step, 200_000) for step in range(50)],
        asks=[(BEST_ASK + 100 * step, 200_000) for step in range(50)],
    )
    for number, (price_ticks, buys) in enumerate([(BEST_BID, False), (BEST_ASK, True)], start=1):
        yield MarketEvent(
            kind=EventKind.TRADE,
            exchange_ns=at_ns,
            local_ns=at_ns,
            last_id=number,
            price_ticks=price_ticks,
            size_lots=10,
            taker_buys=buys,
        )
    for number in range(seconds * 10):
        at_ns += 100 * NS_PER_MS
        yield MarketEvent(
            kind=EventKind.DEPTH,
            exchange_ns=at_ns,
            local_ns=at_ns,
            first_id=1_001 + number,
            last_id=1_001 + number,
            bids=[(BEST_BID - 4_000, 100_000 + number % 2)],
        )


class Desk:
    """A gateway over the quiet market without any socket, on a clock that stands still."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_NS)
        exchange = SimulatedExchange()
        exchange.add_market(quiet_instrument())
        for name in ("alice", "bob"):
            exchange.add_account(name)
        self.faults = Faults(FaultConfig(), START_NS)
        self.gateway = Gateway(exchange, self.clock, Meters(Limits(), ["alice", "bob"]), self.faults, NoLog())
        for event in itertools.islice(quiet_events(), 3):
            self.gateway.market("BTC/USDT", event, event.exchange_ns)
        self.gateway.settle()

    def place(
        self, account: str, side: Side, price_ticks: int, lots: int, kind: OrderKind = OrderKind.LIMIT
    ) -> ExchangeOrder:
        """Place an order."""
        order = NewOrder(
            symbol="BTC/USDT",
            client_order_id="",
            side=side,
            kind=kind,
            price_ticks=price_ticks,
            size_lots=lots,
        )
        return self.gateway.place(account, order, SelfTrade.EXPIRE_MAKER)[0]


class RawClient:
    """Plain HTTP with signatures as Binance documents them; shares no code with the venue's parsing."""

    def __init__(self, server: VenueServer, session: aiohttp.ClientSession, key: ApiKey) -> None:
        self.server = server
        self.session = session
        self.key = key

    async def call(
        self,
        method: str,
        path: str,
        /,
        signed: bool = False,
        **fields: Any,
    ) -> tuple[int, Any, Any]:
        """(status, JSON body, headers)."""
        if signed:
            fields.setdefault("timestamp", self.server.gateway.now_ns() // NS_PER_MS)
        query = urlencode({name: value for name, value in fields.items() if value is not None})
        if signed:
            query += f"&signature={sign(self.key.secret, query)}"
        sent = {"X-MBX-APIKEY": self.key.key}
        url = f"{self.server.rest_url}{path}?{query}"
        async with self.session.request(method, url, headers=sent) as response:
            return response.status, msgspec.json.decode(await response.read()), response.headers

    async def place(self, **fields: Any) -> dict[str, Any]:
        """Place an order that must be taken."""
        base = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        chosen = {name: value for name, value in (base | fields).items() if value is not None}
        status, body, _ = await self.call("POST", "/api/v3/order", signed=True, **chosen)
        assert status == 200, body
        answer: dict[str, Any] = body
        return answer
