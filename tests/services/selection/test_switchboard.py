"""What the choice asks of runs: the owner's own commands, to the proof, and as often as need be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mrmarket.core.clock import SystemClock
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.selection.plan import Plan
from mrmarket.services.selection.switchboard import Switchboard
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.errors import StaleRevisionError
from mrmarket.store.operations import CommandState, DesiredState, OperationsStore, RunSpec
from mrmarket.trading.strategy.observer import RunState
from selection_samples import candidate

SPEC = RunSpec(id="pool.run", venue="v", pair="BTC/USDT", kind="pure_market_making")
MAIN = Plan(candidate("main"), SPEC)
ADAPTIVE = Plan(candidate("adaptive"), msgspec.structs.replace(SPEC, kind="glft"))
ARB = Plan(candidate("arb"), msgspec.structs.replace(SPEC, id="arb"))


class Engine:
    """An engine that looks when it is hurried: answers commands, and follows specifications where told to."""

    def __init__(self, operations: OperationsStore) -> None:
        self.operations = operations
        self.here: dict[str, tuple[int, RunState]] = {}
        self.answers: dict[str, tuple[CommandState, str]] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.follows = True

    def state(self, run: str) -> tuple[int, RunState] | None:
        """As it was left."""
        return self.here.get(run)

    def hurry(self) -> None:
        """Look now."""
        for command in self.operations.commands(list(self.here)):
            if command.kind not in self.answers:
                continue
            state, answer = self.answers[command.kind]
            self.asked.append((command.target, command.kind, command.asked_by))
            self.operations.answer(command.id, state, answer, 1)
            if state is CommandState.DONE and command.kind in ("pause", "resume"):
                word = RunState.PAUSED if command.kind == "pause" else RunState.RUNNING
                self.here[command.target] = (self.here[command.target][0], word)
        if self.follows:
            for spec in self.operations.run_specs():
                if spec.desired is DesiredState.RUNNING and self.here.get(spec.id, (0,))[0] < spec.revision:
                    self.here[spec.id] = (spec.revision, RunState.RUNNING)


class Stage:
    """A switchboard over a real database."""

    def __init__(self, operations: OperationsStore) -> None:
        self.operations = operations
        self.engine = Engine(operations)
        clock = SystemClock()
        self.board = Switchboard(operations, DatabaseLine(clock, 30.0), self.engine, clock, patience_s=0.2)
        operations.put_run(SPEC)
        operations.put_run(ARB.spec)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Two runs are known, none is here."""
    operations = StoreAddress(tmp_path).open_operations()
    yield Stage(operations)
    operations.close()


async def test_a_run_stops_only_when_its_orders_are_proven_closed(stage: Stage) -> None:
    """Paused, then everything cancelled; without the proof it has not stopped, and says what is left."""
    stage.engine.here = {"pool.run": (1, RunState.RUNNING)}
    stage.engine.answers = {
        "pause": (CommandState.DONE, ""),
        "cancel_all": (CommandState.DONE, "1 cancels sent, not proven closed: b1"),
    }
    left = await stage.board.stop(MAIN, "another is better")
    assert (left.ok, left.detail) == (False, "1 cancels sent, not proven closed: b1")
    stage.engine.answers["cancel_all"] = (CommandState.DONE, "0 cancels sent, all proven closed")
    assert (await stage.board.stop(MAIN, "another is better")).ok
    assert stage.engine.asked[:2] == [
        ("pool.run", "pause", "selection"),
        ("pool.run", "cancel_all", "selection"),
    ]


async def test_a_pause_that_is_refused_or_not_heard_is_no_stop(stage: Stage) -> None:
    """The engine's word is passed on; silence is told as such; nothing is cancelled."""
    stage.engine.here = {"pool.run": (1, RunState.RUNNING)}
    unheard = await stage.board.stop(MAIN, "why")
    assert (unheard.ok, unheard.detail) == (False, "no engine answered to pause")
    stage.engine.answers = {"pause": (CommandState.REFUSED, "it is starting")}
    refused = await stage.board.stop(MAIN, "why")
    assert (refused.ok, refused.detail) == (False, "it is starting")
    assert all(kind == "pause" for _, kind, _ in stage.engine.asked)


async def test_a_run_that_is_nowhere_is_recovered_first(stage: Stage) -> None:
    """It is wanted paused, once, so that whoever recovers it does not trade."""
    for _ in range(2):
        answer = await stage.board.stop(MAIN, "why")
        assert not answer.ok
        assert "recovered first" in answer.detail
    spec = stage.operations.run_spec("pool.run")
    assert spec is not None
    assert (spec.desired, spec.revision) == (DesiredState.PAUSED, 2)


async def test_the_same_strategy_goes_on_and_another_begins_under_a_new_revision(stage: Stage) -> None:
    """A resume where it is held; a new specification where the strategy differs."""
    stage.engine.here = {"pool.run": (1, RunState.PAUSED)}
    stage.engine.answers = {"resume": (CommandState.DONE, "")}
    assert (await stage.board.start(MAIN, "its turn")).ok
    assert (await stage.board.start(ADAPTIVE, "its turn")).ok
    spec = stage.operations.run_spec("pool.run")
    assert spec is not None
    assert (spec.kind, spec.revision, spec.desired) == ("glft", 2, DesiredState.RUNNING)
    assert [kind for _, kind, _ in stage.engine.asked] == ["resume"]


async def test_what_cannot_begin_says_why(stage: Stage) -> None:
    """No such run, a refused resume, a run that fails, one that nobody takes, and one changed meanwhile."""
    nobody = Plan(candidate("nobody"), msgspec.structs.replace(SPEC, id="nobody"))
    assert (await stage.board.start(nobody, "")).detail == "there is no run nobody"
    stage.engine.follows = False
    stage.operations.put_run(msgspec.structs.replace(ARB.spec, desired=DesiredState.PAUSED, revision=2))
    assert (await stage.board.start(ARB, "")).detail == "its run did not begin"
    wanted = stage.operations.run_spec("arb")
    assert wanted is not None
    assert wanted.desired is DesiredState.RUNNING
    stage.engine.here = {"pool.run": (2, RunState.FAILED)}
    assert (await stage.board.start(ADAPTIVE, "")).detail == "its run is failed"
    stage.engine.answers = {"resume": (CommandState.REFUSED, "it is halted")}
    assert (await stage.board.start(ADAPTIVE, "")).detail == "it is halted"


async def test_who_was_faster_is_looked_at_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A specification that somebody else has changed in between is not written over."""

    def stale(_: RunSpec) -> None:
        raise StaleRevisionError("control.db", "pool.run", 2)

    monkeypatch.setattr(stage.operations, "put_run", stale)
    answer = await stage.board.start(ADAPTIVE, "its turn")
    assert (answer.ok, answer.detail) == (False, "somebody else has changed the run; it is tried again")
    assert not (await stage.board.stop(MAIN, "why")).ok


async def test_whoever_trades_out_of_turn_is_paused(stage: Stage) -> None:
    """Not the one whose turn it is, nor one that is paused already."""
    stage.engine.here = {"pool.run": (1, RunState.RUNNING), "arb": (1, RunState.RUNNING)}
    stage.engine.answers = {"pause": (CommandState.DONE, "")}
    plans = {"main": MAIN, "adaptive": ADAPTIVE, "arb": ARB}
    assert await stage.board.hold_down(plans, "adaptive") == ["arb"]
    assert await stage.board.hold_down(plans, "adaptive") == []
    assert await stage.board.hold_down(plans, "") == ["pool.run"]
