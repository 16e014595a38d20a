"""A thread with an event loop of its own: others see when it hangs, and can interrupt it."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.errors import MrMarketError

_BEAT_S: Final = 0.2


class ShadowHungError(MrMarketError):
    """A strategy on paper did not come back from a call."""

    code = "shadow_hung"

    def __init__(self, name: str = "a shadow", seconds: float = 0.0) -> None:
        self.name = name
        self.seconds = seconds
        super().__init__(f"{name} did not come back within {seconds:.0f} s; look for a loop without an end")


class ShadowThread:
    """Runs one coroutine on a loop of its own thread. Not reusable."""

    def __init__(self, name: str, live: Callable[[], Coroutine[Any, Any, None]], clock: Clock) -> None:
        """Nothing runs before `start`; `live` is called on the thread and ends by returning or raising."""
        self.name = name
        self.failure: BaseException | None = None
        """What ended it, unless it was asked to end."""
        self._live = live
        self._clock = clock
        self._beat_ns = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._over = threading.Event()
        # A daemon: one that cannot be interrupted must not keep the process.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._over.is_set()

    def start(self) -> None:
        """Begin."""
        self._beat_ns = self._clock.monotonic_ns()
        self._thread.start()

    def silent_s(self) -> float:
        """For how long its loop has not turned."""
        return (self._clock.monotonic_ns() - self._beat_ns) / NS_PER_S

    def stop(self) -> None:
        """Ask it to end; `is_over` tells when it has."""
        self._stopping = True
        loop, task = self._loop, self._task
        if loop is not None and task is not None and not self.is_over:
            try:
                loop.call_soon_threadsafe(task.cancel)
            except RuntimeError:
                return  # its loop has closed in between

    def interrupt(self) -> None:
        """Raise `ShadowHungError` in whatever Python code it is at.

        For a call without an end: the interpreter looks between two byte codes. A call that is stuck in
        C cannot be reached, and sits there until the process ends.
        """
        if self._thread.ident is not None and not self.is_over:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident), ctypes.py_object(ShadowHungError)
            )

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - whatever ends a thread is told by its owner
            self.failure = error
        finally:
            self._over.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = task = asyncio.ensure_future(self._live())
        if self._stopping:
            task.cancel()
        beating = asyncio.ensure_future(self._beat())
        try:
            await task
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            self._beat_ns = self._clock.monotonic_ns()
            await asyncio.sleep(_BEAT_S)
