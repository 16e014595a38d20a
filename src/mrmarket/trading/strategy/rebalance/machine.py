"""One transfer as a state machine: asked for once, followed until it has arrived, never made twice. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.strategy.rebalance.port import TransferFate, TransferOrder


class TransferStage(StrEnum):
    """How far a transfer is."""

    PLANNED = "planned"
    ASKED = "asked"
    """The request is on its way, or its answer was lost."""
    PENDING = "pending"
    ARRIVED = "arrived"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TransferRules:
    """How long to wait for what. Nanoseconds."""

    absent_after_ns: int = 60 * NS_PER_S
    """A younger transfer may be denied by a place that simply has not heard of it yet."""
    ask_every_ns: int = 10 * NS_PER_S
    late_after_ns: int = 3_600 * NS_PER_S
    """The owner is told of one that has not arrived by then; it is followed all the same."""
    attempts: int = 3
    """Requests of one key, each only once its absence is proven."""


@dataclass(frozen=True, slots=True)
class Requested:
    """The request was answered with yes."""

    now_ns: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The request was answered with no."""

    now_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A request had no answer."""

    now_ns: int


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the port says of the transfer."""

    now_ns: int
    fate: TransferFate


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""

    now_ns: int


TransferEvent = Requested | Refused | Unanswered | Learnt | Tick


class TransferStep(StrEnum):
    """What to do next."""

    REQUEST = "request"
    ASK = "ask"
    TELL_LATE = "tell_late"


@dataclass(frozen=True, slots=True)
class TransferState:
    """Everything there is to know of one."""

    order: TransferOrder
    rules: TransferRules = TransferRules()
    stage: TransferStage = TransferStage.PLANNED
    requests: int = 0
    requested_ns: int = 0
    """When it was last asked for."""
    begun_ns: int = 0
    asked_ns: int = 0
    """When its fate was last asked."""
    told_late: bool = False
    reason: str = ""

    @property
    def is_over(self) -> bool:
        """Whether the money lies still again."""
        return self.stage in (TransferStage.ARRIVED, TransferStage.FAILED)


def transfer_key(run: str, number: int, move: int) -> str:
    """The key of a plan's move: the same plan gives the same key, so that nothing is sent twice."""
    return f"{run}-r{number}-{move}"


def decide(state: TransferState, event: TransferEvent) -> tuple[TransferState, tuple[TransferStep, ...]]:
    """What to do next. An event that no longer matters changes nothing."""
    if state.is_over:
        return state, ()
    match event:
        case Requested():
            return replace(state, stage=TransferStage.PENDING, reason=""), ()
        case Refused():
            return replace(state, stage=TransferStage.FAILED, reason=event.reason), ()
        case Unanswered():
            return replace(state, asked_ns=event.now_ns), (TransferStep.ASK,)
        case Learnt():
            return _learnt(state, event)
        case Tick():
            return _tick(state, event.now_ns)


def _learnt(state: TransferState, event: Learnt) -> tuple[TransferState, tuple[TransferStep, ...]]:
    if event.fate is TransferFate.ARRIVED:
        return replace(state, stage=TransferStage.ARRIVED), ()
    if event.fate is TransferFate.FAILED:
        return replace(state, stage=TransferStage.FAILED, reason="it came to nothing"), ()
    if event.fate is TransferFate.PENDING:
        return replace(state, stage=TransferStage.PENDING), ()
    # A place that forgets what it had known proves nothing, nor does one that may not have heard of it yet.
    young = event.now_ns - state.requested_ns < state.rules.absent_after_ns
    if state.stage is not TransferStage.ASKED or young:
        return state, ()
    if state.requests >= state.rules.attempts:
        return replace(state, stage=TransferStage.FAILED, reason="it could not be begun"), ()
    return _request(state, event.now_ns)


def _tick(state: TransferState, now_ns: int) -> tuple[TransferState, tuple[TransferStep, ...]]:
    if state.stage is TransferStage.PLANNED:
        return _request(replace(state, begun_ns=now_ns), now_ns)
    steps: list[TransferStep] = []
    if now_ns - max(state.asked_ns, state.requested_ns) >= state.rules.ask_every_ns:
        state = replace(state, asked_ns=now_ns)
        steps.append(TransferStep.ASK)
    if not state.told_late and now_ns - state.begun_ns >= state.rules.late_after_ns:
        state = replace(state, told_late=True)
        steps.append(TransferStep.TELL_LATE)
    return state, tuple(steps)


def _request(state: TransferState, now_ns: int) -> tuple[TransferState, tuple[TransferStep, ...]]:
    state = replace(
        state, stage=TransferStage.ASKED, requests=state.requests + 1, requested_ns=now_ns, asked_ns=now_ns
    )
    return state, (TransferStep.REQUEST,)
