"""What a run writes down of itself: its state, and what it may do."""

from __future__ import annotations

from mrmarket.core.clock import Clock
from mrmarket.core.events import RiskChanged, RunStateChanged
from mrmarket.trading.execution.fact_writer import FactWriter
from mrmarket.trading.execution.risk.board import RiskChange
from mrmarket.trading.execution.risk.state import REARMED, RiskState


class RunFacts:
    """Writes under one venue and pair; a run over several markets does so under its first."""

    def __init__(self, facts: FactWriter, venue: str, symbol: str, wall: Clock) -> None:
        self._facts = facts
        self._venue = venue
        self._symbol = symbol
        self._wall = wall

    def state(self, word: str, reason: str) -> None:
        """The run is in another state, or in the same for another reason."""
        self._facts.write(
            RunStateChanged(
                venue=self._venue,
                at_ns=self._wall.now_ns(),
                symbol=self._symbol,
                state=word,
                reason=reason,
            )
        )

    def risk(self, change: RiskChange, state: RiskState) -> None:
        """A restriction came or went; `state`: what the run may do now."""
        held = change.restriction
        lifted = REARMED if change.by_owner else "lifted"
        self.allowance(change.scope, state, change.cause, lifted if held is None else held.detail)

    def allowance(self, scope: str, state: RiskState, cause: str, detail: str) -> None:
        """What the run may do in a scope, and why."""
        self._facts.write(
            RiskChanged(
                venue=self._venue,
                at_ns=self._wall.now_ns(),
                symbol=self._symbol,
                scope=scope,
                state=state.word,
                cause=cause,
                detail=detail,
            )
        )
