"""Takes notices from anywhere at once, and delivers them in its own time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

import structlog

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.notice import Notice, Severity
from mrmarket.services.notify.delivery import DeliveryError, Way
from mrmarket.services.notify.gate import Gate, GateRules

_MOST_WAITING: Final = 1_000
_MOST_QUEUED: Final = 100
_ATTEMPTS: Final = 6
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_DIGEST_EVERY_S: Final = 5.0
_LAST_WORDS_S: Final = 5.0

_log = structlog.get_logger("mrmarket.notices")


@dataclass(slots=True)
class WayFigures:
    """How one way has fared."""

    delivered: int = 0
    failed: int = 0
    """Given up after every attempt, or refused for good."""
    retried: int = 0
    dropped: int = 0
    """Not even tried: too many waited already."""


@dataclass(slots=True)
class _Lane:
    way: Way
    queue: asyncio.Queue[Notice] = field(default_factory=lambda: asyncio.Queue(_MOST_QUEUED))
    figures: WayFigures = field(default_factory=WayFigures)


class Notifier:
    """A NoticeSink. Every notice is logged; what the gate lets through goes every way there is.

    `notify` may be called from any thread, returns at once and never raises. A way that is slow or broken
    holds up no other.
    """

    def __init__(
        self, ways: Sequence[Way], rules: GateRules, clock: Clock, chance: Random | None = None
    ) -> None:
        self.dropped = 0
        """Notices that nobody will hear of: too many at once."""
        self.gate = Gate(rules)
        self._clock = clock
        self._chance = chance or Random()  # noqa: S311 - spreads retries, protects nothing
        self._lanes = [_Lane(way) for way in ways]
        self._taken: deque[Notice] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def figures(self) -> dict[str, WayFigures]:
        """By way."""
        return {lane.way.name: lane.figures for lane in self._lanes}

    def notify(self, notice: Notice) -> None:
        """Take a notice."""
        if len(self._taken) >= _MOST_WAITING:
            self.dropped += 1
            return
        self._taken.append(notice)
        loop = self._loop
        if loop is not None and not loop.is_closed():
            with suppress(RuntimeError):  # it closed in this very moment
                loop.call_soon_threadsafe(self._wake.set)

    async def start(self) -> None:
        """Begin to deliver; what was taken before goes out too."""
        self._loop = asyncio.get_running_loop()
        self._wake.set()
        self._tasks = [asyncio.create_task(self._sort(), name="notices")]
        self._tasks += [
            asyncio.create_task(self._serve(lane), name=f"notices {lane.way.name}") for lane in self._lanes
        ]

    async def close(self) -> None:
        """Deliver what can be delivered in a few seconds, then hang up."""
        if self._tasks:
            self._pass_on()
            try:
                async with asyncio.timeout(_LAST_WORDS_S):
                    await asyncio.gather(*(lane.queue.join() for lane in self._lanes))
            except TimeoutError:
                left = sum(lane.queue.qsize() for lane in self._lanes)
                _log.warning("some notices were not delivered before the end", left=left)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for lane in self._lanes:
            await lane.way.close()

    async def _sort(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_DIGEST_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                pass  # time alone can make room for a digest
            self._wake.clear()
            self._pass_on()

    def _pass_on(self) -> None:
        now_ms = self._clock.now_ns() // NS_PER_MS
        while self._taken:
            notice = self._taken.popleft()
            say = _log.info if notice.severity is Severity.INFO else _log.warning
            say(
                "notice",
                key=notice.key,
                kind=notice.kind,
                severity=notice.severity.value,
                title=notice.title,
                text=notice.text,
            )
            admitted = self.gate.admit(notice, now_ms)
            if admitted is not None:
                self._queue(admitted)
        digest = self.gate.digest(now_ms)
        if digest is not None:
            self._queue(digest)

    def _queue(self, notice: Notice) -> None:
        for lane in self._lanes:
            try:
                lane.queue.put_nowait(notice)
            except asyncio.QueueFull:
                lane.figures.dropped += 1

    async def _serve(self, lane: _Lane) -> None:
        while True:
            notice = await lane.queue.get()
            try:
                await self._deliver(lane, notice)
            finally:
                lane.queue.task_done()

    async def _deliver(self, lane: _Lane, notice: Notice) -> None:
        pause_s = _FIRST_PAUSE_S
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await lane.way.send(notice)
            except DeliveryError as error:
                if error.may_retry and attempt < _ATTEMPTS:
                    lane.figures.retried += 1
                    wanted_s = max(error.retry_after_s, pause_s * (0.5 + self._chance.random() / 2))
                    await asyncio.sleep(min(wanted_s, _LONGEST_PAUSE_S))
                    pause_s *= 2
                    continue
                lane.figures.failed += 1
                _log.warning(
                    "a notice was not delivered", way=lane.way.name, key=notice.key, reason=error.problem
                )
            except Exception as error:  # noqa: BLE001 - a fault in one way must not end it for good
                lane.figures.failed += 1
                _log.error("a way for notices failed", way=lane.way.name, exc_info=error)
            else:
                lane.figures.delivered += 1
            return
