"""Requests between a process and the world: late, lost on the way there or back, or cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final, TypeVar

from mrmarket.simulation.loop import VirtualLoop
from mrmarket.simulation.process import PROCESS, Process
from mrmarket.simulation.weather import FaultKind, Weather

T = TypeVar("T")

_WORLD: Final = Context()
"""What happens in it happens on nobody's behalf, whoever asked for it and whether he lives."""

_NEAR_S: Final = (0.002, 0.06)
_SLOW_S: Final = (0.3, 1.6)
_LATE_S: Final = (0.5, 4.0)


class NoAnswerError(Exception):
    """Nothing came back in time; whether there was an effect is unknown."""


class ServerFaultError(Exception):
    """A 5xx: whether there was an effect is unknown."""


class SlowDownError(Exception):
    """A 429: there was no effect."""


class Network:
    """Every line of one simulation."""

    def __init__(self, loop: VirtualLoop, weather: Weather) -> None:
        self.loop = loop
        self.weather = weather
        self._cut: dict[tuple[str, str], float] = {}

    def cut(self, process: str, peer: str, until_s: float) -> None:
        """Nothing passes between a process (by name, whatever its life) and a peer until a time."""
        self._cut[process, peer] = until_s

    def heal(self) -> None:
        """Everything passes again."""
        self._cut.clear()

    def is_cut(self, process: str, peer: str) -> bool:
        """Whether nothing passes now."""
        return bool(self._cut) and self._cut.get((process, peer), 0.0) > self.loop.time()

    def near_s(self) -> float:
        """How long a message takes that nothing strikes."""
        return self.weather.rng.uniform(*_NEAR_S)

    def later(self, delay_s: float, effect: Callable[..., Any], *args: Any) -> None:
        """Do something in the world after a while, whoever lives by then."""
        self.loop.call_later(delay_s, effect, *args, context=_WORLD)

    async def ask(
        self,
        process: Process,
        peer: str,
        effect: Callable[[], T],
        *,
        timeout_s: float,
        faults: bool = True,
    ) -> T:
        """Send a request and wait for its answer.

        `effect` runs in the world when the request arrives; what it returns or raises is the answer.

        Raises:
            NoAnswerError, ServerFaultError, SlowDownError: by what happened on the way.
            Exception: what `effect` raised.
        """
        process.require_alive()
        loop, rng = self.loop, self.weather.rng
        future: asyncio.Future[T] = loop.create_future()
        if self.is_cut(process.name, peer):
            return await self._silence(future, timeout_s)
        there_s, back_s = rng.uniform(*_NEAR_S), rng.uniform(*_NEAR_S)
        fate = self.weather.of_request() if faults else None
        if fate is None:
            pass
        elif fate is FaultKind.RATE_LIMIT:
            self.later(there_s + back_s, _fail, future, SlowDownError())
            return await future
        elif fate is FaultKind.LOST_REQUEST:
            return await self._silence(future, timeout_s)
        elif fate is FaultKind.SLOW:
            there_s += rng.uniform(*_SLOW_S)
        elif fate is FaultKind.LATE_EFFECT:
            # The line breaks while the request is already on its way.
            there_s += rng.uniform(*_LATE_S)
            self.later(rng.uniform(0.0, there_s), _fail, future, NoAnswerError())

        def arrive() -> None:
            if fate is FaultKind.SERVER_ERROR and rng.random() < 0.5:  # noqa: PLR2004 - before or after the effect
                self.later(back_s, _fail, future, ServerFaultError())
                return
            try:
                answer = effect()
            except Exception as error:  # noqa: BLE001 - the answer may be a refusal of any kind
                self.later(back_s, _fail, future, error)
                return
            if fate is FaultKind.SERVER_ERROR:
                self.later(back_s, _fail, future, ServerFaultError())
            elif fate is FaultKind.LOST_ANSWER or self.is_cut(process.name, peer):
                self.later(timeout_s, _fail, future, NoAnswerError())
            else:
                self.later(back_s, _answer, future, answer)

        self.later(there_s, arrive)
        return await future

    async def _silence(self, future: asyncio.Future[T], timeout_s: float) -> T:
        self.later(timeout_s, _fail, future, NoAnswerError())
        return await future


def caller() -> Process:
    """The process on whose behalf this runs.

    Raises:
        RuntimeError: if it is the world's own.
    """
    process = PROCESS.get()
    if process is None:
        raise RuntimeError("only a process may ask")
    return process


def _answer(future: asyncio.Future[Any], answer: object) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
