"""Implements `SelectionFace`: shows the choice, and passes the owner's thresholds on."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec
import structlog

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.errors import InvalidInputError
from mrmarket.services.api import selection_schema as schema
from mrmarket.services.api.refusals import DatabaseAwayError
from mrmarket.services.selection.capital import Division, quote_text
from mrmarket.services.selection.chooser import Chooser, Standing
from mrmarket.services.selection.memory import SelectionMemory
from mrmarket.services.selection.rebalance_view import rebalance_view
from mrmarket.services.selection.rebalancing import Rebalancing
from mrmarket.store.errors import StoreError
from mrmarket.trading.strategy.selection.candidate import Activity
from mrmarket.trading.strategy.selection.decision import Decision
from mrmarket.trading.strategy.selection.score import Score
from mrmarket.trading.strategy.selection.state import HOUR_NS
from mrmarket.trading.strategy.selection.thresholds import Thresholds

_T = TypeVar("_T")
_log = structlog.get_logger("mrmarket.audit")


class HasFate(Protocol):
    """A shadow."""

    @property
    def why_off(self) -> str:
        """Why it was shut off."""
        ...


class SelectionOffice:
    """Views of the chooser."""

    def __init__(
        self,
        chooser: Chooser,
        memory: SelectionMemory,
        shadows: Mapping[str, HasFate],
        clock: Clock,
        rebalancing: Sequence[Rebalancing] = (),
    ) -> None:
        self._chooser = chooser
        self._memory = memory
        self._shadows = shadows
        self._clock = clock
        self._rebalancing = rebalancing

    def standing(self) -> schema.SelectionView:
        """Where it stands; at once."""
        standing, now_ns = self._chooser.standing(), self._clock.now_ns()
        state, last = standing.state, standing.last
        slices, idle = self._slices()
        capital = self._chooser.capital
        plan = self._chooser.plans.get(state.current)
        return schema.SelectionView(
            at_ms=now_ns // NS_PER_MS,
            evaluated_ms=standing.evaluated_ms,
            state=Activity.IDLE.value if plan is None else plan.candidate.activity.value,
            phase=state.phase,
            current=state.current,
            target=state.target,
            since_ms=state.since_ns // NS_PER_MS,
            switches_last_hour=sum(now_ns - each < HOUR_NS for each in state.switches),
            reason="" if last is None else last.reason,
            verdict="" if last is None else last.verdict.value,
            candidates=self._candidates(standing, now_ns),
            slices=slices,
            idle_share=idle,
            capital=quote_text(0 if capital is None else capital.division.total),
            drawdown=0.0 if capital is None else capital.division.drawdown,
            budgets_bind=capital is not None and capital.acts,
            thresholds=standing.thresholds,
        )

    async def decisions(self, limit: int, before: tuple[int, int] | None) -> list[schema.DecisionView]:
        """Recorded decisions, newest first."""
        rows = await _answered("the question", self._memory.decisions(limit, before))
        return [_decision_view(row.decision, row.number) for row in rows]

    async def tune(self, thresholds: Thresholds, by: str) -> schema.SelectionView:
        """Other thresholds from now on."""
        await _answered("the change", self._chooser.tune(thresholds, by))
        _log.info("asked", kind="selection_thresholds", by=by, thresholds=msgspec.to_builtins(thresholds))
        return self.standing()

    async def set_cap(self, candidate: str, share: float | None, by: str) -> schema.SelectionView:
        """Another cap of a candidate from the next look on."""
        await _answered("the change", self._chooser.set_cap(candidate, share, by))
        _log.info("asked", kind="selection_cap", by=by, candidate=candidate, share=share)
        return self.standing()

    def rebalance(self) -> list[schema.RebalanceView]:
        """Money between the venues of candidates: what waits, what is under way, what is left."""
        return [rebalance_view(each) for each in self._rebalancing]

    async def decide_rebalance(self, proposal: str, by: str, *, approve: bool) -> list[schema.RebalanceView]:
        """Carry a plan out, or drop it."""
        for each in self._rebalancing:
            if any(found.id == proposal for found in each.proposals.values()):
                answer = each.approve(proposal, by) if approve else each.decline(proposal)
                await _answered("the decision", answer)
                _log.info("asked", kind="selection_rebalance", by=by, proposal=proposal, approve=approve)
                return self.rebalance()
        raise InvalidInputError("proposal", proposal, "one that waits for its approval")

    async def dry_run(self, thresholds: Thresholds) -> schema.DryRunResult:
        """What the last 24 hours would have been with them."""
        found = await _answered("the question", self._chooser.dry_run(thresholds))
        return schema.DryRunResult(
            from_ms=found.from_ms,
            to_ms=found.to_ms,
            evaluations=found.rows,
            switches=[_decision_view(each, number) for number, each in enumerate(found.switches)],
            share=found.share,
            earned=found.earned,
            was_switches=found.was_switches,
            was_share=found.was_share,
            was_earned=found.was_earned,
            held_back=found.held_back,
        )

    def _candidates(self, standing: Standing, now_ns: int) -> list[schema.CandidateView]:
        state = standing.state
        scores = {each.candidate: each for each in standing.scores}
        capital = self._chooser.capital
        parked = {each.candidate: each.at_ns // NS_PER_MS for each in state.parked}
        views = []
        for name, plan in self._chooser.plans.items():
            rests_ns = state.resting.get(name, 0)
            shadow = self._shadows.get(name)
            found = scores.get(name)
            views.append(
                schema.CandidateView(
                    id=name,
                    activity=plan.candidate.activity.value,
                    strategy=plan.spec.kind,
                    run=plan.run,
                    account=plan.spec.account,
                    has_turn=name == state.current,
                    can_interrupt=plan.candidate.can_interrupt_current,
                    rests_until_ms=rests_ns // NS_PER_MS if rests_ns > now_ns else None,
                    interrupted_at_ms=parked.get(name),
                    waits=name in state.table.queue,
                    paper_worth=standing.worth[name],
                    paper_off="" if shadow is None else shadow.why_off,
                    cap=1.0 if capital is None else capital.cap(name),
                    capped_by_owner=capital is not None and name in capital.division.caps,
                    score=None if found is None else _score_view(found),
                )
            )
        return views

    def _slices(self) -> tuple[list[schema.SliceView], float]:
        """What the last look at the capital has found."""
        division = Division() if self._chooser.capital is None else self._chooser.capital.division
        if not division.total:
            return [], 1.0
        slices = [
            schema.SliceView(
                run=each.run,
                candidate=each.candidate,
                share=each.goal / division.total,
                wanted=each.wanted,
                limit=quote_text(each.hard),
                budget=None if each.budget is None else quote_text(each.budget),
                in_play=quote_text(each.in_play),
                bound_by=list(each.bound_by),
            )
            for each in division.shares
        ]
        return slices, 1 - sum(each.goal for each in division.shares) / division.total


async def _answered(asked: str, question: Awaitable[_T]) -> _T:
    try:
        return await question
    except StoreError as error:
        raise DatabaseAwayError(asked, str(error)) from error


def _score_view(score: Score) -> schema.ScoreView:
    return schema.ScoreView(
        candidate=score.candidate,
        source=score.source,
        mean=score.mean,
        trust=score.trust,
        error=score.error,
        samples=score.samples,
        switch_cost=score.switch_cost,
        value=score.value,
        upper=score.upper,
        why_not=score.why_not,
    )


def _decision_view(decision: Decision, number: int) -> schema.DecisionView:
    return schema.DecisionView(
        at_ms=decision.at_ms,
        number=number,
        outcome=decision.outcome.value,
        verdict=decision.verdict.value,
        reason=decision.reason,
        current=decision.current,
        challenger=decision.challenger,
        current_value=decision.current_value,
        challenger_value=decision.challenger_value,
        needed=decision.needed,
        streak=decision.streak,
        resumes=decision.resumes,
        by=decision.by,
        changed=decision.changed,
        scores=[_score_view(each) for each in decision.scores],
    )
