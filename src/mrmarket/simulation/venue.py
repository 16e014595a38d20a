"""The venue port over a modelled exchange: what one process sees of it, through its lines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.instrument import Instrument
from mrmarket.simulation.exchange import Exchange, RefusedError, StandingOrder
from mrmarket.simulation.loop import EPOCH_NS
from mrmarket.simulation.network import Network, NoAnswerError, ServerFaultError, SlowDownError
from mrmarket.simulation.process import Process
from mrmarket.simulation.weather import FaultKind
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.venue.event_queue import EventQueue, QueueClosedError
from mrmarket.trading.venue.port import (
    BalanceReport,
    Capability,
    FillReport,
    KeyPermissions,
    NewOrder,
    OrderRefusedError,
    OrderReport,
    OutcomeUnknownError,
    RateLimitedError,
    StreamState,
    TransferReport,
    UnknownOrderError,
    UnknownSymbolError,
    UserEvent,
    VenueUnavailableError,
)

T = TypeVar("T")

RECV_WINDOW_NS: Final = 2 * NS_PER_S
"""A request that arrives later than this after its stamp is refused."""

_AHEAD_NS: Final = NS_PER_S
_TIMEOUT_S: Final = 4.0
_LAG_NS: Final = 1_500_000_000
_SNAPSHOT_S: Final = (0.2, 4.0)
_AGAIN_S: Final = (0.5, 6.0)
_MEASURE_S: Final = 30.0
"""How long a client goes by a clock that is wrong before it measures again."""


class _LateError(Exception):
    """The request's stamp is outside the receive window."""


class FeedTruth:
    """What a process was given of a book, for whoever checks that it does not quote on a stale one."""

    __slots__ = ("broken_s", "is_whole", "taken_s")

    def __init__(self) -> None:
        self.is_whole = False
        """Whether a snapshot was taken and no update is missing since."""
        self.broken_s = 0.0
        """Since when it is not whole."""
        self.taken_s = 0.0
        """When the last update of the book was taken."""


class ExchangeLine:
    """Implements `Venue` for one process. Dies with it: a dead process's calls do nothing."""

    def __init__(
        self,
        exchange: Exchange,
        network: Network,
        process: Process,
        *,
        skew: Callable[[], int],
        on_handed: Callable[[ExchangeLine, Process, NewOrder], None] | None = None,
        switch: bool = False,
    ) -> None:
        """`skew` says how wrong the machine's clock is; `on_handed` is told of every placement."""
        self.name = exchange.name
        self.exchange = exchange
        self.truth = FeedTruth()
        self.run = ""
        """Which run it serves, under which guard; for the checkers."""
        self.guard: LeaseGuard | None = None
        self._next_id = 0
        self._network = network
        self._process = process
        self._skew = skew
        self._known_skew_ns = skew()
        self._measured_s = network.loop.time()
        self._watch = on_handed
        self._switch = switch
        self._user: EventQueue[UserEvent] | None = None
        self._market: EventQueue[MarketEvent] | None = None
        self._bundle: list[UserEvent] = []
        self._user_up = False
        self._market_up = False
        self._last_user_s = 0.0
        self._last_market_s = 0.0
        self._owed_snapshot = False

    async def open(self) -> None:
        """Measure the clock."""
        self._known_skew_ns = self._skew()

    async def close(self) -> None:
        """End the streams; closing twice is harmless."""
        self.sever()
        for queue in (self._user, self._market):
            if queue is not None:
                queue.close()

    def sever(self) -> None:
        """Nothing of the exchange reaches this line any more."""
        if self._hear in self.exchange.listeners:
            self.exchange.listeners.remove(self._hear)
        if self._see in self.exchange.watchers:
            self.exchange.watchers.remove(self._see)

    def instrument(self, symbol: str) -> Instrument:
        """The one pair."""
        if symbol != self.exchange.instrument.symbol:
            raise UnknownSymbolError(self.name, symbol, [self.exchange.instrument.symbol])
        return self.exchange.instrument

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Transfers, and the dead man's switch on some exchanges."""
        found = {Capability.TRANSFERS}
        return frozenset(found | {Capability.DEAD_MAN_SWITCH} if self._switch else found)

    async def permissions(self) -> KeyPermissions:
        """Everything but withdrawing."""
        return KeyPermissions(read=True, trade=True, withdraw=False)

    async def place(self, order: NewOrder) -> OrderReport:
        """Send an order."""
        self._process.require_alive()
        if self._watch is not None:
            self._watch(self, self._process, order)
        return await self._write(
            f"place {order.client_order_id}", lambda now_ns: self.exchange.place(order, now_ns)
        )

    async def cancel(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:  # noqa: ARG002 - there is one pair
        """Cancel an order."""
        return await self._write(
            f"cancel {client_order_id}",
            lambda now_ns: self.exchange.cancel(client_order_id, venue_order_id, now_ns),
        )

    async def query(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:  # noqa: ARG002 - there is one pair
        """Ask for one order."""

        def look(now_ns: int) -> OrderReport:
            standing = self.exchange.orders.get(client_order_id)
            if standing is not None and self._hidden(standing, now_ns):
                raise RefusedError("unknown order")
            return self.exchange.query(client_order_id, venue_order_id, now_ns)

        return await self._read(f"query {client_order_id}", look)

    async def open_orders(self, symbol: str) -> list[OrderReport]:  # noqa: ARG002 - there is one pair
        """All live orders of the pair."""
        return await self._read(
            "open orders",
            lambda now_ns: [
                standing.report(now_ns)
                for standing in self.exchange.standing()
                if not self._hidden(standing, now_ns)
            ],
        )

    async def open_orders_everywhere(self) -> list[OrderReport]:
        """All live orders of the account."""
        return await self.open_orders(self.exchange.instrument.symbol)

    async def fills_since(self, symbol: str, since_ns: int) -> list[FillReport]:  # noqa: ARG002 - there is one pair
        """All trades from a time on."""
        return await self._read("fills", lambda _now_ns: self.exchange.fills_since(since_ns))

    async def balances(self) -> list[BalanceReport]:
        """Both assets."""
        return await self._read("balances", lambda _now_ns: self.exchange.balances())

    async def cancel_all_after(self, symbol: str, countdown_s: float) -> None:  # noqa: ARG002 - there is one pair
        """Set the dead man's switch."""
        await self._write("countdown", lambda now_ns: self.exchange.arm(countdown_s, now_ns))

    async def transfers_since(self, since_ns: int) -> list[TransferReport]:
        """Money that came and went."""
        return await self._read(
            "transfers",
            lambda _now_ns: [each for each in self.exchange.transfers.values() if each.venue_ns >= since_ns],
        )

    async def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:  # noqa: ARG002 - there is one pair
        """The live feed."""
        queue: EventQueue[MarketEvent] = EventQueue()
        self._market = queue
        self.exchange.watchers.append(self._see)
        self._network.later(self._network.near_s(), self._resume_market)
        while True:
            try:
                event = await queue.get()
            except QueueClosedError:
                return
            self._note(event)
            yield event

    async def user_events(self) -> AsyncIterator[UserEvent]:
        """Orders, fills and balances as they change."""
        queue: EventQueue[UserEvent] = EventQueue()
        self._user = queue
        self.exchange.listeners.append(self._hear)
        self._network.later(self._network.near_s(), self._resume_user)
        while True:
            try:
                yield await queue.get()
            except QueueClosedError:
                return

    # Requests.

    async def _write(self, request: str, effect: Callable[[int], T]) -> T:
        stamp_ns = self._stamp_ns()

        def arrive() -> T:
            now_ns = self._now_ns()
            if not -_AHEAD_NS <= now_ns - stamp_ns <= RECV_WINDOW_NS:
                raise _LateError
            return effect(now_ns)

        try:
            return await self._network.ask(self._process, self.name, arrive, timeout_s=_TIMEOUT_S)
        except RefusedError as error:
            if error.code == "unknown order":
                raise UnknownOrderError(self.name, request, error.code) from error
            if error.code == "duplicate order id":
                raise OutcomeUnknownError(self.name, request, error.code) from error
            raise OrderRefusedError(self.name, request, error.code) from error
        except _LateError as error:
            self._measure()
            raise OrderRefusedError(self.name, request, "outside the receive window") from error
        except SlowDownError as error:
            raise self._slow_down(request) from error
        except (NoAnswerError, ServerFaultError) as error:
            raise OutcomeUnknownError(self.name, request, type(error).__name__) from error

    async def _read(self, request: str, effect: Callable[[int], T]) -> T:
        try:
            return await self._network.ask(
                self._process, self.name, lambda: effect(self._now_ns()), timeout_s=_TIMEOUT_S
            )
        except RefusedError as error:
            raise UnknownOrderError(self.name, request, error.code) from error
        except SlowDownError as error:
            raise self._slow_down(request) from error
        except (NoAnswerError, ServerFaultError) as error:
            raise VenueUnavailableError(self.name, request, type(error).__name__) from error

    def _slow_down(self, request: str) -> RateLimitedError:
        wait_s = self._network.weather.rng.uniform(0.5, 5.0)
        return RateLimitedError(self.name, request, "too many requests", wait_s, banned=False)

    def _hidden(self, standing: StandingOrder, now_ns: int) -> bool:
        return now_ns - standing.placed_ns < _LAG_NS and self._network.weather.strikes(FaultKind.VENUE_LAG)

    def _now_ns(self) -> int:
        return EPOCH_NS + self._network.loop.now_ns()

    def _stamp_ns(self) -> int:
        """By the machine's clock, corrected by what was measured of it."""
        if self._network.loop.now_s - self._measured_s > _MEASURE_S:
            self._measure()
        return self._now_ns() + self._skew() - self._known_skew_ns

    def _measure(self) -> None:
        self._known_skew_ns = self._skew()
        self._measured_s = self._network.loop.now_s

    # The user stream, as the exchange sends it and as it arrives.

    def _hear(self, event: UserEvent) -> None:
        if not self._user_up:
            return
        if not self._bundle:
            self._network.later(0.0, self._dispatch)
        self._bundle.append(event)

    def _dispatch(self) -> None:
        bundle, self._bundle = self._bundle, []
        weather, loop = self._network.weather, self._network.loop
        if not self._user_up:
            return
        if self._network.is_cut(self._process.name, self.name):
            self._break_user()
            return
        fate = weather.of_message()
        if fate is FaultKind.STREAM_BREAK:
            self._break_user()
            return
        if fate is FaultKind.STREAM_LOSS:
            del bundle[weather.rng.randrange(len(bundle))]
        elif fate is FaultKind.STREAM_DUPLICATE:
            bundle = bundle + bundle
        due_s = loop.now_s + self._network.near_s()
        if fate is FaultKind.STREAM_REORDER:
            due_s += weather.rng.uniform(0.05, 3.0)
        else:
            due_s = self._last_user_s = max(due_s, self._last_user_s)
        self._network.later(due_s - loop.now_s, self._bring, bundle)

    def _bring(self, bundle: list[UserEvent]) -> None:
        if self._user is not None and self._process.is_alive:
            for event in bundle:
                self._user.put(event)

    def _break_user(self) -> None:
        self._user_up = False
        self._bring([StreamState(connected=False, reason="the connection was cut")])
        self._network.later(self._network.weather.rng.uniform(*_AGAIN_S), self._resume_user)

    def _resume_user(self) -> None:
        if not self._process.is_alive or self._hear not in self.exchange.listeners:
            return
        if self._network.is_cut(self._process.name, self.name):
            self._network.later(self._network.weather.rng.uniform(*_AGAIN_S), self._resume_user)
            return
        self._user_up = True
        self._bring([StreamState(connected=True)])

    # The market feed.

    def _see(self, event: MarketEvent) -> None:
        if not self._market_up:
            return
        loop, weather = self._network.loop, self._network.weather
        if self._network.is_cut(self._process.name, self.name):
            self._market_up = False
            self._show(MarketEvent(kind=EventKind.SNAPSHOT, exchange_ns=0, local_ns=0))
            self._network.later(weather.rng.uniform(*_AGAIN_S), self._resume_market)
            return
        if weather.strikes(FaultKind.MARKET_GAP):
            self._network.later(weather.rng.uniform(*_SNAPSHOT_S), self._resume_market)
            return
        due_s = self._last_market_s = max(loop.now_s + self._network.near_s(), self._last_market_s)
        self._network.later(due_s - loop.now_s, self._show, event)

    def _show(self, event: MarketEvent) -> None:
        if self._market is not None and self._process.is_alive:
            self._market.put(event)

    def _resume_market(self) -> None:
        if not self._process.is_alive or self._see not in self.exchange.watchers:
            return
        if self._network.is_cut(self._process.name, self.name):
            self._network.later(self._network.weather.rng.uniform(*_AGAIN_S), self._resume_market)
            return
        self._market_up = True
        loop = self._network.loop
        due_s = self._last_market_s = max(loop.now_s + self._network.near_s(), self._last_market_s)
        self._network.later(due_s - loop.now_s, self._show, self.exchange.snapshot(self._now_ns()))

    def _note(self, event: MarketEvent) -> None:
        truth, was_whole = self.truth, self.truth.is_whole
        if event.kind is EventKind.SNAPSHOT:
            truth.is_whole = bool(event.bids and event.asks)
            self._next_id = event.last_id + 1
        elif event.kind is EventKind.DEPTH:
            if event.last_id < self._next_id:
                return
            if event.first_id > self._next_id:
                truth.is_whole = False
            self._next_id = event.last_id + 1
        truth.taken_s = self._network.loop.now_s
        if was_whole and not truth.is_whole:
            truth.broken_s = truth.taken_s
