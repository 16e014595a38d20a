"""Carries what campaigns want traded to the engines, wherever these run: over the operations store."""

from __future__ import annotations

from collections.abc import Mapping

from mrmarket.campaigns.errors import PartnerUnclearError
from mrmarket.campaigns.terms import ExecutionGoal
from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.decimals import format_decimal
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.section import MAIN_ACCOUNT
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import OperationsStore, RunGoal


class EngineGoals:
    """Implements `ExecutionGoals`. What was put is there for every engine, also after a restart."""

    def __init__(
        self, operations: OperationsStore, line: DatabaseLine, clock: Clock, venue_of: Mapping[str, str]
    ) -> None:
        """Put it together.

        Args:
            operations: which engines read.
            line: calls it off the event loop.
            clock: the one by which cycles are counted.
            venue_of: our name of a venue by the partner's name of the exchange; the same where none is given.
        """
        self._operations = operations
        self._line = line
        self._clock = clock
        self._venue_of = venue_of

    async def put(self, goal: ExecutionGoal) -> None:
        """Set the goal of its campaign; one of an earlier cycle changes nothing.

        Raises:
            PartnerUnclearError: the database did not take it.
        """
        row = run_goal(goal, self._venue_of, self._clock.now_ns() // NS_PER_MS)
        try:
            await self._line.call(self._operations.put_goal, row)
        except StoreError as error:
            raise PartnerUnclearError(f"telling the engines of {goal.campaign}", str(error)) from error


def run_goal(goal: ExecutionGoal, venue_of: Mapping[str, str], at_ms: int) -> RunGoal:
    """A campaign's goal as engines read it."""
    return RunGoal(
        campaign=goal.campaign,
        cycle=goal.cycle,
        venue=venue_of.get(goal.exchange, goal.exchange),
        account=goal.account or MAIN_ACCOUNT,
        pair=goal.market,
        starts_ms=goal.start_ms,
        ends_ms=goal.end_ms,
        volume=format_decimal(goal.volume),
        min_spread_bps=goal.min_spread_bps,
        max_spread_bps=goal.max_spread_bps,
        max_inventory=format_decimal(goal.max_inventory),
        cost_ceiling=format_decimal(goal.cost_ceiling),
        pause=goal.pause.value,
        reason=goal.reason,
        changed_ms=at_ms,
    )
