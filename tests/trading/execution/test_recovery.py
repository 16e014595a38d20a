"""Start after a crash, reconciliation while running, and stopping."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest

from engine_room import ASK, BID, BOTH, NOTHING, STREAM, EngineRoom, let_run
from fake_exchange import FakeExchange, FakeVenue, LeapingClock, MemoryJournal, unavailable
from mrmarket.core.clock import NS_PER_S
from mrmarket.core.events import Fact
from mrmarket.store.event_log import LoggedFact
from mrmarket.store.order_journal import OrderIntent
from mrmarket.trading.execution.order_id import OrderIds
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.venue.port import (
    NewOrder,
    OrderReport,
    OrderStatus,
    OutcomeUnknownError,
    VenueUnavailableError,
)


class World:
    """What survives: exchange, journal, clock."""

    def __init__(self) -> None:
        self.clock = LeapingClock()
        self.exchange = FakeExchange(self.clock)
        self.journal = MemoryJournal()

    def room(self, **more: object) -> EngineRoom:
        """A new life."""
        return EngineRoom(self.exchange, self.journal, self.clock, **more)  # type: ignore[arg-type]  # by name


async def test_live_orders_are_adopted() -> None:
    """What still stands and is still wanted goes on as it is, without a single request."""
    world = World()
    first = world.room()
    await first.recover()
    await first.want()
    await first.abandon()
    second = world.room()
    found = await second.recover()
    assert (found.intents, found.adopted, found.strays) == (2, 2, 0)
    assert second.states() == {"b1": "acked", "s1": "acked"}
    assert not await second.want()
    assert second.venue.placed == []
    await second.abandon()


async def test_fills_of_the_dead_time_are_found_before_quoting() -> None:
    """Orders that were filled while nobody was there: fills first, and the slots are free."""
    world = World()
    first = world.room()
    await first.recover()
    await first.want()
    bid, ask = (first.only(slot).client_order_id for slot in ("b1", "s1"))
    await first.abandon()
    world.clock.advance(3600 * NS_PER_S)
    between = world.room()
    between.venue.fill(bid, 1_000, tell=False)
    between.venue.fill(ask, 300, tell=False)
    await between.abandon()
    second = world.room()
    await second.recover()
    assert second.position_lots == 700 == world.journal.position_lots
    assert second.states() == {"s1": "partially_filled"}
    assert second.only("s1").filled_lots == 300
    await second.abandon()


async def test_an_order_that_the_journal_lost_is_adopted_by_its_prefix() -> None:
    """After a power cut an intent may be missing: the id says that the order is ours, and its slot."""
    world = World()
    lost = OrderIds("house", STREAM).make("b1", 900)
    room = world.room()
    resting = room.venue.rest_foreign(lost, BID.side, 5_999_000, 1_000)
    room.venue.rest_foreign("web_1", BID.side, 5_900_000, 1_000)
    room.venue.fill(lost, 200, tell=False)
    found = await room.recover()
    assert found.adopted == 1
    assert room.only("b1").client_order_id == lost
    assert room.only("b1").filled_lots == 200
    assert room.position_lots == 200
    assert world.journal.states() == {lost: "partially_filled"}
    await room.want(NOTHING)
    assert resting.status is OrderStatus.CANCELLED
    assert room.venue.cancelled == [lost]
    await room.abandon()


async def test_an_order_recorded_as_closed_that_lives_is_cancelled() -> None:
    """The journal says closed, the venue says open: it has no place, so it goes."""
    world = World()
    first = world.room()
    await first.recover()
    await first.want(TargetQuotes((BID,)))
    key = first.only("b1").client_order_id
    world.journal.record_report(key, state="cancelled", venue_order_id="", filled_lots=0, at_ns=1)
    await first.abandon()
    second = world.room()
    found = await second.recover()
    assert found.strays == 1
    assert second.venue.cancelled == [key]
    assert world.exchange.open() == []
    await second.abandon()


async def test_an_intent_that_was_never_sent_is_closed_in_time() -> None:
    """Killed between intent and request: blocked until absence is proven, then refused as absent."""
    world = World()
    first = world.room()
    await first.recover()
    first.desk.open_orders([BID], first.executor._kind)
    await first.abandon()
    second = world.room()
    await second.recover()
    assert second.states() == {"b1": "unknown"}
    assert not (await second.want(TargetQuotes((BID,)))).placements
    await second.later(3)
    assert second.states() == {}
    assert (await second.want(TargetQuotes((BID,)))).placements
    await second.abandon()


async def test_recovery_without_an_answer_can_be_tried_again() -> None:
    """A venue that is down at start: the error comes out, nothing is concluded, the next try succeeds."""
    world = World()
    first = world.room()
    await first.recover()
    await first.want()
    await first.abandon()
    second = world.room()
    second.reconciler.load()
    second.venue.read_faults.append(unavailable())
    with pytest.raises(VenueUnavailableError):
        await second.reconciler.recover()
    assert second.states() == {"b1": "unknown", "s1": "unknown"}
    assert (await second.reconciler.recover()).adopted == 2
    assert second.states() == {"b1": "acked", "s1": "acked"}
    await second.abandon()


async def test_reconciliation_notices_what_the_stream_lost() -> None:
    """Every ten seconds: an order cancelled by hand and a fill nobody told of are found."""
    world = World()
    room = world.room()
    await room.recover()
    await room.want()
    room.venue.silent = True
    bid, ask = (room.only(slot).client_order_id for slot in ("b1", "s1"))
    world.exchange.orders[bid].status = OrderStatus.CANCELLED
    room.venue.fill(ask, 1_000)
    await room.later(9)
    assert set(room.states()) == {"b1", "s1"}
    await room.later(1)
    assert room.states() == {}
    assert room.position_lots == -1_000
    assert room.reconciler.reconciliations == 1
    await room.abandon()


async def test_a_reconnect_reconciles_at_once() -> None:
    """After the user stream was lost nobody waits for the next round."""
    world = World()
    room = world.room()
    await room.recover()
    await room.want()
    room.venue.silent = True
    room.venue.fill(room.only("s1").client_order_id, 1_000)
    room.reconciler.request()
    await room.later(0)
    assert room.position_lots == -1_000
    await room.abandon()


async def test_a_read_that_fails_concludes_nothing() -> None:
    """A 5xx on a query is not "unknown order"; the same question is asked again."""
    world = World()
    room = world.room()
    await room.recover()
    await room.want()
    room.venue.read_faults.append(unavailable())
    await room.later(10)
    assert room.states() == {"b1": "acked", "s1": "acked"}
    assert room.reconciler.failures == 1
    await room.later(0)
    assert room.reconciler.reconciliations == 1
    await room.abandon()


async def test_an_old_order_that_the_venue_denies_is_closed() -> None:
    """An acknowledged order that is in no list and unknown on query has left the book."""
    world = World()
    room = world.room()
    await room.recover()
    await room.want(TargetQuotes((BID,)))
    key = room.only("b1").client_order_id
    del world.exchange.orders[key]
    await room.later(10)
    assert room.states() == {}
    assert world.journal.states()[key] == "cancelled"
    await room.abandon()


async def test_a_young_order_may_be_denied() -> None:
    """Before the propagation time "unknown" proves nothing."""
    world = World()
    room = world.room(timing=Timing(reconcile_ns=NS_PER_S))
    await room.recover()
    await room.want(TargetQuotes((BID,)))
    hidden = world.exchange.orders.pop(room.only("b1").client_order_id)
    await room.later(1)
    assert room.states() == {"b1": "acked"}
    world.exchange.orders[hidden.order.client_order_id] = hidden
    await room.later(3)
    assert room.states() == {"b1": "acked"}
    await room.abandon()


async def test_a_closed_order_that_reappears_is_cancelled_again() -> None:
    """Our proof was wrong: the venue lists an order as open that we had closed."""
    world = World()
    room = world.room()
    await room.recover()
    await room.want(TargetQuotes((BID,)))
    key = room.only("b1").client_order_id
    room.desk.closed(key)
    await room.later(10)
    assert world.exchange.orders[key].status is OrderStatus.CANCELLED
    await room.abandon()


async def test_an_old_list_does_not_reopen_a_closed_order() -> None:
    """The list can be older than the close: the order itself is asked before anything is sent."""
    world = World()
    room = world.room()
    await room.recover()
    await room.want(TargetQuotes((BID,)))
    stale = world.exchange.orders[room.only("b1").client_order_id].report()
    await room.want(NOTHING)
    sent = len(room.venue.cancelled)

    async def late_list(symbol: str) -> list[OrderReport]:
        return [stale]

    room.venue.open_orders = late_list  # type: ignore[method-assign]  # one stale answer
    await room.later(10)
    assert room.states() == {}
    assert len(room.venue.cancelled) == sent
    await room.abandon()


async def test_stop_cancels_everything_and_proves_it() -> None:
    """After a stop nothing of ours is left, whatever was in flight."""
    world = World()
    room = world.room()
    await room.recover()
    await room.want(TargetQuotes((BID,)))
    room.venue.faults.append("lose_answer")
    room.executor.apply(BOTH, None, 0)
    await room.want()
    report = await room.reconciler.stop()
    assert report.clean
    assert report.fills_missing == 0
    assert world.exchange.open() == []
    assert len(room.table) == 0
    await room.settle()
    assert all(not record.is_open for record in world.journal.records.values())
    await room.abandon()


async def test_stop_leaves_other_peoples_orders_alone() -> None:
    """Only what carries our prefix is cancelled."""
    world = World()
    room = world.room()
    await room.recover()
    await room.want()
    hand_made = room.venue.rest_foreign("web_1", BID.side, 5_900_000, 1_000)
    assert (await room.reconciler.stop()).clean
    assert hand_made.status is OrderStatus.OPEN
    await room.abandon()


async def test_stop_repeats_a_lost_cancel() -> None:
    """A cancel whose request was lost is found out by a query and sent again."""
    world = World()
    room = world.room()
    await room.recover()
    await room.want(TargetQuotes((BID,)))
    room.venue.cancel_faults.append("lose_request")
    report = await room.reconciler.stop()
    assert report.clean
    assert report.cancels_sent == 2
    await room.abandon()


async def test_stop_gives_up_in_time_and_names_what_remains() -> None:
    """A venue that answers nothing: bounded time, and the report says which orders may still stand."""
    world = World()
    room = world.room()
    await room.recover()
    await room.want()
    room.venue.cancel_faults.extend([OutcomeUnknownError("fake", "cancel", "time-out")] * 50)
    room.venue.read_faults.extend([unavailable()] * 500)
    report = await room.reconciler.stop()
    assert not report.clean
    assert sorted(report.remaining) == sorted(order.client_order_id for order in room.table.open())
    assert len(report.remaining) == 2
    await room.abandon()


async def test_stop_does_not_wait_for_a_request_that_hangs() -> None:
    """A request that never returns does not keep the process alive beyond the deadline."""
    world = World()
    room = world.room(timing=Timing(stop_timeout_ns=NS_PER_S // 20))
    await room.recover()
    room.venue.gate = asyncio.Event()
    room.executor.apply(TargetQuotes((BID,)), None, 0)
    room.executor._start(room.venue.gate.wait())  # type: ignore[arg-type]  # any hanging request
    report = await room.reconciler.stop()
    assert report.clean
    await room.abandon()


class Life:
    """Counts steps with an effect outside memory; after the last one nothing has an effect any more."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self) -> bool:
        """Whether the process is still alive for this step."""
        self.left -= 1
        return self.left >= 0


class MortalJournal(MemoryJournal):
    """A journal whose process dies at a given step."""

    life = Life(10**9)

    def record_intents(self, intents: Sequence[OrderIntent]) -> None:
        """Write, if alive."""
        if not self.life.step():
            raise OSError("dead")
        super().record_intents(intents)

    def record_report(
        self, client_order_id: str, *, state: str, venue_order_id: str, filled_lots: int, at_ns: int
    ) -> None:
        """Write, if alive."""
        if not self.life.step():
            raise OSError("dead")
        super().record_report(
            client_order_id, state=state, venue_order_id=venue_order_id, filled_lots=filled_lots, at_ns=at_ns
        )

    def append_facts(self, stream: str, facts: Sequence[Fact]) -> list[LoggedFact]:
        """Append, if alive."""
        if not self.life.step():
            raise OSError("dead")
        return super().append_facts(stream, facts)


class MortalVenue(FakeVenue):
    """A venue whose client dies at a given step; the exchange itself lives on."""

    life = Life(10**9)

    async def place(self, order: NewOrder) -> OrderReport:
        """Send, if alive."""
        if not self.life.step():
            raise OutcomeUnknownError("fake", "place", "dead")
        return await super().place(order)

    async def cancel(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Send, if alive."""
        if not self.life.step():
            raise OutcomeUnknownError("fake", "cancel", "dead")
        return await super().cancel(symbol, client_order_id, venue_order_id)


async def live_a_little(room: EngineRoom) -> None:
    """Quote, be filled in part and whole, move, cancel: one scenario with every kind of write."""
    moved = TargetQuotes((type(BID)("b1", BID.side, 5_998_000, 1_000), ASK))
    await room.want()
    for number, targets in enumerate([BOTH, moved, moved, BOTH, NOTHING, BOTH]):
        for resting in room.exchange.open()[:1]:
            rest = resting.order.size_lots - resting.filled_lots
            room.venue.fill(resting.order.client_order_id, rest if number % 2 else max(1, rest // 3))
        await room.settle()
        room.clock.advance(6 * NS_PER_S)
        await room.want(targets)


async def steps_of_one_life() -> int:
    """How many steps the scenario has."""
    world = World()
    world.journal = MortalJournal()
    life = world.journal.life = Life(10**6)
    venue = MortalVenue(world.exchange)
    venue.life = life
    room = world.room(venue=venue)
    await room.recover()
    await live_a_little(room)
    await room.abandon()
    return 10**6 - life.left


async def test_a_kill_at_any_step_loses_nothing() -> None:
    """Killed at each single write or request of a life: the next start has the same position and orders."""
    total = await steps_of_one_life()
    assert total > 40
    for steps in range(total):
        world = World()
        journal = world.journal = MortalJournal()
        venue = MortalVenue(world.exchange)
        journal.life = venue.life = Life(steps)
        first = world.room(venue=venue)
        await first.recover()
        await live_a_little(first)
        await first.abandon()
        journal.life = Life(10**9)
        world.clock.advance(5 * NS_PER_S)
        known = max((fact.at_ns for fact in journal.facts), default=None)
        second = world.room(known_until_ns=known)
        await second.recover()
        await second.later(3)
        await second.later(3)
        where = f"killed at step {steps} of {total}"
        assert journal.position_lots == world.exchange.position_lots, where
        ours = sorted(resting.order.client_order_id for resting in world.exchange.open())
        assert sorted(order.client_order_id for order in second.table.open()) == ours, where
        assert sorted(record.client_order_id for record in journal.open_intents(STREAM)) == ours, where
        slots = [order.slot for order in second.table.open()]
        assert len(set(slots)) == len(slots), where
        assert (await second.reconciler.stop()).clean, where
        assert world.exchange.open() == [], where
        await second.abandon()


async def test_a_forgotten_closed_order_can_still_be_filled() -> None:
    """The table forgets old orders; a late fill of one is recognised by its prefix."""
    world = World()
    room = world.room()
    room.table._closed_kept = 0
    await room.recover()
    await room.want(TargetQuotes((BID,)))
    key = room.only("b1").client_order_id
    late = room.venue.fill(key, 100, tell=False)
    world.exchange.orders[key].filled_lots = 0
    await room.want(NOTHING)
    assert room.table.find(key) is None
    room.desk.fill(late)
    await room.settle()
    assert room.position_lots == 100
    assert room.own_fills[0].slot == "b1"
    await room.abandon()


async def test_balances_are_read_at_start() -> None:
    """The first decision knows what may be spent."""
    world = World()
    world.exchange.quote = Decimal(7)
    room = world.room()
    await room.recover()
    assert room.account.quote_total == 7
    await let_run()
    await room.abandon()
