"""What the owner asks of runs, wherever they are; and restrictions that bind every engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine_stage import Stage
from mrmarket.store.operations import Command, CommandState, DesiredState, Restriction, RunSpec
from mrmarket.trading.execution.differences import Difference, DifferenceKind
from mrmarket.trading.execution.risk.state import RiskState


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Two engines with one run each."""
    stage = Stage(tmp_path)
    stage.specs("a", "b")
    for node in ("one", "two"):
        stage.engine(node)
    stage.until(lambda: stage.held() in ({"one": ["a"], "two": ["b"]}, {"one": ["b"], "two": ["a"]}))
    stage.run_for(2)
    return stage


def ask(stage: Stage, kind: str, target: str, **arguments: object) -> Command:
    """Ask, and wait for the answer."""
    command = Command(
        id=f"{kind}-{target}-{len(arguments)}",
        target=target,
        kind=kind,
        arguments=arguments,
        asked_by="me",
        asked_ms=1,
    )
    stage.operations.ask(command)

    def answered() -> bool:
        found = stage.operations.command(command.id)
        return found is not None and found.state is not CommandState.ASKED

    stage.until(answered)
    found = stage.operations.command(command.id)
    assert found is not None
    return found


def test_a_pause_is_carried_out_by_the_holder_and_kept_for_its_heirs(stage: Stage) -> None:
    """The specification says so from then on; resuming takes it back."""
    assert ask(stage, "pause", "a").answer == "paused"
    holder = next(engine for engine in stage.engines.values() if "a" in engine.runs)
    assert holder.latest("a").calls[-1] == "pause: paused by me"
    spec = stage.operations.run_spec("a")
    assert spec is not None
    assert spec.desired is DesiredState.PAUSED
    assert ask(stage, "resume", "a").answer == "running"
    assert holder.latest("a").calls[-1] == "resume"
    assert len(holder.workshop.made) == len({run.spec.id for run in holder.workshop.made})


def test_a_command_to_everything_reaches_each_run_once(stage: Stage) -> None:
    """It is handed on to the runs, whichever engine sees it first."""
    assert ask(stage, "cancel_all", "instance").answer == "passed on to 2 runs"
    stage.until(
        lambda: all(
            engine.latest(run).calls.count("cancel_all") == 1
            for engine in stage.engines.values()
            for run in engine.runs
        )
    )
    stage.run_for(5)
    assert all(run.calls.count("cancel_all") <= 1 for e in stage.engines.values() for run in e.workshop.made)


def test_a_halt_of_everything_binds_every_engine_until_it_is_lifted(stage: Stage) -> None:
    """One restriction in the database; each board follows it there and back."""
    ask(stage, "halt", "instance", reason="stop it")
    boards = [engine.board for engine in stage.engines.values()]
    stage.until(lambda: all(board.state("a", "venue") is RiskState.HALT for board in boards))
    assert "1 restrictions" in ask(stage, "rearm", "instance").answer
    stage.until(lambda: all(board.state("a", "venue") is RiskState.ACTIVE for board in boards))
    assert stage.operations.restrictions() == []


def test_a_halt_of_a_venue_binds_every_account_and_each_can_be_lifted_by_itself(stage: Stage) -> None:
    """Facts and boards know an account by a name of its own; the owner may name it or the whole venue."""
    spec = RunSpec(id="c", venue="venue", account="second", pair="BTC/USDT", kind="pure_market_making")
    stage.operations.put_run(spec)
    stage.run_for(3)
    ask(stage, "halt", "venue:venue", reason="stop it")
    scopes = ["venue:venue", "venue:venue-second"]
    assert [row.scope for row in stage.operations.restrictions()] == scopes
    boards = [engine.board for engine in stage.engines.values()]
    stage.until(lambda: all(board.state("c", "venue-second") is RiskState.HALT for board in boards))
    assert "1 restrictions" in ask(stage, "rearm", "venue:venue-second").answer
    assert [row.scope for row in stage.operations.restrictions()] == ["venue:venue"]
    ask(stage, "halt", "venue:venue-second")
    assert "2 restrictions" in ask(stage, "rearm", "venue:venue").answer
    assert stage.operations.restrictions() == []


def test_what_a_board_restricts_is_written_down_as_soon_as_the_database_answers(stage: Stage) -> None:
    """Also when it was away at the time; another engine is bound by what waits for the owner."""
    one, two = stage.engines["one"], stage.engines["two"]
    one.operations.cut = True
    one.board.halt("venue:venue", "owner", "me", "no more")
    stage.run_for(3)
    assert stage.operations.restrictions() == []
    one.operations.cut = False
    stage.until(lambda: two.board.scope_state("venue:venue") is RiskState.HALT)
    assert [(row.scope, row.cause) for row in stage.operations.restrictions()] == [("venue:venue", "owner")]
    two.board.rearm("venue:venue")
    stage.until(lambda: one.board.scope_state("venue:venue") is RiskState.ACTIVE)


def test_a_restriction_of_a_run_goes_with_it(stage: Stage) -> None:
    """Its next engine is bound; its last one forgets it."""
    holder = next(engine for engine in stage.engines.values() if "a" in engine.runs)
    other = next(engine for engine in stage.engines.values() if engine is not holder)
    stage.operations.restrict(
        Restriction(scope="run:a", cause="slippage", state="reduce", by="a", since_ms=1, until_ms=2)
    )
    node = next(node for node, engine in stage.engines.items() if engine is holder)
    stage.close(node)
    stage.until(lambda: other.runs == ["a", "b"])
    stage.until(lambda: other.board.scope_state("run:a") is RiskState.REDUCE)


def test_an_unknown_command_is_refused_and_an_engine_can_be_drained(stage: Stage) -> None:
    """Every command is answered, whatever it asks."""
    refused = ask(stage, "dance", "engine:one")
    assert refused.state is CommandState.REFUSED
    assert ask(stage, "drain", "engine:one").answer == "1 runs are being handed over"
    assert ask(stage, "tune", "a", bid_spread="0.01").answer == "revision 2"
    spec = stage.operations.run_spec("a")
    assert spec is not None
    assert spec.parameters == {"bid_spread": "0.01"}
    assert ask(stage, "release", "b").state is CommandState.DONE


def test_differences_are_written_down_and_closed(stage: Stage) -> None:
    """They wait for a database that is away."""
    engine = stage.engines["one"]
    difference = Difference(DifferenceKind.BALANCE, "BTC", "1", "2")
    engine.operations.cut = True
    engine.host.findings.note("a", difference, True)
    stage.run_for(2)
    assert engine.host.findings.unwritten == 1
    engine.operations.cut = False
    stage.until(lambda: len(stage.operations.findings()) == 1)
    engine.host.findings.note("a", difference, False)
    stage.until(lambda: stage.operations.findings() == [])
