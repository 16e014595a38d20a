"""Each failure that trading meets, and the rule it is met with: one test a row of the table."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

import binance_script
from arbitrage_stage import CrossStage
from binance_venue import PAIR, opened
from engine_room import ASK, BID, STREAM, TOP, EngineRoom
from fake_exchange import FakeExchange, LeapingClock, MemoryJournal, btc_usdt, snapshot, unavailable
from loopback_exchange import Answer, Seen
from mrmarket.core.clock import NS_PER_MS, NS_PER_S, ManualClock
from mrmarket.core.events import Filled, OrderCreated, OrderDoubted
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.execution.differences import DifferenceKind
from mrmarket.trading.execution.fact_writer import FactWriter
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.legs import LegStage
from mrmarket.trading.execution.order_id import OrderIds
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.venue.book_tracker import BookTracker, StaleReason
from mrmarket.trading.venue.ccxt_adapter.backoff import Backoff
from mrmarket.trading.venue.ccxt_adapter.clock_offset import ClockKeeper
from mrmarket.trading.venue.ccxt_adapter.faults import ClockSkewError
from mrmarket.trading.venue.ccxt_adapter.feeds.account_feed import AccountFeed
from mrmarket.trading.venue.port import NewOrder, OrderKind, OrderStatus, RateLimitedError
from mrmarket.trading.venue.rate_budget import RateBudget, RateLimit, RequestKind

ONE_BID = TargetQuotes((BID,))


@pytest.fixture
async def room() -> AsyncIterator[EngineRoom]:
    """A recovered room over an empty exchange."""
    clock = LeapingClock()
    made = EngineRoom(FakeExchange(clock), MemoryJournal(), clock)
    await made.recover()
    yield made
    await made.abandon()


async def test_submit_times_out_order_is_live(room: EngineRoom) -> None:
    """UNKNOWN and never failed; a query by our id finds it; nothing is sent again before."""
    room.venue.silent = True
    room.venue.faults.append("lose_answer")
    await room.want(ONE_BID)
    assert room.states() == {"b1": "unknown"}
    for _ in range(5):
        assert not (await room.want(ONE_BID)).placements
    await room.later(3)
    assert room.states() == {"b1": "acked"}
    assert len(room.venue.placed) == 1 == len(room.exchange.orders)


async def test_a_submit_that_never_arrived_is_sent_again_only_after_proof(room: EngineRoom) -> None:
    """Query and fills must both prove absence, after receive window and skew; the new order has a new id."""
    room.venue.faults.append("lose_request")
    await room.want(ONE_BID)
    await room.later(2.9)
    assert not (await room.want(ONE_BID)).placements
    await room.later(0.2)
    assert (await room.want(ONE_BID)).placements
    first, second = room.venue.placed
    assert first.client_order_id != second.client_order_id


async def test_status_poll_raises_dns_or_5xx(room: EngineRoom) -> None:
    """No answer is not "unknown order": nothing is closed, however often it happens."""
    await room.want(ONE_BID)
    room.venue.silent = True
    room.venue.cancel_faults.append("lose_request")
    room.executor.cancel(room.only("b1"))
    await room.settle()
    for _ in range(4):
        room.venue.read_faults.append(unavailable())
        await room.later(3)
        assert room.states() == {"b1": "cancel_unknown"}
    await room.later(3)
    assert room.states() == {"b1": "acked"}
    assert len(room.exchange.open()) == 1


async def test_an_explicit_no_counts_only_past_the_propagation_time(room: EngineRoom) -> None:
    """A venue may not know its own order yet: young, it stays; old, its fills are read, then it goes."""
    room.venue.silent = True
    room.venue.faults.append("lose_answer")
    await room.want(ONE_BID)
    key = room.only("b1").client_order_id
    room.venue.fill(key, 400)
    del room.exchange.orders[key]
    room.reconciler.request()
    await room.later(1)
    assert room.states() == {"b1": "partially_filled"}
    room.reconciler.request()
    await room.later(3)
    assert room.states() == {}
    assert room.position_lots == 400
    assert room.reconciler.differences.find(DifferenceKind.ORDER_MISSING, key) is not None


async def test_cancel_ack_lost(room: EngineRoom) -> None:
    """The order is open until a terminal event: its slot stays taken and its amount reserved."""
    await room.want(ONE_BID)
    room.venue.silent = True
    room.venue.cancel_faults.append("lose_answer")
    room.executor.cancel(room.only("b1"))
    await room.settle()
    assert room.states() == {"b1": "cancel_unknown"}
    live = [each.order for each in room.table.live()]
    assert live[0].remaining_lots == BID.size_lots
    assert not (await room.want(ONE_BID)).placements
    await room.later(3)
    assert room.states() == {}


async def test_cancel_vs_fill_race(room: EngineRoom) -> None:
    """A fill after the cancel's answer is taken in, counted once, and moves the position."""
    await room.want(ONE_BID)
    order = room.only("b1")
    room.executor.cancel(order)
    await room.settle()
    assert room.states() == {}
    room.clock.advance(120 * NS_PER_S)
    late = room.venue.fill(order.client_order_id, 400)
    await room.settle()
    room.desk.fill(late)
    await room.settle()
    assert room.position_lots == 400
    known = room.table.find(order.client_order_id)
    assert known is not None
    assert known.filled_lots == 400


async def test_duplicate_fills(room: EngineRoom) -> None:
    """Stream, REST and a replay after a reconnect name the same trade: one fact, one change of position."""
    await room.want(ONE_BID)
    trade = room.venue.fill(room.only("b1").client_order_id, 300)
    await room.settle()
    for _ in range(3):
        room.desk.fill(trade)
    room.reconciler.request()
    await room.later(10)
    assert room.position_lots == 300
    assert sum(isinstance(fact, Filled) for fact in room.journal.facts) == 1


async def test_out_of_order_fill_before_ack(room: EngineRoom) -> None:
    """A fill that overtakes the acknowledgement counts; the late acknowledgement takes nothing back."""

    def overtake() -> None:
        """What the stream brings before the answer."""
        room.venue.fill(room.only("b1").client_order_id, 300)
        room.hear()

    room.venue.before_answer = overtake
    await room.want(ONE_BID)
    assert room.states() == {"b1": "partially_filled"}
    assert room.position_lots == 300
    resting = room.exchange.orders[room.only("b1").client_order_id]
    early = msgspec.structs.replace(resting.report(), status=OrderStatus.OPEN, filled_lots=0)
    room.desk.merge(early)
    assert room.states() == {"b1": "partially_filled"}


def depth(first: int, last: int, bid: int = 100, ask: int = 101) -> MarketEvent:
    """An update of both best levels."""
    return MarketEvent(
        kind=EventKind.DEPTH,
        exchange_ns=0,
        local_ns=0,
        first_id=first,
        last_id=last,
        bids=[(bid, 5)],
        asks=[(ask, 5)],
    )


def test_ws_gap() -> None:
    """A missing update makes the book stale at once; only a snapshot ends it. Crossed, old and silent too."""
    clock = ManualClock()
    tracker = BookTracker(btc_usdt(), clock)
    tracker.apply(snapshot([(100, 5)], [(101, 5)], last_id=10))
    tracker.apply(depth(11, 11))
    reasons = [tracker.stale]
    tracker.apply(depth(13, 13))
    reasons.append(tracker.stale)
    tracker.apply(depth(14, 14))
    reasons.append(tracker.stale)
    tracker.apply(snapshot([(100, 5)], [(101, 5)], last_id=20))
    reasons.append(tracker.stale)
    tracker.apply(depth(21, 21, bid=102))
    clock.advance(NS_PER_S)
    reasons.append(tracker.stale)
    clock.advance(NS_PER_MS)
    reasons.append(tracker.stale)
    tracker.apply(snapshot([(100, 5)], [(101, 5)], last_id=30))
    clock.advance(10 * NS_PER_S + 1)
    reasons.append(tracker.stale)
    trade = MarketEvent(kind=EventKind.TRADE, exchange_ns=0, local_ns=0, price_ticks=100, size_lots=1)
    tracker.apply(trade)
    reasons.append(tracker.stale)
    assert reasons == [
        None,
        StaleReason.SEQUENCE_GAP,
        StaleReason.SEQUENCE_GAP,
        None,
        None,
        StaleReason.CROSSED,
        StaleReason.SILENT,
        StaleReason.OLD,
    ]


async def test_slow_consumer() -> None:
    """More waiting book messages than the limit are replaced by a fresh book; account events never are."""
    async with opened(max_pending_events=3) as (_, venue):
        feed = venue._make_feed(PAIR)
        for number in range(10):
            feed._emit_all([depth(500 + number, 500 + number)])
        assert feed.overruns >= 1
        assert feed.queue.highest >= 3
        assert len(feed.queue) <= 4
        account = AccountFeed(venue._client(), venue._dialect, venue._reader, Backoff(lambda: 0.0), str)
        for number in range(10_000):
            account.take_fill(binance_script_trade(number))
        assert len(account.queue) == 10_000 == account.queue.highest


def binance_script_trade(number: int) -> dict[str, object]:
    """A unified trade of ccxt."""
    return {
        "id": str(number),
        "order": "1",
        "symbol": PAIR,
        "side": "buy",
        "price": "60000",
        "amount": "0.001",
        "fee": {"cost": "0", "currency": "USDT"},
        "takerOrMaker": "maker",
        "timestamp": 1,
        "info": {},
    }


async def test_rate_limit() -> None:
    """429 halves the pace and keeps its pause, 418 bans, the venue's count lowers ours, cancels go first."""
    clock = ManualClock()
    budget = RateBudget("venue", clock, [RateLimit("weight:60", 400, 60)])
    while budget.try_acquire(RequestKind.PLACE):
        pass
    assert not budget.try_acquire(RequestKind.READ)
    assert all(budget.try_acquire(RequestKind.CANCEL) for _ in range(20))
    clock.advance(60 * NS_PER_S)
    budget.observe_used({"weight:60": 395})
    assert budget.levels()["weight:60"] == pytest.approx(0.05)
    assert budget.slow_down(7.0) == 7.0
    assert (budget.pace, round(budget.pause_s)) == (0.5, 7)
    assert not budget.try_acquire(RequestKind.CANCEL)
    clock.advance(8 * NS_PER_S)
    assert budget.try_acquire(RequestKind.CANCEL)
    budget.ban(120)
    assert budget.banned
    with pytest.raises(RateLimitedError) as refused:
        await budget.acquire(RequestKind.CANCEL, "cancel")
    assert refused.value.banned


async def test_a_ban_pulls_the_quotes(room: EngineRoom) -> None:
    """418 on a placement: it does not live, and until the ban ends the run knows of it and places nothing."""
    room.venue.faults.append(RateLimitedError("fake", "place", "banned", 60, banned=True))
    await room.want(ONE_BID)
    assert room.executor.banned_until_ns == room.clock.now_ns() + 60 * NS_PER_S
    assert not (await room.want(ONE_BID)).placements
    room.clock.advance(61 * NS_PER_S)
    assert (await room.want(ONE_BID)).placements


async def test_clock_skew() -> None:
    """The offset is the median of five; more than a second off after correction means no trading."""
    steps = [100, 100, 40_000, 100, 100, 100]
    offsets: list[int] = []
    clock = ManualClock()

    async def server_time() -> int:
        """A server 100 ms ahead, with one sample that a slow answer has spoilt."""
        return clock.now_ns() // NS_PER_MS + steps.pop(0)

    keeper = ClockKeeper("venue", clock, server_time, offsets.append)
    await keeper.measure()
    assert (offsets, keeper.trusted) == ([100], True)
    steps.extend([100, 100, 100, 100, 100, 5_000])
    with pytest.raises(ClockSkewError):
        await keeper.measure()
    assert (offsets, keeper.trusted) == ([100], False)


async def test_a_refused_stamp_measures_the_clock_again() -> None:
    """-1021 has no effect: the offset is measured and the very same request repeated once."""
    async with opened() as (exchange, venue):
        refusals = [Answer({"code": -1021, "msg": "outside of the recvWindow."}, status=400)]

        def place(seen: Seen) -> Answer:
            """Refuse the first."""
            return refusals.pop() if refusals else binance_script.placed(seen)

        exchange.on("POST", "/api/v3/order", place)
        asked = len(exchange.requests("GET", "/api/v3/time"))
        await venue.place(order_of("mm-1"))
        assert len(exchange.requests("GET", "/api/v3/time")) == asked + 6
        first, second = exchange.requests("POST", "/api/v3/order")
        assert first.params["newClientOrderId"] == second.params["newClientOrderId"] == "mm-1"
        assert int(first.params["recvWindow"]) <= 2_000


def order_of(name: str) -> NewOrder:
    """A bid that the script accepts."""
    return NewOrder(
        symbol=PAIR,
        client_order_id=name,
        side=BID.side,
        kind=OrderKind.LIMIT,
        price_ticks=BID.price_ticks,
        size_lots=BID.size_lots,
    )


async def test_crash() -> None:
    """The intent is on record before the request leaves; the next life adopts what lives, fills first."""
    clock = LeapingClock()
    exchange, journal = FakeExchange(clock), MemoryJournal()
    first = EngineRoom(exchange, journal, clock)
    await first.recover()
    seen: list[int] = []
    first.venue.before_answer = lambda: seen.append(len(journal.records))
    await first.want()
    assert seen == [2]
    bid, ask = first.only("b1").client_order_id, first.only("s1").client_order_id
    await first.abandon()
    between = EngineRoom(exchange, journal, clock)
    between.venue.fill(bid, BID.size_lots, tell=False)
    await between.abandon()
    second = EngineRoom(exchange, journal, clock)
    found = await second.recover()
    assert (found.intents, found.adopted) == (2, 1)
    assert second.position_lots == BID.size_lots
    assert second.only("s1").client_order_id == ask
    await second.abandon()


async def test_process_frozen(room: EngineRoom) -> None:
    """Frozen between decision and send, thawed after the lease: the order stays here and its slot is free."""
    guard = LeaseGuard(room.clock)
    room.executor._guard = guard
    guard.renewed(room.clock.monotonic_ns(), 6 * NS_PER_S)
    room.executor.apply(ONE_BID, TOP, room.clock.monotonic_ns())
    room.clock.advance(5 * NS_PER_S)
    await room.settle()
    assert room.venue.placed == []
    assert room.states() == {}
    assert room.executor.lapsed == 1
    assert not (await room.want(ONE_BID)).placements
    guard.renewed(room.clock.monotonic_ns(), 6 * NS_PER_S)
    assert (await room.want(ONE_BID)).placements


async def test_db_locked(tmp_path: Path) -> None:
    """Somebody else holds the database: the one writer waits for it, and nobody hears of a fill before."""
    store = TradingStore.open(tmp_path / "trading.db")
    other = sqlite3.connect(tmp_path / "trading.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    told: list[bool] = []
    faults: list[Exception] = []
    writer = FactWriter(store, STREAM, faults.append)
    trade = Filled(
        venue="fake",
        at_ns=1,
        symbol="BTC/USDT",
        base="BTC",
        quote="USDT",
        trade_id="1",
        client_order_id=OrderIds("house", STREAM).make("b1", 1),
        venue_order_id="1",
        side=BID.side,
        price="1",
        size="1",
        quote_size="1",
        fee="0",
        fee_asset="USDT",
        maker=True,
    )
    writer.write(trade, urgent=True, then=told.append)
    for _ in range(20):
        await asyncio.sleep(0)
    assert told == []
    other.execute("ROLLBACK")
    other.close()
    await writer.flush()
    assert (told, faults) == ([True], [])
    assert [row.fact for row in store.read_facts(STREAM, 0, 10)] == [trade]
    await writer.close()
    store.close()


async def test_partial_leg() -> None:
    """The second of two orders fails: tried again inside its band, then the first is undone; else HALT.

    Killed in between, the next start finds the first leg's fill in the log and sells exactly that back.
    """
    stage = CrossStage()
    run = await stage.ready()
    stage.venues[1].faults.extend(["refuse"] * 3)
    stage.venues[0].faults.extend(["", "part:40"])
    stage.diverge()
    await stage.until(lambda: len(run.pairs) > 0)
    assert stage.slots()[:6] == ["a100", "b200", "b201", "b202", "au00", "au01"]
    assert run.pairs[0].stage is LegStage.DONE
    await run.pause("between two pairs")
    stage.venues[1].faults.extend(["refuse"] * 9)
    stage.venues[0].faults.extend(["", *["refuse"] * 9])
    run.resume()
    await stage.until(lambda: run.board.state(run.stream) is RiskState.HALT)
    assert "the first leg could not be undone" in run.board.explain(run.stream, "")
    await stage.close()


async def test_partial_leg_after_a_crash() -> None:
    """Killed between the legs: the next start undoes what the log holds, and nothing else."""
    stage = CrossStage()
    run = await stage.ready()
    held = stage.held()
    stage.venues[1].gate = asyncio.Event()
    stage.diverge()
    await stage.until(lambda: len(stage.venues[1].placed) > 0)
    await run.abandon()
    assert stage.held()[0] > held[0]
    later = await stage.life(history=list(stage.journal.facts), fence=1)
    await later.start()
    await stage.until(lambda: later.decision is not None)
    assert [pair.stage for pair in later.pairs] == [LegStage.DONE]
    assert abs(stage.held()[0] - held[0]) <= 2_000
    assert stage.held()[1] == held[1]
    await stage.close()


async def test_doubts_are_on_record(room: EngineRoom) -> None:
    """Whatever was in doubt can be read in the event log, with what was asked."""
    room.venue.faults.append("lose_answer")
    await room.want(TargetQuotes((ASK,)))
    kinds = [type(fact) for fact in room.journal.facts]
    assert kinds.index(OrderCreated) < kinds.index(OrderDoubted)
