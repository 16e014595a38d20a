"""What waits to be sent: order, conflation, bounds, faults."""

from __future__ import annotations

import asyncio

from front_desk import START_NS
from mrmarket.core.clock import ManualClock
from mrmarket.trading.venue.front.faults import FaultConfig, FaultKind, FaultRule, Faults
from mrmarket.trading.venue.front.outbox import GOING_AWAY, POLICY_VIOLATION, Outbox


def outbox(*rules: FaultRule, limit: int = 100) -> Outbox:
    """An outbox under fault rules."""
    return Outbox(Faults(FaultConfig(rules=list(rules)), START_NS), ManualClock(START_NS), limit)


async def test_messages_leave_in_order() -> None:
    """First in, first out; taking empties it."""
    box = outbox()
    for data in (b"1", b"2", b"3"):
        box.put(data, name="btcusdt@trade")
    assert len(box) == 3
    assert (box.take(), box.take()) == ([b"1", b"2", b"3"], [])


async def test_a_slow_reader_gets_only_the_newest_of_what_conflates() -> None:
    """Past a backlog a newer book ticker replaces the unsent one; trades are all kept."""
    box = outbox()
    for number in range(40):
        box.put(b"t%d" % number, name="trade")
        box.put(b"b%d" % number, name="top", conflate=True)
    taken = box.take()
    assert sum(data.startswith(b"t") for data in taken) == 40
    assert taken[-25:].count(b"b39") + taken.count(b"b39") >= 1
    assert box.conflated == 80 - len(taken) > 0


async def test_a_reader_that_stops_reading_is_cut_off() -> None:
    """The queue is bounded; the connection ends with 1008 and takes nothing more."""
    box = outbox(limit=5)
    for number in range(7):
        box.put(b"%d" % number, name="btcusdt@trade")
    assert (len(box), box.close_code) == (5, POLICY_VIOLATION)


async def test_messages_are_dropped_doubled_and_swapped() -> None:
    """Each message fault does what it says, to the stream it names."""
    box = outbox(
        FaultRule(kind=FaultKind.DROP, match="drop"),
        FaultRule(kind=FaultKind.DUPLICATE, match="double"),
        FaultRule(kind=FaultKind.REORDER, match="swap", times=1),
    )
    box.put(b"1", name="drop")
    box.put(b"2", name="double")
    box.put(b"3", name="swap")
    box.put(b"4", name="other")
    box.put(b"5", name="swap")
    assert box.take() == [b"2", b"2", b"4", b"3", b"5"]


async def test_messages_come_late() -> None:
    """A delayed message overtakes nothing and is overtaken."""
    box = outbox(FaultRule(kind=FaultKind.DELAY, match="late", delay_ms=1))
    box.put(b"1", name="late")
    box.put(b"2", name="prompt")
    assert box.take() == [b"2"]
    async with asyncio.timeout(5):
        await box.filled()
    assert box.take() == [b"1"]


async def test_a_connection_is_cut_on_purpose() -> None:
    """DISCONNECT ends the connection instead of sending."""
    box = outbox(FaultRule(kind=FaultKind.DISCONNECT, match="user:*"))
    box.put(b"1", name="user:executionReport")
    assert (len(box), box.close_code) == (0, GOING_AWAY)
