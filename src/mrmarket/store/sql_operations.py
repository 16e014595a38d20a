"""The operations port over SQL that SQLite and PostgreSQL share; one statement a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec

from mrmarket.store.errors import DatabaseDamagedError, Place, StaleRevisionError
from mrmarket.store.operations import (
    AngelAction,
    Beat,
    Command,
    CommandState,
    Finding,
    Restriction,
    RunGoal,
    RunReport,
    RunSpec,
)

_T = TypeVar("_T")

_PUT_RUN: Final = (
    "INSERT INTO runs (id, revision, desired, spec) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
    " revision = excluded.revision, desired = excluded.desired, spec = excluded.spec"
    " WHERE excluded.revision > runs.revision"
)
_BEAT: Final = (
    "INSERT INTO beats (node, role, seq, started_ms, at_ms, host, pid, detail)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (node) DO UPDATE SET role = excluded.role,"
    " seq = excluded.seq, started_ms = excluded.started_ms, at_ms = excluded.at_ms, host = excluded.host,"
    " pid = excluded.pid, detail = excluded.detail"
)
_COMMAND_COLUMNS: Final = "id, target, kind, arguments, asked_by, asked_ms, state, answer, ended_ms"
_ASK: Final = (
    f"INSERT INTO commands ({_COMMAND_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - a constant
    " ON CONFLICT (id) DO NOTHING"
)
_COMMANDS: Final = f"SELECT {_COMMAND_COLUMNS} FROM commands WHERE "  # noqa: S608 - a constant
_RESTRICT: Final = (
    "INSERT INTO restrictions (scope, cause, state, detail, by_whom, since_ms, until_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (scope, cause) DO UPDATE SET state = excluded.state,"
    " detail = excluded.detail, by_whom = excluded.by_whom, since_ms = excluded.since_ms,"
    " until_ms = excluded.until_ms"
)
_FINDING_COLUMNS: Final = "key, run, kind, subject, ours, theirs, detail, first_ms, last_ms, times, closed_ms"
_NOTE: Final = (
    f"INSERT INTO findings ({_FINDING_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"  # noqa: S608 - a constant
    " ON CONFLICT (key) WHERE closed_ms = 0 DO UPDATE SET ours = excluded.ours, theirs = excluded.theirs,"
    " detail = excluded.detail, last_ms = excluded.last_ms, times = findings.times + 1"
)
_ACTION_COLUMNS: Final = "id, angel, at_ms, incident, action, target, detail"
_LOG: Final = (
    f"INSERT INTO angel_actions ({_ACTION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - a constant
    " ON CONFLICT (id) DO NOTHING"
)
_REPORTS_AT_ONCE: Final = 100
"""SQLite takes 999 values a statement, if it is an old one."""
_REPORT: Final = "INSERT INTO run_reports (run, node, fence, at_ms, state, view) VALUES "
_OVER_REPORT: Final = (
    " ON CONFLICT (run) DO UPDATE SET node = excluded.node, fence = excluded.fence,"
    " at_ms = excluded.at_ms, state = excluded.state, view = excluded.view"
    " WHERE excluded.fence >= run_reports.fence"
)

_PUT_GOAL: Final = (
    "INSERT INTO goals (campaign, cycle, ends_ms, goal) VALUES (?, ?, ?, ?) ON CONFLICT (campaign)"
    " DO UPDATE SET cycle = excluded.cycle, ends_ms = excluded.ends_ms, goal = excluded.goal"
    " WHERE excluded.cycle >= goals.cycle"
)


class Statements(Protocol):
    """Statements that are each a transaction of their own, from any thread."""

    @property
    def place(self) -> Place:
        """Where the database is."""
        ...

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Every row of a query. Raises a StoreError by what the database said."""
        ...

    def run(self, statement: str, *values: object) -> int:
        """Carry out a statement; how many rows it touched. Raises a StoreError by what the database said."""
        ...

    def close(self) -> None:
        """Release the database; closing twice is harmless."""
        ...


class SqlOperations:
    """`OperationsStore` on tables of `control.db`."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def put_run(self, spec: RunSpec) -> None:
        """Add a run or replace its specification; `StaleRevisionError` unless the revision is higher."""
        put = self._statements.run(_PUT_RUN, spec.id, spec.revision, spec.desired.value, _text(spec))
        if not put:
            there = self.run_spec(spec.id)
            raise StaleRevisionError(self._statements.place, spec.id, there.revision if there else 0)

    def run_spec(self, run: str) -> RunSpec | None:
        """One run."""
        rows = self._statements.rows("SELECT spec FROM runs WHERE id = ?", run)
        return self._read(rows[0][0], RunSpec) if rows else None

    def run_specs(self) -> list[RunSpec]:
        """Every run, by id."""
        specs = [self._read(spec, RunSpec) for (spec,) in self._statements.rows("SELECT spec FROM runs")]
        return sorted(specs, key=lambda spec: spec.id)

    def beat(self, beat: Beat) -> None:
        """Write a sign of life over the node's last one."""
        self._statements.run(
            _BEAT,
            *(beat.node, beat.role, beat.seq, beat.started_ms, beat.at_ms, beat.host, beat.pid),
            _text(beat.detail),
        )

    def beats(self) -> list[Beat]:
        """The last sign of life of every node that has not signed off, by node."""
        rows = self._statements.rows(
            "SELECT node, role, seq, started_ms, at_ms, host, pid, detail FROM beats"
        )
        beats = [
            Beat(
                node=row[0],
                role=row[1],
                seq=row[2],
                started_ms=row[3],
                at_ms=row[4],
                host=row[5],
                pid=row[6],
                detail=self._read(row[7], dict[str, Any]),
            )
            for row in rows
        ]
        return sorted(beats, key=lambda beat: beat.node)

    def sign_off(self, node: str) -> None:
        """A node ends on purpose: nobody is to miss it."""
        self._statements.run("DELETE FROM beats WHERE node = ?", node)

    def ask(self, command: Command) -> Command:
        """Put a command down; the same id again returns what is there and changes nothing."""
        self._statements.run(
            _ASK,
            *(command.id, command.target, command.kind, _text(command.arguments), command.asked_by),
            *(command.asked_ms, command.state.value, command.answer, command.ended_ms),
        )
        return self.command(command.id) or command

    def commands(self, targets: Sequence[str]) -> list[Command]:
        """Commands to these targets that nobody has answered, oldest first."""
        if not targets:
            return []
        among = ", ".join("?" * len(targets))
        rows = self._statements.rows(f"{_COMMANDS} state = 'asked' AND target IN ({among})", *targets)
        return sorted(
            (self._command(row) for row in rows), key=lambda command: (command.asked_ms, command.id)
        )

    def command(self, command: str) -> Command | None:
        """One command and its answer."""
        rows = self._statements.rows(f"{_COMMANDS} id = ?", command)
        return self._command(rows[0]) if rows else None

    def answer(self, command: str, state: CommandState, answer: str, at_ms: int) -> bool:
        """End a command; False if somebody has ended it before."""
        return bool(
            self._statements.run(
                "UPDATE commands SET state = ?, answer = ?, ended_ms = ? WHERE id = ? AND state = 'asked'",
                *(state.value, answer, at_ms, command),
            )
        )

    def restrict(self, restriction: Restriction) -> None:
        """Write a restriction over the one of the same scope and cause."""
        self._statements.run(
            _RESTRICT,
            *(restriction.scope, restriction.cause, restriction.state, restriction.detail, restriction.by),
            *(restriction.since_ms, restriction.until_ms),
        )

    def lift(self, scope: str, cause: str) -> bool:
        """Take a restriction away; False if there was none."""
        return bool(
            self._statements.run("DELETE FROM restrictions WHERE scope = ? AND cause = ?", scope, cause)
        )

    def restrictions(self) -> list[Restriction]:
        """All in force, by scope and cause."""
        rows = self._statements.rows(
            "SELECT scope, cause, state, detail, by_whom, since_ms, until_ms FROM restrictions"
        )
        return [
            Restriction(
                scope=row[0],
                cause=row[1],
                state=row[2],
                detail=row[3],
                by=row[4],
                since_ms=row[5],
                until_ms=row[6],
            )
            for row in sorted(rows)
        ]

    def note_finding(self, finding: Finding) -> None:
        """Record a difference; one that stands under the same key counts up and keeps its first time."""
        self._statements.run(
            _NOTE,
            *(finding.key, finding.run, finding.kind, finding.subject, finding.ours, finding.theirs),
            *(finding.detail, finding.first_ms, finding.last_ms, finding.times),
        )

    def close_finding(self, key: str, at_ms: int) -> bool:
        """A difference is gone; False if none stands under that key."""
        return bool(
            self._statements.run(
                "UPDATE findings SET closed_ms = ? WHERE key = ? AND closed_ms = 0", at_ms, key
            )
        )

    def findings(self, *, open_only: bool = True, limit: int = 200) -> list[Finding]:
        """Differences, newest first."""
        only = " WHERE closed_ms = 0" if open_only else ""
        rows = self._statements.rows(
            f"SELECT {_FINDING_COLUMNS} FROM findings{only} ORDER BY last_ms DESC, first_ms DESC LIMIT ?",  # noqa: S608 - constants
            limit,
        )
        return [_finding(row) for row in rows]

    def log_action(self, action: AngelAction) -> None:
        """Append to the Angel's log; the same id again changes nothing."""
        self._statements.run(_LOG, *msgspec.structs.astuple(action))

    def actions(self, limit: int = 200) -> list[AngelAction]:
        """The Angel's log, newest first."""
        rows = self._statements.rows(
            f"SELECT {_ACTION_COLUMNS} FROM angel_actions ORDER BY at_ms DESC, id DESC LIMIT ?",  # noqa: S608 - a constant
            limit,
        )
        return [AngelAction(**dict(zip(_ACTION_COLUMNS.split(", "), row, strict=True))) for row in rows]

    def report(self, report: RunReport) -> None:
        """Write a run's report over its last one, unless a higher fence has reported."""
        self.report_all((report,))

    def report_all(self, reports: Sequence[RunReport]) -> None:
        """The same for several runs at once; no run may be there twice."""
        for start in range(0, len(reports), _REPORTS_AT_ONCE):
            some = reports[start : start + _REPORTS_AT_ONCE]
            rows = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(some))
            values = [
                value
                for each in some
                for value in (each.run, each.node, each.fence, each.at_ms, each.state, _text(each.view))
            ]
            self._statements.run(f"{_REPORT}{rows}{_OVER_REPORT}", *values)

    def reports(self) -> list[RunReport]:
        """The last report of every run, by run."""
        rows = self._statements.rows("SELECT run, node, fence, at_ms, state, view FROM run_reports")
        return [
            RunReport(
                run=row[0],
                node=row[1],
                fence=row[2],
                at_ms=row[3],
                state=row[4],
                view=self._read(row[5], dict[str, Any]),
            )
            for row in sorted(rows)
        ]

    def put_goal(self, goal: RunGoal) -> bool:
        """Write a campaign's goal over its last one; False, and nothing, if a later cycle's is there."""
        return bool(self._statements.run(_PUT_GOAL, goal.campaign, goal.cycle, goal.ends_ms, _text(goal)))

    def goals(self, after_ms: int) -> list[RunGoal]:
        """Those whose cycle ends after a time, by campaign."""
        rows = self._statements.rows("SELECT goal FROM goals WHERE ends_ms > ?", after_ms)
        return sorted((self._read(goal, RunGoal) for (goal,) in rows), key=lambda goal: goal.campaign)

    def close(self) -> None:
        """Release the database; closing twice is harmless."""
        self._statements.close()

    def _command(self, row: tuple[Any, ...]) -> Command:
        return Command(
            id=row[0],
            target=row[1],
            kind=row[2],
            arguments=self._read(row[3], dict[str, Any]),
            asked_by=row[4],
            asked_ms=row[5],
            state=CommandState(row[6]),
            answer=row[7],
            ended_ms=row[8],
        )

    def _read(self, text: str, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise DatabaseDamagedError(self._statements.place, f"a row cannot be read: {error}") from error


def _finding(row: tuple[Any, ...]) -> Finding:
    return Finding(**dict(zip(_FINDING_COLUMNS.split(", "), row, strict=True)))


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
