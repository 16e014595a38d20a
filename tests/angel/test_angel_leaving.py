"""The Angel over a small world: its key, the exchange's own switch, and how it comes to its end."""

from __future__ import annotations

import asyncio

import pytest

from angel.angel_world import PREFIX, World, order
from angel.watch import run, trading, until
from mrmarket.angel.intervention import Stage
from mrmarket.angel.settings import AngelSection
from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.venue.port import KeyPermissions, VenueUnavailableError

OURS = f"{PREFIX}run-1"


@pytest.fixture
def world() -> World:
    """Two exchanges, a store, and nobody yet."""
    return World()


def test_a_key_that_may_withdraw_is_not_used(world: World) -> None:
    """It is told of, and no request but the question leaves with it."""
    engine = trading(world)
    world.venue.rights = KeyPermissions(withdraw=True)
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await asyncio.sleep(30)

    run(world, angel, script)
    assert world.venue.polls == 0
    assert any("may withdraw" in notice.text for notice in world.heard.notices)


def test_the_owner_may_allow_a_key_that_may_withdraw(world: World) -> None:
    """Then it is used as any other."""
    engine = trading(world)
    world.venue.rights = KeyPermissions(withdraw=True)
    angel = world.angel(AngelSection(allow_withdraw_key=True))

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await until(lambda: angel.last)

    run(world, angel, script)
    assert world.venue.standing == {}


def test_the_exchanges_own_switch_is_refreshed_while_the_engine_lives_and_then_no_more(world: World) -> None:
    """So that the exchange cancels by itself should the Angel die as well."""
    engine = trading(world)
    world.venue.switches = True
    angel = world.angel(AngelSection(dead_man_s=30))
    counted: list[int] = []

    async def script() -> None:
        await asyncio.sleep(61)
        engine.frozen = True
        await until(lambda: angel.current)
        counted.append(len(world.venue.switch))
        await asyncio.sleep(60)

    run(world, angel, script)
    assert world.venue.switch[:2] == [("BTC/USDT", 30.0)] * 2
    assert counted[0] >= 6
    assert len(world.venue.switch) == counted[0]


def test_it_leaves_with_an_instance_that_signed_off_and_beats_until_then(world: World) -> None:
    """Its own node signs off too."""
    engine = trading(world, role="all")
    angel = world.angel(leaves=True)

    async def script() -> None:
        await asyncio.sleep(5)
        assert world.store.signs["angel-1"].role == "angel"
        assert world.store.signs["angel-1"].detail["stage"] == "watching"
        engine.frozen = True
        world.store.sign_off("engine-1")
        await until(lambda: "instance_ended" in world.did)

    run(world, angel, script)
    assert "angel-1" in world.store.signed_off


def test_it_ends_when_the_exchange_went_with_its_instance(world: World) -> None:
    """An embedded exchange dies with its parent: that is recorded, and the Angel ends in bounded time."""
    engine = trading(world)
    angel = world.angel(leaves=True, gone_after_s=15)

    async def script() -> None:
        await asyncio.sleep(5)
        engine.frozen = world.venue.down = world.other.down = True
        assert await until(lambda: "instance_gone" in world.did) < 60

    run(world, angel, script)
    assert world.did.count("gone") == 2


def test_an_angel_that_is_ended_in_the_middle_lets_engines_in(world: World) -> None:
    """Its leases are given back, and it says that it left."""
    engine = trading(world)
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(3)
        world.venue.down = True
        engine.frozen = True
        await until(lambda: "seize" in world.did)

    run(world, angel, script)
    assert world.store.rows["run-1"].expires_ns == 0
    assert "left" in world.did


def test_a_lease_that_somebody_takes_from_the_angel_is_told_of(world: World) -> None:
    """Another Angel on another host may be at work as well."""
    engine = trading(world)
    world.venue.down = True
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await until(lambda: "seize" in world.did)
        world.store.take("run-1", "angel-2")
        await until(lambda: "lease_lost" in world.did)
        world.venue.down = False
        await until(lambda: angel.last)

    run(world, angel, script)
    assert world.store.rows["run-1"].owner == "angel-2"


def test_an_exchange_that_opens_late_is_opened_when_it_is_needed(world: World) -> None:
    """A venue that was down at the start is no reason not to watch."""
    world.venue.faults = [VenueUnavailableError("alpha", "open", "connection refused")]
    engine = trading(world)
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(3)
        assert "venue_not_ready" in world.did
        engine.frozen = True
        await until(lambda: angel.last)

    run(world, angel, script)
    assert world.venue.opens == 2
    assert world.venue.standing == {}


def test_an_angel_that_is_ended_in_the_middle_finishes_first(world: World) -> None:
    """Its instance has gone meanwhile: nobody else would prove that nothing is left."""
    engine = trading(world)
    world.venue.late = [(NS_PER_S * 16, order(f"{OURS}late"))]
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(10)
        engine.frozen = True
        await until(lambda: angel.current is not None and angel.current.stage is Stage.PROVING)

    run(world, angel, script)
    assert world.did[-3:] == ["recovery", "closed", "left"]
    assert world.venue.standing == {}
    assert world.store.rows["run-1"].expires_ns == 0


def test_an_angel_that_cannot_finish_ends_all_the_same(world: World) -> None:
    """An exchange that does not answer is not waited for without end; whoever insists waits no longer."""
    engine = trading(world)
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(10)
        engine.frozen = True
        world.venue.down = True
        await until(lambda: angel.current is not None and angel.current.fences)
        angel.stop()
        await asyncio.sleep(11)
        assert angel.current is not None
        assert "left" not in world.did

    run(world, angel, script)
    assert world.did[-1] == "left"
    assert world.venue.standing != {}
