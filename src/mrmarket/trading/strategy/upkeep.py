"""The work of a run beside its hot path: its tasks, its recovery, its comparison with the venue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.ending import end_all
from mrmarket.trading.execution.reconciler import Reconciler, Recovery
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.strategy.errors import RunNotReadyError
from mrmarket.trading.venue.port import AuthenticationRefusedError, VenueError

_CONNECT_TIMEOUT_NS: Final = 30 * NS_PER_S
_RETRY_NS: Final = NS_PER_S


class Upkeep:
    """Holds a run's tasks and tells the run when one of them ends."""

    def __init__(
        self,
        stream: str,
        venue: str,
        reconciler: Reconciler,
        wall: Clock,
        timing: Timing | None = None,
        *,
        on_ended: Callable[[str, Exception | None], None],
    ) -> None:
        """`on_ended` hears the name of a task that ended by itself, and its error if it had one."""
        self._stream = stream
        self._venue = venue
        self._reconciler = reconciler
        self._wall = wall
        timing = timing or Timing()
        self._tick_s = timing.tick_ns / NS_PER_S
        self._maintenance_s = timing.maintenance_ns / NS_PER_S
        self._on_ended = on_ended
        self._tasks: list[asyncio.Task[None]] = []
        self._maintenance: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def maintains(self) -> bool:
        """Whether the periodic comparison with the venue is at work."""
        return self._maintenance is not None

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task that ends with the run."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self._stream} {name}")
        self._tasks.append(task)
        task.add_done_callback(self._finished)
        return task

    def spawn_ticks(self, beat: Callable[[], None]) -> None:
        """Call `beat` at every tick: time alone can make an order due, a block end, or a book stale."""
        # A timer and no task: hundreds of runs tick twenty times a second.
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._tick_s, self._tick, loop, beat)

    def begin_maintenance(self) -> None:
        """Compare with the venue now and then, from now on."""
        if self._maintenance is None:
            self._maintenance = self.spawn(self._maintain(), "reconciliation")

    async def rest_maintenance(self) -> None:
        """End the periodic comparison where it is; what comes now asks the venue itself, in bounded time."""
        task, self._maintenance = self._maintenance, None
        if task is not None:
            await end_all((task,))
            self._tasks.remove(task)

    async def recover(self, connected: asyncio.Event, failure: Callable[[], Exception | None]) -> Recovery:
        """Wait for the user stream, then find out what an earlier life left.

        Raises:
            RunNotReadyError: if the stream or the venue's answers do not come in time.
        """
        deadline_ns = self._wall.monotonic_ns() + _CONNECT_TIMEOUT_NS
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_NS / NS_PER_S):
                await connected.wait()
        except TimeoutError:
            raise RunNotReadyError(self._venue, "its user stream does not connect") from None
        if (broken := failure()) is not None:
            raise RunNotReadyError(self._venue, str(broken)) from broken
        while True:
            try:
                return await self._reconciler.recover()
            except VenueError as error:
                if self._wall.monotonic_ns() >= deadline_ns or isinstance(error, AuthenticationRefusedError):
                    raise RunNotReadyError(self._venue, error.detail) from error
                await asyncio.sleep(_RETRY_NS / NS_PER_S)

    async def end(self) -> None:
        """Cancel every task and wait for them."""
        self._maintenance = None
        if self._timer is not None:
            self._timer.cancel()
        await end_all(task for task in self._tasks if task is not asyncio.current_task())
        self._tasks.clear()

    def _tick(self, loop: asyncio.AbstractEventLoop, beat: Callable[[], None]) -> None:
        self._timer = loop.call_later(self._tick_s, self._tick, loop, beat)
        try:
            beat()
        except Exception as error:  # noqa: BLE001 - a tick that fails must stop its run, not vanish in the loop
            self._timer.cancel()
            self._on_ended(f"{self._stream} ticks", error)

    async def _maintain(self) -> None:
        while True:
            await asyncio.sleep(self._maintenance_s)
            if not self._reconciler.is_idle:
                await self._reconciler.maintain()

    def _finished(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None or isinstance(error, Exception):
            self._on_ended(task.get_name(), error)
