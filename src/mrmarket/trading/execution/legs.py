"""A pair of orders on two venues as a state machine: both, or neither, or a halt that says what is held.

Pure: `decide(state, event) -> (state, actions)`. At most one order is out at any time, and nothing is sent
while the fate of the last one is unknown. The first order takes or misses; what it took the second passes on
inside a band, tried again within a budget and a deadline; what is still left is undone where the first one
traded; what cannot be undone halts the run. Every order has a slot that says venue, part and attempt, so that
together with the number of the pair it has one id for ever, and the journal refuses to send it twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from math import ceil, floor
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side

_VENUES: Final = "ab"
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_TOO_LITTLE: Final = "the second venue does not take what is left"


class LegPart(StrEnum):
    """Which order of a pair."""

    FIRST = "1"
    SECOND = "2"
    UNWIND = "u"


class LegStage(StrEnum):
    """How far a pair of orders is."""

    READY = "ready"
    FIRST = "first"
    SECOND = "second"
    UNWIND = "unwind"
    DONE = "done"
    """Nothing is held beyond what no venue would take."""
    REFUSED = "refused"
    """Nothing was sent."""
    HALTED = "halted"
    """Something is held, or may be, that could not be passed on or undone: the owner has to look."""


@dataclass(frozen=True, slots=True)
class LegRules:
    """How a pair is carried out. Fractions of 1, nanoseconds."""

    retries: int = 2
    """Further attempts at the second order."""
    band: Fraction = Fraction(1, 1000)
    """How far beyond its price the second order may trade; each attempt may go one more band."""
    deadline_ns: int = 5 * NS_PER_S
    """Since the first order; afterwards the second is not tried again."""
    unwind_band: Fraction = Fraction(5, 1000)
    unwind_retries: int = 3
    doubt_ns: int = 60 * NS_PER_S
    """An order whose fate is unknown for so long halts the run."""
    carries: bool = False
    """What is less than the second venue takes is left for later, not undone, and nothing is rounded up."""


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


@dataclass(frozen=True, slots=True)
class Begin:
    """Look whether both can be paid for, then send the first."""

    now_ns: int
    funds: tuple[int, int]
    """Free for the first and the second leg, in the measure of `Leg.spends`."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The order of a slot is closed for good and each of its fills is known."""

    now_ns: int
    slot: str
    base_units: int
    """What it changed in base, fees in base included: bought is positive."""
    reason: str = ""
    """Why it was refused, if it was."""


@dataclass(frozen=True, slots=True)
class Doubted:
    """A request had no answer."""

    now_ns: int
    slot: str


@dataclass(frozen=True, slots=True)
class Corrected:
    """A fill came after its order had been told as ended."""

    now_ns: int
    base_units: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""

    now_ns: int


LegEvent = Begin | Ended | Doubted | Corrected | Tick


@dataclass(frozen=True, slots=True)
class Send:
    """Send an immediate-or-cancel order."""

    slot: str
    venue: int
    side: Side
    size_lots: int
    price_ticks: int
    why: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Find out what became of an order before anything else is sent."""

    slot: str
    venue: int


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop the run and tell the owner."""

    reason: str
    exposure_units: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The pair is over."""

    stage: LegStage
    reason: str


LegAction = Send | Ask | Halt | Finish


@dataclass(frozen=True, slots=True)
class LegState:
    """Everything there is to know of a pair; the same events always lead to the same state."""

    plan: PairPlan
    rules: LegRules
    stage: LegStage = LegStage.READY
    exposure_units: int = 0
    """Base bought less sold by the orders that have ended."""
    waiting: str = ""
    """Slot of the order that is out; empty if none is."""
    doubted_ns: int | None = None
    """Since when its fate is unknown."""
    sent: tuple[int, int, int] = (0, 0, 0)
    """Attempts so far: first, second, unwinding."""
    begun_ns: int = 0
    reason: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is sent for it."""
        return self.stage in (LegStage.DONE, LegStage.REFUSED, LegStage.HALTED)

    @property
    def retries(self) -> int:
        """Attempts beyond the first of each part, and every undoing."""
        return max(0, self.sent[1] - 1) + self.sent[2]


def leg_slot(venue: int, part: LegPart, attempt: int) -> str:
    """The slot of an order, such as `a100` for the first attempt at the first order, on venue 0."""
    return f"{_VENUES[venue]}{part.value}{_DIGITS[attempt // 36]}{_DIGITS[attempt % 36]}"


def parse_leg_slot(slot: str) -> tuple[int, LegPart, int] | None:
    """(venue, part, attempt) of a slot; None for one that is no leg's."""
    if len(slot) != 4 or slot[0] not in _VENUES or slot[1] not in "12u":  # noqa: PLR2004 - as `leg_slot` makes it
        return None
    return _VENUES.index(slot[0]), LegPart(slot[1]), int(slot[2:], 36)


def begin(plan: PairPlan, rules: LegRules) -> LegState:
    """A pair of which nothing was sent."""
    return LegState(plan, rules)


def resume(plan: PairPlan, rules: LegRules, exposure_units: int, unwound: int, now_ns: int) -> LegState:
    """A pair that a crash interrupted, once every order of it is known: what it left is undone.

    Args:
        plan: its first leg is where, and near which price, it is undone.
        rules: the rules.
        exposure_units: what its fills add up to.
        unwound: attempts at undoing that were made before.
        now_ns: now.
    """
    state = LegState(
        plan, rules, LegStage.UNWIND, exposure_units, sent=(1, 1, unwound), begun_ns=now_ns, reason="resumed"
    )
    if _lots(state, plan.first):
        return state
    return replace(state, stage=LegStage.DONE)


def hedge(plan: PairPlan, rules: LegRules, exposure_units: int, now_ns: int) -> LegState:
    """A pair whose first order has traded already, as a maker's quote does; the next `Tick` sends the second.

    Args:
        plan: its second leg is where what is held is passed on, its first where it is undone otherwise.
        rules: the rules; `carries` belongs to them.
        exposure_units: what is to be passed on: bought is positive.
        now_ns: the deadline counts from here.
    """
    state = LegState(plan, rules, LegStage.SECOND, exposure_units, begun_ns=now_ns)
    if _lots(state, plan.second):
        return state
    return replace(state, stage=LegStage.REFUSED, reason=_TOO_LITTLE)


def decide(state: LegState, event: LegEvent) -> tuple[LegState, tuple[LegAction, ...]]:
    """What to do next. An event that no longer matters changes nothing."""
    match event:
        case Begin():
            return _begin(state, event)
        case Doubted():
            return _doubted(state, event)
        case Ended():
            return _ended(state, event)
        case Corrected():
            return _corrected(state, event.base_units)
        case Tick():
            return _tick(state, event.now_ns)


def _doubted(state: LegState, event: Doubted) -> tuple[LegState, tuple[LegAction, ...]]:
    if event.slot != state.waiting or state.doubted_ns is not None:
        return state, ()
    return replace(state, doubted_ns=event.now_ns), (Ask(event.slot, _VENUES.index(event.slot[0])),)


def _corrected(state: LegState, base_units: int) -> tuple[LegState, tuple[LegAction, ...]]:
    state = replace(state, exposure_units=state.exposure_units + base_units)
    if state.stage is LegStage.HALTED:
        return state, (Halt(state.reason, state.exposure_units),)
    if state.is_over:
        return _unwind(state, "a fill came late")
    return state, ()


def _begin(state: LegState, event: Begin) -> tuple[LegState, tuple[LegAction, ...]]:
    if state.stage is not LegStage.READY:
        return state, ()
    for leg, funds in zip((state.plan.first, state.plan.second), event.funds, strict=True):
        problem = leg.refusal() or ("balance" if leg.spends > funds else "")
        if problem:
            reason = f"{problem} of the {leg.side.value} on venue {leg.venue}"
            return _over(state, LegStage.REFUSED, reason)
    first = state.plan.first
    state = replace(state, stage=LegStage.FIRST, begun_ns=event.now_ns)
    return _send(state, LegPart.FIRST, first, first.side, first.size_lots, first.price_ticks, "first leg")


def _ended(state: LegState, event: Ended) -> tuple[LegState, tuple[LegAction, ...]]:
    if event.slot != state.waiting:
        return state, ()
    moved = state.exposure_units + event.base_units
    state = replace(state, exposure_units=moved, waiting="", doubted_ns=None)
    if state.stage is LegStage.HALTED:
        return state, (Halt(state.reason, moved),)
    if state.stage is LegStage.FIRST:
        return _after_first(state, event)
    if state.stage is LegStage.SECOND:
        return _after_second(state, event)
    return _unwind(state, event.reason or state.reason)


def _after_first(state: LegState, event: Ended) -> tuple[LegState, tuple[LegAction, ...]]:
    if not event.base_units:
        return _over(state, LegStage.DONE, event.reason or "the first leg missed")
    if not _lots(state, state.plan.second):
        return _unwind(state, "too little was taken for the second venue")
    return _second(replace(state, stage=LegStage.SECOND))


def _after_second(state: LegState, event: Ended) -> tuple[LegState, tuple[LegAction, ...]]:
    if not _lots(state, state.plan.second):
        if not state.rules.carries and _lots(state, state.plan.first):
            return _unwind(state, _TOO_LITTLE)
        return _over(state, LegStage.DONE, "both legs are through")
    if event.now_ns - state.begun_ns >= state.rules.deadline_ns:
        return _unwind(state, event.reason or "the second leg was too late")
    if state.sent[1] > state.rules.retries:
        return _unwind(state, event.reason or "the second leg missed")
    return _second(state)


def _tick(state: LegState, now_ns: int) -> tuple[LegState, tuple[LegAction, ...]]:
    if state.is_over:
        return state, ()
    if state.doubted_ns is not None:
        if now_ns - state.doubted_ns < state.rules.doubt_ns:
            return state, ()
        reason = f"the fate of order {state.waiting} stays unknown"
        return replace(state, stage=LegStage.HALTED, reason=reason), (Halt(reason, state.exposure_units),)
    if state.waiting:
        return state, ()
    if state.stage is LegStage.SECOND:
        return _second(state)
    return _unwind(state, state.reason) if state.stage is LegStage.UNWIND else (state, ())


def _second(state: LegState) -> tuple[LegState, tuple[LegAction, ...]]:
    leg = state.plan.second
    attempt = state.sent[1]
    lots = _lots(state, leg)
    price = _beyond(leg.price_ticks, leg.side, state.rules.band * (attempt + 1))
    why = "second leg" if not attempt else f"second leg, attempt {attempt + 1}"
    return _send(state, LegPart.SECOND, leg, leg.side, lots, price, why)


def _unwind(state: LegState, reason: str) -> tuple[LegState, tuple[LegAction, ...]]:
    leg, attempt = state.plan.first, state.sent[2]
    lots = _lots(state, leg)
    if not lots:
        return _over(state, LegStage.DONE, f"undone: {reason}" if attempt else reason)
    if attempt > state.rules.unwind_retries:
        said = f"{reason}; the first leg could not be undone"
        halted = replace(state, stage=LegStage.HALTED, reason=said)
        return halted, (Halt(said, state.exposure_units),)
    state = replace(state, stage=LegStage.UNWIND, reason=reason)
    side = Side.SELL if state.exposure_units > 0 else Side.BUY
    price = _beyond(leg.price_ticks, side, state.rules.unwind_band * (attempt + 1))
    return _send(state, LegPart.UNWIND, leg, side, lots, price, f"undo: {reason}")


def _send(
    state: LegState, part: LegPart, leg: Leg, side: Side, lots: int, price: int, why: str
) -> tuple[LegState, tuple[LegAction, ...]]:
    at = list(LegPart).index(part)
    slot = leg_slot(leg.venue, part, state.sent[at])
    sent = tuple(count + (number == at) for number, count in enumerate(state.sent))
    state = replace(state, waiting=slot, sent=(sent[0], sent[1], sent[2]))
    return state, (Send(slot, leg.venue, side, lots, price, why),)


def _over(state: LegState, stage: LegStage, reason: str) -> tuple[LegState, tuple[LegAction, ...]]:
    return replace(state, stage=stage, reason=reason), (Finish(stage, reason),)


def _lots(state: LegState, leg: Leg) -> int:
    """Lots on a leg's venue that pass the exposure on; 0 where that is less than the venue takes."""
    units = abs(state.exposure_units)
    if units < leg.lot_units:
        return 0
    if state.exposure_units > 0 or state.rules.carries:
        # What is carried can wait for the next one: never more is passed on than is held.
        lots = units // leg.lot_units
    else:
        lots = ceil(units / (leg.lot_units * (1 - leg.fee_in_base)))
    if lots < leg.min_lots or lots * leg.price_ticks < leg.min_grains:
        return 0
    return lots


def _beyond(price_ticks: int, side: Side, band: Fraction) -> int:
    """The worst price inside a band around a price."""
    if side is Side.BUY:
        return floor(price_ticks * (1 + band))
    return max(1, ceil(price_ticks * (1 - band)))
