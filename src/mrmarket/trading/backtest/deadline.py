"""A limit for how long one decision may take, at no cost for decisions that end in time."""

from __future__ import annotations

import ctypes
import signal
import threading
from types import FrameType, TracebackType
from typing import Final, Self

from mrmarket.trading.backtest.errors import StrategyHungError

_LOOKS: Final = 4
"""How often the watcher looks within one limit."""


class Deadline:
    """Watches one thread from another one while it is inside a strategy.

    In the main thread a signal interrupts whatever the strategy waits for; in any other thread the error
    is raised at its next line of Python.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._calls = 0
        self._inside = False
        self._done = threading.Event()
        self._target = threading.get_ident()
        self._is_main = threading.current_thread() is threading.main_thread() and hasattr(
            signal, "pthread_kill"
        )
        self._before: object = None
        self._watcher = threading.Thread(target=self._watch, name="decision limit", daemon=True)

    def enter(self) -> None:
        """The strategy is called now."""
        self._calls += 1
        self._inside = True

    def leave(self) -> None:
        """It has answered."""
        self._inside = False

    def __enter__(self) -> Self:
        if self._is_main:
            self._before = signal.signal(signal.SIGVTALRM, self._on_signal)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside = False
        self._done.set()
        self._watcher.join()
        if self._is_main:
            signal.signal(signal.SIGVTALRM, self._before)  # type: ignore[arg-type]  # what `signal` gave

    def _watch(self) -> None:
        call, seen = 0, 0
        while not self._done.wait(self.limit_s / _LOOKS):
            if not self._inside or self._calls != call:
                call, seen = self._calls, 0
                continue
            seen += 1
            if seen >= _LOOKS:
                self._interrupt()
                seen = 0

    def _interrupt(self) -> None:
        if self._is_main:
            signal.pthread_kill(self._target, signal.SIGVTALRM)
        else:
            # The only way to end a call in a thread that is not the main one.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._target), ctypes.py_object(StrategyHungError)
            )

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._inside:
            raise StrategyHungError
