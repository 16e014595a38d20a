"""Three orders that lead home: each spends what the one before brought, so that a part is a smaller round.

What the second pair does not take within its attempts and the deadline goes back by the first, what the third
does not take goes home by it inside a wider band; what no pair takes is too little to trade and is left; what
cannot be brought home halts the run. The machine is that of `execution.legs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import ClassVar, Final

from mrmarket.trading.execution.legs import LegRules, LegStage, LegState, Move, Next, Over, Stuck
from mrmarket.trading.strategy.multileg.amounts import Amounts, added
from mrmarket.trading.strategy.triangular.round_plan import (
    RoundPart,
    RoundPlan,
    parse_round_slot,
    round_slot,
)

_PARTS: Final = tuple(RoundPart)
_ONWARD: Final = (
    (RoundPart.SECOND, LegStage.SECOND, "second of three"),
    (RoundPart.THIRD, LegStage.THIRD, "third of three"),
)
_THROUGH: Final = "all three are through"
_RESTARTED: Final = "undone after a restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundState(LegState[Amounts, Fraction]):
    """How far a round is. Funds: what is free of the home asset."""

    MISSED: ClassVar[str] = "the first order missed"
    NOTHING: ClassVar[Amounts] = MappingProxyType({})

    plan: RoundPlan
    changed: Amounts = field(default_factory=dict)
    """What the orders that have ended changed, home asset included."""
    sent: tuple[int, ...] = (0, 0, 0, 0, 0)
    """Attempts so far, in the order of `RoundPart`."""

    @property
    def gained(self) -> Fraction:
        """Home asset that came back less what went out; what is left in between counts for nothing."""
        return self.changed.get(self.plan.home, Fraction(0))

    @property
    def held(self) -> Amounts:
        """What is between out and home."""
        between = self.plan.steps[0].receives, self.plan.steps[1].receives
        return {asset: amount for asset, amount in self.changed.items() if amount and asset in between}

    @property
    def undone(self) -> int:
        """Orders that brought something home by its own pair."""
        return self.attempts(RoundPart.BACK) + self.attempts(RoundPart.HOME)

    @property
    def retries(self) -> int:
        """Attempts beyond the first of each part, and every undoing."""
        again = (self.attempts(part) - 1 for part in (RoundPart.SECOND, RoundPart.THIRD))
        return sum(max(0, each) for each in again) + self.undone

    def attempts(self, part: RoundPart) -> int:
        """How often a part was sent."""
        return self.sent[_PARTS.index(part)]

    def plus(self, change: Amounts) -> Amounts:
        """Both together."""
        return added(self.changed, change)

    def is_nothing(self, change: Amounts) -> bool:
        """Whether an order took nothing."""
        return not any(change.values())

    def slot(self, part: int, attempt: int) -> str:
        """Such as `t200` for the first attempt at the second order."""
        return round_slot(_PARTS[part], attempt)

    def place_of(self, slot: str) -> int:
        """The step that it trades."""
        found = parse_round_slot(slot)
        assert found is not None  # noqa: S101 - the slots are ours
        return found[0].step

    def refusal(self, funds: Fraction) -> str:
        """The first order alone is looked at: each later one spends what the one before brings."""
        step, lots = self.plan.steps[0], self.plan.first_lots
        problem = step.refusal(lots, step.price_ticks)
        if not problem and step.cost(lots, step.price_ticks) > funds:
            problem = "balance"
        return f"{problem} of the first order, {step.symbol}" if problem else ""

    def opening(self) -> Move:
        """The first order as decided."""
        step = self.plan.steps[0]
        return Next(0, 0, step.side, self.plan.first_lots, step.price_ticks, LegStage.FIRST, "first of three")

    def onward(self, reason: str, now_ns: int) -> Move:
        """The next order that can be sent: the second, the third, else what is held goes home."""
        late, failed = self.is_late(now_ns), self.failed
        for part, stage, word in _ONWARD:
            attempt = self.attempts(part)
            band = self.rules.band * attempt
            lots = self.lots(part, band)
            if not lots:
                continue
            passed = self.stage is LegStage.THIRD and part is RoundPart.SECOND
            if passed or (attempt and (attempt > self.rules.retries or late)):
                failed = True
                continue
            why = word if not attempt else f"{word}, attempt {attempt + 1}"
            return self._order(part, lots, band, stage, why, failed=failed)
        if not failed and self.attempts(RoundPart.THIRD):
            return self._homeward(_THROUGH, failed=False)
        late_or_not = "an order was too late" if late else "a pair did not take all of it"
        return self._homeward(reason or late_or_not, failed=True)

    def undo(self, reason: str) -> Move:
        """What is held goes home by its own pair; what that would not take is too little to trade."""
        return self._homeward(reason, failed=self.failed)

    def _homeward(self, reason: str, *, failed: bool) -> Move:
        stuck = False
        for part in (RoundPart.HOME, RoundPart.BACK):
            attempt = self.attempts(part)
            band = self.rules.unwind_band * (attempt + 1)
            lots = self.lots(part, band)
            if not lots:
                continue
            if attempt <= self.rules.unwind_retries:
                return self._order(
                    part, lots, band, LegStage.UNWIND, f"home: {reason}", because=reason, failed=failed
                )
            stuck = True
        if stuck and failed:
            return Stuck(f"{reason}; what is held could not be brought home")
        undone = failed and self.undone and reason != _RESTARTED
        return Over(LegStage.DONE, f"undone: {reason}" if undone else reason, failed)

    def _order(
        self,
        part: RoundPart,
        lots: int,
        band: Fraction,
        stage: LegStage,
        why: str,
        because: str = "",
        *,
        failed: bool,
    ) -> Next:
        step = self.plan.step(part)
        return Next(
            _PARTS.index(part), part.step, step.side, lots, step.beyond(band), stage, why, because, failed
        )

    def lots(self, part: RoundPart, band: Fraction) -> int:
        """Lots of a part that what is held pays for."""
        step = self.plan.step(part)
        return step.lots(self.changed.get(step.spends, Fraction(0)), step.beyond(band))


def begin(plan: RoundPlan, rules: LegRules) -> RoundState:
    """A round of which nothing was sent."""
    return RoundState(plan=plan, rules=rules)


def resume(
    plan: RoundPlan, rules: LegRules, changed: Amounts, undone: Mapping[RoundPart, int], now_ns: int
) -> RoundState:
    """A round that a crash interrupted, once every order of it is known: what it holds goes home.

    Args:
        plan: its first and third step are what is held goes home by, near the prices of now.
        rules: the rules.
        changed: what its fills add up to.
        undone: attempts at undoing that were made before.
        now_ns: now.
    """
    state = RoundState(
        plan=plan,
        rules=rules,
        stage=LegStage.UNWIND,
        changed=dict(changed),
        sent=(1, 1, 1, undone.get(RoundPart.BACK, 0), undone.get(RoundPart.HOME, 0)),
        begun_ns=now_ns,
        reason=_RESTARTED,
        failed=True,
    )
    sendable = any(state.lots(part, Fraction(0)) for part in (RoundPart.BACK, RoundPart.HOME))
    return state if sendable else replace(state, stage=LegStage.DONE)
