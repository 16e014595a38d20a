"""The promise: once an intervention has closed, nothing of the old fence stands, and nothing of it lands."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from angel.angel_world import PREFIX, World, order
from angel.virtual_loop import play
from mrmarket.angel.settings import AngelSection, OnDatabaseLoss
from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.venue.port import (
    OutcomeUnknownError,
    RateLimitedError,
    VenueError,
    VenueUnavailableError,
)

RECV_WINDOW_MS = 2000


@dataclass(frozen=True)
class Span:
    """From when to when something is so, in tenths of a second after the beginning."""

    begins: int
    lasts: int

    def holds(self, tenths: float) -> bool:
        """Whether it is so now."""
        return self.begins <= tenths < self.begins + self.lasts


@dataclass
class OldEngine:
    """Holds a lease by the house's own guard, and sends whenever that lets it."""

    world: World
    delays_ms: list[int]
    lease_s: int
    sent: list[str] = field(default_factory=list)
    frozen: bool = False

    def __post_init__(self) -> None:
        self.fence = self.world.store.take("run-1", "engine-1", self.lease_s * NS_PER_S)
        self.guard = LeaseGuard(self.world.clock)
        self.guard.renewed(self.world.clock.monotonic_ns(), self.lease_s * NS_PER_S)
        self.sign = self.world.engine("engine-1")

    def turn(self, number: int) -> None:
        """A tenth of a second of its life."""
        self.sign.frozen = self.frozen
        if self.frozen:
            return
        if number % 10 == 0:
            self.sign.beat()
        if number % (self.lease_s * 5) == 0:  # at half of it, as late as an engine may
            self._renew()
        if number % 3 == 0 and self.guard.is_valid:
            self._send()

    def _renew(self) -> None:
        asked_ns = self.world.clock.monotonic_ns()
        row = self.world.store.rows["run-1"]
        if self.world.store.gone:
            return
        if row.fence != self.fence:
            self.guard.lost()
            return
        self.world.store.rows["run-1"] = type(row)(
            name="run-1",
            fence=row.fence,
            owner=row.owner,
            expires_ns=self.world.clock.now_ns() + self.lease_s * NS_PER_S,
        )
        self.guard.renewed(asked_ns, self.lease_s * NS_PER_S)

    def _send(self) -> None:
        name = f"{PREFIX}run-1n{len(self.sent)}"
        delay_ms = self.delays_ms[len(self.sent) % len(self.delays_ms)]
        lands_ns = self.world.clock.monotonic_ns() + delay_ms * NS_PER_MS
        self.sent.append(name)
        self.world.venue.late.append((lands_ns, order(name)))


spans = st.lists(st.builds(Span, st.integers(0, 300), st.integers(1, 80)), max_size=2)
thawing = st.lists(st.builds(Span, st.integers(60, 200), st.integers(1, 60)), max_size=3)
faults: st.SearchStrategy[list[VenueError]] = st.lists(
    st.sampled_from(
        [
            OutcomeUnknownError("alpha", "cancel", "connection reset"),
            VenueUnavailableError("alpha", "list open orders", "502"),
            VenueError("alpha", "cancel", "an answer nobody understands"),
            RateLimitedError("alpha", "cancel", "slow down", 1.5, banned=False),
        ]
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(
    delays_ms=st.lists(st.integers(0, RECV_WINDOW_MS), min_size=1, max_size=6),
    thaws=thawing,
    database_gone=spans,
    venue_down=spans,
    venue_faults=faults,
    freeze_at=st.integers(20, 60),
    lease_s=st.sampled_from([6, 12, 20]),
)
def test_nothing_of_the_old_fence_outlives_the_intervention(
    delays_ms: list[int],
    thaws: list[Span],
    database_gone: list[Span],
    venue_down: list[Span],
    venue_faults: list[VenueError],
    freeze_at: int,
    lease_s: int,
) -> None:
    """Whenever it freezes and thaws, whenever store and exchange fail, however late its requests land."""
    world = World()
    engine = OldEngine(world, delays_ms, lease_s)
    angel = world.angel(AngelSection(on_database_loss=OnDatabaseLoss.ACT))
    broken: list[str] = []

    async def live() -> None:
        closed_at: int | None = None
        watching = asyncio.ensure_future(angel.run())
        for number in range(1_200):
            engine.frozen = number >= freeze_at and not any(span.holds(number) for span in thaws)
            world.store.gone = any(span.holds(number) for span in database_gone)
            world.venue.down = any(span.holds(number) for span in venue_down)
            if number == freeze_at:
                world.venue.faults += venue_faults
            engine.turn(number)
            world.venue.land()
            last = angel.last
            if last is not None and last.fenced and last.fences and angel.current is None:
                closed_at = number if closed_at is None else closed_at
                broken.extend(world.venue.standing)
            if closed_at is not None and number > closed_at + 100:
                break
            await asyncio.sleep(0.1)
        angel.stop()
        await watching

    play(world.clock, live())
    assert broken == []
    if angel.last is not None and angel.last.fences:
        assert world.store.rows["run-1"].fence > engine.fence
    assert angel.faults == 0


@given(st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=20, deadline=None)
def test_every_frozen_engine_is_dealt_with(database_gone_for: int, venue_down_for: int) -> None:
    """Once store and exchange answer again, the intervention closes with the leases taken."""
    world = World()
    engine = OldEngine(world, [500], 6)
    angel = world.angel()

    async def live() -> None:
        watching = asyncio.ensure_future(angel.run())
        for number in range(1_500):
            engine.frozen = number >= 40
            world.store.gone = 60 <= number < 60 + database_gone_for
            world.venue.down = 60 <= number < 60 + venue_down_for
            engine.turn(number)
            if angel.last is not None:
                break
            await asyncio.sleep(0.1)
        angel.stop()
        await watching

    play(world.clock, live())
    assert angel.last is not None
    assert angel.last.fenced
    assert world.venue.standing == {}
