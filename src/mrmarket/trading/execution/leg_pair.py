"""Two orders on two venues: the first takes, the second passes on what it took, else the first is undone.

A maker's hedge is the same without the first order: its quote has traded already. What is held is base, in
whole size units of the grid that both venues have in common.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import ClassVar, Final

from mrmarket.core.side import Side
from mrmarket.trading.execution.legs import (
    LegRules,
    LegStage,
    LegState,
    Move,
    Next,
    Over,
    Stuck,
    beyond,
    make_slot,
    split_slot,
)

_VENUES: Final = "ab"
_TOO_LITTLE: Final = "the second venue does not take what is left"


class LegPart(StrEnum):
    """Which order of a pair."""

    FIRST = "1"
    SECOND = "2"
    UNWIND = "u"


_PARTS: Final = tuple(LegPart)


@dataclass(frozen=True, slots=True)
class Leg:
    """One of the two orders, in its venue's ticks and lots."""

    venue: int
    """0 or 1."""
    side: Side
    size_lots: int
    price_ticks: int
    """The worst price of the decision."""
    lot_units: int = 1
    """Size units of a lot; both legs count in the same units."""
    min_lots: int = 1
    min_grains: int = 0
    """Least ticks times lots that the venue takes."""
    fee: Fraction = Fraction(0)
    """Added to what a buy pays, in quote."""
    fee_in_base: Fraction = Fraction(0)
    """Kept back from what a buy receives."""

    @property
    def spends(self) -> int:
        """What it needs: lots for a sale, ticks times lots for a buy."""
        if self.side is Side.SELL:
            return self.size_lots
        return ceil(self.price_ticks * self.size_lots * (1 + self.fee))

    def refusal(self) -> str:
        """Why the venue would not take it; empty if it would."""
        if self.size_lots < self.min_lots:
            return "lot"
        return "min_notional" if self.size_lots * self.price_ticks < self.min_grains else ""


@dataclass(frozen=True, slots=True)
class PairPlan:
    """Two orders that belong together: the first is sent first."""

    first: Leg
    second: Leg


@dataclass(frozen=True, slots=True, kw_only=True)
class PairState(LegState[int, tuple[int, int]]):
    """How far two orders are. Funds: free for the first and the second, in the measure of `Leg.spends`."""

    MISSED: ClassVar[str] = "the first leg missed"
    NOTHING: ClassVar[int] = 0

    plan: PairPlan
    changed: int = 0
    """Base bought less sold by the orders that have ended, in size units, fees in base included."""
    sent: tuple[int, ...] = (0, 0, 0)

    @property
    def held(self) -> int:
        """Base in size units: bought is positive."""
        return self.changed

    @property
    def undone(self) -> int:
        """Orders that undid the first."""
        return self.sent[_PARTS.index(LegPart.UNWIND)]

    @property
    def retries(self) -> int:
        """Attempts beyond the first of each part, and every undoing."""
        return max(0, self.sent[1] - 1) + self.undone

    def plus(self, change: int) -> int:
        """Both together."""
        return self.changed + change

    def is_nothing(self, change: int) -> bool:
        """Whether an order took nothing."""
        return not change

    def slot(self, part: int, attempt: int) -> str:
        """Such as `a100` for the first attempt at the first order, on venue 0."""
        leg = self.plan.second if _PARTS[part] is LegPart.SECOND else self.plan.first
        return leg_slot(leg.venue, _PARTS[part], attempt)

    def place_of(self, slot: str) -> int:
        """The venue."""
        return _VENUES.index(slot[0])

    def refusal(self, funds: tuple[int, int]) -> str:
        """Balance with its fee, lot and least notional of both legs are looked at."""
        for leg, free in zip((self.plan.first, self.plan.second), funds, strict=True):
            problem = leg.refusal() or ("balance" if leg.spends > free else "")
            if problem:
                return f"{problem} of the {leg.side.value} on venue {leg.venue}"
        return ""

    def opening(self) -> Move:
        """The first leg as decided."""
        leg = self.plan.first
        return Next(0, leg.venue, leg.side, leg.size_lots, leg.price_ticks, LegStage.FIRST, "first leg")

    def onward(self, reason: str, now_ns: int) -> Move:
        """The second leg with what is held, until it is passed on, late, or tried often enough."""
        leg, attempt = self.plan.second, self.sent[1]
        lots = self.lots(leg)
        if not lots and not attempt:
            return self.undo("too little was taken for the second venue")
        if not lots:
            if not self.rules.carries and self.lots(self.plan.first):
                return self.undo(_TOO_LITTLE)
            return Over(LegStage.DONE, "both legs are through")
        if attempt and self.is_late(now_ns):
            return self.undo(reason or "the second leg was too late")
        if attempt > self.rules.retries:
            return self.undo(reason or "the second leg missed")
        price = beyond(leg.price_ticks, leg.side, self.rules.band * (attempt + 1))
        why = "second leg" if not attempt else f"second leg, attempt {attempt + 1}"
        return Next(1, leg.venue, leg.side, lots, price, LegStage.SECOND, why)

    def undo(self, reason: str) -> Move:
        """What is held goes back where the first leg traded, one band further with each attempt."""
        leg, attempt = self.plan.first, self.undone
        lots = self.lots(leg)
        if not lots:
            return Over(LegStage.DONE, f"undone: {reason}" if attempt else reason)
        if attempt > self.rules.unwind_retries:
            return Stuck(f"{reason}; the first leg could not be undone")
        side = Side.SELL if self.held > 0 else Side.BUY
        price = beyond(leg.price_ticks, side, self.rules.unwind_band * (attempt + 1))
        return Next(2, leg.venue, side, lots, price, LegStage.UNWIND, f"undo: {reason}", reason, failed=True)

    def lots(self, leg: Leg) -> int:
        """Lots on a leg's venue that pass on what is held; 0 where that is less than the venue takes."""
        units = abs(self.held)
        if units < leg.lot_units:
            return 0
        if self.held > 0 or self.rules.carries:
            # What is carried can wait for the next one: never more is passed on than is held.
            lots = units // leg.lot_units
        else:
            lots = ceil(units / (leg.lot_units * (1 - leg.fee_in_base)))
        if lots < leg.min_lots or lots * leg.price_ticks < leg.min_grains:
            return 0
        return lots


def begin(plan: PairPlan, rules: LegRules) -> PairState:
    """A pair of which nothing was sent."""
    return PairState(plan=plan, rules=rules)


def resume(plan: PairPlan, rules: LegRules, held_units: int, unwound: int, now_ns: int) -> PairState:
    """A pair that a crash interrupted, once every order of it is known: what it left is undone.

    Args:
        plan: its first leg is where, and near which price, it is undone.
        rules: the rules.
        held_units: what its fills add up to.
        unwound: attempts at undoing that were made before.
        now_ns: now.
    """
    state = PairState(
        plan=plan,
        rules=rules,
        stage=LegStage.UNWIND,
        changed=held_units,
        sent=(1, 1, unwound),
        begun_ns=now_ns,
        reason="resumed",
    )
    return state if state.lots(plan.first) else replace(state, stage=LegStage.DONE)


def hedge(plan: PairPlan, rules: LegRules, held_units: int, now_ns: int) -> PairState:
    """A pair whose first order has traded already, as a maker's quote does; the next `Tick` sends the second.

    Args:
        plan: its second leg is where what is held is passed on, its first where it is undone otherwise.
        rules: the rules; `carries` belongs to them.
        held_units: what is to be passed on: bought is positive.
        now_ns: the deadline counts from here.
    """
    state = PairState(plan=plan, rules=rules, stage=LegStage.SECOND, changed=held_units, begun_ns=now_ns)
    if state.lots(plan.second):
        return state
    return replace(state, stage=LegStage.REFUSED, reason=_TOO_LITTLE)


def leg_slot(venue: int, part: LegPart, attempt: int) -> str:
    """The slot of an order, such as `a100` for the first attempt at the first order, on venue 0."""
    return make_slot(_VENUES[venue], part.value, attempt)


def parse_leg_slot(slot: str) -> tuple[int, LegPart, int] | None:
    """(venue, part, attempt) of a slot; None for one that is no leg's."""
    found = split_slot(slot, _VENUES, "12u")
    return None if found is None else (_VENUES.index(found[0]), LegPart(found[1]), found[2])
