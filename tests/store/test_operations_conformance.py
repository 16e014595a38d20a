"""What the roles of an instance tell each other: what every operations store does alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from mrmarket.store.errors import DatabaseDamagedError, StaleRevisionError
from mrmarket.store.operations import (
    AngelAction,
    Beat,
    Command,
    CommandState,
    DesiredState,
    Finding,
    OperationsStore,
    Restriction,
    RunGoal,
    RunReport,
    RunSpec,
)
from mrmarket.store.sql_operations import SqlOperations
from store.conftest import OpenOperations

SPEC = RunSpec(
    id="run/1",
    venue="binance",
    pair="BTC/USDT",
    kind="pure_market_making",
    parameters={"bid_spread": "0.001", "layers": 3, "deep": {"list": [1, None, True]}},
    pool="main",
)
BEAT = Beat(node="engine-1", role="engine", seq=1, started_ms=5, at_ms=9, host="h", pid=7, detail={"runs": 2})
COMMAND = Command(
    id="c1", target="run/1", kind="tune", arguments={"spread": "0.1"}, asked_by="owner", asked_ms=5
)
RESTRICTION = Restriction(
    scope="run:run/1", cause="loss_1h", state="reduce", detail="lost 3 %", by="run/1", since_ms=5
)
FINDING = Finding(
    key="run/1|balance|BTC",
    run="run/1",
    kind="balance",
    subject="BTC",
    ours="1",
    theirs="2",
    first_ms=5,
    last_ms=5,
)
REPORT = RunReport(run="run/1", node="engine-1", fence=2, at_ms=5, state="active", view={"quotes": [1, 2]})

GOAL = RunGoal(
    campaign="hufi-1-0xaa",
    cycle=3,
    venue="binance",
    account="default",
    pair="BTC/USDT",
    starts_ms=100,
    ends_ms=200,
    volume="1000.5",
    min_spread_bps=1,
    max_spread_bps=50,
    max_inventory="1000",
    cost_ceiling="8.25",
    pause="none",
    reason="",
    changed_ms=5,
)


def action(name: str, at_ms: int) -> AngelAction:
    """Something the Angel did."""
    return AngelAction(id=name, angel="angel-1", at_ms=at_ms, incident="i1", action="seize", target="run/1")


def changed(spec: RunSpec, **values: object) -> RunSpec:
    """The same run with other values."""
    return msgspec.structs.replace(spec, **values)


def test_a_run_is_read_as_it_was_put(open_operations: OpenOperations) -> None:
    """Another process reads every field of a run, nested parameters included."""
    operations, other = open_operations(), open_operations()
    assert (other.run_spec("run/1"), other.run_specs()) == (None, [])
    operations.put_run(SPEC)
    operations.put_run(changed(SPEC, id="run/0", desired=DesiredState.PAUSED))
    assert other.run_spec("run/1") == SPEC
    assert [spec.id for spec in other.run_specs()] == ["run/0", "run/1"]
    assert other.run_specs()[0].desired is DesiredState.PAUSED


def test_a_run_changes_only_with_a_higher_revision(operations: OperationsStore) -> None:
    """Of two who change the same run from the same state, the second is told."""
    operations.put_run(SPEC)
    operations.put_run(changed(SPEC, revision=3, desired=DesiredState.STOPPED))
    for revision in (2, 3):
        with pytest.raises(StaleRevisionError) as caught:
            operations.put_run(changed(SPEC, revision=revision))
        assert (caught.value.run, caught.value.revision) == ("run/1", 3)
    spec = operations.run_spec("run/1")
    assert spec is not None
    assert spec.desired is DesiredState.STOPPED


def test_the_last_beat_of_each_node_stands(open_operations: OpenOperations) -> None:
    """A watcher sees one row a node, and none of a node that has signed off."""
    operations, watcher = open_operations(), open_operations()
    operations.beat(BEAT)
    operations.beat(msgspec.structs.replace(BEAT, node="api-1", role="api"))
    operations.beat(msgspec.structs.replace(BEAT, seq=2, detail={}))
    assert [(beat.node, beat.seq, beat.detail) for beat in watcher.beats()] == [
        ("api-1", 1, {"runs": 2}),
        ("engine-1", 2, {}),
    ]
    operations.sign_off("engine-1")
    operations.sign_off("nobody")
    assert [beat.node for beat in watcher.beats()] == ["api-1"]


def test_a_command_is_put_down_once(operations: OperationsStore) -> None:
    """The same id is the same command: what is there comes back and nothing is changed."""
    assert operations.ask(COMMAND) == COMMAND
    assert operations.ask(msgspec.structs.replace(COMMAND, kind="halt")) == COMMAND
    assert operations.command("c1") == COMMAND
    assert operations.command("c2") is None


def test_open_commands_come_oldest_first_and_by_target(operations: OperationsStore) -> None:
    """An engine asks for its runs, its venues and the instance in one go."""
    for name, target, at_ms in (
        ("c3", "instance", 7),
        ("c2", "run/1", 5),
        ("c1", "run/1", 5),
        ("c4", "run/2", 1),
    ):
        operations.ask(msgspec.structs.replace(COMMAND, id=name, target=target, asked_ms=at_ms))
    operations.answer("c2", CommandState.DONE, "", 8)
    found = operations.commands(["run/1", "instance", "venue:x"])
    assert [command.id for command in found] == ["c1", "c3"]
    assert operations.commands([]) == []


def test_a_command_is_answered_once(operations: OperationsStore) -> None:
    """The first answer stands; whoever comes later is told so."""
    operations.ask(COMMAND)
    assert operations.answer("c1", CommandState.REFUSED, "not now", 8)
    assert not operations.answer("c1", CommandState.DONE, "", 9)
    assert not operations.answer("c2", CommandState.DONE, "", 9)
    answered = msgspec.structs.replace(COMMAND, state=CommandState.REFUSED, answer="not now", ended_ms=8)
    assert operations.command("c1") == answered
    assert operations.ask(COMMAND) == answered


def test_of_many_who_answer_at_once_one_does(open_operations: OpenOperations) -> None:
    """Two engines that carry out the same command at the same time do not both believe to be first."""
    stores = [open_operations() for _ in range(3)]
    for number in range(10):
        stores[0].ask(msgspec.structs.replace(COMMAND, id=f"c{number}"))
    start = threading.Barrier(len(stores))
    wins: list[bool] = []

    def answer(operations: OperationsStore) -> None:
        for number in range(10):
            start.wait()
            wins.append(operations.answer(f"c{number}", CommandState.DONE, "", 9))

    together([partial(answer, store) for store in stores])
    assert (len(wins), sum(wins)) == (30, 10)


def test_one_restriction_a_scope_and_cause(operations: OperationsStore) -> None:
    """The later one of the same cause replaces the earlier; other causes stand beside it."""
    operations.restrict(RESTRICTION)
    later = msgspec.structs.replace(RESTRICTION, state="halt", since_ms=9, until_ms=20)
    operations.restrict(later)
    venue = Restriction(scope="venue:x", cause="clock", state="cancel_only", by="angel", since_ms=1)
    operations.restrict(venue)
    assert operations.restrictions() == [later, venue]
    assert operations.lift("venue:x", "clock")
    assert not operations.lift("venue:x", "clock")
    assert operations.restrictions() == [later]


def test_a_difference_that_stands_counts_up(operations: OperationsStore) -> None:
    """Seen again it keeps its first time and takes the newest figures."""
    operations.note_finding(FINDING)
    operations.note_finding(msgspec.structs.replace(FINDING, theirs="3", first_ms=8, last_ms=8, detail="d"))
    assert operations.findings() == [
        msgspec.structs.replace(FINDING, theirs="3", last_ms=8, times=2, detail="d")
    ]


def test_a_closed_difference_stays_as_history(operations: OperationsStore) -> None:
    """The same difference found again later is a new one, beside the old."""
    operations.note_finding(FINDING)
    assert operations.close_finding(FINDING.key, 9)
    assert not operations.close_finding(FINDING.key, 10)
    assert operations.findings() == []
    again = msgspec.structs.replace(FINDING, first_ms=9, last_ms=9)
    operations.note_finding(again)
    assert operations.findings() == [again]
    closed = msgspec.structs.replace(FINDING, closed_ms=9)
    assert operations.findings(open_only=False) == [again, closed]
    assert operations.findings(open_only=False, limit=1) == [again]


def test_the_angels_log_is_written_once_and_read_newest_first(operations: OperationsStore) -> None:
    """A repeated entry changes nothing."""
    operations.log_action(action("a1", 5))
    operations.log_action(action("a1", 9))
    operations.log_action(action("a2", 7))
    assert operations.actions() == [action("a2", 7), action("a1", 5)]
    assert operations.actions(limit=1) == [action("a2", 7)]


def test_a_report_of_a_lower_fence_is_not_taken(operations: OperationsStore) -> None:
    """A deposed engine does not paint over what its heir has said."""
    operations.report(REPORT)
    operations.report(msgspec.structs.replace(REPORT, at_ms=6))
    operations.report(msgspec.structs.replace(REPORT, fence=3, node="engine-2", at_ms=7))
    operations.report(msgspec.structs.replace(REPORT, fence=2, at_ms=8))
    operations.report(msgspec.structs.replace(REPORT, run="run/0"))
    assert [(report.run, report.node, report.at_ms, report.view) for report in operations.reports()] == [
        ("run/0", "engine-1", 5, {"quotes": [1, 2]}),
        ("run/1", "engine-2", 7, {"quotes": [1, 2]}),
    ]


def test_many_reports_are_written_as_one(operations: OperationsStore) -> None:
    """Each by its own fence: what a deposed engine says of some runs keeps nothing of the others back."""
    operations.report(msgspec.structs.replace(REPORT, run="run/007", fence=9, node="heir"))
    operations.report_all([msgspec.structs.replace(REPORT, run=f"run/{n:03}") for n in range(250)])
    operations.report_all([])
    reports = operations.reports()
    assert [report.run for report in reports] == [f"run/{n:03}" for n in range(250)]
    assert {report.run for report in reports if report.node == "heir"} == {"run/007"}


def test_a_campaigns_goal_is_the_newest_cycles(open_operations: OpenOperations) -> None:
    """Another process reads it whole; a later word on the same cycle counts, one on an earlier does not."""
    operations, other = open_operations(), open_operations()
    assert operations.put_goal(GOAL)
    assert other.goals(0) == [GOAL]
    paused = msgspec.structs.replace(GOAL, pause="target_met", reason="it is made")
    assert operations.put_goal(paused)
    assert not other.put_goal(msgspec.structs.replace(GOAL, cycle=2))
    assert operations.put_goal(msgspec.structs.replace(GOAL, campaign="a", ends_ms=300))
    assert [goal.campaign for goal in other.goals(199)] == ["a", "hufi-1-0xaa"]
    assert other.goals(0)[1] == paused
    assert [goal.campaign for goal in other.goals(200)] == ["a"]


def test_many_processes_write_at_once(open_operations: OpenOperations) -> None:
    """Beats and findings of several processes all arrive; nobody is turned away for want of patience."""
    stores = [open_operations() for _ in range(3)]

    def write(number: int, operations: OperationsStore) -> None:
        for seq in range(30):
            operations.beat(msgspec.structs.replace(BEAT, node=f"n{number}", seq=seq))
            operations.note_finding(FINDING)

    together([partial(write, number, store) for number, store in enumerate(stores)])
    assert [beat.seq for beat in stores[0].beats()] == [29, 29, 29]
    assert [finding.times for finding in stores[0].findings()] == [90]


def test_closing_operations_twice_is_harmless(operations: OperationsStore) -> None:
    """Shutdown paths may meet."""
    operations.close()
    operations.close()


def together(jobs: list[Callable[[], None]]) -> None:
    """Carry jobs out at the same time, and raise what any of them raised."""
    failures: list[BaseException] = []

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("text", ["{", "[" * 200_000, '{"a":' * 5_000])
def test_a_row_that_cannot_be_read_is_named(text: str) -> None:
    """Cut off or nested beyond every stack: the caller hears of damage, not of a parser's troubles."""

    class Damaged:
        place = "somewhere"

        def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
            return [(text,)]

        def run(self, statement: str, *values: object) -> int:
            return 0

        def close(self) -> None:
            return

    with pytest.raises(DatabaseDamagedError, match="cannot be read"):
        SqlOperations(Damaged()).run_specs()
