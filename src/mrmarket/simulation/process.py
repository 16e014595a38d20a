"""A simulated process: what runs in its context lives, freezes and dies with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, Final, Protocol

from mrmarket.core import crash


class KilledError(BaseException):
    """Raised out of whatever a process is in when it is killed there. Nothing of ours may catch it."""


class HasClock(Protocol):
    """A machine, as its processes see it."""

    skew_ns: int
    """How far its wall clock is ahead."""


class Process:
    """One life of a program. Its successor is another object.

    It dies between two of its callbacks (`steps_left`), at a labelled point or at a commit
    (`crash_label`), or when somebody kills it. From then on none of its callbacks runs again and
    everything that it held outside refuses to serve it, so that no clean-up has an effect.
    """

    def __init__(self, name: str, life: int, machine: HasClock) -> None:
        self.machine = machine
        self.name = name
        self.life = life
        self.is_alive = True
        self.is_frozen = False
        self.steps_left: int | None = None
        """How many callbacks it has left to run; None for no such limit."""
        self.crash_label: tuple[str, int] | None = None
        """At which labelled point it dies, and at the how-manieth visit."""
        self.died_at = ""
        self.died_inside = False
        """Set where it died in the middle of a callback, until the loop has noticed."""
        self.remains: list[asyncio.Task[Any]] = []
        """Tasks that were under way, kept so that nothing of them is cleaned up in the middle."""

    def __repr__(self) -> str:
        return f"<{self.name} #{self.life}>"

    @property
    def skew_ns(self) -> int:
        """How far its machine's wall clock is ahead."""
        return self.machine.skew_ns

    def kill(self, where: str = "between two steps") -> None:
        """End it."""
        self.is_alive = False
        self.died_at = where

    def require_alive(self) -> None:
        """Raise KilledError in a process that is dead."""
        if not self.is_alive:
            raise KilledError

    def reach(self, label: str) -> None:
        """A labelled point: dies here if that was planned."""
        if self.crash_label is None or not self.is_alive:
            return
        wanted, visits = self.crash_label
        if not label.startswith(wanted):
            return
        if visits > 1:
            self.crash_label = (wanted, visits - 1)
            return
        self.crash_label = None
        self.kill(label)
        self.died_inside = True
        raise KilledError

    def run(self, start: Callable[..., Any], *args: Any) -> Any:
        """Call something as this process."""
        context = copy_context()
        context.run(PROCESS.set, self)
        context.run(crash.PLAN.set, self)
        return context.run(start, *args)

    def spawn(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], name: str
    ) -> asyncio.Task[Any]:
        """Begin a task as this process."""
        context = copy_context()
        context.run(PROCESS.set, self)
        context.run(crash.PLAN.set, self)
        return loop.create_task(work, name=name, context=context)


PROCESS: Final[ContextVar[Process | None]] = ContextVar("process", default=None)
"""On whose behalf the current callback runs; None for the world itself."""
