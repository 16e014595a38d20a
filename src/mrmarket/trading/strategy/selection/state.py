"""Where the machine that switches strategies stands; small, and saved after every step."""

from __future__ import annotations

from typing import Literal

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.strategy.selection.mutex import MutexTable
from mrmarket.trading.strategy.selection.score import Score

HOUR_NS = 3_600 * NS_PER_S

Phase = Literal["steady", "stopping", "starting"]


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was interrupted: what is known of it until it goes on."""

    candidate: str
    since_ns: int
    """When its turn had begun."""
    at_ns: int
    """When it was interrupted."""
    reason: str
    value: float | None = None
    """What it scored then."""


class EngineState(msgspec.Struct, frozen=True, kw_only=True):
    """All that `decide` remembers. Times are nanoseconds of the wall clock, so that it outlives a restart."""

    current: str = ""
    """Whose turn it is; empty for none."""
    phase: Phase = "steady"
    target: str = ""
    """While stopping or starting: who comes next; empty for nobody."""
    why: str = ""
    """… and why."""
    since_ns: int = 0
    """When the turn began."""
    last_switch_ns: int | None = None
    switches: tuple[int, ...] = ()
    """When strategies were switched within the last hour."""
    challenger: str = ""
    streak: int = 0
    resting: dict[str, int] = {}
    """Strategies that have failed: until when they are not chosen."""
    parked: tuple[Parked, ...] = ()
    table: MutexTable = MutexTable()
    quiet: int = 0
    """Evaluations since the last one that was recorded."""
    verdict: str = ""
    """Of the last evaluation."""


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """New scores have come in."""

    scores: tuple[Score, ...]
    held_by_owner: frozenset[str] = frozenset()
    """Candidates that the owner, or a breaker that waits for the owner, keeps from trading."""


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a `Stop`."""

    candidate: str
    proven: bool
    """Whether every order of it is proven closed."""
    detail: str = ""


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A `Start` was carried out."""

    candidate: str


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate's run has failed, or could not begin."""

    candidate: str
    reason: str


Event = Evaluated | Stopped | Started | Failed
