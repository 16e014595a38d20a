"""The rule that one evaluation goes through: who is best, by how much, and what still forbids the switch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.strategy.selection.candidate import Candidate
from mrmarket.trading.strategy.selection.decision import Outcome, Verdict, percent
from mrmarket.trading.strategy.selection.score import usable
from mrmarket.trading.strategy.selection.state import EngineState, Evaluated
from mrmarket.trading.strategy.selection.thresholds import Thresholds

IDLE: Final = "idle"
"""What wins where the current strategy loses beyond doubt and no other earns; no candidate is called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What the rule says of one evaluation."""

    outcome: Outcome
    verdict: Verdict
    reason: str
    current: str
    challenger: str = ""
    needed: float | None = None
    streak: int = 0
    hopeless: tuple[str, ...] = ()
    """Candidates that wait for a turn and have no score above 0 any more."""


def needed_to_replace(current: float, thresholds: Thresholds) -> float:
    """What a newcomer must score: a multiple of the current one's gain, and a margin more than it.

    Args:
        current: its value; NaN, where nothing is known of it, counts as 0.
        thresholds: ratio and margin.
    """
    base = 0.0 if isnan(current) else current
    return max(thresholds.ratio * max(base, 0.0), base + thresholds.margin_per_h)


def rule(
    state: EngineState,
    event: Evaluated,
    candidates: Mapping[str, Candidate],
    thresholds: Thresholds,
    now_ns: int,
) -> Ruling:
    """What to do, by the first rule that decides."""
    scores = {each.candidate: each for each in event.scores}
    current = state.current
    if current and current in event.held_by_owner:
        return Ruling(
            outcome=Outcome.STAY,
            verdict=Verdict.OWNER_HOLDS,
            reason=f"{current} is kept from trading by its owner; nothing is begun in its place",
            current=current,
        )
    mine = usable(scores.get(current)) if current else 0.0
    # A current strategy that loses beyond doubt is no better than nothing.
    upper = scores[current].upper if current in scores else None
    loses = thresholds.may_idle and upper is not None and not isnan(mine) and upper < 0
    needed = needed_to_replace(mine, thresholds)
    others = {
        name: value
        for name in candidates
        if name != current
        and name not in event.held_by_owner
        and name not in state.resting
        and not isnan(value := usable(scores.get(name)))
    }
    hopeless = tuple(name for name in state.table.queue if not others.get(name, 0.0) > 0)
    best = _best(state, others, needed)
    good = best and others[best] > 0 and others[best] >= needed
    if not good:
        if loses:
            return _counted(state, _idle(current, mine, upper), thresholds, hopeless)
        return _stay(current, best, others, mine, needed, hopeless)
    won = Ruling(
        outcome=Outcome.SWITCH,
        verdict=Verdict.BETTER,
        reason=(
            f"{best} scores {percent(others[best])}, at least the {percent(needed)} that it takes to replace"
            f" {current or 'nothing'} at {percent(None if isnan(mine) else mine)}"
        ),
        current=current,
        challenger=best,
        needed=needed,
        hopeless=hopeless,
    )
    counted = _counted(state, won, thresholds, hopeless)
    if counted.outcome is Outcome.STAY:
        return counted
    return _allowed(state, counted, candidates[best], mine, thresholds, now_ns)


def _best(state: EngineState, others: Mapping[str, float], needed: float) -> str:
    """The best of the others; where nobody has the turn, who waits for it comes first."""
    if not state.current:
        for name in state.table.queue:
            if others.get(name, 0.0) > 0 and others[name] >= needed:
                return name
    return max(sorted(others), key=lambda name: others[name], default="")


def _stay(
    current: str,
    best: str,
    others: Mapping[str, float],
    mine: float,
    needed: float,
    hopeless: tuple[str, ...],
) -> Ruling:
    if not best:
        reason = "no other strategy has a score yet"
        verdict = Verdict.NO_CHALLENGER
    else:
        verdict = Verdict.NOT_BETTER
        reason = (
            f"{best} scores {percent(others[best])}; it takes {percent(max(needed, 0.0))} to replace"
            f" {current or 'nothing'} at {percent(None if isnan(mine) else mine)}"
        )
    return Ruling(
        outcome=Outcome.STAY,
        verdict=verdict,
        reason=reason,
        current=current,
        challenger=best,
        needed=needed if best else None,
        hopeless=hopeless,
    )


def _idle(current: str, mine: float, upper: float | None) -> Ruling:
    return Ruling(
        outcome=Outcome.IDLE,
        verdict=Verdict.LOSES,
        reason=f"{current} scores {percent(mine)} and loses even at best ({percent(upper)})",
        current=current,
        challenger=IDLE,
    )


def _counted(state: EngineState, ruling: Ruling, thresholds: Thresholds, hopeless: tuple[str, ...]) -> Ruling:
    """The same newcomer must win several times in a row."""
    streak = state.streak + 1 if state.challenger == ruling.challenger else 1
    enough = streak >= thresholds.debounce
    return Ruling(
        outcome=ruling.outcome if enough else Outcome.STAY,
        verdict=ruling.verdict if enough else Verdict.DEBOUNCE,
        reason=ruling.reason
        if enough
        else f"{ruling.reason}; that is {streak} of {thresholds.debounce} times in a row",
        current=ruling.current,
        challenger=ruling.challenger,
        needed=ruling.needed,
        streak=streak,
        hopeless=hopeless,
    )


def _allowed(
    state: EngineState,
    won: Ruling,
    candidate: Candidate,
    mine: float,
    thresholds: Thresholds,
    now_ns: int,
) -> Ruling:
    """What still forbids a switch that is worth it."""
    found = _hindrance(state, candidate, mine, thresholds, now_ns)
    if found is None:
        return won
    verdict, why = found
    return Ruling(
        outcome=Outcome.STAY,
        verdict=verdict,
        reason=f"{won.reason}, but {why}",
        current=won.current,
        challenger=won.challenger,
        needed=won.needed,
        streak=won.streak,
        hopeless=won.hopeless,
    )


def _hindrance(
    state: EngineState, candidate: Candidate, mine: float, thresholds: Thresholds, now_ns: int
) -> tuple[Verdict, str] | None:
    if state.last_switch_ns is not None:
        left_s = thresholds.cool_down_s - (now_ns - state.last_switch_ns) / NS_PER_S
        if left_s > 0:
            return Verdict.COOL_DOWN, f"the last switch was just now: {left_s:.0f} s to go"
    if state.current:
        left_s = thresholds.dwell_s - (now_ns - state.since_ns) / NS_PER_S
        if left_s > 0:
            return Verdict.DWELL, f"{state.current} keeps its turn for another {left_s:.0f} s"
    if len(state.switches) >= thresholds.switches_per_hour:
        return Verdict.FREQUENCY, f"there were {len(state.switches)} switches within the hour"
    if state.current and mine > 0 and not candidate.can_interrupt_current:
        return Verdict.CANNOT_INTERRUPT, f"it may not interrupt {state.current}, which earns; it waits"
    against = [each for each in state.table.holders_against(candidate) if each != state.current]
    if against:
        return Verdict.MUTEX, f"{', '.join(against)} holds what it needs; it waits"
    return None
