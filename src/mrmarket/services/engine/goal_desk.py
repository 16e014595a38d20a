"""Binds the runs of one engine by what campaigns ask for; what the owner has set stays the outer bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import structlog

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import OperationsStore, RunGoal, RunSpec
from mrmarket.trading.execution.risk.mandate import Mandate, Mandates

_RUNNING: Final = "none"
_LONGEST_GRACE_MS: Final = 60_000
_UNREAD: Final = "what campaigns ask for has not been read yet"
_NOBODY: Final = "no campaign asks for volume here, and only_for_campaigns is on"
_AROUND_THE_MID: Final = frozenset(("pure_market_making", "avellaneda_stoikov", "as_normalised", "glft"))
"""Kinds whose prices may be moved. Others have reasons of their own for each price, such as a grid's level;
they are bound in their position alone."""
_log = structlog.get_logger("mrmarket.engine.goals")


def concerns(goal: RunGoal, spec: RunSpec) -> bool:
    """Whether a goal is for the market and the account that a run trades on."""
    return (goal.venue, goal.account, goal.pair) == (spec.venue, spec.account, spec.pair)


def is_due(goal: RunGoal, now_ms: int) -> bool:
    """Whether it is to be worked towards now.

    Between the end of its cycle and word of the next one it holds on: for a quarter of a cycle, one minute at
    most. So whoever asks has time to, and quotes do not flicker.
    """
    grace_ms = min(_LONGEST_GRACE_MS, (goal.ends_ms - goal.starts_ms) // 4)
    return goal.pause == _RUNNING and goal.starts_ms <= now_ms < goal.ends_ms + grace_ms


def mandate_of(spec: RunSpec, goals: Iterable[RunGoal], now_ms: int, *, only_for_campaigns: bool) -> Mandate:
    """What the goals of a run's market make of it: the tightest of those that are due.

    Args:
        spec: the run.
        goals: anybody's.
        now_ms: by the clock that counts cycles.
        only_for_campaigns: whether it is to quote only while one of them is due.
    """
    mine = [goal for goal in goals if concerns(goal, spec)]
    due = [goal for goal in mine if is_due(goal, now_ms)]
    reason = "; ".join(told(goal, now_ms) for goal in mine)
    if not due:
        if only_for_campaigns:
            return Mandate(idle=f"{_NOBODY}: {reason}" if reason else _NOBODY, reason=reason)
        return Mandate(reason=reason)
    moves = spec.kind in _AROUND_THE_MID
    return Mandate(
        min_spread_bps=max(goal.min_spread_bps for goal in due) if moves else None,
        max_spread_bps=min(goal.max_spread_bps for goal in due) if moves else None,
        max_inventory=min(Decimal(goal.max_inventory) for goal in due),
        reason=reason,
    )


def told(goal: RunGoal, now_ms: int) -> str:
    """One sentence about a goal for whoever looks at the run; no figure in it moves with every look."""
    name = f"campaign {goal.campaign}"
    if goal.pause != _RUNNING:
        return f"{name} asks for nothing ({goal.pause.replace('_', ' ')})"
    if not is_due(goal, now_ms):
        return f"{name} asks for nothing outside its cycle {goal.cycle}"
    return (
        f"{name} asks for volume in cycle {goal.cycle}: {goal.min_spread_bps} to {goal.max_spread_bps} bps"
        f" from the mid, at most {goal.max_inventory} of position"
    )


class GoalDesk:
    """Reads the goals of all campaigns again and again, and sets the mandates of this process's runs."""

    def __init__(
        self,
        operations: OperationsStore,
        line: DatabaseLine,
        mandates: Mandates,
        clock: Clock,
        *,
        only_for_campaigns: bool = False,
    ) -> None:
        """`clock` is the one by which cycles are counted."""
        self._operations = operations
        self._line = line
        self._mandates = mandates
        self._clock = clock
        self._only = only_for_campaigns
        self._goals: Sequence[RunGoal] = ()
        if only_for_campaigns:
            # Nothing is quoted before it is known that somebody asks for it.
            mandates.first = Mandate(idle=_UNREAD)

    async def keep(self, specs: Callable[[], Mapping[str, RunSpec]], every_s: float) -> None:
        """Look until cancelled; where the database is away what was read last goes on to hold, till it ends.

        Args:
            specs: every run as of now.
            every_s: between two looks.
        """
        while True:
            try:
                await self.look(specs())
            except StoreError as error:
                _log.warning("what campaigns ask for was not read", error=str(error))
                self.bind(specs().values())
            await asyncio.sleep(every_s)

    async def look(self, specs: Mapping[str, RunSpec]) -> None:
        """Read once and bind every run. Raises a StoreError; nothing is changed then."""
        now_ms = self._clock.now_ns() // NS_PER_MS
        self._goals = await self._line.call(self._operations.goals, now_ms - _LONGEST_GRACE_MS)
        self.bind(specs.values())

    def bind(self, specs: Iterable[RunSpec]) -> None:
        """Set the mandates by what was read last."""
        now_ms = self._clock.now_ns() // NS_PER_MS
        for spec in specs:
            mandate = mandate_of(spec, self._goals, now_ms, only_for_campaigns=self._only)
            if self._mandates.of(spec.id).set(mandate):
                _log.info("campaigns ask otherwise", run=spec.id, asked=mandate.idle or mandate.reason)
