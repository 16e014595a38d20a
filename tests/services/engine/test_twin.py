"""Two live processes by one name: a copied data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine_stage import Stage, StageEngine
from mrmarket.services.engine.twin import EngineNameTakenError, TwinWatch
from mrmarket.store.operations import Beat


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """No engine yet."""
    return Stage(tmp_path)


def beat(seq: int, started_ms: int = 5, pid: int = 1) -> Beat:
    """A sign of life by our name."""
    return Beat(node="one", role="engine", seq=seq, started_ms=started_ms, at_ms=9, host="h", pid=pid)


def ended(stage: Stage, engine: StageEngine) -> BaseException | None:
    """Wait for the end of an engine, and say what ended it."""
    stage.until(engine.task.done)
    closing = stage.loop.create_task(engine.host.close())
    stage.until(closing.done)
    error = engine.task.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def twin_of(stage: Stage, first: StageEngine, process: int) -> StageEngine:
    """Another engine by the same name, which may end when it likes."""
    second = stage.engine("one", machine="there", process=process)
    stage.engines["one"] = first
    return second


def test_one_late_sign_of_life_is_no_twin() -> None:
    """What a dead process had sent may still arrive; ours and nobody's say nothing."""
    watch = TwinWatch((7, "h", 2))
    mine = beat(3, started_ms=7, pid=2)
    harmless = [None, beat(8), mine, beat(9), mine, beat(9)]
    assert [watch.see(each) for each in harmless] == [None] * len(harmless)
    assert watch.see(beat(4, pid=6)) is None, "another one starts from nothing"
    assert watch.see(beat(5, pid=6)) is None
    twin = watch.see(beat(6, pid=6))
    assert twin == beat(6, pid=6)
    assert not watch.is_elder(beat(6, pid=6))
    assert watch.is_elder(beat(6, started_ms=8))


def test_a_second_engine_of_a_name_is_refused_and_disturbs_nothing(stage: Stage) -> None:
    """It claims no run, and leaves the sign of life of the first where it is."""
    stage.specs("a", "b")
    first = stage.engine("one", machine="here", process=1)
    stage.until(lambda: first.runs == ["a", "b"])
    fences = {lease.name: lease.fence for lease in first.log.leases()}
    second = twin_of(stage, first, 2)
    error = ended(stage, second)
    assert isinstance(error, EngineNameTakenError)
    assert "process 1 of here" in str(error)
    assert (second.host.claims, second.workshop.made) == (0, [])
    assert [each.host for each in first.operations.beats()] == ["here"]
    stage.run_for(10)
    assert {lease.name: lease.fence for lease in first.log.leases()} == fences


def test_of_two_that_start_at_once_the_later_leaves(stage: Stage) -> None:
    """Neither saw the other in time; afterwards one holds every run and no fence rises any more."""
    stage.specs("a", "b")
    first = stage.engine("one", machine="here", process=1)
    stage.run_for(0.002)
    second = twin_of(stage, first, 2)
    error = ended(stage, second)
    assert isinstance(error, EngineNameTakenError)
    stage.until(lambda: first.runs == ["a", "b"])
    stage.run_for(10)
    fences = {lease.name: lease.fence for lease in first.log.leases()}
    stage.run_for(10)
    assert {lease.name: lease.fence for lease in first.log.leases()} == fences


def test_a_name_whose_process_is_dead_is_taken_over(stage: Stage) -> None:
    """At once where that is certain; else when its sign of life has stood still for long enough."""
    stage.specs("a")
    first = stage.engine("one", machine="here", process=1)
    stage.until(lambda: first.runs == ["a"])
    stage.kill("one")
    second = stage.engine("one", machine="there", process=2)
    stage.until(lambda: second.runs == ["a"])
    stage.kill("one")
    third = stage.engine("one", machine="there", process=3, has_ended=lambda _: True)
    began = stage.loop.time()
    stage.until(lambda: third.runs == ["a"])
    assert stage.loop.time() - began < third.host.timing.dead_s


def test_a_database_that_is_away_at_the_start_is_waited_for(stage: Stage) -> None:
    """Whether somebody goes by our name is known only from there."""
    stage.specs("a")
    engine = stage.engine("one", machine="here", process=1)
    engine.cut(off=True)
    stage.run_for(5)
    assert engine.host.claims == 0
    engine.cut(off=False)
    stage.until(lambda: engine.runs == ["a"])
