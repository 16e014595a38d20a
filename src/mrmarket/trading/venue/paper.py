"""Paper trading: a real exchange's live market, our orders in a simulated one on top of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final, NoReturn, Protocol

from mrmarket.core.clock import Clock
from mrmarket.core.decimals import format_units
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.errors import SequenceGapError
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.sequence import DepthSequence
from mrmarket.trading.venue.event_queue import EventQueue, QueueClosedError
from mrmarket.trading.venue.paper_memory import PaperMemory
from mrmarket.trading.venue.port import (
    BalanceReport,
    Capability,
    FillReport,
    KeyPermissions,
    NewOrder,
    OrderRefusedError,
    OrderReport,
    StreamState,
    TransferReport,
    UnknownOrderError,
    UserEvent,
    VenueError,
)
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from mrmarket.trading.venue.simulated.records import (
    UNITS_DECIMALS,
    BalanceChanged,
    DepthPublished,
    ExchangeOrder,
    ExchangeRefusedError,
    ExchangeTrade,
    OrderChanged,
    Publication,
    Refusal,
    TradePublished,
)

_DEPTH: Final = 1000
_UNKNOWN: Final = frozenset({Refusal.CANCEL_UNKNOWN, Refusal.NO_SUCH_ORDER})

Sleep = Callable[[float], Awaitable[None]]


class MarketFeed(Protocol):
    """What paper trading uses of a venue."""

    name: str

    async def open(self) -> None:
        """Load markets."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...

    def instrument(self, symbol: str) -> Instrument:
        """Grid, limits and fees of a pair; raises `UnknownSymbolError`."""
        ...

    def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """The live feed; a SNAPSHOT follows every reconnect."""
        ...


class PaperVenue:
    """The port, with market data from `feed` and fills from `exchange`; no order leaves this machine.

    The followed book is the exchange's: history with our orders in it, as a real one would show
    them. While the feed is lost orders are refused, because nothing could tell whether they fill;
    cancels still work.
    """

    def __init__(
        self,
        feed: MarketFeed,
        exchange: SimulatedExchange,
        clock: Clock,
        *,
        account: str = "paper",
        opening: Mapping[str, int] | None = None,
        session: str = "",
        latency_s: float = 0.02,
        sleep: Sleep = asyncio.sleep,
        symbols: Sequence[str] = (),
        memory: PaperMemory | None = None,
    ) -> None:
        """Wrap a feed that is not open yet.

        Args:
            feed: where the market comes from; any venue will do.
            exchange: the kernel, fresh or restored.
            clock: stamps what the exchange does.
            account: opened unless the exchange has it.
            opening: its balances in units of 1e-8, by default the exchange's own.
            session: goes before order and trade ids, so that they never repeat across runs. Keep it
                with the exchange's saved state; by default it is made of the clock.
            latency_s: one way to the exchange.
            sleep: how to wait for it.
            symbols: pairs that are listed when the feed opens; `memory` needs them.
            memory: keeps the account over restarts; ids then go on from where they were.
        """
        self.name = f"{feed.name}-paper"
        self._feed = feed
        self._exchange = exchange
        self._clock = clock
        self._account = account
        self._session = session or ("paper" if memory else f"{clock.now_ns() // 1_000_000:x}")
        self._symbols = tuple(symbols)
        self._memory = memory
        self._latency_s = latency_s
        self._sleep = sleep
        self._markets: dict[str, EventQueue[MarketEvent]] = {}
        self._live: set[str] = set()
        """Pairs whose feed is up."""
        self._sequences: dict[str, DepthSequence] = {}
        self._stamp_ns: dict[str, int] = {}
        self._users: EventQueue[UserEvent] | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        if account not in exchange.accounts:
            exchange.add_account(account, opening)

    @property
    def session(self) -> str:
        """What order and trade ids begin with."""
        return self._session

    async def open(self) -> None:
        """Open the feed, and take up what the memory holds."""
        await self._feed.open()
        for symbol in self._symbols:
            self.instrument(symbol)
        if self._memory is not None:
            self._memory.recall(self._exchange)

    async def close(self) -> None:
        """End every stream and close the feed; orders stay in the exchange."""
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        for queue in self._markets.values():
            queue.close()
        if self._users is not None:
            self._users.close()
        await self._feed.close()
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def instrument(self, symbol: str) -> Instrument:
        """Grid, limits and fees of a pair; raises `UnknownSymbolError`."""
        instrument = self._feed.instrument(symbol)
        if symbol not in self._exchange.listings:
            self._exchange.add_market(instrument)
        return instrument

    async def place(self, order: NewOrder) -> OrderReport:
        """Send an order."""
        self.instrument(order.symbol)
        await self._sleep(self._latency_s)
        if order.symbol not in self._live:
            raise OrderRefusedError(
                self.name, f"place {order.client_order_id}", "the live feed is lost; wait for its book"
            )
        try:
            placed = self._exchange.place(self._account, order, self._clock.now_ns())
        except ExchangeRefusedError as refused:
            self._refuse(f"place {order.client_order_id}", refused)
        self._publish()
        await self._sleep(self._latency_s)
        return self._order(placed)

    async def cancel(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Cancel by either id."""
        self.instrument(symbol)
        request = f"cancel {client_order_id or venue_order_id}"
        await self._sleep(self._latency_s)
        try:
            cancelled = self._exchange.cancel(
                self._account,
                symbol,
                order_id=self._own_id(venue_order_id, request),
                client_order_id=client_order_id,
                now_ns=self._clock.now_ns(),
            )
        except ExchangeRefusedError as refused:
            self._refuse(request, refused)
        self._publish()
        await self._sleep(self._latency_s)
        return self._order(cancelled)

    async def query(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Ask for one order."""
        self.instrument(symbol)
        request = f"query {client_order_id or venue_order_id}"
        try:
            found = self._exchange.order(
                self._account,
                symbol,
                order_id=self._own_id(venue_order_id, request),
                client_order_id=client_order_id,
            )
        except ExchangeRefusedError as refused:
            self._refuse(request, refused)
        return self._order(found)

    async def open_orders(self, symbol: str) -> list[OrderReport]:
        """All our live orders of a pair."""
        self.instrument(symbol)
        return [self._order(order) for order in self._exchange.open_orders(self._account, symbol)]

    async def fills_since(self, symbol: str, since_ns: int) -> list[FillReport]:
        """All our trades of a pair from a time on, oldest first."""
        self.instrument(symbol)
        trades = self._exchange.trades(self._account, symbol)
        return [self._fill(trade) for trade in trades if trade.at_ns >= since_ns]

    async def balances(self) -> list[BalanceReport]:
        """Every asset with a balance."""
        held = self._exchange.balances(self._account)
        return [_balance(asset, *held[asset]) for asset in sorted(held) if any(held[asset])]

    @property
    def capabilities(self) -> frozenset[Capability]:
        """It lists its transfers."""
        return frozenset({Capability.TRANSFERS})

    async def permissions(self) -> KeyPermissions:
        """What our key may do."""
        return KeyPermissions(read=True, trade=True, withdraw=False)

    async def cancel_all_after(self, symbol: str, countdown_s: float) -> None:  # noqa: ARG002 - the port's
        """Not offered."""
        raise VenueError(self.name, f"arm the dead man's switch of {symbol}", "this venue has none")

    async def transfers_since(self, since_ns: int) -> list[TransferReport]:
        """What `transfer` has moved into the account, or out of it, oldest first."""
        return [
            TransferReport(
                transfer_id=made.transfer_id,
                asset=made.asset,
                amount=format_units(made.units, UNITS_DECIMALS),
                venue_ns=made.at_ns,
            )
            for made in self._exchange.ledger.transfers.values()
            if made.account == self._account and made.at_ns >= since_ns
        ]

    def transfer(self, transfer_id: str, asset: str, units: int) -> None:
        """Let units of 1e-8 of paper money in, or out of what is free when negative; once for an id.

        Raises:
            ExchangeRefusedError: nothing was changed; `reason` says why.
        """
        self._exchange.transfer(transfer_id, self._account, asset, units, self._clock.now_ns())
        self._publish()

    def has_transferred(self, transfer_id: str) -> bool:
        """Whether that transfer was made."""
        return transfer_id in self._exchange.ledger.transfers

    async def market_events(self, symbol: str) -> AsyncGenerator[MarketEvent, None]:
        """The live market with our orders in it; an empty SNAPSHOT tells that the feed is lost."""
        self.instrument(symbol)
        if symbol in self._markets:
            raise VenueError(self.name, f"follow {symbol}", "the pair is followed already; share that feed")
        queue = self._markets[symbol] = EventQueue()
        pump = asyncio.create_task(self._pump(symbol))
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        pump.add_done_callback(lambda _: queue.close())
        try:
            while True:
                yield await queue.get()
        except QueueClosedError:
            if not pump.cancelled():
                pump.result()
        finally:
            pump.cancel()
            del self._markets[symbol]
            self._live.discard(symbol)

    async def user_events(self) -> AsyncGenerator[UserEvent, None]:
        """Our orders, fills and balances as they change."""
        if self._users is not None:
            raise VenueError(self.name, "follow the account", "it is followed already; share that stream")
        queue = self._users = EventQueue()
        queue.put(StreamState(connected=True))
        try:
            while True:
                yield await queue.get()
        except QueueClosedError:
            return
        finally:
            self._users = None

    async def _pump(self, symbol: str) -> None:
        async for event in self._feed.market_events(symbol):
            self._take(symbol, event)

    def _take(self, symbol: str, event: MarketEvent) -> None:
        """Let one event of the real market happen to the simulated one."""
        if not self._connects(symbol, event):
            if symbol in self._live:
                # The kernel keeps its last book: forgetting it would improve our places in the queue.
                self._live.discard(symbol)
                lost = MarketEvent(kind=EventKind.SNAPSHOT, exchange_ns=0, local_ns=event.local_ns)
                self._markets[symbol].put(lost)
            return
        now_ns = self._clock.now_ns()
        self._stamp_ns[symbol] = event.exchange_ns or now_ns
        self._exchange.on_market(symbol, event, now_ns)
        if event.kind is EventKind.SNAPSHOT and symbol not in self._live:
            self._publish(without_depth_of=symbol)
            self._live.add(symbol)
            last_id, bids, asks = self._exchange.depth(symbol, _DEPTH)
            self._markets[symbol].put(
                MarketEvent(
                    kind=EventKind.SNAPSHOT,
                    exchange_ns=event.exchange_ns,
                    local_ns=event.local_ns,
                    last_id=last_id,
                    bids=bids,
                    asks=asks,
                )
            )
        else:
            self._publish()
        del self._stamp_ns[symbol]

    def _connects(self, symbol: str, event: MarketEvent) -> bool:
        """Whether an event belongs to a whole book."""
        sequence = self._sequences.setdefault(symbol, DepthSequence(symbol))
        if event.kind is EventKind.SNAPSHOT:
            sequence.restart(event.last_id)
            sequence.synced = bool(event.bids or event.asks)
        elif event.kind is EventKind.DEPTH:
            try:
                sequence.admit(event)
            except SequenceGapError:
                return False
        return sequence.synced

    def _publish(self, without_depth_of: str = "") -> None:
        publications = self._exchange.drain()
        if self._memory is not None:
            self._memory.keep(self._exchange, publications)
        for publication in publications:
            if isinstance(publication, DepthPublished) and publication.symbol == without_depth_of:
                continue
            self._publish_market(publication)
            if self._users is not None:
                self._publish_user(publication, self._users)

    def _publish_market(self, publication: Publication) -> None:
        if not isinstance(publication, DepthPublished | TradePublished):
            return
        symbol = publication.symbol
        queue = self._markets.get(symbol)
        if queue is None or (symbol not in self._live and isinstance(publication, DepthPublished)):
            return
        now_ns = self._clock.now_ns()
        stamp_ns = self._stamp_ns.get(symbol, now_ns)
        if isinstance(publication, DepthPublished):
            event = MarketEvent(
                kind=EventKind.DEPTH,
                exchange_ns=stamp_ns,
                local_ns=now_ns,
                first_id=publication.first_id,
                last_id=publication.last_id,
                bids=publication.bids,
                asks=publication.asks,
            )
        else:
            trade = publication.trade
            event = MarketEvent(
                kind=EventKind.TRADE,
                exchange_ns=stamp_ns,
                local_ns=now_ns,
                last_id=trade.trade_id,
                price_ticks=trade.price_ticks,
                size_lots=trade.size_lots,
                taker_buys=trade.taker_buys,
            )
        queue.put(event)

    def _publish_user(self, publication: Publication, queue: EventQueue[UserEvent]) -> None:
        if isinstance(publication, OrderChanged) and publication.order.account == self._account:
            if publication.trade is not None:
                queue.put(self._fill(publication.trade))
            queue.put(self._order(publication.order))
        elif isinstance(publication, BalanceChanged) and publication.account == self._account:
            for asset, (free, locked) in publication.balances.items():
                queue.put(_balance(asset, free, locked))

    def _order(self, order: ExchangeOrder) -> OrderReport:
        return OrderReport(
            symbol=order.symbol,
            client_order_id=order.client_order_id,
            venue_order_id=f"{self._session}-{order.order_id}",
            side=order.side,
            status=order.status,
            price_ticks=order.price_ticks,
            size_lots=order.size_lots,
            filled_lots=order.filled_lots,
            venue_ns=order.updated_ns,
        )

    def _fill(self, trade: ExchangeTrade) -> FillReport:
        return FillReport(
            symbol=trade.symbol,
            trade_id=f"{self._session}-{trade.trade_id}",
            client_order_id=trade.client_order_id,
            venue_order_id=f"{self._session}-{trade.order_id}",
            side=trade.side,
            price_ticks=trade.price_ticks,
            size_lots=trade.size_lots,
            fee=format_units(trade.commission_units, UNITS_DECIMALS),
            fee_asset=trade.commission_asset,
            maker=trade.maker,
            venue_ns=trade.at_ns,
        )

    def _own_id(self, venue_order_id: str, request: str) -> int:
        session, _, number = venue_order_id.rpartition("-")
        if not venue_order_id:
            return 0
        if session != self._session or not number.isdigit():
            raise UnknownOrderError(self.name, request, f"{venue_order_id!r} is of another session")
        return int(number)

    def _refuse(self, request: str, refused: ExchangeRefusedError) -> NoReturn:
        known = UnknownOrderError if refused.reason in _UNKNOWN else OrderRefusedError
        raise known(self.name, request, str(refused)) from refused


def _balance(asset: str, free: int, locked: int) -> BalanceReport:
    return BalanceReport(
        asset=asset, free=format_units(free, UNITS_DECIMALS), locked=format_units(locked, UNITS_DECIMALS)
    )
