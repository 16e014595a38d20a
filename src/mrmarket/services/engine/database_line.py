"""Calls to a database that may not answer: off the event loop, in bounded time, one of a kind at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Final, TypeVar

from mrmarket.core.clock import Clock
from mrmarket.store.errors import (
    DuplicateIntentError,
    LeaseHeldError,
    StaleFenceError,
    StaleRevisionError,
    StoreError,
    UnknownIntentError,
)

_ANSWERS: Final = (
    DuplicateIntentError,
    LeaseHeldError,
    StaleFenceError,
    StaleRevisionError,
    UnknownIntentError,
)
"""Refusals that show a database at work."""

T = TypeVar("T")


class DatabaseSilentError(StoreError):
    """The database did not answer in time; the call may still have its effect."""

    code = "database_silent"
    retryable = True

    def __init__(self, call: str) -> None:
        self.call = call
        super().__init__("database", f"no answer to {call}; it is asked again, check that the database runs")


class DatabaseLine:
    """Remembers since when nobody has answered, and keeps a hung call from being followed by more of them."""

    def __init__(self, clock: Clock, answer_s: float) -> None:
        self._clock = clock
        self._answer_s = answer_s
        self._hung: dict[str, asyncio.Future[Any]] = {}
        self._silent_since_ns: int | None = None
        self.failures = 0
        """Calls that had no good answer."""

    @property
    def silent_ns(self) -> int | None:
        """For how long nothing has been answered; None while the database answers."""
        since_ns = self._silent_since_ns
        return None if since_ns is None else self._clock.monotonic_ns() - since_ns

    async def call(self, function: Callable[..., T], *arguments: Any, name: str = "") -> T:
        """Call it in a thread.

        Raises:
            StoreError: it was refused, or no answer came in time.
        """
        name = name or function.__name__
        hung = self._hung.get(name)
        if hung is not None and not hung.done():
            self._failed()
            raise DatabaseSilentError(name)
        began_ns = self._clock.monotonic_ns()
        # Not `to_thread` under a shield: that is a task and three more turns of the loop for every call.
        work = asyncio.get_running_loop().run_in_executor(None, copy_context().run, function, *arguments)
        self._hung[name] = work
        try:
            await asyncio.wait((work,), timeout=self._answer_s)
        except asyncio.CancelledError:
            work.add_done_callback(_heard)
            raise
        if not work.done():
            work.add_done_callback(_heard)
            self._failed(began_ns)
            raise DatabaseSilentError(name)
        try:
            result = work.result()
        except StoreError as error:
            self._hung.pop(name, None)
            if isinstance(error, _ANSWERS):
                self._silent_since_ns = None
            else:
                self._failed(began_ns)
            raise
        self._hung.pop(name, None)
        self._silent_since_ns = None
        return result

    def _failed(self, since_ns: int | None = None) -> None:
        self.failures += 1
        if self._silent_since_ns is None:
            self._silent_since_ns = self._clock.monotonic_ns() if since_ns is None else since_ns


def _heard(work: asyncio.Future[Any]) -> None:
    """A late answer is of no use; its error was told as a silence."""
    if not work.cancelled():
        work.exception()
