"""The executor: nothing a venue does reaches the strategy, nothing is sent twice, doubt blocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine_room import ASK, BID, BOTH, NOTHING, TOP, EngineRoom, let_run
from fake_exchange import FakeExchange, LeapingClock, MemoryJournal
from mrmarket.core.clock import NS_PER_S
from mrmarket.core.events import (
    Filled,
    OrderAccepted,
    OrderCancelled,
    OrderCreated,
    OrderDoubted,
    OrderRejected,
)
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.venue.port import (
    AuthenticationRefusedError,
    OrderRefusedError,
    RateLimitedError,
    VenueUnavailableError,
)


@pytest.fixture
async def room() -> AsyncIterator[EngineRoom]:
    """A recovered room over an empty exchange."""
    clock = LeapingClock()
    made = EngineRoom(FakeExchange(clock), MemoryJournal(), clock)
    await made.recover()
    yield made
    await made.abandon()


def kinds(room: EngineRoom) -> list[str]:
    """Kinds of the facts in the log."""
    return [type(fact).__name__ for fact in room.journal.facts]


async def test_quotes_are_placed_once(room: EngineRoom) -> None:
    """Each wanted quote becomes one order; deciding again sends nothing."""
    plan = await room.want()
    assert [quote.slot for quote in plan.placements] == ["b1", "s1"]
    assert room.states() == {"b1": "acked", "s1": "acked"}
    assert not await room.want()
    assert len(room.venue.placed) == 2
    assert kinds(room) == ["OrderCreated", "OrderCreated", "OrderAccepted", "OrderAccepted"]
    created = room.journal.facts[0]
    assert isinstance(created, OrderCreated)
    assert (created.price, created.size, created.reason) == ("59990", "0.01", "layer 1")
    assert set(room.journal.states().values()) == {"acked"}
    assert (room.executor.latency.count, room.executor.follow_up.count) == (0, 2)


async def test_the_intent_is_written_before_it_is_sent(room: EngineRoom) -> None:
    """When the venue's client is called, the journal already holds the order."""
    seen: list[int] = []
    room.venue.before_answer = lambda: seen.append(len(room.journal.records))
    await room.want(TargetQuotes((BID,)))
    assert seen == [1]


async def test_an_intent_that_cannot_be_written_is_not_sent(room: EngineRoom) -> None:
    """A full disk stops placing at once and is reported as a fault."""
    room.journal.fail_intents = OSError("disk full")
    plan = await room.want()
    assert not plan.placements
    assert room.venue.placed == []
    assert [str(fault) for fault in room.faults] == ["disk full"]


async def test_a_refusal_frees_the_slot_after_a_rest(room: EngineRoom) -> None:
    """A refused order never lived; the slot rests, longer with each refusal, and then tries again."""
    room.venue.faults.extend(["refuse", "refuse"])
    one = TargetQuotes((BID,))
    await room.want(one)
    assert room.states() == {}
    rejected = room.journal.facts[-1]
    assert isinstance(rejected, OrderRejected)
    assert (rejected.code, rejected.reason) == ("order_refused", "it would take")
    assert (await room.want(one)).waiting == (("b1", "rests after a refusal"),)
    room.clock.advance(NS_PER_S // 10)
    await room.want(one)
    room.clock.advance(NS_PER_S // 10)
    assert not (await room.want(one)).placements
    room.clock.advance(NS_PER_S // 10)
    await room.want(one)
    assert room.states() == {"b1": "acked"}
    assert len({order.client_order_id for order in room.venue.placed}) == 3
    assert room.executor.refusals == 2


async def test_a_lost_answer_leaves_doubt_that_a_query_ends(room: EngineRoom) -> None:
    """A time-out is neither success nor failure: the slot is blocked until the venue has answered."""
    room.venue.silent = True
    room.venue.faults.append("lose_answer")
    await room.want()
    assert room.states() == {"b1": "unknown", "s1": "acked"}
    assert not await room.want()
    assert any(isinstance(fact, OrderDoubted) and fact.request == "place" for fact in room.journal.facts)
    await room.later(1)
    assert room.states()["b1"] == "unknown"
    await room.later(2)
    assert room.states() == {"b1": "acked", "s1": "acked"}
    assert len(room.exchange.orders) == 2


async def test_a_lost_request_is_closed_only_after_proof(room: EngineRoom) -> None:
    """Resending waits for the venue's word that it has neither the order nor a fill of it."""
    room.venue.faults.append("lose_request")
    await room.want(TargetQuotes((BID,)))
    await room.later(2.9)
    assert room.states() == {"b1": "unknown"}
    await room.later(0.1)
    assert room.states() == {}
    absent = room.journal.facts[-1]
    assert isinstance(absent, OrderRejected)
    assert absent.code == "absent"
    await room.want(TargetQuotes((BID,)))
    first, second = (order.client_order_id for order in room.venue.placed)
    assert first != second
    assert len(room.exchange.orders) == 1


async def test_unknown_orders_may_have_been_filled(room: EngineRoom) -> None:
    """The venue has forgotten the order but not its trade: it was filled, not absent."""
    room.venue.silent = True
    room.venue.faults.append("lose_answer")
    await room.want(TargetQuotes((BID,)))
    key = room.only("b1").client_order_id
    room.venue.fill(key, 1_000)
    del room.exchange.orders[key]
    room.clock.advance(3 * NS_PER_S)
    await room.reconciler._comparison.prove([room.only("b1")])
    assert room.table.open() == []
    await room.settle()
    assert room.position_lots == 1_000
    assert room.journal.states()[key] == "filled"


async def test_the_user_stream_may_outrun_the_answer(room: EngineRoom) -> None:
    """Acknowledgement and fill by stream before the response: one order, one fill, one position."""

    def filled_at_once() -> None:
        (key,) = room.exchange.orders
        room.venue.fill(key, 1_000)
        room.hear()

    room.venue.before_answer = filled_at_once
    await room.want(TargetQuotes((BID,)))
    assert room.states() == {}
    assert room.position_lots == 1_000 == room.journal.position_lots
    assert set(room.journal.states().values()) == {"filled"}
    assert kinds(room) == ["OrderCreated", "OrderAccepted", "Filled"]


async def test_a_fill_told_twice_counts_once(room: EngineRoom) -> None:
    """Stream, repetition and REST bring the same trade: the key is the trade id."""
    await room.want(TargetQuotes((BID,)))
    fill = room.venue.fill(room.only("b1").client_order_id, 400)
    room.venue.user.put_nowait(fill)
    await room.settle()
    await room.later(11)
    assert room.position_lots == 400
    assert sum(isinstance(fact, Filled) for fact in room.journal.facts) == 1
    assert room.states() == {"b1": "partially_filled"}
    (own,) = room.own_fills
    assert (own.slot, own.closes_order, own.double_mid_ticks) == ("b1", False, TOP.double_mid_ticks)


async def test_only_the_completing_fill_closes_the_order(room: EngineRoom) -> None:
    """Two fills of one batch: exactly the second one completes the order."""
    await room.want(TargetQuotes((BID,)))
    key = room.only("b1").client_order_id
    room.venue.fill(key, 400)
    room.venue.fill(key, 600)
    await room.settle()
    assert [own.closes_order for own in room.own_fills] == [False, True]


async def test_a_fill_without_our_id_waits_for_its_order(room: EngineRoom) -> None:
    """A venue that names only its own order id: the fill is kept until the acknowledgement comes."""
    room.venue.names_client_ids = False
    gate = room.venue.gate = asyncio.Event()
    room.executor.apply(TargetQuotes((BID,)), TOP, 0)
    await let_run()
    room.venue.silent = True
    gate.set()

    def fill() -> None:
        (key,) = room.exchange.orders
        early = room.venue.fill(key, 300)
        room.desk.fill(early)
        room.desk.fill(early)

    room.venue.before_answer = fill
    await room.settle()
    assert room.position_lots == 300
    assert room.own_fills[0].slot == "b1"


async def test_fills_of_others_are_not_ours(room: EngineRoom) -> None:
    """The account's owner trades by hand: counted, but neither position nor event."""
    room.venue.rest_foreign("web_1", BID.side, 5_000_000, 100)
    room.venue.fill("web_1", 100)
    await room.settle()
    await room.later(11)
    assert room.position_lots == 0
    assert room.desk.foreign_fills >= 1
    assert kinds(room) == []
    assert room.venue.cancelled == []


async def test_nothing_is_placed_while_a_fill_is_being_written(room: EngineRoom) -> None:
    """Until a fill is durable the strategy has not heard of it, so its wishes are out of date."""
    await room.want(TargetQuotes((BID,)))
    room.venue.fill(room.only("b1").client_order_id, 1_000)
    room.hear()
    assert room.facts.urgent_pending == 1
    assert not room.executor.apply(BOTH, TOP, 0).placements
    assert room.own_fills == []
    await room.settle()
    assert len(room.own_fills) == 1
    assert (await room.want()).placements


async def test_without_a_top_nothing_is_placed(room: EngineRoom) -> None:
    """No market, no orders."""
    assert not room.executor.apply(BOTH, None, 0).placements


async def test_a_replacement_is_cancel_first(room: EngineRoom) -> None:
    """A moved quote: cancel, proof, then the new order under a new id."""
    await room.want(TargetQuotes((BID,)))
    moved = TargetQuotes((type(BID)("b1", BID.side, 5_998_000, 1_000),))
    assert not await room.want(moved)
    room.clock.advance(5 * NS_PER_S)
    plan = await room.want(moved)
    assert len(plan.cancels) == 1
    assert not plan.placements
    await room.want(moved)
    assert room.only("b1").price_ticks == 5_998_000
    assert [type(fact) for fact in room.journal.facts].count(OrderCancelled) == 1
    assert sorted(room.journal.states().values()) == ["acked", "cancelled"]


async def test_orders_follow_the_answer_at_once(room: EngineRoom) -> None:
    """What the end of an order makes due is sent from the cancel's own task, the rest beside it."""
    await room.want(TargetQuotes((BID,)))
    room.clock.advance(5 * NS_PER_S)
    moved = TargetQuotes((type(BID)("b1", BID.side, 5_998_000, 1_000), ASK))
    decided: list[int] = []

    def decide() -> None:
        decided.append(len(room.executor.apply(moved, TOP, 0).placements))

    room.on_answer = decide  # type: ignore[method-assign]  # decides as a run does
    room.executor.cancel(room.only("b1"))
    await room.settle()
    assert decided == [2]
    assert room.states() == {"b1": "acked", "s1": "acked"}
    assert room.only("b1").price_ticks == 5_998_000
    assert room.executor.in_flight == 0


async def test_a_lost_cancel_answer_keeps_the_order_open(room: EngineRoom) -> None:
    """The cancel may not have arrived: still open, quantity reserved, slot blocked, asked again later."""
    room.venue.silent = True
    await room.want(TargetQuotes((BID,)))
    room.venue.cancel_faults.append("lose_request")
    await room.want(NOTHING)
    assert room.states() == {"b1": "cancel_unknown"}
    assert room.only("b1").remaining_lots == 1_000
    assert not await room.want(TargetQuotes((BID,)))
    await room.later(3)
    assert room.states() == {"b1": "acked"}
    await room.want(NOTHING)
    assert room.states() == {}
    assert room.exchange.open() == []


async def test_a_cancel_that_had_its_effect_is_found_out(room: EngineRoom) -> None:
    """The answer was lost, the order is gone: the query says so."""
    room.venue.silent = True
    await room.want(TargetQuotes((BID,)))
    room.venue.cancel_faults.append("lose_answer")
    await room.want(NOTHING)
    await room.later(3)
    assert room.states() == {}
    assert set(room.journal.states().values()) == {"cancelled"}


async def test_unknown_on_cancel_may_mean_filled(room: EngineRoom) -> None:
    """The word "unknown order" on a cancel is checked against the fills before anything is concluded."""
    await room.want(TargetQuotes((BID,)))
    room.venue.fill(room.only("b1").client_order_id, 1_000, tell=False)
    await room.want(NOTHING)
    assert room.states() == {"b1": "cancel_unknown"}
    await room.later(3)
    await room.later(1)
    assert room.position_lots == 1_000
    assert set(room.journal.states().values()) == {"filled"}


async def test_a_fill_after_the_cancel_counts(room: EngineRoom) -> None:
    """Cancel and fill raced: the order is closed, the fill is still ours."""
    await room.want(TargetQuotes((BID,)))
    key = room.only("b1").client_order_id
    late = room.venue.fill(key, 250, tell=False)
    await room.want(NOTHING)
    assert room.states() == {}
    assert room.journal.states()[key] == "acked"
    room.desk.fill(late)
    await room.settle()
    assert room.position_lots == 250
    assert room.journal.states()[key] == "cancelled"
    cancelled = [fact for fact in room.journal.facts if isinstance(fact, OrderCancelled)]
    assert [fact.filled for fact in cancelled] == ["0.0025"]


async def test_a_counted_fill_that_does_not_come_is_fetched(room: EngineRoom) -> None:
    """The report says filled and the stream lost the trade: it is read from the venue after a second."""
    await room.want(TargetQuotes((BID,)))
    key = room.only("b1").client_order_id
    room.venue.fill(key, 1_000, tell=False)
    room.desk.merge(room.exchange.orders[key].report())
    await room.later(0.5)
    assert room.position_lots == 0
    await room.later(0.5)
    assert room.position_lots == 1_000


async def test_slowing_down_pauses_placing_only(room: EngineRoom) -> None:
    """After 429 nothing is placed until the venue's time is up; the order never lived; cancels go on."""
    await room.want(TargetQuotes((ASK,)))
    room.venue.faults.append(RateLimitedError("fake", "place", "slow down", 2.0, banned=False))
    await room.want()
    assert room.states() == {"s1": "acked"}
    assert not (await room.want()).placements
    assert (await room.want(NOTHING)).cancels
    room.clock.advance(2 * NS_PER_S)
    assert len((await room.want()).placements) == 2
    assert room.executor.banned_until_ns == 0


async def test_a_ban_is_remembered(room: EngineRoom) -> None:
    """After 418 the run is told until when it is banned; a limited cancel had no effect."""
    await room.want(TargetQuotes((ASK,)))
    room.venue.cancel_faults.append(RateLimitedError("fake", "cancel", "banned", 60.0, banned=True))
    await room.want(NOTHING)
    assert room.states() == {"s1": "acked"}
    assert room.executor.banned_until_ns == room.clock.now_ns() + 60 * NS_PER_S


async def test_a_refused_key_is_a_fault(room: EngineRoom) -> None:
    """A wrong key cannot be traded around."""
    room.venue.faults.append(AuthenticationRefusedError("fake", "place", "bad key"))
    await room.want(TargetQuotes((BID,)))
    await room.want(TargetQuotes((ASK,)))
    room.venue.cancel_faults.append(AuthenticationRefusedError("fake", "cancel", "bad key"))
    await room.want(NOTHING)
    assert [type(fault) for fault in room.faults] == [AuthenticationRefusedError] * 2
    assert "b1" not in room.states()


async def test_an_escaped_bug_is_doubt_and_a_fault(room: EngineRoom) -> None:
    """An error that no adapter may let out is not proof of anything; it stops the run."""
    room.venue.faults.append("crash")
    await room.want(TargetQuotes((BID,)))
    assert room.states() == {"b1": "unknown"}
    await room.want(TargetQuotes((BID, ASK)))
    room.venue.cancel_faults.append("crash")
    await room.want(NOTHING)
    assert room.states() == {"b1": "unknown", "s1": "cancel_unknown"}
    assert [str(fault) for fault in room.faults] == ["a bug in the adapter"] * 2


async def test_other_errors_of_a_request_are_doubt(room: EngineRoom) -> None:
    """Whatever a venue error is called: unless it is a plain no, the outcome is open."""
    room.venue.faults.append(VenueUnavailableError("fake", "place", "502"))
    await room.want(TargetQuotes((BID, ASK)))
    assert room.states() == {"b1": "unknown", "s1": "acked"}
    room.venue.cancel_faults.append(OrderRefusedError("fake", "cancel", "too late"))
    await room.want(NOTHING)
    assert room.states()["s1"] == "cancel_unknown"


async def test_the_pre_trade_check_holds_back_and_says_why(room: EngineRoom) -> None:
    """A quote outside the limits is never written down; the reason can be looked up."""
    far = TargetQuotes((type(BID)("b1", BID.side, 5_000_000, 1_000), ASK))
    plan = await room.want(far)
    assert [quote.slot for quote in plan.placements] == ["s1"]
    assert "further than 0.1" in room.executor.check_refusals["b1"]
    assert len(room.journal.records) == 1
    await room.want()
    assert room.executor.check_refusals == {}


async def test_a_log_that_cannot_be_written_is_a_fault(room: EngineRoom) -> None:
    """The event log fails: the strategy does not hear of the fill, and the order stays an open intent."""
    await room.want(TargetQuotes((BID,)))
    key = room.only("b1").client_order_id
    room.journal.fail_facts = OSError("disk full")
    room.venue.fill(key, 1_000)
    await room.settle()
    assert room.own_fills == []
    assert [str(fault) for fault in room.faults] == ["disk full"]
    assert room.journal.records[key].is_open
    assert (await room.want()).placements == ()


async def test_an_accepted_order_is_told_once(room: EngineRoom) -> None:
    """Response, stream and reconciliation all acknowledge; the log says it once."""
    await room.want(TargetQuotes((BID,)))
    room.venue.user.put_nowait(room.exchange.orders[room.only("b1").client_order_id].report())
    await room.settle()
    await room.later(11)
    assert sum(isinstance(fact, OrderAccepted) for fact in room.journal.facts) == 1
