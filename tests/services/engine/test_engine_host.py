"""Engines that share runs: on a virtual clock, over real databases."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from engine_stage import Stage
from mrmarket.core.errors import MrMarketError
from mrmarket.services.engine.timing import EngineTiming
from mrmarket.store.operations import Command, DesiredState
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.strategy.observer import RunState

LEASE_S = EngineTiming().lease_s


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """An empty stage."""
    return Stage(tmp_path)


def everything_is_held(stage: Stage, count: int) -> bool:
    """Whether each of so many runs quotes on one engine of those that live."""
    quoting = [
        seat.spec.id
        for engine in stage.engines.values()
        for seat in engine.host.seats.values()
        if engine.latest(seat.spec.id).state is RunState.RUNNING and seat.guard.is_valid
    ]
    return sorted(quoting) == sorted(set(quoting)) and len(quoting) == count


def test_one_engine_takes_every_run(stage: Stage) -> None:
    """Within a look, and reports them."""
    stage.specs("a", "b", "c")
    engine = stage.engine("one")
    stage.until(lambda: everything_is_held(stage, 3))
    stage.run_for(2)
    assert [report.run for report in stage.operations.reports()] == ["a", "b", "c"]
    assert {report.state for report in stage.operations.reports()} == {"running"}
    assert engine.told[:3] == [("a", True, ""), ("b", True, ""), ("c", True, "")]
    (beat,) = stage.operations.beats()
    assert (beat.node, beat.role, beat.detail["held"]) == ("one", "engine", 3)


def test_a_second_engine_is_handed_its_share(stage: Stage) -> None:
    """Four of eight move, each is stopped before the other starts it, and then nothing moves any more."""
    stage.specs(*[f"r{i}" for i in range(8)])
    one = stage.engine("one")
    stage.until(lambda: everything_is_held(stage, 8))
    two = stage.engine("two")
    stage.until(lambda: len(two.runs) == 4 and everything_is_held(stage, 8))
    claims = one.host.claims + two.host.claims
    stage.run_for(30)
    assert (len(one.runs), len(two.runs)) == (4, 4)
    assert one.host.claims + two.host.claims == claims == 12
    assert one.host.keeper.handed_over == 4
    moved = [run for run in one.workshop.made if run.spec.id in two.runs]
    assert all(run.calls == ["start", "stop: another engine has fewer runs"] for run in moved)


def test_what_was_given_to_an_engine_waits_for_a_late_sign_of_life(stage: Stage) -> None:
    """One that starts many runs at once beats late: what is taken back has to be given again."""
    stage.specs(*[f"r{i}" for i in range(8)])
    one = stage.engine("one")
    stage.until(lambda: everything_is_held(stage, 8))
    two = stage.engine("two")
    stage.until(lambda: one.host.keeper.handed_over > 0)
    two.cut(off=True)
    stage.run_for(one.host.timing.dead_s + 0.6)
    assert stage.held() == {"one": ["r0", "r1", "r2", "r3"], "two": []}
    two.cut(off=False)
    stage.until(lambda: len(two.runs) == 4 and everything_is_held(stage, 8))
    stage.run_for(10)
    assert (one.host.claims, two.host.claims) == (8, 4)


def test_what_was_given_to_an_engine_that_died_is_taken_back_within_two_leases(stage: Stage) -> None:
    """Nobody waits longer for it than for a run that it held."""
    stage.specs(*[f"r{i}" for i in range(8)])
    one = stage.engine("one")
    stage.until(lambda: everything_is_held(stage, 8))
    stage.engine("two")
    stage.until(lambda: one.host.keeper.handed_over > 0)
    stage.kill("two")
    assert stage.until(lambda: everything_is_held(stage, 8)) <= 2 * LEASE_S


def test_an_engine_that_leaves_gives_its_runs_back_at_once(stage: Stage) -> None:
    """No lease has to run out: the others take them within two looks."""
    stage.specs("a", "b", "c", "d")
    stage.engine("one")
    stage.until(lambda: everything_is_held(stage, 4))
    two = stage.engine("two")
    stage.until(lambda: len(two.runs) == 2 and everything_is_held(stage, 4))
    began_s = stage.loop.time()
    stage.close("one")
    took_s = stage.until(lambda: everything_is_held(stage, 4)) + stage.loop.time() - began_s
    assert len(two.runs) == 4
    assert took_s < LEASE_S * 2
    assert [beat.node for beat in stage.operations.beats()] == ["two"]


def test_the_runs_of_a_killed_engine_quote_elsewhere_within_two_leases(stage: Stage) -> None:
    """Its fences are never used again: each heir has a higher one."""
    stage.specs(*[f"r{i}" for i in range(9)])
    for node in ("one", "two", "three"):
        stage.engine(node)
    stage.until(
        lambda: everything_is_held(stage, 9) and all(len(runs) == 3 for runs in stage.held().values())
    )
    dead = stage.kill("two")
    fences = {run.spec.id: run.fence for run in dead.workshop.made}
    took_s = stage.until(lambda: everything_is_held(stage, 9))
    assert took_s <= 2 * LEASE_S
    for engine in stage.engines.values():
        for run in engine.runs:
            if run in fences:
                assert engine.latest(run).fence > fences[run]


def test_a_wall_clock_that_is_slow_keeps_nobody_waiting(stage: Stage) -> None:
    """A minute behind, an engine still sees by its own clock that a lease is not renewed."""
    stage.specs("a")
    stage.engine("one")
    stage.until(lambda: everything_is_held(stage, 1))
    stage.engine("late", skew_ns=-2_000_000_000)
    stage.run_for(3)
    stage.kill("one")
    assert stage.until(lambda: everything_is_held(stage, 1)) <= 2 * LEASE_S + 2


def test_a_seized_lease_drops_the_run_without_a_cancel(stage: Stage) -> None:
    """Whoever seized it is at work: the run is abandoned, its guard is shut, and it comes back afterwards."""
    stage.specs("a")
    engine = stage.engine("one")
    stage.until(lambda: everything_is_held(stage, 1))
    run = engine.latest("a")
    angel = TradingStore.open(stage.folder / "trading.db")
    angel.seize_lease("a", "angel", 4_000_000_000, engine.clock.now_ns())
    stage.until(lambda: not engine.runs)
    assert run.calls == ["start", "abandon"]
    assert not run.guard.is_valid
    assert engine.host.keeper.lost == 1
    stage.until(lambda: everything_is_held(stage, 1))
    assert engine.latest("a").fence > run.fence + 1
    assert engine.notices.heard == []


def test_a_database_that_is_away_silences_the_guard_and_nothing_else(stage: Stage) -> None:
    """The runs stay where they are; sending is over before the lease is, and goes on when it is back."""
    stage.specs("a")
    engine = stage.engine("one")
    stage.until(lambda: everything_is_held(stage, 1))
    run = engine.latest("a")
    engine.cut(off=True)
    assert stage.until(lambda: not run.guard.is_valid) < LEASE_S
    assert engine.host.line.silent_ns is not None
    assert run.calls == ["start"]
    engine.cut(off=False)
    stage.until(lambda: run.guard.is_valid)
    assert run.calls == ["start"]
    assert engine.host.line.silent_ns is None


def test_an_engine_that_was_cut_off_finds_its_runs_with_another(stage: Stage) -> None:
    """It drops them when it hears of it, and has not been able to send since before the heir began."""
    stage.specs("a", "b")
    one = stage.engine("one")
    stage.until(lambda: everything_is_held(stage, 2))
    one.cut(off=True)
    stage.engine("two")
    old = [one.latest("a"), one.latest("b")]
    stage.until(lambda: len(stage.engines["two"].runs) == 2)
    assert not any(run.guard.is_valid for run in old)
    one.cut(off=False)
    stage.until(lambda: all(run.calls[-1] == "abandon" for run in old))
    stage.until(lambda: everything_is_held(stage, 2) and len(one.runs) == 1)


def test_a_failed_run_takes_no_other_along_and_is_tried_again(stage: Stage) -> None:
    """It is stopped, its lease given back, the owner told, and after a rest it starts anew."""

    class VenueAwayError(MrMarketError):
        retryable = True

    stage.specs("a", "b")
    engine = stage.engine("one")
    stage.until(lambda: everything_is_held(stage, 2))
    broken, other = engine.latest("a"), engine.latest("b")
    broken.fail(VenueAwayError("the venue is away"))
    stage.until(lambda: engine.latest("a") is not broken and everything_is_held(stage, 2))
    assert broken.calls == ["start", "stop: it has failed"]
    assert other.calls == ["start"]
    assert engine.host.keeper.failures == 1
    assert [notice.kind for notice in engine.notices.heard] == ["run"]
    assert ("a", False, "the venue is away") in engine.told


def test_a_run_that_cannot_start_here_is_started_by_another(stage: Stage) -> None:
    """It rests on the engine that failed, and nobody waits for that."""
    stage.specs("a")
    one = stage.engine("one")
    one.workshop.prepare = lambda run: setattr(run, "start_fails", ValueError("not here"))
    stage.until(lambda: one.host.keeper.failures == 1)
    assert one.latest("a").calls == ["start", "abandon"]
    two = stage.engine("two")
    stage.until(lambda: everything_is_held(stage, 1))
    assert two.runs == ["a"]


def test_a_run_that_keeps_failing_stays_down_until_the_owner_starts_it(stage: Stage) -> None:
    """Six failures of its own within an hour; `resume` forgives them."""
    stage.specs("a")
    unhurried = EngineTiming(beat_s=10, look_s=10, report_s=60, lease_s=60, renew_s=20, dead_s=40)
    engine = stage.engine("one", timing=unhurried)
    engine.workshop.prepare = lambda run: setattr(run, "start_fails", ValueError("broken"))
    stage.until(lambda: engine.host.keeper.failures == 6, limit_s=4_000)
    stage.run_for(4_000)
    assert engine.host.keeper.failures == 6
    assert "until you start it" in engine.notices.heard[-1].title
    engine.workshop.prepare = lambda run: None
    stage.operations.ask(Command(id="c", target="a", kind="resume", asked_by="owner", asked_ms=0))
    stage.until(lambda: everything_is_held(stage, 1))


def test_a_paused_run_is_paused_wherever_it_goes(stage: Stage) -> None:
    """The heir starts it and pauses it before it could quote."""
    stage.specs("a")
    spec = stage.operations.run_specs()[0]
    stage.operations.put_run(msgspec.structs.replace(spec, desired=DesiredState.PAUSED, revision=2))
    engine = stage.engine("one")
    stage.until(lambda: bool(engine.workshop.made) and len(engine.latest("a").calls) == 2)
    assert engine.latest("a").calls == ["start", "pause: paused by the owner"]
    stage.operations.put_run(msgspec.structs.replace(spec, desired=DesiredState.RUNNING, revision=3))
    stage.until(lambda: engine.latest("a").calls[-1] == "resume")
    stage.operations.put_run(msgspec.structs.replace(spec, desired=DesiredState.PAUSED, revision=4))
    stage.until(lambda: engine.latest("a").calls[-1] == "pause: paused by the owner")
    assert len(engine.workshop.made) == 1


def test_a_run_that_is_not_wanted_is_set_down_and_a_changed_one_begins_anew(stage: Stage) -> None:
    """Stopping gives the lease back; other parameters make another life of the run."""
    stage.specs("a")
    spec = stage.operations.run_specs()[0]
    engine = stage.engine("one")
    stage.until(lambda: everything_is_held(stage, 1))
    changed = msgspec.structs.replace(spec, parameters={"bid_spread": "0.01"}, revision=2)
    stage.operations.put_run(changed)
    stage.until(lambda: len(engine.workshop.made) == 2 and everything_is_held(stage, 1))
    assert engine.latest("a").spec.parameters == {"bid_spread": "0.01"}
    stage.operations.put_run(msgspec.structs.replace(changed, desired=DesiredState.STOPPED, revision=3))
    stage.until(lambda: not engine.runs)
    stage.run_for(10)
    assert len(engine.workshop.made) == 2
    assert engine.latest("a").calls == ["start", "stop: no longer wanted"]


def test_orders_are_left_to_the_heir_where_that_is_wanted(stage: Stage) -> None:
    """With adoption a hand-over is an abandonment with the lease given back."""
    stage.specs("a", "b")
    one = stage.engine("one", adopt=True)
    stage.until(lambda: everything_is_held(stage, 2))
    two = stage.engine("two", adopt=True)
    stage.until(lambda: len(two.runs) == 1 and everything_is_held(stage, 2))
    assert one.latest(two.runs[0]).calls == ["start", "abandon"]


def test_a_lease_that_is_lost_while_stopping_ends_the_stopping(stage: Stage) -> None:
    """An heir is at work: nothing more is cancelled."""
    stage.specs("a")
    engine = stage.engine("one")
    engine.workshop.prepare = lambda run: setattr(run, "stop_takes_s", 1_000.0)
    stage.until(lambda: everything_is_held(stage, 1))
    engine.host.release("a", "asked for")
    stage.run_for(3)
    assert engine.latest("a").calls == ["start", "stop: asked for"]
    TradingStore.open(stage.folder / "trading.db").seize_lease("a", "angel", 10**12, engine.clock.now_ns())
    stage.until(lambda: engine.latest("a").calls[-1] == "abandon")


def test_an_engine_that_takes_long_to_end_is_not_taken_for_dead(stage: Stage) -> None:
    """It beats until its runs are proven gone, so that no Angel comes in the middle; then never again."""
    stage.specs("a")
    engine = stage.engine("one")
    engine.workshop.prepare = lambda run: setattr(run, "stop_takes_s", 20.0)
    stage.until(lambda: everything_is_held(stage, 1))

    async def end() -> None:
        engine.task.cancel()
        await asyncio.gather(engine.task, return_exceptions=True)
        await engine.host.close()

    del stage.engines["one"]  # its end is ours to look at
    ending = stage.loop.create_task(end())
    seen: set[int] = set()
    for _ in range(9):
        stage.run_for(2)
        assert not ending.done()
        seen |= {beat.seq for beat in stage.operations.beats()}
    assert len(seen) == 9
    assert engine.latest("a").guard.is_valid
    stage.until(ending.done)
    stage.run_for(3)
    assert engine.latest("a").calls == ["start", "stop: the engine ends"]
    assert stage.operations.beats() == []
