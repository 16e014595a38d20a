"""What goes wrong on purpose in the simulated payment network, decided from rules and a seed alone."""

from __future__ import annotations

import random
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from mrmarket.core.errors import InvalidInputError

_MS_PER_S: Final = 1_000


class RailFaultKind(StrEnum):
    """What can go wrong, by where it does."""

    # Requests, matched by `POST /v1/sends` and the like.
    DELAY = "delay"
    """The request waits `delay_ms` before it has its effect."""
    LOST_BEFORE = "lost_before"
    """The connection is cut; the request had no effect."""
    LOST_AFTER = "lost_after"
    """The connection is cut; the request had its effect."""
    SILENT_BEFORE = "silent_before"
    """No effect, and no answer for `delay_ms`; then the connection is cut."""
    SILENT_AFTER = "silent_after"
    """The effect, but no answer for `delay_ms`; then the connection is cut."""
    SERVER_ERROR = "server_error"
    """503; the request had no effect."""
    SERVER_ERROR_AFTER = "server_error_after"
    """502; the request had its effect."""
    GARBAGE = "garbage"
    """The effect, and an answer that nobody can read."""

    # The feed of incoming payments, matched by `feed:<state>`.
    DUPLICATE = "duplicate"
    """An update is told twice on its page."""
    REORDER = "reorder"
    """An update changes places with the one before it on its page."""
    GAP = "gap"
    """An update is left out, and comes again at the end of the feed."""

    # Looking a payment up, matched by `find`.
    HIDE = "hide"
    """A payment younger than `delay_ms`, and than the settling time, is called absent."""

    # Payments, matched by `<kind>:<asset>`: `send:USDT`, `pay:*`.
    REFUSE = "refuse"
    """A payment that was accepted is given back to its sender instead of being seen."""
    STALL = "stall"
    """A payment's next step comes `delay_ms` late."""
    RETRACT = "retract"
    """A payment that was seen vanishes before its last confirmation; only of wallets."""
    RETRACT_LATE = "retract_late"
    """A confirmed payment vanishes `delay_ms` later, if the receiver still has it; only of wallets."""


REQUEST_KINDS: Final = frozenset(
    {
        RailFaultKind.DELAY,
        RailFaultKind.LOST_BEFORE,
        RailFaultKind.LOST_AFTER,
        RailFaultKind.SILENT_BEFORE,
        RailFaultKind.SILENT_AFTER,
        RailFaultKind.SERVER_ERROR,
        RailFaultKind.SERVER_ERROR_AFTER,
        RailFaultKind.GARBAGE,
    }
)
FEED_KINDS: Final = frozenset({RailFaultKind.DUPLICATE, RailFaultKind.REORDER, RailFaultKind.GAP})


class RailFaultRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong, where, how often and when."""

    kind: RailFaultKind
    rate: float = 1.0
    """Share of what matches, 0 to 1."""
    match: str = "*"
    """Shell pattern."""
    from_s: float = 0.0
    """Seconds after the rules were set."""
    until_s: float | None = None
    """Seconds after the rules were set; None is for ever."""
    times: int | None = None
    """How often at most; None is without end."""
    delay_ms: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise InvalidInputError("fault rate", self.rate, "a share from 0 to 1")
        if self.delay_ms < 0:
            raise InvalidInputError("delay_ms", self.delay_ms, "0 or more milliseconds")


class RailFaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules and the seed that makes their choices repeatable."""

    rules: list[RailFaultRule] = msgspec.field(default_factory=list)
    seed: int = 1


class RailFaultReport(msgspec.Struct, frozen=True, kw_only=True):
    """The rules in force, and how often each has struck."""

    rules: list[RailFaultRule]
    seed: int
    struck: list[int]


class FaultDice:
    """Says of each request, update and payment what happens to it."""

    def __init__(self, faults: RailFaults, now_ms: int) -> None:
        self.reset(faults, now_ms)

    def reset(self, faults: RailFaults, now_ms: int) -> None:
        """Take other rules; counts and the seed begin anew."""
        self._faults = faults
        self._start_ms = now_ms
        self._rng = random.Random(faults.seed)  # noqa: S311 - repeatable on purpose, guards nothing
        self._struck = [0] * len(faults.rules)

    def report(self) -> RailFaultReport:
        """The rules in force, and how often each has struck."""
        return RailFaultReport(rules=self._faults.rules, seed=self._faults.seed, struck=list(self._struck))

    def request(self, name: str, now_ms: int) -> RailFaultRule | None:
        """What happens to a request called `POST /v1/sends`."""
        return self.strike(REQUEST_KINDS, name, now_ms)

    def strike(self, kinds: frozenset[RailFaultKind], name: str, now_ms: int) -> RailFaultRule | None:
        """The first rule of these kinds that strikes what is called so."""
        age_s = (now_ms - self._start_ms) / _MS_PER_S
        for index, rule in enumerate(self._faults.rules):
            if (
                rule.kind in kinds
                and (rule.times is None or self._struck[index] < rule.times)
                and fnmatchcase(name, rule.match)
                and rule.from_s <= age_s
                and (rule.until_s is None or age_s < rule.until_s)
                and self._rng.random() < rule.rate
            ):
                self._struck[index] += 1
                return rule
        return None
