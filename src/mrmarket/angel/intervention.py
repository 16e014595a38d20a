"""One intervention, from the first suspicion until nothing of the old fence is left. Pure.

    SEIZING → SWEEPING → PROVING → CLEARED → CLOSED

`step(state, event, pace)` says what to do; the edge does it and tells what came of it. Venues advance on
their own, so that one that does not answer holds up no other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from mrmarket.angel import sweep as sweeping
from mrmarket.angel.sweep import Pace, Scope, Sweep, SweepStage
from mrmarket.trading.venue.port import OrderReport


class Stage(StrEnum):
    """How far an intervention is."""

    SEIZING = "seizing"
    SWEEPING = "sweeping"
    PROVING = "proving"
    CLEARED = "cleared"
    """Every venue is proven empty. While the old holder could not be fenced off, the venues stay watched."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervention:
    """What is known of it; times are the Angel's monotonic clock in ns."""

    id: str
    nodes: tuple[str, ...]
    runs: tuple[str, ...]
    """Whose leases are to be taken."""
    scope: Scope
    began_ns: int
    stage: Stage = Stage.SEIZING
    fences: tuple[tuple[str, int], ...] = ()
    """(run, our fence) of each seized lease."""
    seizing: bool = False
    """An attempt is under way."""
    seize_due_ns: int = 0
    seize_failures: int = 0
    last_send_ns: int | None = None
    """After this no order of an old fence can leave; None while not every lease is ours."""
    sends_until_ns: int = 0
    """The same for the leases taken so far."""
    recovering: bool = False
    sweeps: tuple[Sweep, ...] = ()

    @property
    def fenced(self) -> bool:
        """Whether every lease is ours, so that no new order of the old fence can leave."""
        return self.last_send_ns is not None

    def bound_ns(self, pace: Pace) -> int | None:
        """From when on nothing of the old fence can land.

        Without the leases the old holder may send for as long as it lives; then the bound is taken from
        the beginning, and the venues stay watched although they were empty.
        """
        since_ns = self.began_ns + pace.lease_ttl_ns if self.last_send_ns is None else self.last_send_ns
        return since_ns + pace.recv_window_ns + pace.skew_ns

    @property
    def swept_ns(self) -> int | None:
        """When the first full sweep of every venue that answers was acknowledged; None if it is not."""
        times = [sweep.swept_ns for sweep in self.sweeps if sweep.stage is not SweepStage.GONE]
        return None if None in times else max((at for at in times if at is not None), default=self.began_ns)

    @property
    def proven_ns(self) -> int | None:
        """When the last venue was proven empty; None if one is not."""
        times = [sweep.proven_ns for sweep in self.sweeps if sweep.stage is not SweepStage.GONE]
        return None if None in times else max((at for at in times if at is not None), default=self.began_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has passed."""

    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Widened:
    """Another node fell silent meanwhile."""

    at_ns: int
    node: str
    runs: tuple[str, ...]
    scope: Scope
    unfenced: bool = False
    """Whether nobody could say which leases it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seized:
    """An attempt at the leases has ended, for some of them or all."""

    at_ns: int
    fences: tuple[tuple[str, int], ...]
    missing: tuple[str, ...] = ()
    last_send_ns: int
    """Until when the old holders may believe that they hold the leases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeizeFailed:
    """The store did not answer."""

    at_ns: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """A venue listed every open order."""

    at_ns: int
    asked_ns: int
    venue: str
    orders: tuple[OrderReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PollFailed:
    """A venue did not answer a poll."""

    at_ns: int
    venue: str
    reason: str
    retry_after_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """A round of cancels has ended: so many acknowledged (or unknown to the venue), so many unanswered."""

    at_ns: int
    venue: str
    done: int
    failed: int = 0
    reason: str = ""
    retry_after_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeBack:
    """The node beats again, under its old fence."""

    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Recovery has done its part: leases are free, or the owner's word is waited for elsewhere."""

    at_ns: int


Event = Tick | Widened | Seized | SeizeFailed | Polled | PollFailed | Cancelled | NodeBack | Recovered


@dataclass(frozen=True, slots=True)
class Seize:
    """Take these leases."""

    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Poll:
    """List every open order of a venue."""

    venue: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel these orders, all at once as far as the venue's limits let us."""

    venue: str
    orders: tuple[OrderReport, ...]


@dataclass(frozen=True, slots=True)
class Recover:
    """Nothing is left: run the fail-safe's last part and the recovery."""


@dataclass(frozen=True, slots=True)
class Record:
    """Write down what happened; `alert` also tells a person."""

    action: str
    target: str = ""
    detail: str = ""
    alert: bool = False


Action = Seize | Poll | Cancel | Recover | Record
_ALERT_AT_FAILURES = (1, 8, 64)


def begin(
    incident: str,
    node: str,
    runs: tuple[str, ...],
    scope: Scope,
    venues: tuple[str, ...],
    at_ns: int,
    *,
    unfenced: bool = False,
) -> tuple[Intervention, tuple[Action, ...]]:
    """A node is missing: take its leases first.

    Args:
        incident: a name for it.
        node: who is missing.
        runs: whose leases to take.
        scope: which orders are meant.
        venues: where to look.
        at_ns: now.
        unfenced: whether the store could not say which leases there are.
    """
    state = Intervention(
        id=incident,
        nodes=(node,),
        runs=runs,
        scope=scope,
        began_ns=at_ns,
        seizing=bool(runs),
        seize_due_ns=at_ns,
        last_send_ns=None if runs or unfenced else at_ns,
        sweeps=tuple(Sweep(venue=venue) for venue in venues),
    )
    meant = "every order of the account" if scope.whole_account else f"orders of {', '.join(scope.prefixes)}"
    found = Record("intervene", node, f"it is silent; {len(runs)} leases to take; {meant}", alert=True)
    if runs:
        return state, (found, Seize(runs))
    return _advance(replace(state, stage=Stage.SWEEPING), at_ns, (found,))


def step(state: Intervention, event: Event, pace: Pace) -> tuple[Intervention, tuple[Action, ...]]:
    """The next state and what to do. An event that comes too late changes nothing."""
    if state.stage is Stage.CLOSED:
        return state, ()
    if isinstance(event, Widened) and state.recovering:
        return state, ()  # the leases are being given back: what follows is an intervention of its own
    state, actions = _apply(state, event, pace)
    if state.stage is Stage.CLOSED:
        return state, actions
    waited = event.at_ns - state.began_ns >= pace.seize_patience_ns
    if state.stage is Stage.SEIZING and (waited or not state.seizing):
        state = replace(state, stage=Stage.SWEEPING)
    return _advance(state, event.at_ns, actions)


def _apply(  # noqa: PLR0911 - one line an event
    state: Intervention, event: Event, pace: Pace
) -> tuple[Intervention, tuple[Action, ...]]:
    if isinstance(event, Seized):
        return _seized(state, event, pace)
    if isinstance(event, SeizeFailed):
        return _seize_failed(state, event, pace)
    if isinstance(event, Widened):
        return _widened(state, event)
    if isinstance(event, Polled | PollFailed | Cancelled):
        return _venue_event(state, event, pace)
    if isinstance(event, NodeBack) and state.stage is Stage.CLEARED and not state.fenced:
        back = Record("closed", ", ".join(state.nodes), "it beats again and was never fenced off")
        return replace(state, stage=Stage.CLOSED), (back,)
    if isinstance(event, Recovered):
        return replace(state, stage=Stage.CLOSED, recovering=False), (Record("closed"),)
    return state, ()


def _seize_failed(
    state: Intervention, event: SeizeFailed, pace: Pace
) -> tuple[Intervention, tuple[Action, ...]]:
    failures = state.seize_failures + 1
    due_ns = event.at_ns + pace.reseize_ns
    state = replace(state, seizing=False, seize_due_ns=due_ns, seize_failures=failures)
    loud = failures in _ALERT_AT_FAILURES
    return state, (Record("seize_failed", "", event.reason, alert=True),) if loud else ()


def _advance(
    state: Intervention, at_ns: int, actions: tuple[Action, ...]
) -> tuple[Intervention, tuple[Action, ...]]:
    if not state.fenced and not state.seizing and at_ns >= state.seize_due_ns:
        held = dict(state.fences)
        wanted = tuple(run for run in state.runs if run not in held)
        state = replace(state, seizing=True)
        actions += (Seize(wanted),)
    if state.stage is Stage.SEIZING:
        return state, actions
    sweeps = []
    for sweep in state.sweeps:
        resting = sweep.stage is SweepStage.GONE or (sweep.stage is SweepStage.PROVEN and state.fenced)
        if not sweep.busy and not resting and at_ns >= sweep.due_ns:
            sweep = replace(sweep, busy=True)  # noqa: PLW2901 - the same venue, a step further
            actions += (Poll(sweep.venue),)
        sweeps.append(sweep)
    state = replace(state, sweeps=tuple(sweeps))
    return _staged(state, actions)


def _staged(state: Intervention, actions: tuple[Action, ...]) -> tuple[Intervention, tuple[Action, ...]]:
    if all(sweep.is_over for sweep in state.sweeps):
        stage = Stage.CLEARED
    elif all(sweep.swept_ns is not None or sweep.is_over for sweep in state.sweeps):
        stage = Stage.PROVING
    else:
        stage = Stage.SWEEPING
    if stage is not state.stage:
        state = replace(state, stage=stage)
        words = "" if state.fenced else "the old holder could not be fenced off; the venues stay watched"
        actions += (Record(stage.value, ", ".join(state.nodes), words, alert=stage is Stage.CLEARED),)
    if stage is Stage.CLEARED and state.fenced and not state.recovering:
        state = replace(state, recovering=True)
        actions += (Recover(),)
    return state, actions


def _seized(state: Intervention, event: Seized, pace: Pace) -> tuple[Intervention, tuple[Action, ...]]:
    fences = tuple({**dict(state.fences), **dict(event.fences)}.items())
    held = dict(fences)
    runs = tuple(dict.fromkeys((*state.runs, *held)))
    whole = not event.missing and all(run in held for run in runs)
    until_ns = max(event.last_send_ns, state.sends_until_ns)
    state = replace(
        state,
        seizing=False,
        runs=runs,
        fences=fences,
        seize_due_ns=event.at_ns + pace.reseize_ns,
        sends_until_ns=until_ns,
        last_send_ns=until_ns if whole else None,
    )
    if whole:
        # Whatever was proven empty before was proven while the old holder might still send.
        state = replace(state, sweeps=tuple(sweep.again() for sweep in state.sweeps))
    records = tuple(Record("seize", run, f"fence {fence}") for run, fence in event.fences)
    if event.missing:
        records += (Record("seize_failed", ", ".join(event.missing), "not taken yet"),)
    return state, records


def _widened(state: Intervention, event: Widened) -> tuple[Intervention, tuple[Action, ...]]:
    held = dict(state.fences)
    new = tuple(run for run in event.runs if run not in held and run not in state.runs)
    state = replace(
        state,
        nodes=tuple(dict.fromkeys((*state.nodes, event.node))),
        runs=(*state.runs, *new),
        scope=state.scope.joined(event.scope),
        last_send_ns=None if new or event.unfenced else state.last_send_ns,
        seize_due_ns=event.at_ns,
        sweeps=tuple(sweep.again() for sweep in state.sweeps),
    )
    return state, (Record("widen", event.node, f"{len(new)} more leases to take", alert=True),)


def _venue_event(
    state: Intervention, event: Polled | PollFailed | Cancelled, pace: Pace
) -> tuple[Intervention, tuple[Action, ...]]:
    sweep = next((one for one in state.sweeps if one.venue == event.venue), None)
    if sweep is None:
        return state, ()
    actions: tuple[Action, ...] = ()
    before = sweep
    if isinstance(event, Polled):
        meant = tuple(order for order in event.orders if state.scope.covers(order))
        sweep, orders = sweeping.polled(sweep, meant, event.asked_ns, event.at_ns, state.bound_ns(pace), pace)
        if orders:
            actions = (Cancel(event.venue, orders),)
    elif isinstance(event, Cancelled):
        sweep = sweeping.cancelled(sweep, event.done, event.failed, event.at_ns, event.retry_after_ns, pace)
        words = f"{event.done} orders" + (
            f", {event.failed} unanswered: {event.reason}" if event.failed else ""
        )
        actions = (Record("cancel", event.venue, words),)
    else:
        sweep = sweeping.poll_failed(sweep, event.at_ns, event.retry_after_ns, pace)
        if sweep.failures in _ALERT_AT_FAILURES:
            actions = (Record("venue_silent", event.venue, event.reason, alert=True),)
    if sweep.stage is not before.stage and sweep.is_over:
        actions += (Record(sweep.stage.value, event.venue, f"{sweep.cancelled} orders cancelled"),)
    return replace(
        state, sweeps=tuple(sweep if one.venue == event.venue else one for one in state.sweeps)
    ), actions
