"""The Angel over a small world: what it does when engines, stores, exchanges and itself fail."""

from __future__ import annotations

import asyncio

import pytest

from angel.angel_world import PREFIX, World, order
from angel.watch import run, trading, until
from mrmarket.angel.intervention import Stage
from mrmarket.angel.recovery import CAUSE, Manual
from mrmarket.angel.settings import AngelSection, OnDatabaseLoss, SweepScope
from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.venue.port import RateLimitedError, VenueError

OURS = f"{PREFIX}run-1"


@pytest.fixture
def world() -> World:
    """Two exchanges, a store, and nobody yet."""
    return World()


def test_a_silent_engine_is_fenced_off_and_its_orders_are_proven_gone(
    world: World,
) -> None:
    """In that order, in time, and the leases are free again at the end."""
    engine = trading(world)
    world.other.put("by-hand")
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(10)
        assert angel.current is None
        engine.frozen = True
        swept_s = await until(lambda: not world.venue.standing and not world.other.standing)
        assert swept_s <= 5 + 2
        closed_s = await until(lambda: angel.last)
        assert swept_s + closed_s <= 5 + 2 + 4
        await asyncio.sleep(1)

    run(world, angel, script)
    assert angel.last is not None
    assert angel.last.fenced
    row = world.store.rows["run-1"]
    assert (row.fence, row.owner, row.expires_ns) == (2, "angel-1", 0)
    did = world.did
    assert did.index("seize") < did.index("cancelling") < did.index("cleared") < did.index("recovery")
    assert world.store.log == world.journal.newest[: len(world.store.log)]
    assert {notice.kind for notice in world.heard.notices} == {"angel"}
    assert "engine-1" in world.store.signed_off


def test_an_engine_that_beats_or_has_signed_off_is_left_alone(world: World) -> None:
    """Ten minutes of life, and then an end on purpose."""
    engine = trading(world)
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(600)
        engine.frozen = True
        world.store.sign_off("engine-1")
        await asyncio.sleep(60)

    run(world, angel, script)
    assert angel.last is None
    assert len(world.venue.standing) == 2


def test_an_order_of_the_old_fence_that_lands_late_is_cancelled_too(world: World) -> None:
    """A request that was in a socket arrives after the first sweep: that is why it polls again."""
    engine = trading(world)
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await until(lambda: angel.current is not None and angel.current.swept_ns is not None)
        world.venue.late.append((world.clock.monotonic_ns() + 2 * NS_PER_S, order(f"{OURS}late")))
        await until(lambda: angel.last)

    run(world, angel, script)
    assert f"{OURS}late" in world.venue.cancels
    assert world.venue.standing == {}
    assert world.venue.late == []


def test_an_exchange_that_does_not_answer_holds_up_no_other_and_is_asked_for_ever(world: World) -> None:
    """The one that answers is proven; the other is cleared ten minutes later; nothing is released before."""
    engine = trading(world)
    world.other.put(f"{OURS}y")
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(3)
        world.other.down = True
        engine.frozen = True
        await until(lambda: not world.venue.standing)
        await asyncio.sleep(600)
        assert angel.current is not None
        assert world.store.rows["run-1"].expires_ns > world.clock.now_ns()
        world.other.down = False
        await until(lambda: angel.last)

    run(world, angel, script)
    assert world.other.standing == {}
    assert any("venue_silent" in notice.key for notice in world.heard.notices)


def test_a_rate_limit_is_respected_and_the_sweep_goes_on_after_it(world: World) -> None:
    """The pause that an exchange asks for passes before the next request."""
    engine = trading(world)
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        world.venue.faults.append(RateLimitedError("alpha", "poll", "slow down", 7.0, banned=False))
        await until(lambda: "intervene" in world.did)
        assert await until(lambda: not world.venue.standing) >= 6.9
        await until(lambda: angel.last)

    run(world, angel, script)
    assert angel.last is not None


def test_a_cancel_without_an_answer_is_tried_again(world: World) -> None:
    """Whatever the next poll still shows goes with the next round."""
    engine = trading(world)
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await until(lambda: "seize" in world.did)
        world.venue.faults += [VenueError("alpha", "cancel", "an answer nobody understands")] * 2
        await until(lambda: angel.last)

    run(world, angel, script)
    assert world.venue.standing == {}


def test_without_the_database_it_acts_unfenced_and_stays_until_it_can_fence(world: World) -> None:
    """Orders go at once; what the old holder sends goes too; the lease is taken once the store is back."""
    engine = trading(world)
    angel = world.angel(AngelSection(on_database_loss=OnDatabaseLoss.ACT))

    async def script() -> None:
        await asyncio.sleep(3)
        world.store.gone = True
        assert await until(lambda: not world.venue.standing) <= 5 + 2
        await until(lambda: angel.current is not None and angel.current.stage is Stage.CLEARED)
        world.venue.put(f"{OURS}again")
        await until(lambda: not world.venue.standing)
        assert angel.last is None
        engine.frozen = True
        world.store.gone = False
        await until(lambda: angel.last)

    run(world, angel, script)
    assert angel.last is not None
    assert angel.last.fenced
    assert dict(angel.last.fences) == {"run-1": 2}
    assert {action.id for action in world.journal.newest} == {action.id for action in world.store.log}


def test_an_engine_that_was_never_fenced_and_beats_again_ends_the_vigil(world: World) -> None:
    """The store comes back with a living engine in it: there is nothing to take from it."""
    engine = trading(world)
    angel = world.angel(AngelSection(on_database_loss=OnDatabaseLoss.ACT), with_store=False, with_direct=True)

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await until(lambda: angel.current is not None and angel.current.stage is Stage.CLEARED)
        engine.frozen = False
        await until(lambda: angel.last)

    run(world, angel, script)
    assert world.did.count("intervene") == 1
    assert "node_back" in world.did


@pytest.mark.parametrize(
    ("policy", "with_direct", "acts"),
    [
        (OnDatabaseLoss.JUDGE, True, False),
        (OnDatabaseLoss.JUDGE, False, False),
        (OnDatabaseLoss.WAIT, False, False),
        (OnDatabaseLoss.ALERT, False, False),
        (OnDatabaseLoss.ACT, False, True),
        (OnDatabaseLoss.ACT, True, False),
    ],
)
def test_a_lost_database_is_no_dead_engine_unless_the_owner_says_so(
    world: World, policy: OnDatabaseLoss, with_direct: bool, acts: bool
) -> None:
    """An engine that lives and is only not seen keeps its orders, except under `act`."""
    trading(world)
    angel = world.angel(AngelSection(on_database_loss=policy), with_direct=with_direct)

    async def script() -> None:
        await asyncio.sleep(3)
        world.store.gone = True
        await asyncio.sleep(60)

    run(world, angel, script)
    assert (not world.venue.standing) is acts
    told = [notice for notice in world.heard.notices if "source_lost" in notice.key]
    assert bool(told) is (policy is not OnDatabaseLoss.WAIT)


def test_database_and_heartbeat_both_gone_is_a_dead_machine(world: World) -> None:
    """By default silence on both is acted upon."""
    engine = trading(world)
    angel = world.angel(with_direct=True)

    async def script() -> None:
        await asyncio.sleep(3)
        world.store.gone = world.direct.gone = engine.frozen = True
        assert await until(lambda: not world.venue.standing) <= 5 + 2

    run(world, angel, script)
    assert "source_lost" in world.did


def test_another_engine_that_takes_the_runs_over_is_left_to_it(world: World) -> None:
    """Heirs have their time; the orders are theirs then."""
    engine = trading(world)
    world.engine("engine-2")
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await asyncio.sleep(7)
        world.store.take("run-1", "engine-2")
        await asyncio.sleep(60)

    run(world, angel, script)
    assert "inherited" in world.did
    assert len(world.venue.standing) == 2


def test_runs_that_no_heir_takes_are_swept_without_touching_the_heirs_orders(world: World) -> None:
    """Only orders of the dead engine's runs go while another engine trades on the account."""
    engine = trading(world)
    trading(world, "engine-2", "run-2")
    world.other.put("by-hand")
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await until(lambda: angel.last)

    run(world, angel, script)
    assert set(world.venue.standing) == {f"{PREFIX}run-2x1", f"{PREFIX}run-2x2"}
    assert set(world.other.standing) == {"by-hand"}
    assert world.store.rows["run-2"].fence == 1


def test_engines_that_fall_silent_together_are_one_intervention(world: World) -> None:
    """The second joins the first; both leases are taken."""
    first, second = trading(world), trading(world, "engine-2", "run-2")
    angel = world.angel(AngelSection(heir_patience_s=0))

    async def script() -> None:
        await asyncio.sleep(3)
        first.frozen = True
        await asyncio.sleep(1.5)
        second.frozen = True
        await until(lambda: angel.last and angel.current is None)
        await asyncio.sleep(20)

    run(world, angel, script)
    assert world.venue.standing == {}
    assert (world.store.rows["run-1"].owner, world.store.rows["run-2"].owner) == ("angel-1", "angel-1")


def test_only_our_own_orders_go_where_the_scope_says_so(world: World) -> None:
    """What a person placed by hand stays."""
    engine = trading(world)
    world.venue.put("by-hand")
    angel = world.angel(AngelSection(scope=SweepScope.OURS))

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await until(lambda: angel.last)

    run(world, angel, script)
    assert set(world.venue.standing) == {"by-hand"}


def test_manual_recovery_halts_before_anybody_can_take_the_leases(world: World) -> None:
    """The restriction is there when the lease is free, also where the store was gone in between."""
    engine = trading(world)
    angel = world.angel(recovery=Manual())

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await until(lambda: "cleared" in world.did)
        assert world.store.rows["run-1"].expires_ns or world.store.restrictions
        await until(lambda: angel.last)

    run(world, angel, script)
    (held,) = world.store.restrictions
    assert (held.scope, held.cause, held.state, held.until_ms) == ("instance", CAUSE, "halt", 0)


def test_a_thawed_engine_changes_nothing_while_it_intervenes(world: World) -> None:
    """Beats under a fence that was taken do not end the intervention before its proof."""
    engine = trading(world)
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await until(lambda: "seize" in world.did)
        engine.frozen = False
        await until(lambda: angel.last)

    run(world, angel, script)
    assert world.did.index("cleared") < world.did.index("closed")
    assert "engine-1" not in world.store.signed_off


def test_a_node_without_orders_is_told_of_and_nothing_is_cancelled(world: World) -> None:
    """An API or another Angel that falls silent is news, not a reason to sweep."""
    trading(world)
    api = world.engine("api-1", "api")
    angel = world.angel()

    async def script() -> None:
        await asyncio.sleep(3)
        api.frozen = True
        await asyncio.sleep(30)

    run(world, angel, script)
    assert "node_silent" in world.did
    assert len(world.venue.standing) == 2
