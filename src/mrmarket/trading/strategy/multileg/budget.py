"""How many legs may go wrong, and what they may cost, before nothing new is sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Protocol

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.execution.legs import LegRules, LegStage, LegState

_MINUTE_NS: Final = 60 * NS_PER_S
_HOUR_NS: Final = 3_600 * NS_PER_S


class LegParameters(Protocol):
    """What the parameters of every strategy with several legs say of how these are carried out."""

    @property
    def leg_band(self) -> Decimal:
        """How far beyond its decided price an attempt may trade, as a fraction."""
        ...

    @property
    def leg_retries(self) -> int:
        """Further attempts at each order after the first one."""
        ...

    @property
    def leg_deadline(self) -> float:
        """Seconds after which no order is tried again."""
        ...

    @property
    def unwind_band(self) -> Decimal:
        """How far from its price what is held may go back, as a fraction."""
        ...

    @property
    def unwind_retries(self) -> int:
        """Further attempts at that."""
        ...

    @property
    def max_retries_per_minute(self) -> int:
        """Nothing new once so many repeated attempts were needed within the last minute."""
        ...

    @property
    def failure_cooldown(self) -> float:
        """Nothing new for so many seconds after something that had to be undone."""
        ...


def leg_rules(parameters: LegParameters) -> LegRules:
    """How the orders of these parameters are carried out."""
    return LegRules(
        retries=parameters.leg_retries,
        band=Fraction(parameters.leg_band),
        deadline_ns=round(parameters.leg_deadline * 1_000) * NS_PER_MS,
        unwind_band=Fraction(parameters.unwind_band),
        unwind_retries=parameters.unwind_retries,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LegBudget:
    """What the last minute and the last hour have used. Times are the strategy's, in nanoseconds."""

    what: str
    """What is sent: a pair, a round; for people."""
    max_retries_per_minute: int
    pause_ns: int
    failure_cooldown_ns: int
    max_fees_per_hour: Decimal | None = None
    """Quote; None is no limit."""
    rests_until_ns: int = 0
    """Nothing new before."""
    rests_because: str = ""
    retries: tuple[tuple[int, int], ...] = ()
    """(when, how many)."""
    fees: tuple[tuple[int, Decimal], ...] = ()
    """(when, quote)."""

    def refusal(self, now_ns: int) -> str:
        """Why nothing new may be sent now; empty if something may."""
        if now_ns < self.rests_until_ns:
            return self.rests_because
        if sum(n for at, n in self.retries if now_ns - at < _MINUTE_NS) >= self.max_retries_per_minute:
            return f"budget: {self.max_retries_per_minute} repeated attempts within a minute"
        most = self.max_fees_per_hour
        if most is not None and sum(fee for at, fee in self.fees if now_ns - at < _HOUR_NS) >= most:
            return f"budget: {most} of fees within an hour"
        return ""

    def after(self, state: LegState[Any, Any], now_ns: int, fees_quote: Decimal = Decimal(0)) -> LegBudget:
        """What is left once something is over."""
        failed = state.failed or state.stage is LegStage.HALTED
        resting = f"cooling down after a {self.what} that was undone" if failed else None
        return replace(
            self,
            rests_until_ns=now_ns + (self.failure_cooldown_ns if failed else self.pause_ns),
            rests_because=resting or f"resting between {self.what}s",
            retries=(
                *(each for each in self.retries if now_ns - each[0] < _MINUTE_NS),
                (now_ns, state.retries),
            ),
            fees=(*(each for each in self.fees if now_ns - each[0] < _HOUR_NS), (now_ns, fees_quote)),
        )


def leg_budget(
    what: str, parameters: LegParameters, pause_s: float, max_fees_per_hour: Decimal | None = None
) -> LegBudget:
    """An unused budget of these parameters; `what` is sent: `pair`, `round`."""
    return LegBudget(
        what=what,
        max_retries_per_minute=parameters.max_retries_per_minute,
        pause_ns=round(pause_s * NS_PER_S),
        failure_cooldown_ns=round(parameters.failure_cooldown * NS_PER_S),
        max_fees_per_hour=max_fees_per_hour,
    )
