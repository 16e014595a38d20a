"""What stands between an intervention and trading again, as a list that a person can work through. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from mrmarket.angel.recovery import CAUSE
from mrmarket.store.lease_row import LeaseRow
from mrmarket.store.operations import (
    AngelAction,
    Beat,
    DesiredState,
    Finding,
    Restriction,
    RunReport,
    RunSpec,
)


class StepState(StrEnum):
    """How a step stands."""

    DONE = "done"
    WAITING = "waiting"
    """It comes by itself."""
    ACTION = "action"
    """A person has to do something."""
    UNKNOWN = "unknown"
    """Nobody has said."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the checklist."""

    step: str
    """A stable word."""
    title: str
    state: StepState
    what: str = ""
    """What is so, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryFacts:
    """What the stores say, read at about the same time."""

    now_ns: int
    """By the clock that judges the leases."""
    leases: Sequence[LeaseRow] = ()
    beats: Sequence[Beat] = ()
    specs: Sequence[RunSpec] = ()
    reports: Sequence[RunReport] = ()
    restrictions: Sequence[Restriction] = ()
    findings: Sequence[Finding] = ()
    actions: Sequence[AngelAction] = ()
    """Newest first."""


def checklist(facts: RecoveryFacts) -> list[Step]:
    """Every step from a dead engine to quotes again, in the order in which they happen."""
    return [
        _watched(facts),
        _proven(facts),
        _leases(facts),
        _engines(facts),
        _restrictions(facts),
        _differences(facts),
        _runs(facts),
    ]


def _watched(facts: RecoveryFacts) -> Step:
    angels = [beat for beat in facts.beats if beat.role == "angel"]
    if not angels:
        words = "no Angel beats: start one with mrmarket angel run"
        return Step(step="angel", title="An Angel watches", state=StepState.ACTION, what=words)
    words = ", ".join(f"{beat.node} ({beat.detail.get('stage', 'watching')})" for beat in angels)
    return Step(step="angel", title="An Angel watches", state=StepState.DONE, what=words)


def _proven(facts: RecoveryFacts) -> Step:
    title = "Nothing is left at the exchanges"
    incident = next((row.incident for row in facts.actions if row.action == "intervene"), "")
    if not incident:
        return Step(step="swept", title=title, state=StepState.DONE, what="no intervention so far")
    rows = [row for row in facts.actions if row.incident == incident]
    done = {row.action for row in rows}
    if "closed" in done:
        return Step(
            step="swept", title=title, state=StepState.DONE, what=f"intervention {incident} is closed"
        )
    silent = sorted({row.target for row in rows if row.action == "venue_silent"} - _over(rows))
    words = f"{', '.join(silent)} does not answer; the Angel goes on asking" if silent else "being proven"
    return Step(step="swept", title=title, state=StepState.WAITING, what=words)


def _over(rows: Sequence[AngelAction]) -> set[str]:
    return {row.target for row in rows if row.action in ("proven", "gone")}


def _leases(facts: RecoveryFacts) -> Step:
    title = "Engines may take the runs"
    angels = {beat.node for beat in facts.beats if beat.role == "angel"}
    held = [row.name for row in facts.leases if row.owner in angels and row.expires_ns > facts.now_ns]
    if held:
        words = f"the Angel holds {', '.join(held)} until nothing is left"
        return Step(step="leases", title=title, state=StepState.WAITING, what=words)
    return Step(step="leases", title=title, state=StepState.DONE)


def _engines(facts: RecoveryFacts) -> Step:
    title = "An engine lives"
    alive = [beat.node for beat in facts.beats if beat.role in ("engine", "all")]
    if alive:
        return Step(step="engine", title=title, state=StepState.DONE, what=", ".join(alive))
    return Step(step="engine", title=title, state=StepState.ACTION, what="start one with mrmarket run")


def _restrictions(facts: RecoveryFacts) -> Step:
    title = "Nothing forbids trading"
    if not facts.restrictions:
        return Step(step="restrictions", title=title, state=StepState.DONE)
    words = "; ".join(f"{row.scope}: {row.state} ({row.cause})" for row in facts.restrictions)
    manual = any(row.cause == CAUSE for row in facts.restrictions)
    lasting = any(not row.until_ms for row in facts.restrictions)
    state = StepState.ACTION if manual or lasting else StepState.WAITING
    hint = "; lift it with mrmarket angel resume" if manual else ""
    return Step(step="restrictions", title=title, state=state, what=words + hint)


def _differences(facts: RecoveryFacts) -> Step:
    title = "Our books and the exchanges' agree"
    standing = [row for row in facts.findings if not row.closed_ms]
    if not standing:
        return Step(step="differences", title=title, state=StepState.DONE)
    words = "; ".join(f"{row.run}: {row.kind} {row.subject}" for row in standing[:5])
    return Step(step="differences", title=title, state=StepState.ACTION, what=words)


def _runs(facts: RecoveryFacts) -> Step:
    title = "Every run is at work"
    wanted = [spec.id for spec in facts.specs if spec.desired is DesiredState.RUNNING]
    states = {report.run: report.state for report in facts.reports}
    if not wanted:
        return Step(step="runs", title=title, state=StepState.UNKNOWN, what="no runs are defined")
    idle = [run for run in wanted if states.get(run) != "running"]
    if not idle:
        return Step(step="runs", title=title, state=StepState.DONE, what=f"{len(wanted)} runs")
    words = ", ".join(f"{run} ({states.get(run, 'not reported')})" for run in idle[:5])
    return Step(step="runs", title=title, state=StepState.WAITING, what=words)
