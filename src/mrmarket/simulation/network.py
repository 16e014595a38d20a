"""Requests between a process and the world: late, lost on the way there or back, or cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final, TypeVar

from mrmarket.simulation.loop import VirtualLoop
from mrmarket.simulation.process import Process
from mrmarket.simulation.weather import FaultKind, Weather

T = TypeVar("T")

_WORLD: Final = Context()
"""What happens in it happens on nobody's behalf, whoever asked for it and whether he lives."""

_NEAR_LEAST_S: Final = 0.002
_NEAR_SPAN_S: Final = 0.06 - _NEAR_LEAST_S
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
        return bool(self._cut) and self._cut.get((process, peer), 0.0) > self.loop.now_s

    def near_s(self) -> float:
        """How long a message takes that nothing strikes."""
        return _NEAR_LEAST_S + _NEAR_SPAN_S * self.weather.rng.random()

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
        rng = self.weather.rng
        future: asyncio.Future[T] = self.loop.create_future()
        there_s = _NEAR_LEAST_S + _NEAR_SPAN_S * rng.random()
        back_s = _NEAR_LEAST_S + _NEAR_SPAN_S * rng.random()
        fate = self.weather.of_request() if faults else None
        if fate is FaultKind.LOST_REQUEST or self.is_cut(process.name, peer):
            self.later(timeout_s, _fail, future, NoAnswerError())
        elif fate is FaultKind.RATE_LIMIT:
            self.later(there_s + back_s, _fail, future, SlowDownError())
        else:
            if fate is FaultKind.SLOW:
                there_s += rng.uniform(*_SLOW_S)
            elif fate is FaultKind.LATE_EFFECT:
                # The line breaks while the request is already on its way.
                there_s += rng.uniform(*_LATE_S)
                self.later(rng.uniform(0.0, there_s), _fail, future, NoAnswerError())
            wait_s = timeout_s if fate is FaultKind.LOST_ANSWER else back_s
            self.later(there_s, self._arrive, future, effect, fate, wait_s, (process.name, peer))
        return await future

    def _arrive(
        self,
        future: asyncio.Future[Any],
        effect: Callable[[], Any],
        fate: FaultKind | None,
        wait_s: float,
        line: tuple[str, str],
    ) -> None:
        """A request has come to where it was sent."""
        fails = fate is FaultKind.SERVER_ERROR
        error: Exception | None = None
        answer = None
        if fails and self.weather.rng.random() < 0.5:  # noqa: PLR2004 - before or after the effect
            error = ServerFaultError()
        else:
            try:
                answer = effect()
            except Exception as refusal:  # noqa: BLE001 - the answer may be a refusal of any kind
                error = refusal
        if fails:
            error = ServerFaultError()
        elif fate is FaultKind.LOST_ANSWER or self.is_cut(*line):
            error = NoAnswerError()
        if error is None:
            self.later(wait_s, _answer, future, answer)
        else:
            self.later(wait_s, _fail, future, error)


def _answer(future: asyncio.Future[Any], answer: object) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
