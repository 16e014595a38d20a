"""A venue that plays prepared events; the rest of the port is not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from decimal import Decimal

from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.venue.port import (
    BalanceReport,
    Capability,
    FillReport,
    KeyPermissions,
    NewOrder,
    OrderReport,
    TransferReport,
    UnknownSymbolError,
    UserEvent,
    VenueError,
)

GRID = Instrument(
    venue="live",
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
    min_notional=Decimal(5),
    maker_fee=Decimal("0.001"),
    taker_fee=Decimal("0.002"),
)


class FakeFeed:
    """Plays events, then waits until closed; `played` is set once all of them are out."""

    def __init__(self, events: Iterable[MarketEvent] = ()) -> None:
        self.name = "live"
        self.opened = False
        self.played = asyncio.Event()
        self._queue: asyncio.Queue[MarketEvent | None] = asyncio.Queue()
        for event in events:
            self._queue.put_nowait(event)

    def put(self, *events: MarketEvent) -> None:
        """Play more events."""
        for event in events:
            self._queue.put_nowait(event)

    def finish(self) -> None:
        """End the stream once everything is played."""
        self._queue.put_nowait(None)

    async def open(self) -> None:
        """Note that it was opened."""
        self.opened = True

    async def close(self) -> None:
        """End the stream."""
        self.opened = False
        self._queue.put_nowait(None)

    def instrument(self, symbol: str) -> Instrument:
        """The one pair."""
        if symbol != GRID.symbol:
            raise UnknownSymbolError(self.name, symbol, [GRID.symbol])
        return GRID

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What else it can do: nothing."""
        return frozenset()

    async def permissions(self) -> KeyPermissions:
        """What our key may do."""
        return KeyPermissions(read=True, trade=True, withdraw=False)

    async def cancel_all_after(self, symbol: str, countdown_s: float) -> None:
        """Not offered."""
        raise VenueError(self.name, f"arm the dead man's switch of {symbol}", "this venue has none")

    async def transfers_since(self, since_ns: int) -> list[TransferReport]:
        """Not offered."""
        raise VenueError(self.name, "read transfers", "this venue does not list them")

    async def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """What was put in."""
        while (event := await self._queue.get()) is not None:
            yield event
            if self._queue.empty():
                self.played.set()

    async def place(self, order: NewOrder) -> OrderReport:
        """Not there."""
        raise NotImplementedError

    async def cancel(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Not there."""
        raise NotImplementedError

    async def query(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Not there."""
        raise NotImplementedError

    async def open_orders(self, symbol: str) -> list[OrderReport]:
        """Not there."""
        raise NotImplementedError

    async def fills_since(self, symbol: str, since_ns: int) -> list[FillReport]:
        """Not there."""
        raise NotImplementedError

    async def balances(self) -> list[BalanceReport]:
        """Not there."""
        raise NotImplementedError

    def user_events(self) -> AsyncIterator[UserEvent]:
        """Not there."""
        raise NotImplementedError
