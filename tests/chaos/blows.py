"""What happens to whom and when, drawn from a seed: the same seed is the same bad day."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Rule = dict[str, Any]
PLACE, CANCEL, REPORT = "POST /api/v3/order", "DELETE /api/v3/order", "user:executionReport"
READS = ("order", "openOrders", "myTrades", "account")


class Deed(StrEnum):
    """What may be done to something."""

    KILL = "kill"
    """SIGKILL; somebody starts it again after a while."""
    FREEZE = "freeze"
    """SIGSTOP, and SIGCONT after a while."""
    CRASH = "crash"
    """Killed, and started again with orders to end itself at a labelled point."""
    BREAK = "break"
    """The exchange suffers from faults for a while."""
    LOCK = "lock"
    """Somebody else writes to a SQLite file and does not come to an end."""
    FILL = "fill"
    """The disk is full."""
    CUT = "cut"
    """Every connection to PostgreSQL is ended."""
    RESTART = "restart"
    """PostgreSQL goes down as in a power cut and comes back."""


@dataclass(frozen=True, slots=True)
class Blow:
    """One thing that is done."""

    at_s: float
    """Seconds after the beginning."""
    deed: Deed
    target: str
    length_s: float
    """How long it lasts."""
    label: str = ""
    """With CRASH: `label:n`."""
    seed: int = 0
    """With BREAK: of the faults."""

    def __str__(self) -> str:
        """As a line of a report."""
        label = f" at {self.label}" if self.label else ""
        return f"{self.at_s:5.1f} s  {self.deed} {self.target}{label} for {self.length_s:.1f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu:
    """What can be done to whom."""

    targets: Mapping[Deed, Sequence[str]]
    labels: Mapping[str, Sequence[str]]
    """Points at which a target can be told to end itself."""
    lengths_s: Mapping[Deed, tuple[float, float]]
    """Shortest and longest."""


LENGTHS_S: Mapping[Deed, tuple[float, float]] = {
    Deed.KILL: (0.0, 9.0),
    Deed.FREEZE: (0.5, 12.0),
    Deed.CRASH: (0.0, 1.0),
    Deed.BREAK: (3.0, 10.0),
    Deed.LOCK: (0.5, 8.0),
    Deed.FILL: (0.5, 6.0),
    Deed.CUT: (0.0, 0.0),
    Deed.RESTART: (0.0, 0.0),
}
"""A process that is away for a moment, for longer than the Angel's patience, for longer than a lease."""


def draw(seed: int, menu: Menu, length_s: float, every_s: float) -> list[Blow]:
    """A day of `length_s` with a blow every `every_s` on average.

    Each kind of blow has the same chance, whoever it can hit; a random part of the kinds is left out, so
    that a rare combination is not drowned by the others.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    kinds = [deed for deed, targets in menu.targets.items() if targets]
    kept = rng.sample(kinds, rng.randint(min(3, len(kinds)), len(kinds)))
    blows: list[Blow] = []
    at_s = rng.uniform(0.5, every_s)
    while at_s < length_s:
        deed = rng.choice(sorted(kept))
        shortest, longest = menu.lengths_s[deed]
        # Half of them are short: most trouble is.
        lasts = shortest + (longest - shortest) * rng.random() ** 2
        target = rng.choice(menu.targets[deed])
        label = ""
        if deed is Deed.CRASH:
            label = f"{rng.choice(menu.labels[target])}:{rng.choice((1, 1, 2, 5, 40))}"
        blows.append(Blow(at_s, deed, target, round(lasts, 2), label, rng.randrange(2**31)))
        at_s += rng.expovariate(1 / every_s)
    return blows


def faults(seed: int) -> list[Rule]:
    """Some of what an exchange can do to requests and messages, at rates that a seed chooses."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    rules: list[Rule] = []
    for kind in ("timeout_before", "timeout_after", "server_error", "server_error_after"):
        rules += [_rule(kind, match, rng.uniform(0.02, 0.25)) for match in (PLACE, CANCEL)]
    rules += [_rule("server_error", f"GET /api/v3/{name}", rng.uniform(0.05, 0.4)) for name in READS]
    rules += [_rule("timeout_before", "GET /api/v3/openOrders", rng.uniform(0.05, 0.3))]
    rules += [_rule("too_many_requests", "* /api/v3/*", rng.uniform(0.01, 0.1), times=5)]
    rules += [_rule("ban", "* /api/v3/order", 0.05, times=1, retry_after_s=rng.randint(1, 3))]
    for kind in ("drop", "duplicate", "reorder", "delay"):
        rules.append(_rule(kind, REPORT, rng.uniform(0.05, 0.4), delay_ms=rng.randint(50, 1_500)))
    rules += [
        _rule("delay", PLACE, rng.uniform(0.05, 0.3), delay_ms=rng.randint(50, 1_500)),
        _rule("drop", "*@depth*", rng.uniform(0.005, 0.05)),
        _rule("disconnect", "*", rng.uniform(0.001, 0.02), times=rng.randint(1, 6)),
    ]
    return rng.sample(rules, rng.randint(4, len(rules)))


def _rule(kind: str, match: str, rate: float, **more: object) -> Rule:
    return {"kind": kind, "match": match, "rate": round(rate, 3), **more}
