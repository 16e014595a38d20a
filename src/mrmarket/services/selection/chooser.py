"""The loop that chooses: looks at what everybody earns, asks the machine, has its decisions carried out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final

import structlog

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.notice import Notice, NoticeSink, Severity
from mrmarket.services.selection.bookkeeping import Account
from mrmarket.services.selection.capital import Capital, Look
from mrmarket.services.selection.memory import SelectionMemory
from mrmarket.services.selection.plan import Plan, candidates_of
from mrmarket.services.selection.ports import Board, Eyes
from mrmarket.services.selection.section import MAIN
from mrmarket.services.selection.turn_lease import TurnsElsewhereError
from mrmarket.store.errors import StoreError
from mrmarket.trading.strategy.selection.decision import Action, Decision, Outcome, Stop, tuning
from mrmarket.trading.strategy.selection.dry_run import DryRun, ScoreRow, dry_run
from mrmarket.trading.strategy.selection.machine import Step, begin, decide, pending
from mrmarket.trading.strategy.selection.score import Score
from mrmarket.trading.strategy.selection.state import (
    EngineState,
    Evaluated,
    Event,
    Failed,
    Started,
    Stopped,
)
from mrmarket.trading.strategy.selection.thresholds import Thresholds

_RETURNS_KEPT: Final = 720
_DAY_MS: Final = 86_400_000
_TOLD: Final = {
    Outcome.STARTED: Severity.INFO,
    Outcome.IDLE: Severity.WARNING,
    Outcome.FAILED: Severity.WARNING,
    Outcome.UNPROVEN: Severity.WARNING,
}
_log = structlog.get_logger("mrmarket.selection")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the choice stands, for whoever looks."""

    state: EngineState
    scores: tuple[Score, ...]
    thresholds: Thresholds
    last: Decision | None
    """The newest decision, recorded or not."""
    worth: Mapping[str, float]
    """What a candidate's paper results are worth of live ones."""
    evaluated_ms: int


class Chooser:
    """Lets strategies take turns. One task drives it; readers may come at any time."""

    def __init__(
        self,
        plans: Mapping[str, Plan],
        memory: SelectionMemory,
        board: Board,
        eyes: Eyes,
        clock: Clock,
        notices: NoticeSink,
        *,
        thresholds: Thresholds,
        evaluate_s: float,
        capital: Capital | None = None,
        on_decision: Callable[[Decision], None] = lambda _: None,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """Put it together; nothing is decided before `keep`.

        `capital` divides it; None: nobody does. `leads`: whether this process is the one that chooses.
        """
        self.capital = capital
        self._plans = plans
        self._candidates = candidates_of(plans.values())
        self._memory = memory
        self._board = board
        self._eyes = eyes
        self._clock = clock
        self._notices = notices
        self._thresholds = thresholds
        self._evaluate_s = evaluate_s
        self._on_decision = on_decision
        self._leads = leads
        self._accounts = {name: Account(candidate) for name, candidate in self._candidates.items()}
        self._state = begin(self._candidates[MAIN], clock.now_ns())
        self._scores: tuple[Score, ...] = ()
        self._last: Decision | None = None
        self._known_failures: frozenset[str] = frozenset()
        self._evaluated_ms = 0
        self._returns: deque[tuple[float, ...]] = deque(maxlen=_RETURNS_KEPT)
        self._stepping = asyncio.Lock()

    def standing(self) -> Standing:
        """Where it stands."""
        thresholds = self._thresholds
        return Standing(
            self._state,
            self._scores,
            thresholds,
            self._last,
            {name: each.ratio.worth(thresholds.paper_ratio) for name, each in self._accounts.items()},
            self._evaluated_ms,
        )

    @property
    def plans(self) -> Mapping[str, Plan]:
        """Every candidate."""
        return self._plans

    def returns(self) -> tuple[list[tuple[float, ...]], float]:
        """Hourly returns of all candidates over the same stretches, and how many hours each stretch has."""
        return list(self._returns), self._evaluate_s / 3_600

    async def keep(self) -> None:
        """Recover, then evaluate again and again until cancelled; while another process leads, wait."""
        await self.recover()
        led = True
        while True:
            await asyncio.sleep(self._evaluate_s)
            if self._leads() and not led:
                await self.recover()  # whoever led until now has gone on
            led = self._leads()
            await self.evaluate()

    async def evaluate(self) -> None:
        """One look, one decision, and what follows from it. A database that is away puts it off.

        Nothing is done while another process leads.
        """
        if not self._leads():
            return
        async with self._stepping:
            try:
                await self._evaluate()
            except TurnsElsewhereError as elsewhere:
                _log.warning("the choice between strategies is left to another process", error=str(elsewhere))
            except StoreError as error:
                # Nothing is done that could not be written down first.
                _log.warning("the choice between strategies waits for the database", error=str(error))

    async def tune(self, thresholds: Thresholds, by: str) -> Decision | None:
        """Other thresholds from now on; the record of the change, None where nothing changed.

        Raises:
            StoreError: it could not be written down; the old ones stay in force.
            TurnsElsewhereError: another process chooses.
        """
        async with self._stepping:
            self._require_lead()
            now_ms = self._clock.now_ns() // NS_PER_MS
            decision = tuning(self._thresholds, thresholds, current=self._state.current, by=by, at_ms=now_ms)
            if decision is not None:
                await self._memory.save_thresholds(thresholds)
                self._thresholds = thresholds
                await self._record(decision)
            return decision

    async def dry_run(self, thresholds: Thresholds) -> DryRun:
        """What the last 24 hours would have been with these thresholds. Raises a StoreError."""
        rows = await self._memory.scores_since(self._clock.now_ns() // NS_PER_MS - _DAY_MS)
        return await asyncio.to_thread(dry_run, rows, self._candidates, thresholds)

    async def recover(self) -> None:
        """Go on where an earlier life was; a database that is away is asked again."""
        while True:
            try:
                self._thresholds = await self._memory.thresholds() or self._thresholds
                found = await self._memory.state()
                await self._restore_estimates()
                break
            except StoreError as error:
                _log.warning("the choice between strategies waits for the database", error=str(error))
                await asyncio.sleep(self._evaluate_s)
        named = {"", *self._candidates}
        if found is not None and {found.current, found.target} <= named:
            self._state = found

    async def _restore_estimates(self) -> None:
        """What was measured of the very same strategies goes on; the others begin anew."""
        kept = await self._memory.estimates()
        same = {
            name
            for name, plan in self._plans.items()
            if name in kept and kept[name].strategy == plan.fingerprint
        }
        for name in same:
            self._accounts[name].restore(kept[name])
        self._returns.clear()
        if same != set(self._plans):
            return
        for row in await self._memory.newest_scores(_RETURNS_KEPT):
            if same <= row.per_hour.keys():
                self._returns.append(tuple(row.per_hour[name] for name in self._plans))

    async def _evaluate(self) -> None:
        if actions := pending(self._state):
            await self._carry_out(actions)
            return
        state, thresholds, now_ns = self._state, self._thresholds, self._clock.now_ns()
        for failed in await self._new_failures():
            await self._step(Failed(candidate=failed, reason="its run was set down; see its log"))
        if self._state.phase != "steady":
            return
        for run in await self._board.hold_down(self._plans, state.current):
            _log.warning("a run without the turn was paused", run=run)
        for name, account in self._accounts.items():
            is_current = name == state.current
            life = f"{name}@{state.since_ns}"
            live = self._eyes.live(self._plans[name].run, life) if is_current else None
            account.take(live, self._eyes.paper(name), thresholds.half_life_s)
        self._scores = tuple(
            account.score(thresholds, now_ns, is_current=name == state.current)
            for name, account in self._accounts.items()
        )
        newest = {name: each.last_per_hour for name, each in self._accounts.items()}
        if all(map(isfinite, newest.values())):
            self._returns.append(tuple(newest.values()))
        self._evaluated_ms = now_ns // NS_PER_MS
        held = await self._held()
        await self._memory.record_scores(
            ScoreRow(
                at_ms=self._evaluated_ms,
                current=state.current,
                scores=self._scores,
                held_by_owner=tuple(sorted(held)),
                per_hour={name: rate for name, rate in newest.items() if isfinite(rate)},
            )
        )
        await self._memory.save_estimates(
            {name: each.kept(self._plans[name].fingerprint) for name, each in self._accounts.items()}
        )
        await self._divide()
        await self._step(Evaluated(scores=self._scores, held_by_owner=held))

    async def _divide(self) -> None:
        """What each run may have in play, by the same figures."""
        if self.capital is None:
            return
        current, (returns, stretch_h) = self._state.current, self.returns()
        account = self._accounts.get(current)
        decision = await self.capital.look(
            Look(
                current=current,
                scores=self._scores,
                returns=returns,
                stretch_h=stretch_h,
                readings={plan.run: self._eyes.live(plan.run, "capital") for plan in self._plans.values()},
                earned=float("nan") if account is None else account.last_gain,
            )
        )
        if decision is not None:
            await self._record(decision)

    async def set_cap(self, candidate: str, share: float | None, by: str) -> Decision | None:
        """Another cap of a candidate; the record of it, None where nothing changed.

        Raises:
            InvalidInputError: nobody divides the capital, there is no such candidate, or it is no share.
            StoreError: it could not be written down; the old one stays in force.
        """
        async with self._stepping:
            self._require_lead()
            if self.capital is None:
                raise InvalidInputError("cap", share, "none: nobody divides the capital here")
            decision = await self.capital.set_cap(candidate, share, by)
            if decision is not None:
                await self._record(decision)
            return decision

    def charge(self, candidate: str, quote: float) -> None:
        """A cost that its fills do not show, such as a transfer's: the next stretch bears it."""
        self._accounts[candidate].owed += quote

    def expected(self, candidate: str) -> float:
        """What it is expected to earn, as a fraction of its capital per hour; 0 where nothing is known."""
        found = next((each for each in self._scores if each.candidate == candidate), None)
        return 0.0 if found is None or found.mean is None else max(found.mean * found.trust, 0.0)

    async def _held(self) -> frozenset[str]:
        """Candidates that may not trade by somebody else's word; pauses of our own are not among them."""
        held = await self._eyes.held({plan.run for plan in self._plans.values()})
        current = self._state.current
        mine = self._plans[current].run if current in self._plans else ""
        return frozenset(
            name
            for name, plan in self._plans.items()
            if (why := held.get(plan.run)) is not None and (plan.run == mine or why == "halted")
        )

    async def _new_failures(self) -> list[str]:
        resting = frozenset(self._eyes.failed())
        fresh, self._known_failures = resting - self._known_failures, resting
        current = self._state.current
        return [
            name
            for name, plan in self._plans.items()
            # Of several candidates in one run it was the current one that failed.
            if plan.run in fresh and (name == current or plan.run != self._run_of(current))
        ]

    def _require_lead(self) -> None:
        if not self._leads():
            raise TurnsElsewhereError

    def _run_of(self, candidate: str) -> str:
        plan = self._plans.get(candidate)
        return "" if plan is None else plan.run

    async def _step(self, event: Event) -> None:
        step = decide(self._state, event, self._candidates, self._thresholds, self._clock.now_ns())
        await self._accept(step)
        if step.actions:
            await self._carry_out(step.actions)

    async def _accept(self, step: Step) -> None:
        """Written down first: whoever takes over knows what was begun, and how often a newcomer has won."""
        self._require_lead()
        if step.state != self._state:
            await self._memory.save_state(step.state)
        self._state = step.state
        if step.decision is not None:
            self._last = step.decision
            if step.decision.recorded:
                await self._record(step.decision)

    async def _carry_out(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            plan = self._plans[action.candidate]
            if isinstance(action, Stop):
                answer = await self._board.stop(plan, action.reason)
                event: Event = Stopped(candidate=action.candidate, proven=answer.ok, detail=answer.detail)
            else:
                answer = await self._board.start(plan, action.reason)
                event = (
                    Started(candidate=action.candidate)
                    if answer.ok
                    else Failed(candidate=action.candidate, reason=answer.detail)
                )
            step = decide(self._state, event, self._candidates, self._thresholds, self._clock.now_ns())
            await self._accept(step)
            # What is not proven is asked again with the next evaluation, not at once.
            if step.actions and not (isinstance(action, Stop) and not answer.ok):
                await self._carry_out(step.actions)

    async def _record(self, decision: Decision) -> None:
        _log.info(
            "strategy selection",
            outcome=decision.outcome.value,
            verdict=decision.verdict.value,
            current=decision.current,
            challenger=decision.challenger,
            reason=decision.reason,
        )
        await self._memory.record(decision)
        self._on_decision(decision)
        severity = _TOLD.get(decision.outcome)
        if severity is not None:
            self._notices.notify(
                Notice(
                    key=f"selection:{decision.outcome.value}:{decision.current}:{decision.challenger}",
                    kind="strategy",
                    severity=severity,
                    title=_title(decision),
                    text=decision.reason,
                    at_ms=decision.at_ms,
                )
            )


def _title(decision: Decision) -> str:
    match decision.outcome:
        case Outcome.STARTED:
            return f"{decision.challenger} has the turn now"
        case Outcome.IDLE:
            return f"{decision.current} is stopped, and nothing follows"
        case Outcome.UNPROVEN:
            return f"{decision.current} is not proven to have ended"
    return f"{decision.challenger} has failed"
