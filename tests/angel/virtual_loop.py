"""An event loop whose time leaps to the next timer, in step with a manual clock; threads run inline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from mrmarket.core.clock import NS_PER_S, ManualClock

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Waiting costs no time: when nothing is ready, the clock moves to the next timer."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._manual = clock

    def time(self) -> float:
        """Seconds of the manual clock."""
        return self._manual.monotonic_ns() / NS_PER_S

    def _run_once(self) -> None:
        timers: list[Any] = self._scheduled  # type: ignore[attr-defined] # asyncio's own list of timers
        if not self._ready and timers:  # type: ignore[attr-defined] # asyncio's own queue
            ahead_ns = int((timers[0].when() - self.time()) * NS_PER_S) + 1
            if ahead_ns > 0:
                self._manual.advance(ahead_ns)
        super()._run_once()  # type: ignore[misc] # one turn of asyncio's own loop

    def run_in_executor(  # type: ignore[override] # the base class types it by variadic generics
        self, executor: Any, function: Callable[..., T], *arguments: Any
    ) -> Any:
        """Run it here and now."""
        done: Future[T] = Future()
        try:
            done.set_result(function(*arguments))
        except Exception as error:  # noqa: BLE001 - whatever a thread would have passed on
            done.set_exception(error)
        return asyncio.wrap_future(done, loop=self)


def play(clock: ManualClock, work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    loop = VirtualLoop(clock)
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
