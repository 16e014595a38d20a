"""The operations store in memory: what the roles of one instance tell each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from mrmarket.simulation.disk import Disk
from mrmarket.simulation.process import PROCESS
from mrmarket.store.errors import StaleRevisionError
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


@dataclass(slots=True)
class OperationsData:
    """What is on the disk. It is small and synced with every commit."""

    specs: dict[str, RunSpec] = field(default_factory=dict)
    beats: dict[str, Beat] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    restrictions: dict[tuple[str, str], Restriction] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    actions: dict[str, AngelAction] = field(default_factory=dict)
    reports: dict[str, RunReport] = field(default_factory=dict)
    goals: dict[str, RunGoal] = field(default_factory=dict)
    on_lift: list[Callable[[Restriction, str], None]] = field(default_factory=list)
    """The checkers': told of every restriction that was taken away, and by which process."""


class MemoryOperations:
    """Implements `OperationsStore` for one process."""

    def __init__(self, data: OperationsData, disk: Disk) -> None:
        self._data = data
        self._disk = disk

    def put_run(self, spec: RunSpec) -> None:
        """Add or replace."""
        self._disk.begin()
        known = self._data.specs.get(spec.id)
        if known is not None and spec.revision <= known.revision:
            raise StaleRevisionError(self._disk.name, spec.id, known.revision)
        self._data.specs[spec.id] = spec
        self._disk.committed()

    def run_spec(self, run: str) -> RunSpec | None:
        """One run."""
        self._disk.begin(writes=False)
        return self._data.specs.get(run)

    def run_specs(self) -> list[RunSpec]:
        """Every run, by id."""
        self._disk.begin(writes=False)
        return [self._data.specs[run] for run in sorted(self._data.specs)]

    def beat(self, beat: Beat) -> None:
        """Write a sign of life."""
        self._disk.begin()
        self._data.beats[beat.node] = beat
        self._disk.committed()

    def beats(self) -> list[Beat]:
        """The last of every node, by node."""
        self._disk.begin(writes=False)
        return [self._data.beats[node] for node in sorted(self._data.beats)]

    def sign_off(self, node: str) -> None:
        """A node ends on purpose."""
        self._disk.begin()
        self._data.beats.pop(node, None)
        self._disk.committed()

    def ask(self, command: Command) -> Command:
        """Put a command down once."""
        self._disk.begin()
        known = self._data.commands.setdefault(command.id, command)
        self._disk.committed()
        return known

    def commands(self, targets: Sequence[str]) -> list[Command]:
        """Unanswered ones to these targets, oldest first."""
        self._disk.begin(writes=False)
        found = [
            command
            for command in self._data.commands.values()
            if command.target in targets and command.state is CommandState.ASKED
        ]
        return sorted(found, key=lambda command: (command.asked_ms, command.id))

    def command(self, command: str) -> Command | None:
        """One command and its answer."""
        self._disk.begin(writes=False)
        return self._data.commands.get(command)

    def answer(self, command: str, state: CommandState, answer: str, at_ms: int) -> bool:
        """End a command once."""
        self._disk.begin()
        known = self._data.commands.get(command)
        if known is None or known.state is not CommandState.ASKED:
            return False
        self._data.commands[command] = replace(known, state=state, answer=answer, ended_ms=at_ms)
        self._disk.committed()
        return True

    def restrict(self, restriction: Restriction) -> None:
        """Write a restriction over the one of the same scope and cause."""
        self._disk.begin()
        self._data.restrictions[restriction.scope, restriction.cause] = restriction
        self._disk.committed()

    def lift(self, scope: str, cause: str) -> bool:
        """Take a restriction away."""
        self._disk.begin()
        known = self._data.restrictions.pop((scope, cause), None)
        if known is not None:
            process = PROCESS.get()
            for watch in self._data.on_lift:
                watch(known, "" if process is None else process.name)
        self._disk.committed()
        return known is not None

    def restrictions(self) -> list[Restriction]:
        """All in force, by scope and cause."""
        self._disk.begin(writes=False)
        return [self._data.restrictions[key] for key in sorted(self._data.restrictions)]

    def note_finding(self, finding: Finding) -> None:
        """Record a difference, or count it up."""
        self._disk.begin()
        for index, known in enumerate(self._data.findings):
            if known.key == finding.key and not known.closed_ms:
                self._data.findings[index] = replace(
                    finding, first_ms=known.first_ms, times=known.times + 1, closed_ms=0
                )
                break
        else:
            self._data.findings.append(finding)
        self._disk.committed()

    def close_finding(self, key: str, at_ms: int) -> bool:
        """A difference is gone."""
        self._disk.begin()
        for index, known in enumerate(self._data.findings):
            if known.key == key and not known.closed_ms:
                self._data.findings[index] = replace(known, closed_ms=at_ms)
                self._disk.committed()
                return True
        return False

    def findings(self, *, open_only: bool = True, limit: int = 200) -> list[Finding]:
        """Newest first."""
        self._disk.begin(writes=False)
        found = [each for each in self._data.findings if not (open_only and each.closed_ms)]
        found.sort(key=lambda each: -each.last_ms)
        return found[:limit]

    def log_action(self, action: AngelAction) -> None:
        """Append once an id."""
        self._disk.begin()
        self._data.actions.setdefault(action.id, action)
        self._disk.committed()

    def actions(self, limit: int = 200) -> list[AngelAction]:
        """Newest first."""
        self._disk.begin(writes=False)
        return list(reversed(self._data.actions.values()))[:limit]

    def report(self, report: RunReport) -> None:
        """Write a run's report unless a higher fence has reported."""
        self._disk.begin()
        known = self._data.reports.get(report.run)
        if known is None or known.fence <= report.fence:
            self._data.reports[report.run] = report
        self._disk.committed()

    def report_all(self, reports: Sequence[RunReport]) -> None:
        """Several at once."""
        self._disk.begin()
        for report in reports:
            known = self._data.reports.get(report.run)
            if known is None or known.fence <= report.fence:
                self._data.reports[report.run] = report
        self._disk.committed()

    def reports(self) -> list[RunReport]:
        """The last of every run, by run."""
        self._disk.begin(writes=False)
        return [self._data.reports[run] for run in sorted(self._data.reports)]

    def put_goal(self, goal: RunGoal) -> bool:
        """Write a campaign's goal unless a later cycle's is there."""
        self._disk.begin()
        known = self._data.goals.get(goal.campaign)
        if known is not None and known.cycle > goal.cycle:
            return False
        self._data.goals[goal.campaign] = goal
        self._disk.committed()
        return True

    def goals(self, after_ms: int) -> list[RunGoal]:
        """Those whose cycle ends after a time, by campaign."""
        self._disk.begin(writes=False)
        kept = self._data.goals
        return [kept[name] for name in sorted(kept) if kept[name].ends_ms > after_ms]

    def close(self) -> None:
        """Nothing to release."""
