"""Labelled points at which a test may end the process, as a power cut or an operator's SIGKILL would.

Every state machine with effects outside the process names the points between its effects. In production
`reach` looks for a plan, finds none and returns. A room lists its labels as `CRASH_POINTS`, so that the
crash tests visit all of them, and a test proves that none of them is unreachable.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from contextvars import ContextVar
from typing import Final, Protocol

VARIABLE: Final = "MRMARKET_CRASH_AT"
"""`label` or `label:n`: the process ends when it reaches that label for the n-th time (the first)."""


class Plan(Protocol):
    """Somebody who wants to know which labelled points are reached."""

    def reach(self, label: str) -> None:
        """A labelled point was reached; may never return."""
        ...


class CrashPlan:
    """At which label a process is to end, and how often it has been there."""

    def __init__(self, wanted: str) -> None:
        label, _, nth = wanted.partition(":")
        self._label = label
        self._nth = int(nth or 1)
        self._visits: Counter[str] = Counter()

    def reach(self, label: str) -> None:
        """Note a visit; the one that was planned ends the process without any clean-up."""
        if label != self._label:
            return
        self._visits[label] += 1
        if self._visits[label] == self._nth:
            os.kill(os.getpid(), signal.SIGKILL)


PLAN: Final[ContextVar[Plan | None]] = ContextVar(
    "crash plan", default=CrashPlan(os.environ[VARIABLE]) if VARIABLE in os.environ else None
)
"""The plan in force: the process's, or that of a simulated process for what runs in its context."""


def reach(label: str) -> None:
    """Say that a labelled point was reached."""
    plan = PLAN.get()
    if plan is not None:
        plan.reach(label)
