"""A round of three orders as a state machine: home again with what it made, or a halt that says what is held.

Pure: `decide(state, event) -> (state, actions)`. At most one order is out at any time, and nothing is sent
while the fate of the last one is unknown. Each order spends what the one before has brought, so that a part
of a round is a smaller round. What the second pair does not take within its attempts and the deadline goes
back by the first, what the third does not take goes home by it inside a wider band; what no pair takes is too
little to trade and is left; what cannot be brought home halts the run. Every order has a slot that says part
and attempt, so that together with the number of the round it has one id for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from typing import Final

from mrmarket.core.side import Side
from mrmarket.trading.strategy.triangular.amounts import Amounts, added
from mrmarket.trading.strategy.triangular.round_plan import RoundPart, RoundPlan, RoundRules, round_slot

__all__ = [
    "Ask",
    "Begin",
    "Corrected",
    "Doubted",
    "Ended",
    "Finish",
    "Halt",
    "RoundAction",
    "RoundEvent",
    "RoundRules",
    "RoundStage",
    "RoundState",
    "Send",
    "Tick",
    "begin",
    "decide",
    "resume",
]

_PARTS: Final = tuple(RoundPart)
_THROUGH: Final = "all three are through"
_RESTARTED: Final = "undone after a restart"
_NONE_SENT: Final = (0, 0, 0, 0, 0)


class RoundStage(StrEnum):
    """How far a round is."""

    READY = "ready"
    FIRST = "first"
    SECOND = "second"
    THIRD = "third"
    HOMEWARD = "homeward"
    """Something went wrong; what is held goes home by its own pair."""
    DONE = "done"
    """Nothing is held beyond what no pair would take."""
    REFUSED = "refused"
    """Nothing was sent."""
    HALTED = "halted"
    """Something is held, or may be, that could not be brought home: the owner has to look."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Look whether the first order can be paid for, then send it."""

    now_ns: int
    home_free: Fraction


@dataclass(frozen=True, slots=True)
class Ended:
    """The order of a slot is closed for good and each of its fills is known."""

    now_ns: int
    slot: str
    changes: Amounts
    """What it changed, fees included."""
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
    changes: Amounts


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""

    now_ns: int


RoundEvent = Begin | Ended | Doubted | Corrected | Tick


@dataclass(frozen=True, slots=True)
class Send:
    """Send an immediate-or-cancel order."""

    slot: str
    step: int
    """Its pair: 0, 1 or 2."""
    side: Side
    size_lots: int
    price_ticks: int
    why: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Find out what became of an order before anything else is sent."""

    slot: str
    step: int


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop the run and tell the owner."""

    reason: str
    held: Amounts


@dataclass(frozen=True, slots=True)
class Finish:
    """The round is over."""

    stage: RoundStage
    reason: str


RoundAction = Send | Ask | Halt | Finish


@dataclass(frozen=True, slots=True)
class RoundState:
    """Everything there is to know of a round; the same events always lead to the same state."""

    plan: RoundPlan
    rules: RoundRules
    stage: RoundStage = RoundStage.READY
    changed: Mapping[str, Fraction] = field(default_factory=dict)
    """What the orders that have ended changed, home asset included."""
    waiting: str = ""
    """Slot of the order that is out; empty if none is."""
    doubted_ns: int | None = None
    """Since when its fate is unknown."""
    sent: tuple[int, int, int, int, int] = _NONE_SENT
    """Attempts so far, in the order of `RoundPart`."""
    begun_ns: int = 0
    reason: str = ""
    failed: bool = False
    """Whether a pair did not take what it should have; else what goes home by its own pair are remainders."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is sent for it."""
        return self.stage in (RoundStage.DONE, RoundStage.REFUSED, RoundStage.HALTED)

    @property
    def gained(self) -> Fraction:
        """Home asset that came back less what went out; what is left in between counts for nothing."""
        return self.changed.get(self.plan.home, Fraction(0))

    @property
    def held(self) -> dict[str, Fraction]:
        """What is between out and home."""
        return {asset: amount for asset, amount in self.changed.items() if amount and asset in self.between}

    @property
    def between(self) -> tuple[str, str]:
        """The two assets on the way."""
        return self.plan.steps[0].receives, self.plan.steps[1].receives

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


def begin(plan: RoundPlan, rules: RoundRules) -> RoundState:
    """A round of which nothing was sent."""
    return RoundState(plan, rules)


def resume(
    plan: RoundPlan, rules: RoundRules, changed: Amounts, undone: Mapping[RoundPart, int], now_ns: int
) -> RoundState:
    """A round that a crash interrupted, once every order of it is known: what it holds goes home.

    Args:
        plan: its first and third step are what is held goes home by, near the prices of now.
        rules: the rules.
        changed: what its fills add up to.
        undone: attempts at undoing that were made before.
        now_ns: now.
    """
    sent = (1, 1, 1, undone.get(RoundPart.BACK, 0), undone.get(RoundPart.HOME, 0))
    state = RoundState(
        plan,
        rules,
        RoundStage.HOMEWARD,
        dict(changed),
        sent=sent,
        begun_ns=now_ns,
        reason=_RESTARTED,
        failed=True,
    )
    sendable = any(_lots(state, part, Fraction(0)) for part in (RoundPart.BACK, RoundPart.HOME))
    return state if sendable else replace(state, stage=RoundStage.DONE)


def decide(state: RoundState, event: RoundEvent) -> tuple[RoundState, tuple[RoundAction, ...]]:
    """What to do next. An event that no longer matters changes nothing."""
    match event:
        case Begin():
            return _begin(state, event)
        case Doubted():
            return _doubted(state, event)
        case Ended():
            return _ended(state, event)
        case Corrected():
            return _corrected(state, event.changes)
        case Tick():
            return _tick(state, event.now_ns)


def _begin(state: RoundState, event: Begin) -> tuple[RoundState, tuple[RoundAction, ...]]:
    if state.stage is not RoundStage.READY:
        return state, ()
    step, lots = state.plan.steps[0], state.plan.first_lots
    problem = step.refusal(lots, step.price_ticks)
    if not problem and step.cost(lots, step.price_ticks) > event.home_free:
        problem = "balance"
    if problem:
        return _over(state, RoundStage.REFUSED, f"{problem} of the first order, {step.symbol}")
    state = replace(state, stage=RoundStage.FIRST, begun_ns=event.now_ns)
    return _send(state, RoundPart.FIRST, lots, step.price_ticks, "first of three")


def _doubted(state: RoundState, event: Doubted) -> tuple[RoundState, tuple[RoundAction, ...]]:
    if event.slot != state.waiting or state.doubted_ns is not None:
        return state, ()
    step = RoundPart(event.slot[1]).step
    return replace(state, doubted_ns=event.now_ns), (Ask(event.slot, step),)


def _corrected(state: RoundState, changes: Amounts) -> tuple[RoundState, tuple[RoundAction, ...]]:
    state = replace(state, changed=added(state.changed, changes))
    if state.stage is RoundStage.HALTED:
        return state, (Halt(state.reason, state.held),)
    if not state.is_over:
        return state, ()
    return _homeward(replace(state, failed=True), "a fill came late")


def _ended(state: RoundState, event: Ended) -> tuple[RoundState, tuple[RoundAction, ...]]:
    if event.slot != state.waiting:
        return state, ()
    state = replace(state, changed=added(state.changed, event.changes), waiting="", doubted_ns=None)
    if state.stage is RoundStage.HALTED:
        return state, (Halt(state.reason, state.held),)
    if state.stage is RoundStage.FIRST and not any(event.changes.values()):
        return _over(state, RoundStage.DONE, event.reason or "the first order missed")
    if state.stage is RoundStage.HOMEWARD:
        return _homeward(state, state.reason)
    return _forward(state, event)


def _forward(state: RoundState, event: Ended) -> tuple[RoundState, tuple[RoundAction, ...]]:
    """The next order that can be sent: the second, the third, else what is held goes home."""
    late = event.now_ns - state.begun_ns >= state.rules.deadline_ns
    for stage, part in ((RoundStage.SECOND, RoundPart.SECOND), (RoundStage.THIRD, RoundPart.THIRD)):
        attempt = state.attempts(part)
        band = state.rules.band * attempt
        lots = _lots(state, part, band)
        if not lots:
            continue
        over = state.stage is RoundStage.THIRD and part is RoundPart.SECOND
        if over or (attempt and (attempt > state.rules.retries or late)):
            state = replace(state, failed=True)
        else:
            word = "second of three" if part is RoundPart.SECOND else "third of three"
            why = word if not attempt else f"{word}, attempt {attempt + 1}"
            state = replace(state, stage=stage)
            return _send(state, part, lots, state.plan.step(part).beyond(band), why)
    if not state.failed and state.attempts(RoundPart.THIRD):
        return _homeward(state, _THROUGH)
    late_or_not = "an order was too late" if late else "a pair did not take all of it"
    return _homeward(replace(state, failed=True), event.reason or late_or_not)


def _homeward(state: RoundState, reason: str) -> tuple[RoundState, tuple[RoundAction, ...]]:
    """What is held goes home by its own pair; what that would not take is too little to trade."""
    stuck = False
    for part in (RoundPart.HOME, RoundPart.BACK):
        attempt = state.attempts(part)
        band = state.rules.unwind_band * (attempt + 1)
        lots = _lots(state, part, band)
        if not lots:
            continue
        if attempt > state.rules.unwind_retries:
            stuck = True
            continue
        state = replace(state, stage=RoundStage.HOMEWARD, reason=reason)
        return _send(state, part, lots, state.plan.step(part).beyond(band), f"home: {reason}")
    if stuck and state.failed:
        said = f"{reason}; what is held could not be brought home"
        return replace(state, stage=RoundStage.HALTED, reason=said), (Halt(said, state.held),)
    undone = state.failed and state.undone and reason != _RESTARTED
    return _over(state, RoundStage.DONE, f"undone: {reason}" if undone else reason)


def _tick(state: RoundState, now_ns: int) -> tuple[RoundState, tuple[RoundAction, ...]]:
    if state.is_over:
        return state, ()
    if state.doubted_ns is not None:
        if now_ns - state.doubted_ns < state.rules.doubt_ns:
            return state, ()
        reason = f"the fate of order {state.waiting} stays unknown"
        return replace(state, stage=RoundStage.HALTED, reason=reason), (Halt(reason, state.held),)
    if state.stage is RoundStage.HOMEWARD and not state.waiting:
        return _homeward(state, state.reason)
    return state, ()


def _lots(state: RoundState, part: RoundPart, band: Fraction) -> int:
    """Lots of a part that what is held pays for."""
    step = state.plan.step(part)
    return step.lots(state.changed.get(step.spends, Fraction(0)), step.beyond(band))


def _send(
    state: RoundState, part: RoundPart, lots: int, price_ticks: int, why: str
) -> tuple[RoundState, tuple[RoundAction, ...]]:
    at = _PARTS.index(part)
    slot = round_slot(part, state.sent[at])
    one, two, three, back, home = (count + (number == at) for number, count in enumerate(state.sent))
    state = replace(state, waiting=slot, sent=(one, two, three, back, home))
    return state, (Send(slot, part.step, state.plan.step(part).side, lots, price_ticks, why),)


def _over(state: RoundState, stage: RoundStage, reason: str) -> tuple[RoundState, tuple[RoundAction, ...]]:
    return replace(state, stage=stage, reason=reason), (Finish(stage, reason),)
