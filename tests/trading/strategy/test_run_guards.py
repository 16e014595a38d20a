"""A run arms the venue's switch while it quotes, tells of differences, and places nothing without a lease."""

from __future__ import annotations

from fake_exchange import FakeExchange, FakeVenue, MemoryJournal
from mrmarket.core.clock import NS_PER_S, SystemClock
from mrmarket.core.events import DifferenceFound
from mrmarket.core.side import Side
from mrmarket.trading.execution.differences import Difference
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.venue.port import Capability
from strategy_stage import BOOK, Stage


class SwitchVenue(FakeVenue):
    """A venue with a switch."""

    def __init__(self, exchange: FakeExchange) -> None:
        super().__init__(exchange)
        self.countdowns: list[float] = []

    @property
    def capabilities(self) -> frozenset[Capability]:
        """It has one."""
        return frozenset({Capability.DEAD_MAN_SWITCH})

    async def cancel_all_after(self, symbol: str, countdown_s: float) -> None:
        """Note it."""
        self.countdowns.append(countdown_s)


async def test_the_switch_is_armed_while_a_run_quotes() -> None:
    """At the start, and taken away by a clean stop; a crash leaves it counting."""
    exchange = FakeExchange(SystemClock())
    venue = SwitchVenue(exchange)
    first = Stage(exchange, MemoryJournal(), with_venue=venue, dead_man_s=30.0)
    await first.quoting()
    assert venue.countdowns == [30.0]
    await first.run.stop()
    assert venue.countdowns == [30.0, 0]
    crashing = SwitchVenue(exchange)
    second = Stage(exchange, MemoryJournal(), with_venue=crashing, dead_man_s=30.0, stream="run-2")
    await second.quoting()
    await second.run.abandon()
    assert crashing.countdowns == [30.0]


async def test_a_run_tells_of_its_differences() -> None:
    """Whoever listens hears of what the comparison at the start has found, and it is in the log."""
    exchange, journal = FakeExchange(SystemClock()), MemoryJournal()
    first = Stage(exchange, journal)
    await first.quoting()
    told: list[tuple[str, bool]] = []

    def hear(difference: Difference, standing: bool) -> None:
        """A change."""
        told.append((difference.subject, standing))

    first.run.differences.listen(hear)
    order = next(each for each in first.run.live_orders if each.side is Side.BUY)
    first.venue.silent = True
    del exchange.orders[order.client_order_id]
    first.run._reconciler.request()
    await first.until(lambda: bool(told))
    assert told[0] == (order.client_order_id, True)
    await first.until(lambda: bool(first.facts(DifferenceFound)))
    await first.run.abandon()


async def test_without_a_lease_nothing_is_placed() -> None:
    """The guard allows nothing until a lease is told of; then the run quotes."""
    clock = SystemClock()
    guard = LeaseGuard(clock)
    exchange = FakeExchange(clock)
    stage = Stage(exchange, MemoryJournal(), guard=guard)
    await stage.run.start()
    stage.venue.market.put_nowait(BOOK)
    await stage.until(lambda: stage.run.pulled == "" and bool(stage.run.targets.quotes))
    assert stage.venue.placed == []
    guard.renewed(clock.monotonic_ns(), 60 * NS_PER_S)
    await stage.until(lambda: stage.resting() == ["b1", "s1"])
    await stage.run.stop()
