"""The Angel's adapter on the simulated exchange, over real sockets, with a key that cannot place."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from mrmarket.core.clock import SystemClock
from mrmarket.core.side import Side
from mrmarket.services.angel.cancel_door import NotACancelError
from mrmarket.services.angel.ccxt_watch import CcxtWatch
from mrmarket.services.angel.plan import DEAD_MAN_PATH
from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig, VenueUrls
from mrmarket.trading.venue.ccxt_adapter.venue import CcxtVenue
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.server import VenueServer
from mrmarket.trading.venue.port import (
    Capability,
    NewOrder,
    OrderKind,
    OrderStatus,
    UnknownOrderError,
    VenueError,
    VenueUnavailableError,
)

SYMBOL = "BTC/USDT"


class Pair:
    """An engine's adapter and the Angel's on one account."""

    def __init__(self, server: VenueServer) -> None:
        urls = VenueUrls(rest=server.rest_url, ws=server.ws_url, ws_api=server.ws_api_url)
        angel = server.angel_keys[0]
        self.engine = CcxtVenue(
            CcxtVenueConfig(
                name="sim", symbols=(SYMBOL,), api_key=server.api_key, secret=server.api_secret, urls=urls
            ),
            SystemClock(),
        )
        self.watch = CcxtWatch(
            CcxtVenueConfig(
                name="sim",
                symbols=(SYMBOL,),
                api_key=angel.key,
                secret=angel.secret,
                urls=urls,
                dead_man_path=DEAD_MAN_PATH,
            ),
            SystemClock(),
        )

    async def put(self, name: str) -> None:
        """Let an order stand, far from the market."""
        instrument = self.engine.instrument(SYMBOL)
        order = NewOrder(
            symbol=SYMBOL,
            client_order_id=name,
            side=Side.BUY,
            kind=OrderKind.POST_ONLY,
            price_ticks=int(20_000 / instrument.tick_size),
            size_lots=1_000,
        )
        await self.engine.place(order)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """Both, open, on a fresh exchange."""
    server = VenueServer(VenueConfig())
    await server.start()
    pair = Pair(server)
    try:
        await pair.engine.open()
        await pair.watch.open()
        yield pair
    finally:
        await pair.engine.close()
        await pair.watch.close()
        await server.stop()


async def test_it_sees_every_order_and_cancels_it(pair: Pair) -> None:
    """By the engine's own ids; one that is gone is unknown."""
    for name in ("mmone", "mmtwo"):
        await pair.put(name)
    orders = await pair.watch.open_orders_everywhere()
    assert {order.client_order_id for order in orders} == {"mmone", "mmtwo"}
    assert {(order.symbol, order.side, order.status) for order in orders} == {
        (SYMBOL, Side.BUY, OrderStatus.OPEN)
    }
    report = await pair.watch.cancel(SYMBOL, "mmone", orders[0].venue_order_id)
    assert report is not None
    assert (report.client_order_id, report.status) == ("mmone", OrderStatus.CANCELLED)
    assert (await pair.watch.query(SYMBOL, "mmtwo", "")).status is OrderStatus.OPEN
    assert [order.client_order_id for order in await pair.watch.open_orders_everywhere()] == ["mmtwo"]
    with pytest.raises(UnknownOrderError):
        await pair.watch.cancel(SYMBOL, "mmone", "")


async def test_its_key_may_neither_trade_nor_withdraw(pair: Pair) -> None:
    """As the exchange says."""
    rights = await pair.watch.permissions()
    assert (rights.trade, rights.withdraw) == (False, False)


async def test_not_even_its_innermost_client_can_place(pair: Pair) -> None:
    """What ccxt offers beyond reads and cancels ends at the door."""
    client = pair.watch._exchange
    with pytest.raises(NotACancelError):
        await client.create_order(SYMBOL, "limit", "buy", "0.01", "20000")
    assert await pair.watch.open_orders_everywhere() == []


async def test_it_sets_the_exchanges_own_switch(pair: Pair) -> None:
    """Where there is one; elsewhere it says that there is none."""
    assert Capability.DEAD_MAN_SWITCH in pair.watch.capabilities
    await pair.watch.cancel_all_after(SYMBOL, 30)
    await pair.watch.cancel_all_after(SYMBOL, 0)
    plain = CcxtWatch(CcxtVenueConfig(name="plain"), SystemClock())
    with pytest.raises(VenueError, match="this venue has none"):
        await plain.cancel_all_after(SYMBOL, 30)


async def test_a_venue_that_is_not_open_or_not_there_says_so() -> None:
    """As a venue that cannot be reached, so that it is tried again."""
    nowhere = CcxtVenueConfig(name="gone", urls=VenueUrls(rest="http://127.0.0.1:9"))
    watch = CcxtWatch(nowhere, SystemClock())
    with pytest.raises(VenueUnavailableError):
        await watch.open_orders_everywhere()
    with pytest.raises(VenueUnavailableError):
        await watch.open()
    await watch.close()
