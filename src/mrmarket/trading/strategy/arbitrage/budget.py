"""How many pairs of orders may go wrong, and what they may cost, before no new one is sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.execution.legs import LegStage, LegState
from mrmarket.trading.strategy.arbitrage.parameters import LegSchema

_MINUTE_NS: Final = 60 * NS_PER_S
_HOUR_NS: Final = 3_600 * NS_PER_S


@dataclass(frozen=True, slots=True)
class PairBudget:
    """What the last minute and the last hour have used. Times are the strategy's, in nanoseconds."""

    max_fees_per_hour: Decimal | None
    max_retries_per_minute: int
    pause_ns: int
    failure_cooldown_ns: int
    rests_until_ns: int = 0
    """No new pair before."""
    rests_because: str = ""
    retries: tuple[tuple[int, int], ...] = ()
    """(when, how many)."""
    fees: tuple[tuple[int, Decimal], ...] = ()
    """(when, quote)."""

    def refusal(self, now_ns: int) -> str:
        """Why no new pair may be sent now; empty if one may."""
        if now_ns < self.rests_until_ns:
            return self.rests_because
        if sum(n for at, n in self.retries if now_ns - at < _MINUTE_NS) >= self.max_retries_per_minute:
            return f"budget: {self.max_retries_per_minute} repeated attempts within a minute"
        most = self.max_fees_per_hour
        if most is not None and sum(fee for at, fee in self.fees if now_ns - at < _HOUR_NS) >= most:
            return f"budget: {most} of fees within an hour"
        return ""

    def after(self, pair: LegState, fees_quote: Decimal, now_ns: int) -> PairBudget:
        """What is left once a pair is over."""
        failed = pair.sent[2] > 0 or pair.stage is LegStage.HALTED
        rest_ns = self.failure_cooldown_ns if failed else self.pause_ns
        return replace(
            self,
            rests_until_ns=now_ns + rest_ns,
            rests_because="cooling down after a pair that was undone" if failed else "resting between pairs",
            retries=(
                *(each for each in self.retries if now_ns - each[0] < _MINUTE_NS),
                (now_ns, pair.retries),
            ),
            fees=(*(each for each in self.fees if now_ns - each[0] < _HOUR_NS), (now_ns, fees_quote)),
        )


def pair_budget(parameters: LegSchema, pause_s: float) -> PairBudget:
    """An unused budget of these parameters."""
    return PairBudget(
        parameters.max_fees_per_hour,
        parameters.max_retries_per_minute,
        round(pause_s * NS_PER_S),
        round(parameters.failure_cooldown * NS_PER_S),
    )
