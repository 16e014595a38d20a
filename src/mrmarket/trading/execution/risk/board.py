"""The risk board of a process: which scope may do less, why, and until when. Nothing here waits or sends.

A breaker *holds* a cause while its condition is there and *releases* it when the condition has gone. A soft
restriction ends once nobody has held it for the dwell time and its cool-down is over; one that comes back
soon cools down twice as long each time. A hard one, and every HALT, waits for the owner's `rearm`. So no
condition that flickers makes the state flicker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_MS, NS_PER_S, Clock
from mrmarket.core.notice import Notice, NoticeSink, Severity, Unheard
from mrmarket.store.operations import Restriction
from mrmarket.trading.execution.risk.budget import Budgets
from mrmarket.trading.execution.risk.mandate import Mandates
from mrmarket.trading.execution.risk.state import (
    INSTANCE,
    RULES,
    Cause,
    RiskState,
    run_scope,
    venue_scope,
)
from mrmarket.trading.execution.risk.windows import SumWindow

_HOUR_NS: Final = 3_600 * NS_PER_S
_MOST_DOUBLINGS: Final = 6


@dataclass(frozen=True, slots=True)
class RiskChange:
    """One restriction came, grew stricter, or went."""

    scope: str
    cause: str
    restriction: Restriction | None
    """None: it was lifted."""
    scope_state: RiskState
    """Of the scope, all causes together, afterwards."""
    by_owner: bool = False
    """Whether it was lifted by `rearm`, and not by time."""
    adopted: bool = False
    """Whether it was taken over from where it is written down."""

    @property
    def is_local(self) -> bool:
        """Whether it is not to be written down: it is there already, or the kill switch's own."""
        return self.adopted or self.cause == Cause.KILL_SWITCH


Listener = Callable[[RiskChange], None]
"""Told at once, on the event loop; must not block. What it raises is counted, and the next is told."""


@dataclass(frozen=True, slots=True)
class Rearming:
    """How restrictions end by themselves."""

    cool_down_ns: int = 60 * NS_PER_S
    dwell_ns: int = 10 * NS_PER_S
    """Its condition must have been gone for so long."""
    longest_ns: int = 3_600 * NS_PER_S
    """A cool-down is never doubled beyond this."""
    by_cause_ns: tuple[tuple[str, int], ...] = ()
    """Causes with a cool-down of their own."""

    def of(self, cause: str) -> int:
        """The first cool-down of a cause."""
        return next((ns for name, ns in self.by_cause_ns if name == cause), self.cool_down_ns)


@dataclass(slots=True)
class _Entry:
    restriction: Restriction
    state: RiskState
    soft: bool
    since_ns: int
    cool_down_ns: int
    clear_ns: int | None
    """Monotonic; since when nobody holds it. None while somebody does."""
    holders: set[str] = field(default_factory=set)


class RiskBoard:
    """All restrictions of one process, by scope and cause; shared by its runs."""

    def __init__(
        self, clock: Clock, *, rearming: Rearming | None = None, sink: NoticeSink | None = None
    ) -> None:
        """`clock` is the wall's: stamps for people, and the monotonic time of cool-downs."""
        self.listener_faults = 0
        """How often a listener raised."""
        self.trips: dict[str, int] = {}
        """How often each cause has restricted anything, by cause."""
        self.budgets = Budgets()
        """How much each run may have in play."""
        self.mandates = Mandates()
        """What is asked of each run's quotes from outside."""
        self._clock = clock
        self._rearming = rearming or Rearming()
        self._sink = sink or Unheard()
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._scopes: dict[str, RiskState] = {}
        self._listeners: list[Listener] = []
        self._past: dict[tuple[str, str], deque[int]] = {}
        self._retries: dict[str, SumWindow] = {}

    # Who asks.

    def state(self, run: str = "", venue: str = "") -> RiskState:
        """What a run may do: the strictest of its own, its venue's and the instance's state."""
        scopes = self._scopes
        if not scopes:
            return RiskState.ACTIVE
        active = RiskState.ACTIVE
        return max(
            scopes.get(INSTANCE, active),
            scopes.get(venue_scope(venue), active),
            scopes.get(run_scope(run), active),
        )

    def scope_state(self, scope: str) -> RiskState:
        """The state of one scope by itself."""
        return self._scopes.get(scope, RiskState.ACTIVE)

    def restrictions(self, *scopes: str) -> list[Restriction]:
        """In force, by scope and cause; of these scopes, or all of them."""
        return [
            self._entries[key].restriction for key in sorted(self._entries) if not scopes or key[0] in scopes
        ]

    def explain(self, run: str, venue: str) -> str:
        """The strictest reason that binds a run, for people; empty when it is free."""
        keys = (run_scope(run), venue_scope(venue), INSTANCE)
        bound = [entry for (scope, _), entry in self._entries.items() if scope in keys]
        if not bound:
            return ""
        worst = max(bound, key=lambda entry: entry.state)
        held = worst.restriction
        return f"{worst.state.word}: {held.detail or held.cause}"

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have changes told from now on; the returned call ends it."""
        self._listeners.append(listener)

        def forget() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return forget

    def retries(self, pair: str, span_ns: int) -> SumWindow:
        """Orders that were tried again on a pair: one count for all of its runs and their restarts."""
        return self._retries.setdefault(pair, SumWindow(span_ns))

    # Who restricts.

    def hold(
        self, scope: str, cause: str, by: str, *, detail: str = "", state: RiskState | None = None
    ) -> bool:
        """A condition is there; say whether that changed anything. Idempotent, and never less strict.

        Args:
            scope: `instance`, `venue:<name>` or `run:<id>`.
            cause: a word of `Cause`, or an owner's own.
            by: who sees the condition; it stays until each of them has released it.
            detail: for people.
            state: where it differs from the cause's own; HALT makes it hard.
        """
        now_ns = self._clock.monotonic_ns()
        key = (scope, cause)
        known = RULES.get(Cause(cause)) if cause in _CAUSES else None
        wanted = state if state is not None else known.state if known else RiskState.HALT
        soft = wanted is not RiskState.HALT and (known is None or known.soft)
        text = detail or (known.text if known else cause)
        entry = self._entries.get(key)
        if entry is not None:
            entry.holders.add(by)
            entry.clear_ns = None
            if wanted <= entry.state:
                return False
            entry.state, entry.soft = wanted, entry.soft and soft
            entry.restriction = msgspec.structs.replace(
                entry.restriction, state=wanted.word, detail=text, until_ms=0
            )
        else:
            cool_down_ns = self._cool_down(key, now_ns)
            since_ms = self._clock.now_ns() // NS_PER_MS
            entry = _Entry(
                Restriction(
                    scope=scope,
                    cause=cause,
                    state=wanted.word,
                    detail=text,
                    by=by,
                    since_ms=since_ms,
                    until_ms=since_ms + cool_down_ns // NS_PER_MS if soft else 0,
                ),
                wanted,
                soft,
                since_ns=now_ns,
                cool_down_ns=cool_down_ns,
                clear_ns=None,
                holders={by},
            )
            self._entries[key] = entry
            self.trips[cause] = self.trips.get(cause, 0) + 1
        self._changed(key, entry)
        return True

    def release(self, scope: str, cause: str, by: str) -> None:
        """The condition that `by` saw has gone; a soft restriction nobody else holds begins its end."""
        entry = self._entries.get((scope, cause))
        if entry is None or by not in entry.holders:
            return
        entry.holders.discard(by)
        if not entry.holders:
            entry.clear_ns = self._clock.monotonic_ns()

    def forget_holder(self, by: str) -> None:
        """A run has ended: what only it held has nobody left who could release it."""
        for scope, cause in list(self._entries):
            self.release(scope, cause, by)

    def halt(self, scope: str, cause: str, by: str, detail: str = "") -> bool:
        """Restrict to HALT whatever the cause says; only `rearm` ends it."""
        return self.hold(scope, cause, by, detail=detail, state=RiskState.HALT)

    # What ends a restriction.

    def tick(self) -> None:
        """Lift what is due; call it a few times a second. O(1) while nothing is restricted."""
        if not self._entries:
            return
        now_ns = self._clock.monotonic_ns()
        for key, entry in list(self._entries.items()):
            if (
                entry.soft
                and entry.clear_ns is not None
                and now_ns - entry.clear_ns >= self._rearming.dwell_ns
                and now_ns - entry.since_ns >= entry.cool_down_ns
            ):
                self._lift(key)

    def rearm(self, scope: str, cause: str | None = None) -> list[str]:
        """The owner allows trading again; returns the causes that were lifted.

        A condition that is still there restricts anew when it is next looked at.
        """
        keys = [key for key in self._entries if key[0] == scope and cause in (None, key[1])]
        for key in keys:
            self._lift(key, by_owner=True)
            self._past.pop(key, None)
        return [key[1] for key in keys]

    def load(self, rows: Iterable[Restriction]) -> None:
        """Take over what others have written down; what is known is left alone, cool-downs begin anew."""
        now_ns = self._clock.monotonic_ns()
        for row in rows:
            key = (row.scope, row.cause)
            state = RiskState.of(row.state)
            if key in self._entries or state is RiskState.ACTIVE:
                continue
            soft = bool(row.until_ms) and state is not RiskState.HALT
            self._entries[key] = _Entry(
                row, state, soft, now_ns, self._rearming.of(row.cause), clear_ns=now_ns
            )
            self._raise_scope(row.scope)
            self._tell(RiskChange(*key, row, self.scope_state(row.scope), adopted=True))

    # Within.

    def _cool_down(self, key: tuple[str, str], now_ns: int) -> int:
        past = self._past.setdefault(key, deque(maxlen=_MOST_DOUBLINGS))
        while past and now_ns - past[0] > _HOUR_NS:
            past.popleft()
        first_ns = self._rearming.of(key[1])
        cool_down_ns = min(first_ns << len(past), max(first_ns, self._rearming.longest_ns))
        past.append(now_ns)
        return cool_down_ns

    def _lift(self, key: tuple[str, str], *, by_owner: bool = False) -> None:
        entry = self._entries.pop(key)
        self._raise_scope(key[0])
        self._tell(RiskChange(key[0], key[1], None, self.scope_state(key[0]), by_owner))
        self._notify(key, entry, lifted=True)

    def _changed(self, key: tuple[str, str], entry: _Entry) -> None:
        self._raise_scope(key[0])
        self._tell(RiskChange(key[0], key[1], entry.restriction, self.scope_state(key[0])))
        self._notify(key, entry, lifted=False)

    def _raise_scope(self, scope: str) -> None:
        states = [entry.state for (name, _), entry in self._entries.items() if name == scope]
        if states:
            self._scopes[scope] = max(states)
        else:
            self._scopes.pop(scope, None)

    def _tell(self, change: RiskChange) -> None:
        for listener in list(self._listeners):
            try:
                listener(change)
            except Exception as error:  # noqa: BLE001 - one run that cannot hear must not keep the others trading
                self.listener_faults += 1
                self._sink.notify(
                    Notice(
                        key=f"listener:{change.scope}",
                        kind="breaker",
                        severity=Severity.CRITICAL,
                        title=f"Not everybody heard of {change.cause} on {change.scope}",
                        text=repr(error),
                        at_ms=self._clock.now_ns() // NS_PER_MS,
                    )
                )

    def _notify(self, key: tuple[str, str], entry: _Entry, *, lifted: bool) -> None:
        scope, cause = key
        held = entry.restriction
        severity = Severity.CRITICAL if entry.state is RiskState.HALT else Severity.WARNING
        self._sink.notify(
            Notice(
                key=f"risk:{scope}:{cause}:{'lifted' if lifted else held.state}",
                kind="breaker",
                severity=Severity.INFO if lifted else severity,
                title=f"{scope}: {cause} is over" if lifted else f"{scope}: {held.state} ({cause})",
                text=f"now {self.scope_state(scope).word}" if lifted else held.detail,
                at_ms=self._clock.now_ns() // NS_PER_MS,
            )
        )


_CAUSES: Final = frozenset(cause.value for cause in Cause)
