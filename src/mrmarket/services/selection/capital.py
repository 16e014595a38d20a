"""Divides the capital between the runs of the candidates, and binds them to it where the owner wants that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import floor, isfinite
from typing import Final

import msgspec
import numpy as np

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.errors import InvalidInputError
from mrmarket.services.selection.memory import SelectionMemory
from mrmarket.services.selection.plan import Plan
from mrmarket.services.selection.section import CapitalSection
from mrmarket.trading.execution.risk.budget import Budgets
from mrmarket.trading.strategy.selection.allocator import (
    Allocation,
    AllocationRules,
    Claim,
    allocate,
    hard_limit,
)
from mrmarket.trading.strategy.selection.budget_plan import (
    BudgetChange,
    BudgetRules,
    BudgetState,
    Want,
    follow,
)
from mrmarket.trading.strategy.selection.candidate import Activity
from mrmarket.trading.strategy.selection.covariance import shrunk_covariance
from mrmarket.trading.strategy.selection.decision import Decision, Outcome, Verdict
from mrmarket.trading.strategy.selection.score import Score
from mrmarket.trading.strategy.shadow.reading import Reading

UNITS_PER_WHOLE: Final = 100_000_000
"""Quote is divided in units of 1e-8."""
_STEPS: Final = 20
FEWEST: Final = 30
"""Stretches in common below which the limits alone divide the capital."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one evaluation has seen."""

    current: str
    """The candidate that has the turn; empty for none."""
    scores: Sequence[Score]
    returns: Sequence[Sequence[float]]
    """Hourly returns of all candidates, in the order of the plans, a row for each stretch."""
    stretch_h: float
    """How long a stretch is."""
    readings: Mapping[str, Reading | None]
    """Of each run; None where it is not to be seen now."""
    earned: float = float("nan")
    """What the current strategy has gained since the last look, in quote; NaN where that is not known."""


@dataclass(frozen=True, slots=True)
class RunShare:
    """How much one run has, should have and may have; in units of quote."""

    run: str
    candidate: str
    """Whose figures count: who has the turn in it, else the best of its candidates."""
    wanted: float
    """Share of the whole before any limit."""
    goal: int
    hard: int
    budget: int | None
    """None before it was first decided."""
    in_play: int
    bound_by: tuple[str, ...]


@dataclass(slots=True)
class Division:
    """The last look, for whoever shows it."""

    total: int = 0
    shares: tuple[RunShare, ...] = ()
    drawdown: float = 0.0
    caps: dict[str, float] = field(default_factory=dict)
    """Set by the owner while it runs, by candidate."""


class Capital:
    """One task drives it, with every evaluation; readers may look at `division` at any time."""

    def __init__(
        self,
        section: CapitalSection,
        plans: Mapping[str, Plan],
        caps: Mapping[str, float],
        memory: SelectionMemory,
        budgets: Budgets,
        clock: Clock,
    ) -> None:
        """Nothing is bound yet.

        Args:
            section: `[selection.capital]`.
            plans: every candidate.
            caps: the configuration's, by candidate.
            memory: where budgets and caps are kept.
            budgets: of this process's runs.
            clock: the wall's.
        """
        self.division = Division()
        self.acts = section.act
        """Whether runs are bound."""
        self._plans = plans
        self._caps = dict(caps)
        self._memory = memory
        self._budgets = budgets
        self._clock = clock
        self._rules = allocation_rules(section)
        self._hysteresis = BudgetRules(
            least_change=section.least_change, most_change=section.most_change, rest_s=section.rest_s
        )
        self._state = BudgetState()

    async def recover(self) -> None:
        """Bind runs as an earlier life has, before any of them begins. Raises a StoreError."""
        self.division.caps = {
            name: cap for name, cap in (await self._memory.caps()).items() if name in self._plans
        }
        found = await self._memory.budgets()
        if found is not None:
            self._state = found
        if self.acts:
            self._bind()

    def cap(self, candidate: str) -> float:
        """Most of the whole that a candidate may have: the owner's word, else the configuration's."""
        return self.division.caps.get(candidate, self._caps.get(candidate, 1.0))

    async def set_cap(self, candidate: str, share: float | None, by: str) -> Decision | None:
        """Another cap from the next look on; None takes back the owner's word, and the configuration's holds.

        Raises:
            InvalidInputError: there is no such candidate, or it is no share.
            StoreError: it could not be written down; the old one stays in force.
        """
        if candidate not in self._plans:
            raise InvalidInputError("candidate", candidate, f"one of {', '.join(self._plans)}")
        if share is not None and not 0 <= share <= 1:
            raise InvalidInputError("share", share, "from 0 to 1")
        before, caps = self.cap(candidate), dict(self.division.caps)
        if share is None:
            caps.pop(candidate, None)
        else:
            caps[candidate] = share
        if caps == self.division.caps:
            return None
        await self._memory.save_caps(caps)
        self.division.caps = caps
        return Decision(
            at_ms=self._clock.now_ns() // NS_PER_MS,
            outcome=Outcome.TUNED,
            verdict=Verdict.OWNER_CAPPED,
            reason=f"cap of {candidate} set by {by}: {before:.1%} → {self.cap(candidate):.1%} of the capital",
            challenger=candidate,
            changed={candidate: self.cap(candidate)},
            by=by,
        )

    async def look(self, look: Look) -> Decision | None:
        """Divide anew; what changed is written down, then obeyed.

        Raises:
            StoreError: it could not be written down; nothing is changed.
        """
        worth = {
            run: units
            for run in dict.fromkeys(plan.run for plan in self._plans.values())
            if (units := self._worth(run, look)) is not None
        }
        total, state = sum(worth.values()), msgspec.structs.replace(self._state, worth=worth)
        if isfinite(look.earned) and total:
            state = state.earning(look.earned * UNITS_PER_WHOLE / total)
        state = state.based_on(total)
        total = state.basis
        claims = self._claims(worth, look)
        drawdown = self._stepped(state.drawdown)
        found = self._allocate(total, claims, look, drawdown)
        in_play = {run: _units(reading.in_play) for run in worth if (reading := look.readings.get(run))}
        wants = {
            run: Want(
                goal=found.units[claim.id],
                hard=hard_limit(claim, total, self._rules, drawdown=drawdown),
                in_play=in_play.get(run, 0),
                why=", ".join(found.bound_by[claim.id]) or "what it is expected to earn",
            )
            for run, claim in claims.items()
        }
        state, changes = follow(state, total, wants, self._hysteresis, self._clock.now_ns())
        self.division.total, self.division.drawdown = total, state.drawdown
        if self.acts and state != self._state:
            await self._memory.save_budgets(state)
        self._state = state
        self.division.shares = tuple(
            RunShare(
                run=run,
                candidate=claim.id,
                wanted=found.wanted[claim.id],
                goal=wants[run].goal,
                hard=wants[run].hard,
                budget=state.units.get(run),
                in_play=wants[run].in_play,
                bound_by=found.bound_by[claim.id],
            )
            for run, claim in claims.items()
        )
        if not self.acts:
            return None
        self._bind({change.run: change.why for change in changes})
        return _funded(changes, look.current, self._clock.now_ns()) if changes else None

    def _bind(self, why: Mapping[str, str] | None = None) -> None:
        for run, units in self._state.units.items():
            budget = self._budgets.of(run)
            reason = (why or {}).get(run) or budget.reason or "as before the restart"
            budget.set(Decimal(units) / UNITS_PER_WHOLE, reason)

    def _stepped(self, drawdown: float) -> float:
        """In whole twentieths of what is tolerated: else every tick would change every limit."""
        step = self._rules.most_drawdown / _STEPS
        return floor(drawdown / step) * step

    def _worth(self, run: str, look: Look) -> int | None:
        """Of its account; as it was last seen where it is not to be seen."""
        reading = look.readings.get(run)
        return self._state.worth.get(run) if reading is None else _units(reading.capital)

    def _claims(self, worth: Mapping[str, int], look: Look) -> dict[str, Claim]:
        """One for each run that was ever seen."""
        by_run: dict[str, list[str]] = {}
        for name, plan in self._plans.items():
            if plan.run in worth:
                by_run.setdefault(plan.run, []).append(name)
        scores = {each.candidate: each for each in look.scores}
        claims = {}
        for run, names in by_run.items():
            name = look.current if look.current in names else max(names, key=lambda each: _rank(scores, each))
            found = scores.get(name)
            plan = self._plans[name]
            claims[run] = Claim(
                id=name,
                activity=plan.candidate.activity,
                mean=float("nan") if found is None or found.mean is None else found.mean,
                cap=self.cap(name),
                venues={plan.spec.venue: 1.0},
                assets={plan.spec.pair.split("/")[0]: 1.0},
                held=self._state.units.get(run, 0),
            )
        return claims

    def _allocate(self, total: int, claims: Mapping[str, Claim], look: Look, drawdown: float) -> Allocation:
        names, wanted = list(self._plans), list(claims.values())
        covariance = None
        if len(look.returns) >= FEWEST:
            columns = [names.index(claim.id) for claim in wanted]
            shrunk, _ = shrunk_covariance(np.array(look.returns)[:, columns])
            # Rates of stretches that are so many hours long: what they vary by in an hour is that much less.
            covariance = shrunk * look.stretch_h
        return allocate(total, wanted, covariance, self._rules, drawdown=drawdown)


def allocation_rules(section: CapitalSection) -> AllocationRules:
    """As the allocator takes them; hysteresis is not its affair here."""
    # In decimals, so that the three add up to 1 however they are written.
    idle = Decimal(1) - Decimal(str(section.market_making)) - Decimal(str(section.arbitrage))
    return AllocationRules(
        slices={
            Activity.MARKET_MAKING: section.market_making,
            Activity.ARBITRAGE: section.arbitrage,
            Activity.IDLE: float(idle),
        },
        kelly=section.kelly,
        venue_caps=section.venue_caps,
        asset_caps=section.asset_caps,
        most_drawdown=section.most_drawdown,
        floor=section.floor,
        turnover_penalty=0.0,
    )


def quote_text(units: int) -> str:
    """Units as quote, for people and for JSON."""
    return f"{(Decimal(units) / UNITS_PER_WHOLE).normalize():f}"


def _units(amount: float) -> int:
    return max(int(Decimal(amount) * UNITS_PER_WHOLE), 0)


def _rank(scores: Mapping[str, Score], name: str) -> float:
    found = scores.get(name)
    return float("-inf") if found is None or found.value is None else found.value


def _funded(changes: Sequence[BudgetChange], current: str, now_ns: int) -> Decision:
    words = "; ".join(
        f"{change.run} may have {quote_text(change.after)} in play, "
        + ("" if change.before is None else f"instead of {quote_text(change.before)}, ")
        + f"by {change.why}"
        for change in changes
    )
    return Decision(
        at_ms=now_ns // NS_PER_MS,
        outcome=Outcome.FUNDED,
        verdict=Verdict.ALLOCATED,
        reason=words,
        current=current,
        changed={change.run: quote_text(change.after) for change in changes},
    )
