"""From what runs should have to what they may have in play now: cuts first, raises from what is free.

Pure, in whole units. A share that wavers moves nothing, and no unit is given to anybody while somebody else
still has it in play.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.errors import InvalidInputError

_WAVER: Final = 0.02


class BudgetState(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided last; times are nanoseconds of the wall clock."""

    units: dict[str, int] = {}
    """Budget by run."""
    changed_ns: dict[str, int] = {}
    """When each was last changed."""
    worth: dict[str, int] = {}
    """What the account of each run was last worth, in units."""
    basis: int = 0
    """The whole that limits are shares of: never more than there is, and it does not follow every price."""
    index: float = 1.0
    """What one unit of capital has become; deposits and withdrawals do not move it."""
    high: float = 1.0
    """The highest that it was."""

    @property
    def drawdown(self) -> float:
        """Share of the high that is lost."""
        return max(0.0, 1 - self.index / self.high) if self.high > 0 else 0.0

    def based_on(self, total: int) -> BudgetState:
        """With a basis for so much: the same while the whole is at least that and little more."""
        if self.basis <= total <= self.basis * (1 + _WAVER):
            return self
        falls = 0 < total < self.basis
        return msgspec.structs.replace(self, basis=int(total * (1 - _WAVER / 2)) if falls else total)

    def earning(self, share: float) -> BudgetState:
        """With a gain or a loss of so much of the capital."""
        index = max(self.index * (1 + share), 0.0)
        return msgspec.structs.replace(self, index=index, high=max(self.high, index))


@dataclass(frozen=True, slots=True)
class Want:
    """What one run should have, in units."""

    goal: int
    hard: int
    """Most that it may ever have: its cap, its slice, its venue. Obeyed at once."""
    in_play: int = 0
    """What it has at work right now."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class BudgetRules:
    """When a budget follows its goal."""

    least_change: float = 0.05
    """A change below this share of the whole is not made."""
    most_change: float = 0.1
    """Most that one change moves, as a share of the whole; a limit is obeyed at once and in full."""
    rest_s: float = 60.0
    """After a change a budget rests for so long, unless a limit asks for less."""


@dataclass(frozen=True, slots=True)
class BudgetChange:
    """One run has another budget."""

    run: str
    before: int | None
    after: int
    why: str


def follow(
    state: BudgetState, total: int, wants: Mapping[str, Want], rules: BudgetRules, now_ns: int
) -> tuple[BudgetState, tuple[BudgetChange, ...]]:
    """Budgets after one look, and what changed. They never add up to more than the whole.

    Args:
        state: what this returned last.
        total: units of the whole, 0 or more.
        wants: by run; one that is not named loses its budget.
        rules: hysteresis.
        now_ns: of the wall clock.

    Raises:
        InvalidInputError: a negative total.
    """
    if total < 0:
        raise InvalidInputError("total", total, "0 or more")
    step = max(int(total * rules.least_change), 1)
    most = max(int(total * rules.most_change), step)
    rested = {run: now_ns - state.changed_ns.get(run, 0) >= rules.rest_s * NS_PER_S for run in wants}
    budgets = {
        run: _cut(state.units.get(run, 0), want, step, most if rested[run] else 0)
        for run, want in wants.items()
    }
    granted = sum(budgets.values())
    if granted > total:
        budgets = {run: units * total // granted for run, units in budgets.items()}
    free = total - sum(max(budgets[run], want.in_play) for run, want in wants.items())
    missing = {run: min(want.goal, want.hard) - budgets[run] for run, want in wants.items()}
    for run in sorted(missing, key=lambda run: (-missing[run], run)):
        more = min(missing[run], _room(free, budgets[run], wants[run].in_play))
        if run in state.units:
            more = min(more, most) if more >= step and rested[run] else 0
        if more <= 0:
            continue
        before = max(budgets[run], wants[run].in_play)
        budgets[run] += more
        free -= max(budgets[run], wants[run].in_play) - before
    changes = tuple(
        BudgetChange(run, state.units.get(run), units, wants[run].why)
        for run, units in sorted(budgets.items())
        if state.units.get(run) != units
    )
    changed_ns = {run: state.changed_ns[run] for run in budgets if run in state.changed_ns}
    changed_ns.update((change.run, now_ns) for change in changes)
    return msgspec.structs.replace(state, units=budgets, changed_ns=changed_ns), changes


def _cut(now: int, want: Want, step: int, most: int) -> int:
    """Towards the goal if that is far enough, by `most` at most; down to the limit in any case."""
    if want.goal <= now - step:
        now = max(want.goal, now - most)
    return max(min(now, want.hard), 0)


def _room(free: int, budget: int, in_play: int) -> int:
    """What it may be given: what is free, and what it has in play above its budget itself."""
    return max(free, 0) + max(in_play - budget, 0) if free >= 0 else 0
