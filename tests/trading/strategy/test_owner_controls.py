"""What an owner does by hand: cancel all, flatten, halt, re-arm; also while the venue is silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from fake_exchange import FakeExchange, FakeVenue, MemoryJournal, Resting, snapshot, unavailable
from mrmarket.core.clock import NS_PER_MS, SystemClock
from mrmarket.core.events import RiskChanged, RunStateChanged
from mrmarket.core.side import Side
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.execution.risk.flatten import FlattenRules
from mrmarket.trading.execution.risk.kill_switch import HaltFile, KillSwitch
from mrmarket.trading.execution.risk.pretrade import RiskLimits
from mrmarket.trading.execution.risk.state import INSTANCE, Cause, RiskState, run_scope, venue_scope
from mrmarket.trading.strategy.errors import ControlRefusedError
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.venue.port import NewOrder, OrderKind, OrderStatus
from strategy_stage import BOOK, Stage

RULES = FlattenRules(pause_ns=NS_PER_MS, tries=200)
LOT = Decimal("0.00001")


class TakingVenue(FakeVenue):
    """A venue where an IOC order trades with what the book shows, `depth_lots` each time, and moves money."""

    depth_lots = 10**9

    def _rest(self, order: NewOrder) -> Resting:
        resting = super()._rest(order)
        if order.kind is OrderKind.IOC:
            lots = min(order.size_lots, self.depth_lots)
            if lots:
                self.fill(order.client_order_id, lots)
                self.exchange.base += order.side.sign * lots * LOT
                self.exchange.quote -= order.side.sign * lots * LOT * order.price_ticks / 100
            if not resting.status.is_final:
                resting.status = OrderStatus.EXPIRED
                self._say(resting.report())
        return resting


Make = Callable[..., Stage]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Makes stages and ends their runs."""
    made: list[Stage] = []

    def one(**more: Any) -> Stage:
        exchange = more.pop("exchange", None) or FakeExchange(SystemClock())
        journal = more.pop("journal", None) or MemoryJournal()
        stage = Stage(exchange, journal, with_venue=TakingVenue(exchange), **more)
        made.append(stage)
        return stage

    yield one
    for stage in made:
        await stage.run.abandon()


@pytest.fixture
async def stage(make: Make) -> Stage:
    """One that quotes both sides."""
    one = make()
    await one.quoting()
    return one


def venue_of(stage: Stage) -> TakingVenue:
    """Its venue, as what it is."""
    assert isinstance(stage.venue, TakingVenue)
    return stage.venue


def risk(stage: Stage) -> RiskState:
    """What the run may do now."""
    return stage.run.risk.state


async def both(stage: Stage) -> None:
    """Wait until it quotes on both sides."""
    await stage.until(lambda: stage.resting() == ["b1", "s1"])


async def test_a_halt_cancels_everything_and_waits_for_the_owner(stage: Stage) -> None:
    """Nothing is placed until re-armed; both are facts, and asking twice changes nothing."""
    report = await stage.run.halt("I do not like this")
    assert report.clean
    assert stage.exchange.open() == []
    assert (await stage.run.halt("still not")).clean
    placed = len(stage.venue.placed)
    stage.venue.market.put_nowait(snapshot([(5_999_940, 100_000)], [(6_000_060, 100_000)], last_id=2))
    await stage.until(lambda: stage.run.watch.bid == (5_999_940, 100_000))
    await stage.until(lambda: stage.run.pulled == "halt: I do not like this")
    assert len(stage.venue.placed) == placed
    assert stage.run.rearm() == ["owner"]
    assert stage.run.rearm() == []
    await both(stage)
    await stage.run.facts.flush()
    told = [(fact.scope, fact.state, fact.cause, fact.detail) for fact in stage.facts(RiskChanged)]
    assert told == [
        ("run:run-1", "halt", "owner", "I do not like this"),
        ("run:run-1", "active", "owner", "re-armed by the owner"),
    ]


@pytest.mark.parametrize("scope", [venue_scope("fake"), INSTANCE])
async def test_a_halt_of_venue_or_instance_binds_the_run(stage: Stage, scope: str) -> None:
    """Whoever puts it on the board; the run cancels and proves by itself."""
    stage.run.risk.board.halt(scope, Cause.ANGEL, "angel")
    await stage.until(lambda: not stage.exchange.open() and not stage.run.live_orders)
    assert risk(stage) is RiskState.HALT
    assert stage.run.rearm() == [], "it is not the run's own"
    stage.run.risk.board.rearm(scope)
    await both(stage)


async def test_halting_goes_on_while_the_venue_is_silent(stage: Stage) -> None:
    """Cancels without an answer, a venue that lists nothing: it says what remains and tries until proven."""
    stage.venue.cancel_faults.extend(["lose_request"] * 4)
    stage.venue.read_faults.extend([unavailable()] * 400)
    report = await stage.run.halt("fire")
    assert not report.clean
    assert len(report.remaining) == 2
    assert stage.run.pulled in ("fire", "halt: fire")
    stage.venue.read_faults.clear()
    await stage.until(lambda: not stage.exchange.open() and not stage.run.live_orders)
    assert (await stage.run.halt("fire")).clean


async def test_cancel_all_proves_and_quotes_again(stage: Stage) -> None:
    """A run that is not paused goes on with new orders; a paused one does not."""
    old = {order.client_order_id for order in stage.run.live_orders}
    first, second = await asyncio.gather(stage.run.cancel_all("clear"), stage.run.cancel_all("clear"))
    assert first.clean
    assert first == second, "who asks meanwhile joins"
    await both(stage)
    assert old.isdisjoint(order.client_order_id for order in stage.run.live_orders)
    await stage.run.pause("lunch")
    assert (await stage.run.cancel_all("again")).clean
    assert stage.run.state is RunState.PAUSED
    assert stage.exchange.open() == []
    stage.run.resume()
    await both(stage)


async def test_a_pause_that_is_not_proven_goes_on(stage: Stage) -> None:
    """It cannot be resumed before what stood there is gone for certain."""
    stage.venue.cancel_faults.extend(["lose_request"] * 4)
    stage.venue.read_faults.extend([unavailable()] * 400)
    assert not (await stage.run.pause("lunch")).clean
    stage.run.resume()
    assert stage.run.state is RunState.PAUSED
    stage.venue.read_faults.clear()
    await stage.until(lambda: not stage.exchange.open() and not stage.run.live_orders)

    def resumed() -> bool:
        stage.run.resume()
        return stage.run.state is RunState.RUNNING

    await stage.until(resumed)


async def test_reduce_leaves_only_what_brings_the_position_nearer(stage: Stage) -> None:
    """3.3 BTC are missing to half of the account: the sell goes, the buy stays; both are back afterwards."""
    stage.run.risk.board.hold(run_scope("run-1"), Cause.LOSS_1M, "test")
    await stage.until(lambda: stage.resting() == ["b1"])
    assert [order.order.side for order in stage.exchange.open()] == [Side.BUY]
    assert stage.run.state is RunState.RUNNING
    stage.run.rearm()
    await both(stage)


async def test_flatten_reaches_the_target_in_slices_and_stays_paused(make: Make) -> None:
    """At most half of what the book shows inside the band at a time, never beyond it, no market orders."""
    stage = make()
    venue_of(stage).depth_lots = 100_000
    await stage.quoting()
    report, joined = await asyncio.gather(stage.run.flatten("done", RULES), stage.run.flatten("done", RULES))
    assert report == joined
    assert report.flat, report.reason
    assert stage.run.state is RunState.PAUSED
    assert stage.run.state_reason.startswith("flat: ")
    taken = [order for order in stage.venue.placed if order.kind is OrderKind.IOC]
    assert len(taken) == report.slices
    assert {order.side for order in taken} == {Side.BUY}
    assert max(order.size_lots for order in taken) == 50_000
    assert max(order.price_ticks for order in taken) <= 6_000_050 * 1.002
    worth = stage.exchange.base * 60_000 + stage.exchange.quote
    assert abs(stage.exchange.base * 60_000 - worth / 2) < 10
    assert report.gap_before < -3
    assert abs(report.gap_after) < Decimal("0.0002")
    assert not stage.exchange.open()
    again = await stage.run.flatten("once more", RULES)
    assert again.flat
    assert again.slices == 0
    states = [fact.reason for fact in stage.facts(RunStateChanged) if fact.state == "paused"]
    assert any(reason.endswith("BTC to go") for reason in states)


async def test_flatten_goes_on_through_lost_answers_and_silence(make: Make) -> None:
    """An order whose answer was lost counts once it is known, and nothing is taken twice."""
    stage = make()
    await stage.quoting()
    stage.venue.faults.extend(["lose_answer", "lose_request", "refuse"])
    stage.venue.read_faults.extend([unavailable()] * 3)
    report = await stage.run.flatten("done", RULES)
    assert report.flat, report.reason
    worth = stage.exchange.base * 60_000 + stage.exchange.quote
    assert abs(stage.exchange.base * 60_000 - worth / 2) < 10


async def test_flatten_gives_up_and_says_so(make: Make) -> None:
    """A book without depth, a stale book, a venue that never lists what is open: bounded, paused, told."""
    stage = make()
    await stage.quoting()
    venue_of(stage).depth_lots = 0
    few = FlattenRules(pause_ns=NS_PER_MS, tries=3, sweep_rounds=1)
    report = await stage.run.flatten("done", few)
    assert not report.flat
    assert report.slices == 3
    assert stage.run.state_reason == "not flat: 3 tries were not enough"
    stage.venue.market.put_nowait(snapshot([], [], last_id=2))
    await stage.until(lambda: stage.run.watch.tracker.stale is not None)
    assert (await stage.run.flatten("done", few)).reason == "the book is stale (no_book)"
    stage.venue.market.put_nowait(BOOK)
    await stage.until(lambda: stage.run.watch.tracker.stale is None)
    stage.venue.read_faults.extend([unavailable()] * 5_000)
    report = await stage.run.flatten("done", few)
    assert report.slices == 0
    assert "go on being cancelled" in report.reason
    stage.venue.read_faults.clear()


async def test_flatten_is_refused_where_nothing_may_be_placed(stage: Stage) -> None:
    """Halted: pause, re-arm and flatten; a halt in the middle ends it before the next order."""
    await stage.run.halt("fire")
    with pytest.raises(ControlRefusedError, match="re-arm it"):
        await stage.run.flatten("out", RULES)
    stage.run.rearm()
    venue_of(stage).depth_lots = 1_000
    flattening = asyncio.create_task(stage.run.flatten("out", RULES))
    await stage.until(lambda: any(order.kind is OrderKind.IOC for order in stage.venue.placed))
    stage.run.risk.board.halt(INSTANCE, Cause.OWNER, "test", "stop")
    report = await flattening
    assert not report.flat
    assert "halt" in report.reason or "stop" in report.reason or "proven" in report.reason
    stage.run.risk.board.rearm(INSTANCE)
    await stage.run.stop("enough")
    with pytest.raises(ControlRefusedError, match="it is stopped"):
        await stage.run.flatten("out", RULES)


async def test_a_stop_ends_a_flattening(make: Make) -> None:
    """Nothing is taken after it."""
    stage = make()
    await stage.quoting()
    venue_of(stage).depth_lots = 0
    flattening = asyncio.create_task(stage.run.flatten("out", RULES))
    await stage.until(lambda: any(order.kind is OrderKind.IOC for order in stage.venue.placed))
    assert (await stage.run.stop("enough")).clean
    with pytest.raises(asyncio.CancelledError):
        await flattening
    placed = len(stage.venue.placed)
    await asyncio.sleep(0)
    assert len(stage.venue.placed) == placed


class DeadJournal(MemoryJournal):
    """A store that has worked until now; every write raises from a moment on."""

    dead = False
    reports_tried = 0
    """Since it is dead."""

    def _may(self) -> None:
        if self.dead:
            raise OSError("the database is gone")

    def record_intents(self, intents: Any) -> None:
        """Write intents."""
        self._may()
        super().record_intents(intents)

    def record_report(self, *args: Any, **more: Any) -> None:
        """Write what became of an order."""
        self.reports_tried += self.dead
        self._may()
        super().record_report(*args, **more)

    def append_facts(self, stream: str, facts: Any) -> Any:
        """Append facts."""
        self._may()
        return super().append_facts(stream, facts)

    def next_sequence(self, stream: str) -> int:
        """The next number."""
        self._may()
        return super().next_sequence(stream)

    def open_intents(self, stream: str) -> Any:
        """Read them."""
        self._may()
        return super().open_intents(stream)


async def test_the_kill_switch_needs_no_database(make: Make, tmp_path: Any) -> None:
    """With a store whose every call raises, the file still gets every order cancelled at the venue."""
    journal, board = DeadJournal(), RiskBoard(SystemClock())
    stage = make(journal=journal, board=board, strategy={"number_of_layers": 5})
    await stage.run.start()
    stage.venue.market.put_nowait(BOOK)
    await stage.until(lambda: len(stage.resting()) == 10)
    switch = KillSwitch(board, HaltFile(tmp_path))
    journal.dead = True
    (tmp_path / "HALT").write_text("database on fire")
    assert switch.look()
    await stage.until(lambda: not stage.exchange.open())
    assert set(stage.venue.cancelled) >= {order.client_order_id for order in stage.venue.placed}
    assert risk(stage) is RiskState.HALT
    assert len(stage.venue.placed) == 10
    await stage.until(lambda: not stage.run.live_orders)
    assert journal.reports_tried == 1, "each further attempt might wait, and the cancels with it"


async def test_a_process_that_starts_halted_places_nothing(make: Make, tmp_path: Any) -> None:
    """What an earlier life left is cancelled all the same; after lifting it quotes."""
    first = make()
    await first.quoting()
    await first.run.abandon()
    assert len(first.exchange.open()) == 2
    board = RiskBoard(SystemClock())
    file = HaltFile(tmp_path)
    file.write("before the restart")
    switch = KillSwitch(board, file)
    switch.look()
    heir = make(exchange=first.exchange, journal=first.journal, board=board)
    await heir.run.start()
    heir.venue.market.put_nowait(BOOK)
    await heir.until(lambda: not heir.exchange.open() and not heir.run.live_orders)
    assert heir.venue.placed == []
    switch.lift()
    await both(heir)


async def test_a_bug_in_the_venue_does_not_end_a_sweep(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a round fails of, the next one is made; what remains is named."""
    listed, rounds = stage.venue.open_orders, [0]

    async def broken(symbol: str) -> Any:
        rounds[0] += 1
        if rounds[0] <= 2:
            raise RuntimeError("a bug in the adapter")
        return await listed(symbol)

    monkeypatch.setattr(stage.venue, "open_orders", broken)
    report = await stage.run.cancel_all("clear")
    assert not report.proven
    await both(stage)
    assert rounds[0] >= 3
    assert stage.exchange.open()


async def test_flatten_ends_where_an_outcome_stays_unknown(make: Make) -> None:
    """An order that the venue does not answer for is not followed by another one."""
    stage = make()
    await stage.quoting()
    impatient = FlattenRules(pause_ns=NS_PER_MS, tries=5, answer_ns=0)
    stage.venue.faults.append("lose_answer")
    report = await stage.run.flatten("out", impatient)
    assert not report.flat
    assert report.slices == 1
    assert report.reason == "the outcome of the last order is not known yet"


async def test_flatten_says_why_an_order_is_held_back(make: Make) -> None:
    """The pre-trade check binds it as it binds every other order."""
    stage = make(limits=RiskLimits(max_notional=Decimal(1_000)))
    await stage.run.start()
    stage.venue.market.put_nowait(BOOK)
    await stage.until(lambda: stage.run.watch.top is not None and not stage.run.unfit())
    report = await stage.run.flatten("out", RULES)
    assert not report.flat
    assert "worth more than 1000 USDT" in report.reason
