"""The machine that switches strategies: `decide(state, event) -> state, actions, decision`. Pure.

A strategy begins only after the one before has stopped and every order of it is proven closed; so capital is
never used twice, whatever is lost in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Final

from msgspec.structs import replace

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.strategy.selection.candidate import Candidate
from mrmarket.trading.strategy.selection.decision import (
    Action,
    Decision,
    Outcome,
    Start,
    Stop,
    Verdict,
)
from mrmarket.trading.strategy.selection.rule import Ruling, rule
from mrmarket.trading.strategy.selection.score import usable
from mrmarket.trading.strategy.selection.state import (
    HOUR_NS,
    EngineState,
    Evaluated,
    Event,
    Failed,
    Parked,
    Started,
    Stopped,
)
from mrmarket.trading.strategy.selection.thresholds import Thresholds

Candidates = Mapping[str, Candidate]

_TELLING: Final = frozenset(
    {
        Verdict.COOL_DOWN,
        Verdict.DWELL,
        Verdict.FREQUENCY,
        Verdict.CANNOT_INTERRUPT,
        Verdict.MUTEX,
        Verdict.OWNER_HOLDS,
    }
)
"""Reasons to stay that are recorded when they first hold."""


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from an event."""

    state: EngineState
    actions: tuple[Action, ...] = ()
    decision: Decision | None = None


def begin(candidate: Candidate, now_ns: int) -> EngineState:
    """The owner's strategy has its turn before anything was measured."""
    table, _ = EngineState().table.take(candidate)
    return EngineState(current=candidate.id, since_ns=now_ns, table=table)


def pending(state: EngineState) -> tuple[Action, ...]:
    """What a restart has to ask for again: each action may be carried out twice."""
    if state.phase == "stopping":
        return (Stop(candidate=state.current, reason=state.why),)
    if state.phase == "starting":
        return (_start(state, state.target, state.why),)
    return ()


def decide(
    state: EngineState, event: Event, candidates: Candidates, thresholds: Thresholds, now_ns: int
) -> Step:
    """What follows from an event.

    Args:
        state: what was returned last, or `begin`'s.
        event: what happened.
        candidates: by id.
        thresholds: the numbers in force; other ones with every call, if the owner tunes.
        now_ns: of the wall clock.
    """
    match event:
        case Evaluated():
            return _evaluate(_forget(state, now_ns), event, candidates, thresholds, now_ns)
        case Stopped():
            return _stopped(state, event, candidates, now_ns)
        case Started():
            return _started(state, event, now_ns)
        case Failed():
            return _failed(state, event, thresholds, now_ns)


def _evaluate(
    state: EngineState, event: Evaluated, candidates: Candidates, thresholds: Thresholds, now_ns: int
) -> Step:
    if state.phase != "steady":
        return Step(state)
    ruling = rule(state, event, candidates, thresholds, now_ns)
    quiet = state.quiet + 1
    tells = ruling.outcome is not Outcome.STAY or (
        ruling.verdict in _TELLING and ruling.verdict.value != state.verdict
    )
    recorded = tells or quiet >= thresholds.record_every
    decision = _told(ruling, event, thresholds, now_ns, recorded=recorded)
    waits = ruling.verdict in (Verdict.CANNOT_INTERRUPT, Verdict.MUTEX)
    table = state.table.wait(ruling.challenger) if waits else state.table.leave(ruling.hopeless)
    state = replace(
        state,
        challenger=ruling.challenger if ruling.streak else "",
        streak=ruling.streak,
        table=table,
        quiet=0 if recorded else quiet,
        verdict=ruling.verdict.value,
    )
    if ruling.outcome is Outcome.STAY:
        return Step(state, (), decision)
    target = ruling.challenger if ruling.outcome is Outcome.SWITCH else ""
    state = replace(state, target=target, why=ruling.reason, challenger="", streak=0)
    if target:
        state = replace(state, last_switch_ns=now_ns, switches=(*state.switches, now_ns))
    if state.current:
        return Step(
            replace(state, phase="stopping"),
            (Stop(candidate=state.current, reason=ruling.reason),),
            decision,
        )
    return _take_over(state, candidates, decision, now_ns)


def _stopped(state: EngineState, event: Stopped, candidates: Candidates, now_ns: int) -> Step:
    if state.phase != "stopping" or event.candidate != state.current:
        return Step(state)
    at_ms = now_ns // NS_PER_MS
    if not event.proven:
        decision = Decision(
            at_ms=at_ms,
            outcome=Outcome.UNPROVEN,
            verdict=Verdict.NOT_PROVEN,
            reason=f"{state.current} still has orders that are not proven closed: {event.detail}",
            current=state.current,
            challenger=state.target,
            recorded=state.verdict != Verdict.NOT_PROVEN,
        )
        again = replace(state, verdict=Verdict.NOT_PROVEN.value)
        return Step(again, (Stop(candidate=state.current, reason=state.why),), decision)
    parked = Parked(candidate=state.current, since_ns=state.since_ns, at_ns=now_ns, reason=state.why)
    state = replace(
        state,
        table=state.table.give_back(state.current),
        parked=(*(each for each in state.parked if each.candidate != state.current), parked),
        current="",
        since_ns=now_ns,
    )
    return _take_over(state, candidates, None, now_ns)


def _take_over(state: EngineState, candidates: Candidates, decision: Decision | None, now_ns: int) -> Step:
    """Nobody's turn any more: let the target begin, if it can have what it needs."""
    candidate = candidates.get(state.target)
    if candidate is None:
        return Step(replace(state, phase="steady", target="", since_ns=now_ns), (), decision)
    table, granted = state.table.take(candidate)
    if not granted:
        return Step(replace(state, phase="steady", target="", table=table, since_ns=now_ns), (), decision)
    state = replace(state, phase="starting", table=table)
    return Step(state, (_start(state, candidate.id, state.why),), decision)


def _started(state: EngineState, event: Started, now_ns: int) -> Step:
    if state.phase != "starting" or event.candidate != state.target:
        return Step(state)
    resumes = any(each.candidate == event.candidate for each in state.parked)
    decision = Decision(
        at_ms=now_ns // NS_PER_MS,
        outcome=Outcome.STARTED,
        verdict=Verdict.PROVEN,
        reason=f"{event.candidate} {'goes on' if resumes else 'begins'}: {state.why}",
        challenger=event.candidate,
        resumes=resumes,
    )
    state = replace(
        state,
        phase="steady",
        current=event.candidate,
        target="",
        why="",
        since_ns=now_ns,
        parked=tuple(each for each in state.parked if each.candidate != event.candidate),
    )
    return Step(state, (), decision)


def _failed(state: EngineState, event: Failed, thresholds: Thresholds, now_ns: int) -> Step:
    until_ns = now_ns + int(thresholds.failure_cool_down_s * NS_PER_S)
    reason = f"{event.candidate} has failed: {event.reason}"
    decision = Decision(
        at_ms=now_ns // NS_PER_MS,
        outcome=Outcome.FAILED,
        verdict=Verdict.RUN_FAILED,
        reason=f"{reason}; it rests for {thresholds.failure_cool_down_s:.0f} s",
        current=state.current,
        challenger=event.candidate,
    )
    state = replace(
        state,
        resting={**state.resting, event.candidate: until_ns},
        table=state.table.leave((event.candidate,)),
    )
    if state.phase == "stopping" and state.target == event.candidate:
        return Step(replace(state, target=""), (), decision)
    begins = state.phase == "starting" and state.target == event.candidate
    if not begins and not (state.phase == "steady" and state.current == event.candidate):
        return Step(state, (), decision)
    # What failed may have left orders: it gives way only when none is left.
    state = replace(state, current=event.candidate, phase="stopping", target="", why=reason)
    return Step(state, (Stop(candidate=event.candidate, reason=reason),), decision)


def _forget(state: EngineState, now_ns: int) -> EngineState:
    return replace(
        state,
        switches=tuple(each for each in state.switches if now_ns - each < HOUR_NS),
        resting={each: until for each, until in state.resting.items() if until > now_ns},
    )


def _start(state: EngineState, candidate: str, reason: str) -> Start:
    resumes = any(each.candidate == candidate for each in state.parked)
    return Start(candidate=candidate, reason=reason, resumes=resumes)


def _told(
    ruling: Ruling, event: Evaluated, thresholds: Thresholds, now_ns: int, *, recorded: bool
) -> Decision:
    values = {each.candidate: usable(each) for each in event.scores}

    def value(candidate: str) -> float | None:
        found = values.get(candidate)
        return None if found is None or isnan(found) else found

    return Decision(
        at_ms=now_ns // NS_PER_MS,
        outcome=ruling.outcome,
        verdict=ruling.verdict,
        reason=ruling.reason,
        current=ruling.current,
        challenger=ruling.challenger,
        current_value=value(ruling.current) if ruling.current else 0.0,
        challenger_value=value(ruling.challenger) if ruling.challenger else None,
        needed=ruling.needed,
        streak=ruling.streak,
        scores=event.scores,
        thresholds=thresholds,
        recorded=recorded,
    )
