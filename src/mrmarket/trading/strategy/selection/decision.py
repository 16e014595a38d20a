"""What was decided, and every figure it was decided by."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from mrmarket.trading.strategy.selection.candidate import Candidate
from mrmarket.trading.strategy.selection.score import Score
from mrmarket.trading.strategy.selection.thresholds import Thresholds


class Outcome(StrEnum):
    """What came of an evaluation or an event."""

    STAY = "stay"
    SWITCH = "switch"
    """The current strategy is being stopped for another, or another begins where none was."""
    IDLE = "idle"
    """The current strategy is being stopped and none follows."""
    STARTED = "started"
    FAILED = "failed"
    UNPROVEN = "unproven"
    """Orders of the strategy that gives way are not proven closed yet: nothing else begins."""
    TUNED = "tuned"
    FUNDED = "funded"
    """Runs may have more or less of the capital in play."""


class Verdict(StrEnum):
    """The first rule that decided."""

    BEGINS = "begins"
    """The owner's strategy begins."""
    BETTER = "better"
    LOSES = "loses"
    """Even at best the current strategy loses."""
    NO_CHALLENGER = "no_challenger"
    """No other strategy has a score."""
    NOT_BETTER = "not_better"
    DEBOUNCE = "debounce"
    COOL_DOWN = "cool_down"
    DWELL = "dwell"
    FREQUENCY = "frequency"
    CANNOT_INTERRUPT = "cannot_interrupt"
    MUTEX = "mutex"
    UNDER_WAY = "under_way"
    OWNER_HOLDS = "owner_holds"
    """The owner has paused or halted the current strategy: nothing else is begun in its place."""
    RUN_FAILED = "run_failed"
    NOT_PROVEN = "not_proven"
    PROVEN = "proven"
    OWNER_TUNED = "owner_tuned"
    ALLOCATED = "allocated"
    OWNER_CAPPED = "owner_capped"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One decision. Scores and thresholds are those it was made by."""

    at_ms: int
    outcome: Outcome
    verdict: Verdict
    reason: str
    """One sentence for people."""
    current: str = ""
    """The strategy whose turn it was; empty for none."""
    challenger: str = ""
    """The best of the others, or whom the event is about; empty for none."""
    current_value: float | None = None
    challenger_value: float | None = None
    needed: float | None = None
    """What the challenger had to score."""
    streak: int = 0
    """How many evaluations in a row it has won."""
    resumes: bool = False
    """Whether an interrupted run is taken up again."""
    scores: tuple[Score, ...] = ()
    thresholds: Thresholds | None = None
    changed: dict[str, Any] = {}
    """Of a change of thresholds, caps or budgets: name to the new value."""
    by: str = ""
    """Who changed them."""
    recorded: bool = True
    """False for one of the many evaluations that change nothing and are not kept."""


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag="stop"):
    """Pause a candidate's run and prove that none of its orders stands."""

    candidate: str
    reason: str


class Start(msgspec.Struct, frozen=True, kw_only=True, tag="start"):
    """Let a candidate's run trade."""

    candidate: str
    reason: str
    resumes: bool
    """Whether it was interrupted before, and goes on."""


Action = Stop | Start


def tuning(before: Thresholds, after: Thresholds, *, current: str, by: str, at_ms: int) -> Decision | None:
    """The record of a change of thresholds; None where nothing changed."""
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    changed = {name: value for name, value in new.items() if old[name] != value}
    if not changed:
        return None
    words = ", ".join(f"{name} {old[name]:g} → {value:g}" for name, value in changed.items())
    return Decision(
        at_ms=at_ms,
        outcome=Outcome.TUNED,
        verdict=Verdict.OWNER_TUNED,
        reason=f"thresholds changed by {by}: {words}",
        current=current,
        thresholds=after,
        changed=changed,
        by=by,
    )


def percent(value: float | None) -> str:
    """An hourly return for people, in percent of the capital."""
    return "unknown" if value is None else f"{value * 100:+.4f} %/h"


def named(candidate: Candidate | None) -> str:
    """A candidate for people."""
    return "nothing" if candidate is None else candidate.id
