"""What would have happened with other thresholds, from the scores that were recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from mrmarket.core.clock import NS_PER_MS
from mrmarket.trading.strategy.selection.candidate import Candidate
from mrmarket.trading.strategy.selection.decision import Decision, Outcome, Stop
from mrmarket.trading.strategy.selection.machine import Step, begin, decide
from mrmarket.trading.strategy.selection.rule import IDLE
from mrmarket.trading.strategy.selection.score import Score
from mrmarket.trading.strategy.selection.state import EngineState, Evaluated, Started, Stopped
from mrmarket.trading.strategy.selection.thresholds import Thresholds


class ScoreRow(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation as it was recorded."""

    at_ms: int
    current: str
    """Whose turn it was; empty for none."""
    scores: tuple[Score, ...]
    held_by_owner: tuple[str, ...] = ()
    per_hour: dict[str, float] = {}
    """What each candidate has earned in this stretch, by the hour; who is not known to is left out."""


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What the thresholds would have made of the recorded time."""

    from_ms: int
    to_ms: int
    rows: int
    switches: list[Decision]
    """Switches, and turns that ended with nothing."""
    share: dict[str, float]
    """Of the time, by strategy; `idle` for none."""
    earned: float
    """Fraction of the capital by the recorded means, less what each switch costs."""
    was_switches: int
    was_share: dict[str, float]
    was_earned: float
    """The same of what did happen."""
    held_back: dict[str, int]
    """How often each rule kept things as they were."""


def dry_run(rows: Iterable[ScoreRow], candidates: Mapping[str, Candidate], thresholds: Thresholds) -> DryRun:
    """Replay recorded scores through the machine; stops and starts take no time.

    Recorded values hold `z` and the switching cost of their time; they are made anew from the recorded
    means, trusts, errors and costs. Half-life and the weights are in those and cannot be changed afterwards.

    Args:
        rows: oldest first.
        candidates: by id; rows may name others, which are left out.
        thresholds: the ones to try.
    """
    switches: list[Decision] = []
    held_back: dict[str, int] = {}
    ours, theirs = _Sum(candidates), _Sum(candidates)
    state: EngineState | None = None
    first = last = count = 0
    for row in rows:
        now_ns = row.at_ms * NS_PER_MS
        if state is None:
            state = begin(candidates[row.current], now_ns) if row.current in candidates else EngineState()
            first = last = row.at_ms
        ours.pass_time(state.current, row, row.at_ms - last)
        theirs.pass_time(row.current, row, row.at_ms - last)
        count, last = count + 1, row.at_ms
        scores = tuple(
            _anew(score, candidates[score.candidate], thresholds, is_current=score.candidate == state.current)
            for score in row.scores
            if score.candidate in candidates
        )
        event = Evaluated(scores=scores, held_by_owner=frozenset(row.held_by_owner))
        step = decide(state, event, candidates, thresholds, now_ns)
        if (decision := step.decision) is not None:
            if decision.outcome is Outcome.STAY:
                held_back[decision.verdict.value] = held_back.get(decision.verdict.value, 0) + 1
            else:
                switches.append(decision)
        state = _carried_out(step, candidates, thresholds, now_ns)
    return DryRun(
        from_ms=first,
        to_ms=last,
        rows=count,
        switches=switches,
        share=ours.shares(),
        earned=ours.earned,
        was_switches=theirs.switches,
        was_share=theirs.shares(),
        was_earned=theirs.earned,
        held_back=held_back,
    )


def _anew(score: Score, candidate: Candidate, thresholds: Thresholds, *, is_current: bool) -> Score:
    if score.mean is None or score.error is None or score.samples < thresholds.least_samples:
        return msgspec.structs.replace(score, value=None, upper=None)
    cost = 0.0 if is_current else candidate.switch_cost / thresholds.horizon_s * 3_600
    gain = score.mean * (score.trust if score.mean > 0 else 1.0)
    return msgspec.structs.replace(
        score,
        switch_cost=cost,
        value=gain - thresholds.z * score.error - cost,
        upper=gain + thresholds.z * score.error,
    )


def _carried_out(
    step: Step, candidates: Mapping[str, Candidate], thresholds: Thresholds, now_ns: int
) -> EngineState:
    """The world does at once what it is told."""
    while step.actions:
        action = step.actions[0]
        done = (
            Stopped(candidate=action.candidate, proven=True)
            if isinstance(action, Stop)
            else Started(candidate=action.candidate)
        )
        step = decide(step.state, done, candidates, thresholds, now_ns)
    return step.state


class _Sum:
    """Time and earnings of one course of events."""

    def __init__(self, candidates: Mapping[str, Candidate]) -> None:
        self.earned = 0.0
        self.switches = 0
        self._candidates = candidates
        self._ms: dict[str, int] = {}
        self._last: str | None = None

    def pass_time(self, current: str, row: ScoreRow, ms: int) -> None:
        """So long it was that strategy's turn, and it earned what it is recorded to earn."""
        name = current or IDLE
        if self._last is not None and name != self._last:
            self.switches += 1
            if name in self._candidates:
                self.earned -= self._candidates[name].switch_cost
        self._last = name
        self._ms[name] = self._ms.get(name, 0) + ms
        mean = next((each.mean for each in row.scores if each.candidate == current), None)
        if mean is not None:
            self.earned += mean * ms / 3_600_000

    def shares(self) -> dict[str, float]:
        total = sum(self._ms.values())
        return {name: ms / total for name, ms in sorted(self._ms.items())} if total else {}
