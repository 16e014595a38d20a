"""How long requests and answers are under way."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.backtest.setting import (
    ConstantLatency,
    LatencyModel,
    RecordedLatency,
    SpikyLatency,
    duration_ns,
)

_COLUMNS: Final = 3
_MOST_PARTS: Final = 3


class Delays(Protocol):
    """Asked once for each request and once for each answer, in the order in which they are sent."""

    def order_ns(self, at_ns: int) -> int:
        """From the decision, made at this time of the exchange's clock, to the matching engine."""
        ...

    def response_ns(self, at_ns: int) -> int:
        """From the matching engine, at this time, back."""
        ...


class _Constant:
    def __init__(self, model: ConstantLatency) -> None:
        self._model = model

    def order_ns(self, at_ns: int) -> int:  # noqa: ARG002 - part of the port
        return self._model.order_ns

    def response_ns(self, at_ns: int) -> int:  # noqa: ARG002 - part of the port
        return self._model.response_ns


class _Recorded:
    def __init__(self, model: RecordedLatency) -> None:
        self._sent = [sent for sent, _, _ in model.samples]
        self._orders = [reached - sent for sent, reached, _ in model.samples]
        self._reached = [reached for _, reached, _ in model.samples]
        self._responses = [answered - reached for _, reached, answered in model.samples]

    def order_ns(self, at_ns: int) -> int:
        return interpolate(self._sent, self._orders, at_ns)

    def response_ns(self, at_ns: int) -> int:
        return interpolate(self._reached, self._responses, at_ns)


class _Spiky:
    def __init__(self, model: SpikyLatency, seed: int) -> None:
        self._model = model
        self._random = random.Random(seed)  # noqa: S311 - a model of delays, reproducible by its seed

    def order_ns(self, at_ns: int) -> int:  # noqa: ARG002 - part of the port
        return self._draw()

    def response_ns(self, at_ns: int) -> int:  # noqa: ARG002 - part of the port
        return self._draw()

    def _draw(self) -> int:
        model = self._model
        if not model.median_ns:
            return model.base_ns
        return model.base_ns + round(self._random.lognormvariate(math.log(model.median_ns), model.sigma))


def delays(model: LatencyModel, seed: int) -> Delays:
    """The model at work; the same seed draws the same delays."""
    if isinstance(model, ConstantLatency):
        return _Constant(model)
    if isinstance(model, RecordedLatency):
        return _Recorded(model)
    return _Spiky(model, seed)


def interpolate(times: Sequence[int], values: Sequence[int], at: int) -> int:
    """Linear between two samples, the nearest one outside of them. `times` ascend."""
    after = bisect_right(times, at)
    if after == 0:
        return values[0]
    if after == len(times):
        return values[-1]
    begin, end = times[after - 1], times[after]
    return values[after - 1] + (values[after] - values[after - 1]) * (at - begin) // (end - begin)


def read_samples(path: Path) -> RecordedLatency:
    """Recorded (sent, reached, answered) nanoseconds: three numbers a line, commas between, any first line.

    Raises:
        InvalidInputError: the file cannot be read, or a line holds something else.
    """
    wanted = "a file of lines `sent_ns,reached_ns,answered_ns`, ascending"
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError("latency", str(path), wanted) from error
    samples: list[tuple[int, int, int]] = []
    for number, line in enumerate(lines, 1):
        words = line.split(",")
        if not line.strip() or (number == 1 and not words[0].strip().isdigit()):
            continue
        if len(words) != _COLUMNS or not all(word.strip().isdigit() for word in words):
            raise InvalidInputError("latency", f"{path}, line {number}", wanted)
        sent, reached, answered = (int(word) for word in words)
        ascends = not samples or (sent > samples[-1][0] and reached > samples[-1][1])
        if not (ascends and sent <= reached <= answered):
            raise InvalidInputError("latency", f"{path}, line {number}", wanted)
        samples.append((sent, reached, answered))
    if not samples:
        raise InvalidInputError("latency", str(path), wanted)
    return RecordedLatency(samples=tuple(samples))


def parse_latency(text: str) -> LatencyModel:
    """`5ms`, `5ms,5ms` (order, response), `1ms,5ms,5ms` (feed, order, response), `spiky`, or a file.

    Raises:
        InvalidInputError: it is none of these.
    """
    if text == "spiky":
        return SpikyLatency()
    if Path(text).suffix == ".csv":
        return read_samples(Path(text))
    parts = [duration_ns(word, "latency") for word in text.split(",")]
    if len(parts) > _MOST_PARTS:
        raise InvalidInputError("latency", text, "one to three times, such as 1ms,5ms,5ms")
    if len(parts) == 1:
        parts *= 3
    if len(parts) == 2:  # noqa: PLR2004 - order and response
        parts = [ConstantLatency().feed_ns, *parts]
    feed, order, response = parts
    return ConstantLatency(feed_ns=feed, order_ns=order, response_ns=response)
