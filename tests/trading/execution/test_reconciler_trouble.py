"""What one bad answer, or a store that refuses, may not do to everything else."""

from __future__ import annotations

from pathlib import Path

from engine_room import STREAM, EngineRoom
from fake_exchange import FakeExchange, LeapingClock, MemoryJournal, unavailable
from mrmarket.core.side import Side
from mrmarket.store.errors import StaleFenceError
from mrmarket.trading.execution.order_id import OrderIds
from mrmarket.trading.venue.port import VenueError


def room() -> EngineRoom:
    """A fresh life on a fresh exchange."""
    clock = LeapingClock()
    return EngineRoom(FakeExchange(clock), MemoryJournal(), clock)


async def test_one_answer_that_nobody_can_read_holds_up_no_other_order() -> None:
    """Two placements in doubt, nonsense for the first: the second is proven, and the comparison goes on."""
    engine = room()
    await engine.recover()
    engine.venue.silent = True
    engine.venue.faults.extend(["lose_answer", "lose_answer"])
    await engine.want()
    assert engine.states() == {"b1": "unknown", "s1": "unknown"}
    engine.reconciler.request()
    engine.venue.read_faults.append(VenueError("fake", "query", "not what it documents"))
    await engine.later(4)
    assert engine.states() == {"b1": "acked", "s1": "acked"}
    assert (engine.reconciler.reconciliations, engine.reconciler.failures) == (1, 1)
    await engine.abandon()


async def test_a_venue_that_is_down_is_not_asked_order_by_order() -> None:
    """When the first question finds nobody there, the others wait for the next occasion."""
    engine = room()
    await engine.recover()
    engine.venue.silent = True
    engine.venue.faults.extend(["lose_answer", "lose_answer"])
    await engine.want()
    engine.venue.read_faults.append(unavailable())
    await engine.later(4)
    assert engine.states() == {"b1": "unknown", "s1": "unknown"}
    assert not engine.venue.read_faults
    await engine.later(1)
    assert engine.states() == {"b1": "acked", "s1": "acked"}
    await engine.abandon()


async def test_a_deposed_run_stops_its_own_orders_and_leaves_its_heirs_alone() -> None:
    """The store refuses us because another process took over: our orders go, the heir's stay, no error."""
    engine = room()
    await engine.recover()
    await engine.want()
    heir = OrderIds("house", STREAM, fence=1).make("b1", 900)
    engine.venue.rest_foreign(heir, Side.BUY, 5_998_000, 500)
    engine.journal.fail_intents = StaleFenceError(Path("trading.db"), STREAM, 0)
    report = await engine.reconciler.stop()
    assert report.clean
    assert [resting.order.client_order_id for resting in engine.exchange.open()] == [heir]
    await engine.abandon()
