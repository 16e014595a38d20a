"""Many cancels as one request, the nearest to the touch first, and no order without a lease."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import pytest

from engine_room import NOTHING, TOP, EngineRoom
from fake_exchange import FakeExchange, FakeVenue, LeapingClock, MemoryJournal, unavailable
from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.risk.gate import RiskGate
from mrmarket.trading.execution.risk.pretrade import RiskLimits
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.execution.targets import Quote, TargetQuotes
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.venue.port import (
    AuthenticationRefusedError,
    Capability,
    NewOrder,
    OrderReport,
    OrderStatus,
    OutcomeUnknownError,
    RateLimitedError,
    UnknownOrderError,
    VenueError,
    require_permit,
)
from mrmarket.trading.venue.rate_budget import RateBudget, RateLimit, RequestKind


def ladder(count: int) -> TargetQuotes:
    """So many quotes a side, the farthest first."""
    bids = [Quote(f"b{each}", Side.BUY, 5_990_000 - 100 * each, 1_000) for each in range(count, 0, -1)]
    asks = [Quote(f"s{each}", Side.SELL, 6_010_000 + 100 * each, 1_000) for each in range(count, 0, -1)]
    return TargetQuotes((*bids, *asks))


class SweepingVenue(FakeVenue):
    """A venue that cancels everything at once; `names` says of how many orders its answer tells."""

    def __init__(self, exchange: FakeExchange) -> None:
        super().__init__(exchange)
        self.sweeps = 0
        self.names: int | None = None
        self.fault: Exception | None = None
        self.effect = True

    @property
    def capabilities(self) -> frozenset[Capability]:
        """It sweeps."""
        return frozenset({Capability.CANCEL_ALL})

    async def cancel_all(self, symbol: str) -> list[OrderReport]:
        """Cancel everything on the pair, whoever's it is."""
        self.sweeps += 1
        reports = []
        if self.effect:
            for resting in self.exchange.open():
                resting.status = OrderStatus.CANCELLED
                reports.append(resting.report())
        if self.fault is not None:
            raise self.fault
        return reports[: self.names]


@pytest.fixture
async def room() -> AsyncIterator[EngineRoom]:
    """A recovered room over a venue that sweeps and is silent beside its answers."""
    clock = LeapingClock()
    exchange = FakeExchange(clock)
    made = EngineRoom(
        exchange,
        MemoryJournal(),
        clock,
        venue=SweepingVenue(exchange),
        timing=Timing(stop_timeout_ns=60 * NS_PER_S),
    )
    await made.recover()
    made.venue.silent = True
    yield made
    await made.abandon()


def venue_of(room: EngineRoom) -> SweepingVenue:
    """The venue of the room."""
    assert isinstance(room.venue, SweepingVenue)
    return room.venue


async def test_many_cancels_are_one_request(room: EngineRoom) -> None:
    """All quotes pulled at once: one sweep, every order closed by its answer."""
    await room.want(ladder(20))
    await room.want(NOTHING)
    assert (venue_of(room).sweeps, room.venue.cancelled) == (1, [])
    assert room.states() == {}
    assert room.executor.cancels_sent == 40
    assert set(room.journal.states().values()) == {"cancelled"}


async def test_few_cancels_go_one_by_one(room: EngineRoom) -> None:
    """Up to ten: nothing is won by a sweep."""
    await room.want(ladder(5))
    await room.want(NOTHING)
    assert venue_of(room).sweeps == 0
    assert len(room.venue.cancelled) == 10
    assert room.states() == {}


async def test_nobody_elses_order_is_swept_away(room: EngineRoom) -> None:
    """An order of somebody else on the pair, or one of ours that is to stay: each cancel by itself."""
    await room.want(ladder(20))
    theirs = room.venue.rest_foreign("web_1", Side.BUY, 5_900_000, 1_000)
    room.reconciler.request()
    await room.later(0)
    await room.want(NOTHING)
    assert venue_of(room).sweeps == 0
    assert theirs.status is OrderStatus.OPEN
    assert room.states() == {}


async def test_one_that_stays_keeps_the_sweep_away(room: EngineRoom) -> None:
    """Only when everything of ours must go."""
    quotes = ladder(20)
    await room.want(quotes)
    await room.want(TargetQuotes(quotes.quotes[:1]))
    assert venue_of(room).sweeps == 0
    assert list(room.states()) == [quotes.quotes[0].slot]


async def test_before_the_first_look_nothing_is_swept() -> None:
    """Nobody knows yet whether the account is ours alone."""
    clock = LeapingClock()
    exchange = FakeExchange(clock)
    made = EngineRoom(exchange, MemoryJournal(), clock, venue=SweepingVenue(exchange))
    await made.want(ladder(20))
    await made.want(NOTHING)
    assert venue_of(made).sweeps == 0
    await made.abandon()


async def test_what_a_sweep_does_not_name_is_looked_for(room: EngineRoom) -> None:
    """An answer that tells of some leaves the others in doubt until the list of open orders has spoken."""
    await room.want(ladder(20))
    venue_of(room).names = 30
    await room.want(NOTHING)
    assert set(room.states().values()) == {"cancel_unknown"}
    assert len(room.states()) == 10
    await room.later(3)
    assert room.states() == {}


@pytest.mark.parametrize("effect", [True, False])
async def test_a_sweep_without_an_answer_is_proven(room: EngineRoom, effect: bool) -> None:
    """Forty in doubt: one list finds out about all of them, and what still stands is cancelled again."""
    await room.want(ladder(20))
    venue_of(room).fault = OutcomeUnknownError("fake", "cancel all", "time-out")
    venue_of(room).effect = effect
    await room.want(NOTHING)
    assert set(room.states().values()) == {"cancel_unknown"}
    venue_of(room).fault, venue_of(room).effect = None, True
    await room.later(3)
    await room.want(NOTHING)
    assert room.states() == {}
    assert room.exchange.open() == []


@pytest.mark.parametrize(
    ("fault", "states"),
    [
        (RateLimitedError("fake", "cancel all", "slow", 1, banned=False), {"acked"}),
        (UnknownOrderError("fake", "cancel all", "none open"), {"cancel_unknown"}),
        (AuthenticationRefusedError("fake", "cancel all", "no right"), {"cancel_unknown"}),
        (RuntimeError("a bug in the adapter"), {"cancel_unknown"}),
    ],
)
async def test_a_sweep_that_fails_leaves_its_orders_where_they_are(
    room: EngineRoom, fault: Exception, states: set[str]
) -> None:
    """Refused for its rate: no doubt. Anything else: doubt, and a fault where trading cannot go on."""
    await room.want(ladder(20))
    venue_of(room).fault, venue_of(room).effect = fault, False
    await room.want(NOTHING)
    assert set(room.states().values()) == states
    known = isinstance(fault, VenueError) and not isinstance(fault, AuthenticationRefusedError)
    assert room.faults == ([] if known else [fault])


async def test_stopping_sweeps_too(room: EngineRoom) -> None:
    """A stop with forty orders is one cancel and one look."""
    await room.want(ladder(20))
    report = await room.reconciler.stop()
    assert report.clean
    assert (venue_of(room).sweeps, room.venue.cancelled) == (1, [])


async def test_what_is_nearest_to_the_touch_goes_first(room: EngineRoom) -> None:
    """It would be hit first; the sides take turns."""
    await room.want(ladder(5))
    await room.want(NOTHING)
    slots = [key[-2:] for key in room.venue.cancelled]
    assert [set(slots[first : first + 2]) for first in range(0, 10, 2)] == [
        {f"b{each}", f"s{each}"} for each in range(1, 6)
    ]


async def test_a_thousand_orders_are_found_by_one_question() -> None:
    """After a crash: one list of open orders, one of fills, one of balances, and no query of an order."""
    clock = LeapingClock()
    exchange, journal = FakeExchange(clock), MemoryJournal()
    first = EngineRoom(exchange, journal, clock, limits=RiskLimits(max_open_orders=1_000))
    await first.recover()
    exchange.base, exchange.quote = Decimal(10**5), Decimal(6 * 10**9)
    first.account.observe_all(await first.venue.balances())
    await first.want(ladder(500))
    assert len(exchange.open()) == 1_000
    await first.abandon()
    second = EngineRoom(exchange, journal, clock)
    asked = 0

    async def query(symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Nobody is to ask."""
        nonlocal asked
        asked += 1
        raise unavailable()

    second.venue.query = query  # type: ignore[method-assign]  # counts
    found = await second.recover()
    assert (found.intents, found.adopted, asked) == (1_000, 1_000, 0)
    await second.abandon()


async def test_recovery_goes_on_where_a_read_failed() -> None:
    """A start whose every second read fails gets there: what was answered is not asked again."""
    clock = LeapingClock()
    exchange, journal = FakeExchange(clock), MemoryJournal()
    first = EngineRoom(exchange, journal, clock)
    await first.recover()
    await first.want(ladder(3))
    for resting in list(exchange.orders.values())[:3]:
        resting.status = OrderStatus.CANCELLED
    await first.abandon()
    second = EngineRoom(exchange, journal, clock)
    second.reconciler.load()
    tries = 0
    while True:
        tries += 1
        second.venue.read_faults.clear()
        good = 2 if tries == 1 else 1
        second.venue._read = flaky(good)  # type: ignore[method-assign]  # answers only so often
        try:
            found = await second.reconciler.recover()
        except VenueError:
            assert tries < 12
        else:
            break
    assert found.adopted == 3
    assert len(second.states()) == 3
    await second.abandon()


def flaky(good: int) -> Callable[[], None]:
    """A read that answers so often and then no more."""
    left = good

    def read() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise unavailable()

    return read


class WaitingVenue(FakeVenue):
    """A venue whose requests wait in a budget before they leave, as the real adapter's do."""

    def __init__(self, exchange: FakeExchange, clock: LeapingClock) -> None:
        super().__init__(exchange)
        self.clock = clock
        self.wait_s = 0.0
        self.on_wait: Callable[[], object] | None = None
        self.sent: list[str] = []

    async def place(self, order: NewOrder) -> OrderReport:
        """Wait, look once more, send."""
        await self.clock.sleep(self.wait_s)
        if self.on_wait is not None:
            self.on_wait()
        require_permit(self.name, f"place {order.client_order_id}")
        self.sent.append(order.client_order_id)
        return await super().place(order)


async def test_an_order_that_waited_past_its_lease_is_not_sent() -> None:
    """The guard is asked again at the hand-over: what waited in the rate budget for too long stays here."""
    clock = LeapingClock()
    exchange, journal = FakeExchange(clock), MemoryJournal()
    venue = WaitingVenue(exchange, clock)
    made = EngineRoom(exchange, journal, clock, venue=venue)
    await made.recover()
    guard = made.executor._guard = LeaseGuard(clock)
    guard.renewed(clock.monotonic_ns(), 6 * NS_PER_S)
    venue.wait_s = 5
    made.executor.apply(ladder(1), TOP, clock.monotonic_ns())
    await made.settle()
    assert (venue.sent, made.executor.lapsed, made.states()) == ([], 2, {})
    guard.renewed(clock.monotonic_ns(), 6 * NS_PER_S)
    venue.wait_s = 0
    await made.want(ladder(1))
    assert len(venue.sent) == 2
    guard.lost()
    await made.want(NOTHING)
    assert made.states() == {}
    assert not made.executor.may_send
    await made.abandon()


@pytest.mark.parametrize("stricter", [RiskState.REDUCE, RiskState.CANCEL_ONLY, RiskState.HALT])
async def test_an_order_that_waited_into_a_halt_is_not_sent(stricter: RiskState) -> None:
    """What waits in the rate budget when less is allowed stays here; afterwards its slot is filled anew."""
    clock = LeapingClock()
    exchange = FakeExchange(clock)
    venue = WaitingVenue(exchange, clock)
    made = EngineRoom(exchange, MemoryJournal(), clock, venue=venue)
    await made.recover()
    state = [RiskState.ACTIVE]
    made.executor._gate = RiskGate(made.instrument, lambda: state[0])
    venue.wait_s, venue.on_wait = 0.4, lambda: state.__setitem__(0, stricter)
    made.executor.apply(ladder(1), TOP, clock.monotonic_ns())
    await made.settle()
    assert (venue.sent, made.executor.withheld, made.executor.lapsed, made.states()) == ([], 2, 0, {})
    state[0], venue.wait_s, venue.on_wait = RiskState.ACTIVE, 0, None
    await made.want(ladder(1))
    assert len(venue.sent) == 2
    await made.abandon()


async def test_an_order_that_waited_until_the_quotes_were_pulled_is_not_sent() -> None:
    """A book that goes stale while a quote waits in the rate budget: the quote of the old book stays here."""
    clock = LeapingClock()
    exchange = FakeExchange(clock)
    venue = WaitingVenue(exchange, clock)
    made = EngineRoom(exchange, MemoryJournal(), clock, venue=venue)
    await made.recover()
    venue.wait_s, venue.on_wait = 0.4, lambda: made.executor.apply(NOTHING, None, clock.monotonic_ns())
    made.executor.apply(ladder(1), TOP, clock.monotonic_ns())
    await made.settle()
    assert (venue.sent, made.executor.withheld, made.states()) == ([], 2, {})
    await made.abandon()


class CountingVenue(FakeVenue):
    """A venue with a rate budget that every placement takes from."""

    def __init__(self, exchange: FakeExchange, clock: LeapingClock, orders: int) -> None:
        super().__init__(exchange)
        limit = RateLimit("orders:10", orders, 10)
        self.budget = RateBudget(self.name, clock, [limit], sleep=clock.sleep)

    async def place(self, order: NewOrder) -> OrderReport:
        """Take from the budget first."""
        await self.budget.acquire(RequestKind.PLACE, "place")
        return await super().place(order)


async def test_no_more_is_decided_than_the_budget_lets_go() -> None:
    """More layers than fit: the first go at once, the rest as there is room, and nothing is refused."""
    clock = LeapingClock()
    exchange = FakeExchange(clock)
    venue = CountingVenue(exchange, clock, 40)
    made = EngineRoom(exchange, MemoryJournal(), clock, venue=venue)
    await made.recover()
    wanted = ladder(20)
    first = made.executor.apply(wanted, TOP, clock.monotonic_ns())
    again = made.executor.apply(wanted, TOP, clock.monotonic_ns())
    assert [quote.slot for quote in first.placements] == [quote.slot for quote in wanted.quotes[:10]]
    assert again.placements == ()
    await made.settle()
    for _ in range(20):
        await clock.sleep(1)
        await made.want(wanted)
    assert len(exchange.open()) == 40
    assert (venue.budget.refusals, made.executor.refusals) == (0, 0)
    await made.abandon()
