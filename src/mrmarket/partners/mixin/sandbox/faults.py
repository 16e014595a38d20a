"""What goes wrong on the way to the sandbox: by rule, reproducible by a seed."""

from __future__ import annotations

import random
from collections import Counter
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec


class MixinFaultKind(StrEnum):
    """What is done to a request."""

    LOST_BEFORE = "lost_before"
    """The connection breaks and nothing happens."""
    LOST_AFTER = "lost_after"
    """It happens and the connection breaks."""
    LATE = "late"
    """It happens, and its answer comes `delay_ms` later."""
    LATE_EFFECT = "late_effect"
    """The connection breaks, and it happens `delay_ms` later."""
    DUPLICATE = "duplicate"
    """It happens twice, and the second answer is told."""
    SERVER_ERROR = "server_error"
    """Status 500 and nothing happens."""
    SERVER_ERROR_AFTER = "server_error_after"
    """It happens, and status 500 is told."""
    GARBAGE = "garbage"
    """It happens, and the answer cannot be read."""
    BUSY = "busy"
    """Error 429 and nothing happens."""


class MixinFault(msgspec.Struct, frozen=True):
    """A rule: which requests, how often, at most how many times."""

    kind: MixinFaultKind
    match: str = "*"
    """Glob over `METHOD /path`, without the query."""
    rate: float = 1.0
    times: int = -1
    """How many requests it strikes; below zero for all."""
    delay_ms: int = 0


class FaultBox:
    """Chooses which rule strikes a request: the first that does."""

    def __init__(self, rules: tuple[MixinFault, ...] = (), seed: int = 0) -> None:
        self._rules = rules
        self._random = random.Random(seed)  # noqa: S311 - a simulation, reproducible by its seed
        self._left = [rule.times for rule in rules]
        self.struck: Counter[MixinFaultKind] = Counter()
        """How often each kind struck."""

    def choose(self, request: str) -> MixinFault | None:
        """What happens to a request such as `POST /safe/transactions`."""
        for place, rule in enumerate(self._rules):
            hit = fnmatchcase(request, rule.match) and self._random.random() < rule.rate
            if hit and self._left[place]:
                self._left[place] -= 1
                self.struck[rule.kind] += 1
                return rule
        return None
