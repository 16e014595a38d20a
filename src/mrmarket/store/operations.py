"""What the roles of one instance tell each other through `control.db`: rows and the port over them.

Engines beat and report, the API asks, the Angel watches and writes down what it did. Every method is one
short transaction; a caller meets a database that does not answer with its own policy, never by waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

import msgspec


class DesiredState(StrEnum):
    """What the owner wants of a run."""

    RUNNING = "running"
    PAUSED = "paused"
    """It stays with an engine and quotes nothing."""
    STOPPED = "stopped"
    """No engine holds it."""


class RunSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy on one pair of one account: everything an engine needs to run it."""

    id: str
    """The run's name: its stream in the event log and the name of its lease."""
    venue: str
    """Name of a configured venue."""
    account: str = "default"
    """Which of the venue's accounts."""
    pair: str
    kind: str
    """The strategy's name, such as `pure_market_making`."""
    parameters: dict[str, Any] = {}
    """As in the configuration; decimals are strings."""
    pool: str = ""
    """Whose money it trades with; empty for none."""
    desired: DesiredState = DesiredState.RUNNING
    revision: int = 1
    """Rises with every change."""


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """A sign of life. A watcher trusts only that `seq` advances, by its own monotonic clock."""

    node: str
    role: str
    """`engine`, `api`, `angel`, or `all` for everything in one process."""
    seq: int
    started_ms: int
    at_ms: int
    """The sender's wall clock, for people."""
    host: str = ""
    pid: int = 0
    detail: dict[str, Any] = {}


class CommandState(StrEnum):
    """How far a command has come."""

    ASKED = "asked"
    DONE = "done"
    REFUSED = "refused"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Something the owner asks of whoever holds a run, or of every engine."""

    id: str
    """The asker's key: the same id is the same command."""
    target: str
    """A run's id, `venue:<name>`, or `instance`."""
    kind: str
    """`pause`, `resume`, `cancel_all`, `flatten`, `halt`, `rearm`, `tune` …"""
    arguments: dict[str, Any] = {}
    asked_by: str
    asked_ms: int
    state: CommandState = CommandState.ASKED
    answer: str = ""
    ended_ms: int = 0


class Restriction(msgspec.Struct, frozen=True, kw_only=True):
    """One reason for which a scope may not trade freely; it outlives the process that found it."""

    scope: str
    """`instance`, `venue:<name>`, or `run:<id>`."""
    cause: str
    """A stable word, such as `loss_1h`; one restriction a scope and cause."""
    state: str
    """`reduce`, `cancel_only` or `halt`."""
    detail: str = ""
    by: str
    """A run, a person, or the Angel."""
    since_ms: int
    until_ms: int = 0
    """When it ends by itself; 0 waits for the owner."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A difference between what we know and what a venue says."""

    key: str
    """What makes the same difference the same finding."""
    run: str
    kind: str
    subject: str
    ours: str
    theirs: str
    detail: str = ""
    first_ms: int
    last_ms: int
    times: int = 1
    closed_ms: int = 0
    """0 while it stands."""


class AngelAction(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the Angel did, or found."""

    id: str
    angel: str
    at_ms: int
    incident: str
    """Groups the actions of one intervention or drill."""
    action: str
    target: str = ""
    detail: str = ""


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine that holds a run last said of it, for the screen."""

    run: str
    node: str
    fence: int
    at_ms: int
    state: str
    view: dict[str, Any] = {}


class RunGoal(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign wants traded in one of its cycles; a later cycle takes the place of the one before.

    Decimals are strings, money is in the quote asset; times are those by which the campaign counts.
    """

    campaign: str
    cycle: int
    venue: str
    account: str
    pair: str
    starts_ms: int
    ends_ms: int
    volume: str
    min_spread_bps: int
    max_spread_bps: int
    max_inventory: str
    cost_ceiling: str
    pause: str
    """`none`, or the word for why it is not worked towards."""
    reason: str
    """The same in one sentence."""
    changed_ms: int


class OperationsStore(Protocol):
    """The port; SQLite, PostgreSQL and the simulator's memory implement it. Synchronous, from any thread.

    Every method raises a `StoreError` when the database refuses or does not answer in time.
    """

    def put_run(self, spec: RunSpec) -> None:
        """Add a run or replace its specification if `spec.revision` is higher than what is there.

        Raises:
            StaleRevisionError: if the revision is not higher.
        """
        ...

    def run_spec(self, run: str) -> RunSpec | None:
        """One run."""
        ...

    def run_specs(self) -> list[RunSpec]:
        """Every run, by id."""
        ...

    def beat(self, beat: Beat) -> None:
        """Write a sign of life over the node's last one."""
        ...

    def beats(self) -> list[Beat]:
        """The last sign of life of every node that has not signed off, by node."""
        ...

    def sign_off(self, node: str) -> None:
        """A node ends on purpose: nobody is to miss it."""
        ...

    def ask(self, command: Command) -> Command:
        """Put a command down; the same id again returns what is there and changes nothing."""
        ...

    def commands(self, targets: Sequence[str]) -> list[Command]:
        """Commands to these targets that nobody has answered, oldest first."""
        ...

    def command(self, command: str) -> Command | None:
        """One command and its answer."""
        ...

    def answer(self, command: str, state: CommandState, answer: str, at_ms: int) -> bool:
        """End a command; False if somebody has ended it before."""
        ...

    def restrict(self, restriction: Restriction) -> None:
        """Write a restriction over the one of the same scope and cause."""
        ...

    def lift(self, scope: str, cause: str) -> bool:
        """Take a restriction away; False if there was none."""
        ...

    def restrictions(self) -> list[Restriction]:
        """All in force, by scope and cause."""
        ...

    def note_finding(self, finding: Finding) -> None:
        """Record a difference; one that stands under the same key counts up and keeps its first time."""
        ...

    def close_finding(self, key: str, at_ms: int) -> bool:
        """A difference is gone; False if none stands under that key."""
        ...

    def findings(self, *, open_only: bool = True, limit: int = 200) -> list[Finding]:
        """Differences, newest first."""
        ...

    def log_action(self, action: AngelAction) -> None:
        """Append to the Angel's log; the same id again changes nothing."""
        ...

    def actions(self, limit: int = 200) -> list[AngelAction]:
        """The Angel's log, newest first."""
        ...

    def report(self, report: RunReport) -> None:
        """Write a run's report over its last one, unless a higher fence has reported."""
        ...

    def report_all(self, reports: Sequence[RunReport]) -> None:
        """The same for several runs at once; no run may be there twice."""
        ...

    def reports(self) -> list[RunReport]:
        """The last report of every run, by run."""
        ...

    def put_goal(self, goal: RunGoal) -> bool:
        """Write a campaign's goal over its last one; False, and nothing, if a later cycle's is there."""
        ...

    def goals(self, after_ms: int) -> list[RunGoal]:
        """Those whose cycle ends after a time, by campaign."""
        ...

    def close(self) -> None:
        """Release the database; closing twice is harmless."""
        ...
