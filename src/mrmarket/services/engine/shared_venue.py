"""One account on one venue for any number of runs: each feed is followed once, and each run sees its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Final

from mrmarket.core.instrument import Instrument
from mrmarket.services.engine.fan_out import FanOut
from mrmarket.services.engine.joint_question import JointQuestion
from mrmarket.trading.execution.executor import TellsHandover
from mrmarket.trading.execution.order_id import parse_order_id
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.errors import SequenceGapError
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.venue.port import (
    BalanceReport,
    CancelsAll,
    Capability,
    FillReport,
    KeyPermissions,
    NewOrder,
    OrderReport,
    StreamState,
    TransferReport,
    UserEvent,
    Venue,
)
from mrmarket.trading.venue.rate_budget import KeepsBudget, RateBudget

_DEEP: Final = 5_000
"""Levels a side of the snapshot that a late follower begins with."""
_FAR_BEHIND: Final = 10_000
"""A run that has so many market events before it is given a snapshot in their place."""


class SharedFeed:
    """The public feed of one pair, kept as a book so that whoever comes later begins with a snapshot."""

    def __init__(self, venue: Venue, symbol: str) -> None:
        self._instrument = venue.instrument(symbol)
        self._book = OrderBook(self._instrument)
        self._last: MarketEvent | None = None
        self._out = FanOut(
            partial(venue.market_events, symbol),
            f"{venue.name} {symbol} feed",
            note=self._note,
            welcome=self._snapshot,
            most_behind=_FAR_BEHIND,
        )

    @property
    def followers(self) -> int:
        """How many runs follow it."""
        return self._out.followers

    def follow(self) -> AsyncIterator[MarketEvent]:
        """Everything from now on, after a snapshot of what is known."""
        if not self._out.followers:
            self._book, self._last = OrderBook(self._instrument), None
        return self._out.follow()

    def _note(self, event: MarketEvent) -> None:
        if event.kind is EventKind.TRADE:
            return
        self._last = event
        try:
            self._book.apply(event)
        except SequenceGapError:
            # Each follower meets the same gap, and the same snapshot after it.
            self._book = OrderBook(self._instrument)

    def _snapshot(self) -> Sequence[MarketEvent]:
        last = self._last
        if last is None or not self._book.synced:
            return ()
        return (
            MarketEvent(
                kind=EventKind.SNAPSHOT,
                exchange_ns=last.exchange_ns,
                local_ns=last.local_ns,
                last_id=self._book.last_id,
                bids=self._book.bids(_DEEP),
                asks=self._book.asks(_DEEP),
            ),
        )


class Feeds:
    """The public feeds of one venue through one connection, each opened when it is first asked for."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self._feeds: dict[str, SharedFeed] = {}

    def of(self, symbol: str) -> SharedFeed:
        """The feed of a pair."""
        feed = self._feeds.get(symbol)
        if feed is None:
            feed = self._feeds[symbol] = SharedFeed(self.venue, symbol)
        return feed


class SharedVenue:
    """An open venue that several runs of this process trade on, each through a `RunVenue`."""

    def __init__(self, venue: Venue, feeds: Feeds | None = None) -> None:
        """`feeds` may come through another connection: public data is the same for all accounts."""
        self.venue = venue
        self.runs = 0
        """How many runs use it."""
        self._feeds = feeds or Feeds(venue)
        self._state: StreamState | None = None
        self._account: FanOut[UserEvent] = FanOut(
            venue.user_events, f"{venue.name} account", note=self._note, welcome=self._welcome
        )
        self._handed: dict[str, Callable[[str, int], None]] = {}
        self._open: dict[str, JointQuestion[list[OrderReport]]] = {}
        self.balances: JointQuestion[list[BalanceReport]] = JointQuestion(lambda _: venue.balances())
        """What the account holds, asked for all runs that want to know."""
        self.transfers: JointQuestion[list[TransferReport]] = JointQuestion(venue.transfers_since)
        """Money that entered or left the account; from the earliest time that anybody asks for."""
        if isinstance(venue, TellsHandover):
            venue.on_handed = self._hand

    def for_run(self, symbol: str, prefix: str) -> RunVenue:
        """The venue as the run sees it whose order ids begin with `prefix`."""
        kind = RunVenueWithSweep if isinstance(self.venue, CancelsAll) else RunVenue
        return kind(self, symbol, prefix)

    def feed(self, symbol: str) -> SharedFeed:
        """The feed of a pair."""
        return self._feeds.of(symbol)

    def open_orders(self, symbol: str) -> JointQuestion[list[OrderReport]]:
        """The account's live orders of a pair, asked for all runs that want to know."""
        question = self._open.get(symbol)
        if question is None:
            question = self._open[symbol] = JointQuestion(lambda _: self.venue.open_orders(symbol))
        return question

    def account(self, wants: Callable[[UserEvent], bool]) -> AsyncIterator[UserEvent]:
        """What happens on the account."""
        if not self._account.followers:
            self._state = None
        return self._account.follow(wants)

    def hears_handed(self, prefix: str) -> Callable[[str, int], None] | None:
        """Whom a run has told."""
        return self._handed.get(prefix)

    def hear_handed(self, prefix: str, told: Callable[[str, int], None] | None) -> None:
        """Have a run told when its orders go to the HTTP client."""
        if told is None:
            self._handed.pop(prefix, None)
        else:
            self._handed[prefix] = told

    def _note(self, event: UserEvent) -> None:
        if isinstance(event, StreamState):
            self._state = event

    def _welcome(self) -> Sequence[UserEvent]:
        return () if self._state is None else (self._state,)

    def _hand(self, client_order_id: str, mono_ns: int) -> None:
        parsed = parse_order_id(client_order_id)
        told = None if parsed is None else self._handed.get(parsed.prefix)
        if told is not None:
            told(client_order_id, mono_ns)


class RunVenue:
    """A shared venue in the eyes of one run. Opening and closing it is nobody's business but the room's."""

    def __init__(self, shared: SharedVenue, symbol: str, prefix: str) -> None:
        self.name = shared.venue.name
        self._shared = shared
        self._venue = shared.venue
        self._symbol = symbol
        self._prefix = prefix
        if isinstance(shared.venue, KeepsBudget):
            self.budget: RateBudget = shared.venue.budget
            """The account's, where the venue keeps one; breakers and checks look at it."""

    @property
    def clock_trusted(self) -> bool:
        """Whether the venue's clock and ours agree once corrected; True where nobody measures them."""
        return bool(getattr(self._venue, "clock_trusted", True))

    @property
    def on_handed(self) -> Callable[[str, int], None] | None:
        """Told when an order of this run goes to the HTTP client."""
        return self._shared.hears_handed(self._prefix)

    @on_handed.setter
    def on_handed(self, told: Callable[[str, int], None] | None) -> None:
        self._shared.hear_handed(self._prefix, told)

    async def open(self) -> None:
        """It is open."""

    async def close(self) -> None:
        """Others may still use it."""

    def instrument(self, symbol: str) -> Instrument:
        """Grid, limits and fees of a pair."""
        return self._venue.instrument(symbol)

    async def place(self, order: NewOrder) -> OrderReport:
        """Send an order."""
        return await self._venue.place(order)

    async def cancel(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Cancel by either id."""
        return await self._venue.cancel(symbol, client_order_id, venue_order_id)

    async def query(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Ask for one order."""
        return await self._venue.query(symbol, client_order_id, venue_order_id)

    async def open_orders(self, symbol: str) -> list[OrderReport]:
        """The account's live orders of a pair, other runs' included."""
        return list(await self._shared.open_orders(symbol).answer())

    async def fills_since(self, symbol: str, since_ns: int) -> list[FillReport]:
        """The account's trades of a pair from a time on, other runs' included."""
        return await self._venue.fills_since(symbol, since_ns)

    async def balances(self) -> list[BalanceReport]:
        """What the account holds."""
        return list(await self._shared.balances.answer())

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What else it can do."""
        return self._venue.capabilities

    async def permissions(self) -> KeyPermissions:
        """What the account's key may do."""
        return await self._venue.permissions()

    async def cancel_all_after(self, symbol: str, countdown_s: float) -> None:
        """Refresh the dead man's switch of a pair."""
        await self._venue.cancel_all_after(symbol, countdown_s)

    async def transfers_since(self, since_ns: int) -> list[TransferReport]:
        """Money that entered or left the account."""
        return list(await self._shared.transfers.answer(since_ns))

    def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """The pair's feed, which is followed once for all runs."""
        return self._shared.feed(symbol).follow()

    def user_events(self) -> AsyncIterator[UserEvent]:
        """What happens on the account, without the orders and trades of other runs."""
        return self._shared.account(self._wants)

    def _wants(self, event: UserEvent) -> bool:
        if not isinstance(event, OrderReport | FillReport):
            return True
        if event.symbol != self._symbol:
            return False
        parsed = parse_order_id(event.client_order_id)
        # A trade without our id is anybody's: each run finds out by the venue's id whether it is its own.
        return parsed is None or parsed.prefix == self._prefix


class RunVenueWithSweep(RunVenue):
    """The same where the venue can cancel everything of a pair at once; a run that is alone there may."""

    async def cancel_all(self, symbol: str) -> list[OrderReport]:
        """Cancel the account's orders of a pair with one request."""
        assert isinstance(self._venue, CancelsAll)  # noqa: S101 - made only for those
        return await self._venue.cancel_all(symbol)
