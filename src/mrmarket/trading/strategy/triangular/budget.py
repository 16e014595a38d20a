"""How many rounds may go wrong before no new one is sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.strategy.triangular.parameters import TriangularParameters
from mrmarket.trading.strategy.triangular.round import RoundStage, RoundState

_MINUTE_NS: Final = 60 * NS_PER_S


@dataclass(frozen=True, slots=True)
class RoundBudget:
    """What the last minute has used. Times are the strategy's, in nanoseconds."""

    max_retries_per_minute: int
    pause_ns: int
    failure_cooldown_ns: int
    rests_until_ns: int = 0
    """No new round before."""
    rests_because: str = ""
    retries: tuple[tuple[int, int], ...] = ()
    """(when, how many)."""

    def refusal(self, now_ns: int) -> str:
        """Why no new round may be sent now; empty if one may."""
        if now_ns < self.rests_until_ns:
            return self.rests_because
        if (
            sum(count for at, count in self.retries if now_ns - at < _MINUTE_NS)
            >= self.max_retries_per_minute
        ):
            return f"budget: {self.max_retries_per_minute} repeated attempts within a minute"
        return ""

    def after(self, state: RoundState, now_ns: int) -> RoundBudget:
        """What is left once a round is over."""
        failed = state.failed or state.stage is RoundStage.HALTED
        return replace(
            self,
            rests_until_ns=now_ns + (self.failure_cooldown_ns if failed else self.pause_ns),
            rests_because="cooling down after a round that was undone"
            if failed
            else "resting between rounds",
            retries=(
                *(each for each in self.retries if now_ns - each[0] < _MINUTE_NS),
                (now_ns, state.retries),
            ),
        )


def round_budget(parameters: TriangularParameters) -> RoundBudget:
    """An unused budget of these parameters."""
    return RoundBudget(
        parameters.max_retries_per_minute,
        round(parameters.pause * NS_PER_S),
        round(parameters.failure_cooldown * NS_PER_S),
    )
