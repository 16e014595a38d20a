"""Orders that belong together as a state machine: each is sent when the one before is known.

Pure: `decide(state, event) -> (state, actions)`. At most one order is out at any time, and nothing is sent
while the fate of the last one is unknown. Which order comes next is the state's own affair: `leg_pair` has
two orders on two venues and a maker's hedges, `triangular.round` three on one. Whatever they are, the first
takes or misses; what it took is passed on, tried again within a budget and a deadline; what is left goes
back; what cannot go back halts the run. Every order has a slot that says part and attempt, so that together
with the number of what it belongs to it has one id for ever, and the journal refuses to send it twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from math import ceil, floor
from typing import Any, ClassVar, Final, Generic, TypeVar

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_WIDTH: Final = 4
_LATE_FILL: Final = "a fill came late"

Change = TypeVar("Change")
"""What an order changed: base in size units, or amounts by asset."""
Funds = TypeVar("Funds")
"""What is free before the first order."""
State = TypeVar("State", bound="LegState[Any, Any]")


class LegStage(StrEnum):
    """How far orders that belong together are."""

    READY = "ready"
    FIRST = "first"
    SECOND = "second"
    THIRD = "third"
    UNWIND = "unwind"
    """What is held goes back to where it came from."""
    DONE = "done"
    """Nothing is held beyond what no market would take."""
    REFUSED = "refused"
    """Nothing was sent."""
    HALTED = "halted"
    """Something is held, or may be, that could not be passed on or undone: the owner has to look."""


@dataclass(frozen=True, slots=True)
class LegRules:
    """How orders that belong together are carried out. Fractions of 1, nanoseconds."""

    retries: int = 2
    """Further attempts at each order after the first one."""
    band: Fraction = Fraction(1, 1000)
    """How far beyond its price an attempt may trade; each further one may go one more band."""
    deadline_ns: int = 5 * NS_PER_S
    """Since the first order; afterwards no other is tried again."""
    unwind_band: Fraction = Fraction(5, 1000)
    unwind_retries: int = 3
    doubt_ns: int = 60 * NS_PER_S
    """An order whose fate is unknown for so long halts the run."""
    carries: bool = False
    """What is less than the second venue takes is left for later, not undone, and nothing is rounded up."""


# What the machine hears.


@dataclass(frozen=True, slots=True)
class Begin(Generic[Funds]):
    """Look whether all can be paid for, then send the first order."""

    now_ns: int
    funds: Funds
    """What is free, in the measure of the state."""


@dataclass(frozen=True, slots=True)
class Ended(Generic[Change]):
    """The order of a slot is closed for good and each of its fills is known."""

    now_ns: int
    slot: str
    change: Change
    """What it changed, fees included."""
    reason: str = ""
    """Why it was refused, if it was."""


@dataclass(frozen=True, slots=True)
class Doubted:
    """A request had no answer."""

    now_ns: int
    slot: str


@dataclass(frozen=True, slots=True)
class Corrected(Generic[Change]):
    """A fill came after its order had been told as ended."""

    now_ns: int
    change: Change


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""

    now_ns: int


LegEvent = Begin[Any] | Ended[Any] | Doubted | Corrected[Any] | Tick

# What it says.


@dataclass(frozen=True, slots=True)
class Send:
    """Send an immediate-or-cancel order."""

    slot: str
    place: int
    """Which market: the venue of a pair, the step of a round."""
    side: Side
    size_lots: int
    price_ticks: int
    why: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Find out what became of an order before anything else is sent."""

    slot: str
    place: int


@dataclass(frozen=True, slots=True)
class Halt(Generic[Change]):
    """Stop the run and tell the owner."""

    reason: str
    held: Change


@dataclass(frozen=True, slots=True)
class Finish:
    """It is over."""

    stage: LegStage
    reason: str


LegAction = Send | Ask | Halt[Any] | Finish

# What a state says comes next.


@dataclass(frozen=True, slots=True)
class Next:
    """The next order, and where it brings its state."""

    part: int
    """Place of its part in `LegState.sent`."""
    place: int
    side: Side
    size_lots: int
    price_ticks: int
    stage: LegStage
    why: str
    because: str = ""
    """Why something is undone; empty keeps the reason that is known."""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more is sent."""

    stage: LegStage
    reason: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Stuck:
    """What is held cannot be passed on or undone."""

    reason: str


Move = Next | Over | Stuck


@dataclass(frozen=True, slots=True, kw_only=True)
class LegState(ABC, Generic[Change, Funds]):
    """Everything there is to know of orders that belong together; the same events lead to the same state.

    A subclass says which order comes next, and adds up what orders change.
    """

    MISSED: ClassVar[str]
    """What is said of a first order that took nothing."""
    NOTHING: ClassVar[Any]
    """What an order changed that was never sent."""

    rules: LegRules
    changed: Change
    """What the orders that have ended changed."""
    sent: tuple[int, ...]
    """Attempts so far, by part."""
    stage: LegStage = LegStage.READY
    waiting: str = ""
    """Slot of the order that is out; empty if none is."""
    doubted_ns: int | None = None
    """Since when its fate is unknown."""
    begun_ns: int = 0
    reason: str = ""
    failed: bool = False
    """Whether an order did not take what it should have, so that something went back."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is sent for it."""
        return self.stage in (LegStage.DONE, LegStage.REFUSED, LegStage.HALTED)

    @property
    @abstractmethod
    def held(self) -> Change:
        """What is neither out nor home."""

    @property
    @abstractmethod
    def undone(self) -> int:
        """Orders that brought something back."""

    @property
    @abstractmethod
    def retries(self) -> int:
        """Attempts beyond the first of each part, and every undoing."""

    @abstractmethod
    def plus(self, change: Change) -> Change:
        """What has changed together with this."""

    @abstractmethod
    def is_nothing(self, change: Change) -> bool:
        """Whether an order changed nothing."""

    @abstractmethod
    def slot(self, part: int, attempt: int) -> str:
        """The slot of an attempt at a part."""

    @abstractmethod
    def place_of(self, slot: str) -> int:
        """Which market a slot's order is sent to."""

    @abstractmethod
    def refusal(self, funds: Funds) -> str:
        """Why nothing may be sent at all; empty if something may."""

    @abstractmethod
    def opening(self) -> Move:
        """The first order."""

    @abstractmethod
    def onward(self, reason: str, now_ns: int) -> Move:
        """What comes after an order that has ended; `reason`: why it was refused, if it was."""

    @abstractmethod
    def undo(self, reason: str) -> Move:
        """What brings back what is held."""

    def is_late(self, now_ns: int) -> bool:
        """Whether orders after the first are not tried again any more."""
        return now_ns - self.begun_ns >= self.rules.deadline_ns


def decide(state: State, event: LegEvent) -> tuple[State, tuple[LegAction, ...]]:
    """What to do next. An event that no longer matters changes nothing."""
    match event:
        case Begin():
            return _begin(state, event)
        case Doubted():
            return _doubted(state, event)
        case Ended():
            return _ended(state, event)
        case Corrected():
            return _corrected(state, event)
        case Tick():
            return _tick(state, event.now_ns)


def _begin(state: State, event: Begin[Any]) -> tuple[State, tuple[LegAction, ...]]:
    if state.stage is not LegStage.READY:
        return state, ()
    problem = state.refusal(event.funds)
    if problem:
        return _go(state, Over(LegStage.REFUSED, problem))
    state = replace(state, begun_ns=event.now_ns)
    return _go(state, state.opening())


def _doubted(state: State, event: Doubted) -> tuple[State, tuple[LegAction, ...]]:
    if event.slot != state.waiting or state.doubted_ns is not None:
        return state, ()
    return replace(state, doubted_ns=event.now_ns), (Ask(event.slot, state.place_of(event.slot)),)


def _corrected(state: State, event: Corrected[Any]) -> tuple[State, tuple[LegAction, ...]]:
    state = replace(state, changed=state.plus(event.change))
    if state.stage is LegStage.HALTED:
        return state, (Halt(state.reason, state.held),)
    if not state.is_over:
        return state, ()
    state = replace(state, failed=True)
    return _go(state, state.undo(_LATE_FILL))


def _ended(state: State, event: Ended[Any]) -> tuple[State, tuple[LegAction, ...]]:
    if event.slot != state.waiting:
        return state, ()
    state = replace(state, changed=state.plus(event.change), waiting="", doubted_ns=None)
    if state.stage is LegStage.HALTED:
        return state, (Halt(state.reason, state.held),)
    if state.stage is LegStage.FIRST and state.is_nothing(event.change):
        return _go(state, Over(LegStage.DONE, event.reason or state.MISSED))
    if state.stage is LegStage.UNWIND:
        return _go(state, state.undo(event.reason or state.reason))
    return _go(state, state.onward(event.reason, event.now_ns))


def _tick(state: State, now_ns: int) -> tuple[State, tuple[LegAction, ...]]:
    if state.is_over:
        return state, ()
    if state.doubted_ns is not None:
        if now_ns - state.doubted_ns < state.rules.doubt_ns:
            return state, ()
        return _go(state, Stuck(f"the fate of order {state.waiting} stays unknown"))
    if state.waiting or state.stage is LegStage.READY:
        return state, ()
    if state.stage is LegStage.UNWIND:
        return _go(state, state.undo(state.reason))
    return _go(state, state.onward("", now_ns))


def _go(state: State, move: Move) -> tuple[State, tuple[LegAction, ...]]:
    match move:
        case Over():
            state = replace(state, stage=move.stage, reason=move.reason, failed=state.failed or move.failed)
            return state, (Finish(move.stage, move.reason),)
        case Stuck():
            state = replace(state, stage=LegStage.HALTED, reason=move.reason)
            return state, (Halt(move.reason, state.held),)
        case Next():
            slot = state.slot(move.part, state.sent[move.part])
            state = replace(
                state,
                stage=move.stage,
                waiting=slot,
                sent=tuple(count + (part == move.part) for part, count in enumerate(state.sent)),
                reason=move.because or state.reason,
                failed=state.failed or move.failed,
            )
            return state, (Send(slot, move.place, move.side, move.size_lots, move.price_ticks, move.why),)


def make_slot(head: str, part: str, attempt: int) -> str:
    """The slot of an order, such as `a100` for the first attempt at part 1 under head `a`."""
    return f"{head}{part}{_DIGITS[attempt // 36]}{_DIGITS[attempt % 36]}"


def split_slot(slot: str, heads: str, parts: str) -> tuple[str, str, int] | None:
    """(head, part, attempt) of a slot; None for one that is not of these heads and parts."""
    if len(slot) != _WIDTH or slot[0] not in heads or slot[1] not in parts:
        return None
    return slot[0], slot[1], int(slot[2:], 36)


def beyond(price_ticks: int, side: Side, band: Fraction) -> int:
    """The worst price inside a band around a price."""
    if side is Side.BUY:
        return floor(price_ticks * (1 + band))
    return max(1, ceil(price_ticks * (1 - band)))
