"""An event loop whose time is virtual: it leaps from event to event, in an order that a seed decides."""

from __future__ import annotations

import asyncio
import random
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextvars import Context, copy_context
from heapq import heappop, heappush
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.simulation.process import PROCESS, KilledError, Process

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH_NS: Final = 1_700_000_000 * NS_PER_S
"""Wall time at which every simulation begins."""

_JITTERS: Final = 1_024
_LONGEST_STEP_S: Final = 30e-6
_DISK_LEAST_S: Final = 0.0002
_DISK_SPAN_S: Final = 0.004 - _DISK_LEAST_S
"""How long what a thread does may take: the least, and how much more."""


class VirtualHandle(msgspec.Struct, eq=False):
    """One callback that is to run, in the context and on behalf of the process that asked for it."""

    callback: Callable[..., object] | None
    """None once it was cancelled."""
    args: tuple[Any, ...]
    context: Context
    process: Process | None
    when_s: float = 0.0

    def cancel(self) -> None:
        """It shall not run."""
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self.callback is None

    def when(self) -> float:
        """Virtual time at which it is due; seconds. Of no meaning where it is to run next."""
        return self.when_s


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs everything that is due, then lets time leap to what is due next.

    No sockets, no threads, no signals. What is given to an executor runs here, after a delay that the
    seed draws. A process that was killed never runs again; one that is frozen runs later.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.steps = 0
        """Callbacks run so far."""
        self.faults: list[dict[str, Any]] = []
        """What asyncio reported as never handled, of processes that live."""
        self.on_kill: Callable[[Process], None] | None = None
        """Told of a process that died in the middle of one of its callbacks."""
        self.now_s = 0.0
        """Virtual seconds since the beginning."""
        self._ready: deque[VirtualHandle] = deque()
        self._heap: list[tuple[float, int, VirtualHandle]] = []
        self._order = 0
        self._rng = rng
        self._jitter_s = [rng.uniform(0.0, _LONGEST_STEP_S) for _ in range(_JITTERS)]
        self._frozen: dict[Process, list[VirtualHandle]] = {}

    # Time.

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self.now_s

    def now_ns(self) -> int:
        """Virtual nanoseconds since the beginning."""
        return int(self.now_s * NS_PER_S)

    # Driving it.

    def run_until(self, until_s: float, *, done: Callable[[], bool] | None = None) -> bool:
        """Run everything that is due before a virtual time, or until `done` says so; whether it did.

        Raises:
            Exception: what a callback of the simulation itself raised (not of a process within).
        """
        before = events._get_running_loop()  # noqa: SLF001 - the public getter raises where there is none
        events._set_running_loop(self)  # noqa: SLF001 - what every event loop does
        try:
            return self._run(until_s, done)
        finally:
            events._set_running_loop(before)  # noqa: SLF001 - as above

    def _run(self, until_s: float, done: Callable[[], bool] | None) -> bool:  # noqa: C901 - the hot loop
        ready, heap, jitter = self._ready, self._heap, self._jitter_s
        while True:
            while heap and heap[0][0] <= self.now_s:
                due = heappop(heap)[2]
                if due.callback is not None:
                    ready.append(due)
            if not ready:
                if done is not None and done():
                    return True
                if not heap or heap[0][0] > until_s:
                    self.now_s = max(self.now_s, until_s)
                    return False
                self.now_s = heap[0][0]
                continue
            handle = ready.popleft()
            callback = handle.callback
            if callback is None:
                continue
            process = handle.process
            if (
                process is not None
                and (not process.is_alive or process.is_frozen or process.steps_left is not None)
                and not self._may_run(process, handle)
            ):
                continue
            self.steps = steps = self.steps + 1
            try:
                handle.context.run(callback, *handle.args)
            except KilledError:
                pass
            except Exception as error:
                if process is None:
                    raise
                self.call_exception_handler({"message": "a callback failed", "exception": error})
            if process is not None and process.died_inside:
                process.died_inside = False
                self._tell(process)
            self.now_s += jitter[steps % _JITTERS]

    def _may_run(self, process: Process, handle: VirtualHandle) -> bool:
        if not process.is_alive:
            _excuse(handle)
            return False
        if process.is_frozen:
            self._frozen.setdefault(process, []).append(handle)
            return False
        if process.steps_left is not None:
            process.steps_left -= 1
            if process.steps_left <= 0:
                process.kill()
                _excuse(handle)
                self._tell(process)
                return False
        return True

    def _tell(self, process: Process) -> None:
        if self.on_kill is not None:
            self.on_kill(process)

    def thaw(self, process: Process) -> None:
        """Let a frozen process go on with what has become due meanwhile."""
        process.is_frozen = False
        self._ready.extend(self._frozen.pop(process, ()))

    # What asyncio asks of a loop.

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> events.Handle:
        """Run a callback next."""
        if context is None:
            context = copy_context()
        handle = VirtualHandle(callback, args, context, context.get(PROCESS))
        self._ready.append(handle)
        return handle  # type: ignore[return-value] # has what asyncio asks of a handle

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> events.Handle:
        """The same: there are no threads here."""
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> events.TimerHandle:
        """Run a callback after virtual seconds."""
        if context is None:
            context = copy_context()
        when = self.now_s + delay
        handle = VirtualHandle(callback, args, context, context.get(PROCESS), when)
        self._order = order = self._order + 1
        heappush(self._heap, (when, order, handle))
        return handle  # type: ignore[return-value] # has what asyncio asks of a timer

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> events.TimerHandle:
        """Run a callback at a virtual time."""
        if context is None:
            context = copy_context()
        handle = VirtualHandle(callback, args, context, context.get(PROCESS), when)
        self._order = order = self._order + 1
        heappush(self._heap, (when, order, handle))
        return handle  # type: ignore[return-value] # has what asyncio asks of a timer

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """A task of this loop."""
        return asyncio.Task(coro, loop=self, name=None if name is None else str(name), context=context)

    def run_in_executor(
        self,
        executor: Executor | None,  # noqa: ARG002 - there are no threads here
        func: Callable[[Unpack[Ts]], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Run what would be a thread's work on this very loop, a drawn moment later.

        Between the work and its answer lies a step, in which the process may be killed.
        """
        future = self.create_future()

        def work() -> None:
            try:
                result = func(*args)
            except KilledError:
                raise
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits, as an executor does
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        self.call_later(_DISK_LEAST_S + _DISK_SPAN_S * self._rng.random(), work)
        return future

    get_debug = staticmethod(bool)  # False, and asked for every future and task

    def is_running(self) -> bool:
        """Whether it is at work."""
        return events._get_running_loop() is self  # noqa: SLF001 - the public getter raises where there is none

    def __del__(self) -> None:
        """There is nothing to close."""

    def is_closed(self) -> bool:
        """It ends with the seed."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody handled; of a dead process nobody wants to know."""
        process = PROCESS.get()
        if (process is None or process.is_alive) and not isinstance(context.get("exception"), KilledError):
            self.faults.append(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """The same."""
        self.call_exception_handler(context)


def _excuse(handle: VirtualHandle) -> None:
    """Whoever waited for a task died as it failed: that nobody asks for its error any more is no fault."""
    for each in handle.args:
        if isinstance(each, asyncio.Future) and each.done() and not each.cancelled():
            each.exception()
