"""A small exchange and a small journal for the tests of execution and strategy; both survive a "crash"."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from mrmarket.core.clock import Clock, ManualClock
from mrmarket.core.events import Fact, Filled, encode_fact
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.store.errors import DuplicateIntentError
from mrmarket.store.event_log import LoggedFact, natural_key
from mrmarket.store.order_journal import NEW_STATE, OrderIntent, OrderRecord
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.venue.port import (
    BalanceReport,
    Capability,
    FillReport,
    KeyPermissions,
    NewOrder,
    OrderKind,
    OrderRefusedError,
    OrderReport,
    OrderStatus,
    OutcomeUnknownError,
    StreamState,
    TransferReport,
    UnknownOrderError,
    UserEvent,
    VenueError,
    VenueUnavailableError,
)

SYMBOL = "BTC/USDT"


def btc_usdt(**changes: object) -> Instrument:
    """BTC/USDT with a tick of 0.01 and a lot of 0.00001."""
    values: dict[str, object] = {
        "venue": "fake",
        "symbol": SYMBOL,
        "base": "BTC",
        "quote": "USDT",
        "tick_size": Decimal("0.01"),
        "lot_size": Decimal("0.00001"),
        "min_notional": Decimal(5),
        "maker_fee": Decimal("0.001"),
        "taker_fee": Decimal("0.001"),
    }
    return Instrument(**{**values, **changes})  # type: ignore[arg-type]  # the table above holds the types


def snapshot(bids: list[Level], asks: list[Level], *, last_id: int = 1) -> MarketEvent:
    """A whole book."""
    return MarketEvent(
        kind=EventKind.SNAPSHOT, exchange_ns=0, local_ns=0, last_id=last_id, bids=bids, asks=asks
    )


@dataclass
class Resting:
    """An order as the fake exchange holds it."""

    order: NewOrder
    venue_order_id: str
    status: OrderStatus = OrderStatus.OPEN
    filled_lots: int = 0

    def report(self, *, with_client_id: bool = True) -> OrderReport:
        """What the exchange says of it."""
        return OrderReport(
            symbol=self.order.symbol,
            client_order_id=self.order.client_order_id if with_client_id else "",
            venue_order_id=self.venue_order_id,
            side=self.order.side,
            status=self.status,
            price_ticks=self.order.price_ticks,
            size_lots=self.order.size_lots,
            filled_lots=self.filled_lots,
            venue_ns=0,
        )


@dataclass
class FakeExchange:
    """What survives a crash of the engine: orders, trades, balances."""

    clock: Clock
    orders: dict[str, Resting] = field(default_factory=dict)
    trades: list[FillReport] = field(default_factory=list)
    base: Decimal = Decimal(10)
    quote: Decimal = Decimal(1_000_000)
    next_id: int = 1

    def open(self) -> list[Resting]:
        """Everything that stands."""
        return [resting for resting in self.orders.values() if not resting.status.is_final]

    @property
    def position_lots(self) -> int:
        """Bought less sold, by the exchange's own trades."""
        return sum(trade.side.sign * trade.size_lots for trade in self.trades)


class FakeVenue:
    """The venue port over a FakeExchange. `faults` says what happens to the next requests.

    Faults: `refuse`, `lose_request` (no effect, no answer), `lose_answer` (effect, no answer),
    `crash` (an error that no adapter should let out), or any VenueError to be raised without effect.
    """

    def __init__(self, exchange: FakeExchange, instrument: Instrument | None = None) -> None:
        self.name = "fake"
        self.exchange = exchange
        self.faults: deque[str | VenueError] = deque()
        self.cancel_faults: deque[str | VenueError] = deque()
        self.read_faults: deque[VenueError] = deque()
        self.placed: list[NewOrder] = []
        self.cancelled: list[str] = []
        self.silent = False
        """Whether the user stream carries nothing."""
        self.names_client_ids = True
        self.before_answer: Callable[[], None] | None = None
        """Called once between the effect of a placement and its answer."""
        self.gate: asyncio.Event | None = None
        """Placements wait for it before they have an effect."""
        self._instrument = instrument or btc_usdt()
        self.user: asyncio.Queue[UserEvent | Exception] = asyncio.Queue()
        self.market: asyncio.Queue[MarketEvent | Exception] = asyncio.Queue()
        self.user.put_nowait(StreamState(connected=True))

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    def instrument(self, symbol: str) -> Instrument:
        """The one instrument."""
        assert symbol == self._instrument.symbol
        return self._instrument

    async def place(self, order: NewOrder) -> OrderReport:
        """Send an order."""
        self.placed.append(order)
        fault = self.faults.popleft() if self.faults else ""
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(fault, VenueError):
            raise fault
        if fault == "crash":
            raise RuntimeError("a bug in the adapter")
        if fault == "refuse":
            raise OrderRefusedError("fake", "place", "it would take")
        if fault == "lose_request":
            raise OutcomeUnknownError("fake", "place", "time-out")
        resting = self._rest(order)
        if self.before_answer is not None:
            call, self.before_answer = self.before_answer, None
            call()
        if fault == "lose_answer":
            raise OutcomeUnknownError("fake", "place", "time-out")
        return resting.report()

    async def cancel(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Cancel an order."""
        self.cancelled.append(client_order_id)
        fault = self.cancel_faults.popleft() if self.cancel_faults else ""
        if isinstance(fault, VenueError):
            raise fault
        if fault == "lose_request":
            raise OutcomeUnknownError("fake", "cancel", "time-out")
        if fault == "crash":
            raise RuntimeError("a bug in the adapter")
        resting = self.exchange.orders.get(client_order_id)
        if resting is None or resting.status.is_final:
            raise UnknownOrderError("fake", "cancel", "unknown order sent")
        resting.status = OrderStatus.CANCELLED
        self._say(resting.report())
        if fault == "lose_answer":
            raise OutcomeUnknownError("fake", "cancel", "time-out")
        return resting.report()

    async def query(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Ask for one order."""
        self._read()
        resting = self.exchange.orders.get(client_order_id)
        if resting is None:
            raise UnknownOrderError("fake", "query", "unknown order")
        return resting.report()

    async def open_orders(self, symbol: str) -> list[OrderReport]:
        """All live orders."""
        self._read()
        return [resting.report() for resting in self.exchange.open()]

    async def fills_since(self, symbol: str, since_ns: int) -> list[FillReport]:
        """All trades from a time on."""
        self._read()
        return [trade for trade in self.exchange.trades if trade.venue_ns >= since_ns]

    async def balances(self) -> list[BalanceReport]:
        """Base and quote."""
        self._read()
        return [
            BalanceReport(asset="BTC", free=str(self.exchange.base), locked="0"),
            BalanceReport(asset="USDT", free=str(self.exchange.quote), locked="0"),
        ]

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
        """What the test puts into `market`."""
        while True:
            event = await self.market.get()
            if isinstance(event, Exception):
                raise event
            yield event

    async def user_events(self) -> AsyncIterator[UserEvent]:
        """What happens on the exchange, unless `silent`."""
        while True:
            event = await self.user.get()
            if isinstance(event, Exception):
                raise event
            yield event

    def fill(self, client_order_id: str, lots: int, *, tell: bool = True) -> FillReport:
        """Somebody takes from one of our orders."""
        resting = self.exchange.orders[client_order_id]
        resting.filled_lots += lots
        done = resting.filled_lots >= resting.order.size_lots
        if not resting.status.is_final:
            resting.status = OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED
        trade = FillReport(
            symbol=SYMBOL,
            trade_id=str(1000 + len(self.exchange.trades)),
            client_order_id=client_order_id if self.names_client_ids else "",
            venue_order_id=resting.venue_order_id,
            side=resting.order.side,
            price_ticks=resting.order.price_ticks,
            size_lots=lots,
            fee="0.0001",
            fee_asset="USDT",
            maker=True,
            venue_ns=self.exchange.clock.now_ns(),
        )
        self.exchange.trades.append(trade)
        if tell:
            self._say(resting.report())
            self._say(trade)
        return trade

    def rest_foreign(self, client_order_id: str, side: Side, price_ticks: int, size_lots: int) -> Resting:
        """An order that appears at the exchange without this engine's doing."""
        return self._rest(
            NewOrder(
                symbol=SYMBOL,
                client_order_id=client_order_id,
                side=side,
                kind=OrderKind.LIMIT,
                price_ticks=price_ticks,
                size_lots=size_lots,
            )
        )

    def _rest(self, order: NewOrder) -> Resting:
        resting = Resting(order, str(self.exchange.next_id))
        self.exchange.next_id += 1
        self.exchange.orders[order.client_order_id] = resting
        self._say(resting.report())
        return resting

    def _say(self, event: UserEvent) -> None:
        if not self.silent:
            self.user.put_nowait(event)

    def _read(self) -> None:
        if self.read_faults:
            raise self.read_faults.popleft()


def unavailable() -> VenueUnavailableError:
    """A read that has no answer."""
    return VenueUnavailableError("fake", "read", "connection reset")


class CrashError(BaseException):
    """The process is gone: nothing of ours may catch this."""


class MemoryJournal:
    """The order journal in memory; it survives the engine, and can fail or crash where told."""

    def __init__(self) -> None:
        self.records: dict[str, OrderRecord] = {}
        self.facts: list[Fact] = []
        self.fail_intents: Exception | None = None
        self.fail_facts: Exception | None = None
        self._keys: set[str] = set()
        self._sequence = 0

    def record_intents(self, intents: Sequence[OrderIntent]) -> None:
        """Write intents down, all or none."""
        if self.fail_intents is not None:
            raise self.fail_intents
        for intent in intents:
            self._record(intent)

    def _record(self, intent: OrderIntent) -> None:
        if intent.client_order_id in self.records:
            raise DuplicateIntentError(Path("journal"), intent.client_order_id)
        self.records[intent.client_order_id] = OrderRecord(
            stream=intent.stream,
            client_order_id=intent.client_order_id,
            symbol=intent.symbol,
            slot=intent.slot,
            side=intent.side,
            kind=intent.kind,
            price_ticks=intent.price_ticks,
            size_lots=intent.size_lots,
            created_ns=intent.created_ns,
            venue_order_id="",
            state=NEW_STATE,
            filled_lots=0,
            updated_ns=intent.created_ns,
        )

    def record_report(
        self, client_order_id: str, *, state: str, venue_order_id: str, filled_lots: int, at_ns: int
    ) -> None:
        """Write down what became of it."""
        old = self.records[client_order_id]
        self.records[client_order_id] = OrderRecord(
            stream=old.stream,
            client_order_id=client_order_id,
            symbol=old.symbol,
            slot=old.slot,
            side=old.side,
            kind=old.kind,
            price_ticks=old.price_ticks,
            size_lots=old.size_lots,
            created_ns=old.created_ns,
            venue_order_id=venue_order_id or old.venue_order_id,
            state=state,
            filled_lots=max(old.filled_lots, filled_lots),
            updated_ns=max(old.updated_ns, at_ns),
        )

    def open_intents(self, stream: str) -> list[OrderRecord]:
        """Orders not recorded as closed."""
        return [record for record in self.records.values() if record.is_open and record.stream == stream]

    def append_facts(self, stream: str, facts: Sequence[Fact]) -> list[LoggedFact]:
        """Append what is new."""
        if self.fail_facts is not None:
            raise self.fail_facts
        logged: list[LoggedFact] = []
        for fact in facts:
            key = natural_key(fact)
            if key is not None and key in self._keys:
                continue
            if key is not None:
                self._keys.add(key)
            self.facts.append(fact)
            logged.append(
                LoggedFact(
                    stream=stream,
                    epoch=0,
                    seq=len(self.facts),
                    at_ns=fact.at_ns,
                    fact=fact,
                    payload=encode_fact(fact),
                    hash=b"",
                )
            )
        return logged

    def next_sequence(self, stream: str) -> int:
        """One more than before."""
        self._sequence += 1
        return self._sequence

    def states(self) -> dict[str, str]:
        """State by client order id."""
        return {key: record.state for key, record in self.records.items()}

    @property
    def position_lots(self) -> int:
        """The fold over the fills in the event log."""
        lot = Decimal("0.00001")
        return sum(int(Decimal(f.size) / lot) * f.side.sign for f in self.facts if isinstance(f, Filled))


class LeapingClock(ManualClock):
    """A clock whose `sleep` moves it: waiting costs no real time."""

    async def sleep(self, seconds: float) -> None:
        """Let others run, then be so much later."""
        for _ in range(20):
            await asyncio.sleep(0)
        self.advance(int(seconds * 1_000_000_000))
