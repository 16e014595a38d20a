"""The venue's dead man's switch is armed while a run quotes, refreshed in time, and taken away at the end."""

from __future__ import annotations

import asyncio

import pytest

from fake_exchange import SYMBOL, FakeExchange, FakeVenue, LeapingClock
from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.execution.dead_man import DeadMan
from mrmarket.trading.venue.port import Capability, OutcomeUnknownError


class SwitchVenue(FakeVenue):
    """A venue with a switch, by the clock of its exchange."""

    def __init__(self, exchange: FakeExchange) -> None:
        super().__init__(exchange)
        self.countdowns: list[tuple[int, float]] = []
        self.lost = 0

    @property
    def capabilities(self) -> frozenset[Capability]:
        """It has a switch."""
        return frozenset({Capability.DEAD_MAN_SWITCH})

    async def cancel_all_after(self, symbol: str, countdown_s: float) -> None:
        """Note it, or lose the answer."""
        assert symbol == SYMBOL
        if self.lost:
            self.lost -= 1
            raise OutcomeUnknownError("fake", "arm", "time-out")
        self.countdowns.append((self.exchange.clock.monotonic_ns() // NS_PER_S, countdown_s))


class Watch:
    """A switch, its keeper, and a clock that leaps over the waiting."""

    def __init__(self, countdown_s: float = 30) -> None:
        self.clock = LeapingClock()
        self.venue = SwitchVenue(FakeExchange(self.clock))
        self.naps = 0
        self.dead_man = DeadMan(self.venue, SYMBOL, self.clock, countdown_s=countdown_s, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        """Ten naps, then nobody is there any more."""
        self.naps += 1
        if self.naps > 10:
            raise asyncio.CancelledError
        await self.clock.sleep(seconds)

    async def live(self) -> None:
        """Until the tenth nap."""
        with pytest.raises(asyncio.CancelledError):
            await self.dead_man.run()


async def test_each_third_of_the_countdown_it_is_refreshed() -> None:
    """So that two refreshes in a row may be lost."""
    watch = Watch()
    await watch.live()
    assert [at_s for at_s, _ in watch.venue.countdowns] == list(range(0, 110, 10))
    assert {countdown for _, countdown in watch.venue.countdowns} == {30}
    assert watch.dead_man.armed
    watch.clock.advance(31 * NS_PER_S)
    assert not watch.dead_man.armed


async def test_a_refresh_that_is_lost_is_repeated_soon() -> None:
    """Not a third of the countdown later, and it is counted."""
    watch = Watch()
    watch.venue.lost = 2
    await watch.live()
    assert [at_s for at_s, _ in watch.venue.countdowns][:3] == [2, 12, 22]
    assert (watch.dead_man.failures, watch.dead_man.last_failure) == (2, "time-out")


async def test_a_clean_stop_takes_it_away() -> None:
    """Only if it was armed; a venue that does not answer lets it fire into an empty book."""
    watch = Watch()
    await watch.dead_man.disarm()
    assert watch.venue.countdowns == []
    assert await watch.dead_man.refresh()
    watch.venue.lost = 1
    await watch.dead_man.disarm()
    assert watch.dead_man.failures == 1
    await watch.dead_man.disarm()
    assert [countdown for _, countdown in watch.venue.countdowns] == [30, 0]
    assert not watch.dead_man.armed


async def test_where_there_is_none_nothing_runs() -> None:
    """No capability, or a countdown of 0: the keeper ends at once."""
    clock = LeapingClock()
    plain = DeadMan(FakeVenue(FakeExchange(clock)), SYMBOL, clock)
    off = Watch(countdown_s=0)
    await plain.run()
    await off.dead_man.run()
    assert (plain.refreshes, off.dead_man.refreshes) == (0, 0)
