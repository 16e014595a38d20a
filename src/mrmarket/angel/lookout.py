"""Reads the signs of life from every source and says who is missing, also when a source cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from mrmarket.angel.heartbeat import Life, Pulse, PulseMonitor
from mrmarket.angel.port import HeartbeatSource
from mrmarket.angel.settings import AngelSection, OnDatabaseLoss
from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.errors import MrMarketError
from mrmarket.store.operations import Beat

_STALE_POLLS: Final = 4
_READ_S: Final = 3.0
Say = Callable[[str, str, str, bool], None]
"""(action, target, detail, whether a person should hear of it)."""


class _Reading:
    """One source: asked again once it has answered and it is time, never twice at once."""

    def __init__(self, source: HeartbeatSource, now_ns: int) -> None:
        self.source = source
        self.answered_ns: int | None = None
        self.next_ns = now_ns
        """Asked again from here on."""
        self.failing = False
        self.seen: set[str] = set()
        """Nodes that it has ever shown."""
        self.task: asyncio.Task[Sequence[Beat]] | None = None

    def is_fresh(self, now_ns: int, stale_ns: int) -> bool:
        """Whether it answered lately."""
        return self.answered_ns is not None and now_ns - self.answered_ns <= stale_ns


class Lookout:
    """Who has fallen silent, by the policy for a database that cannot be read."""

    def __init__(
        self, sources: Sequence[HeartbeatSource], settings: AngelSection, clock: Clock, say: Say
    ) -> None:
        self.monitor = PulseMonitor(settings.threshold_ns, settings.poll_ns)
        self.signed_off: set[str] = set()
        """Nodes that ended on purpose."""
        self._settings = settings
        self._clock = clock
        self._say = say
        now_ns = clock.monotonic_ns()
        self._readings = [_Reading(source, now_ns) for source in sources]
        # An intervention looks many times a poll; what the sources say is not asked for as often.
        self._pause_ns = settings.poll_ns * 3 // 4
        self._stale_ns = max(NS_PER_S, _STALE_POLLS * settings.poll_ns)

    @property
    def database_fresh(self) -> bool:
        """Whether the authoritative source (where there is one) can be read."""
        now_ns = self._clock.monotonic_ns()
        return all(
            reading.is_fresh(now_ns, self._stale_ns)
            for reading in self._readings
            if reading.source.authoritative
        )

    def look(self) -> list[Pulse]:
        """Take in what the sources have said since, ask again, and name who is missing. Never waits."""
        now_ns = self._clock.monotonic_ns()
        if self.monitor.tick(now_ns):
            self._say("own_gap", "", "the Angel itself stood still; it looks for one more interval", False)
        for reading in self._readings:
            self._take_in(reading, now_ns)
            if reading.task is None and now_ns >= reading.next_ns:
                reading.next_ns = now_ns + self._pause_ns
                reading.task = asyncio.ensure_future(self._ask(reading.source))
        self._forgive_the_unseen(now_ns)
        return self.monitor.missing(now_ns)

    def life(self, node: str) -> Life:
        """What to believe of a node."""
        return self.monitor.life(node, self._clock.monotonic_ns())

    async def close(self) -> None:
        """Ask no more."""
        tasks = [reading.task for reading in self._readings if reading.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, source: HeartbeatSource) -> Sequence[Beat]:
        async with asyncio.timeout(_READ_S):
            return await source.read()

    def _take_in(self, reading: _Reading, now_ns: int) -> None:
        task = reading.task
        if task is None or not task.done():
            return
        reading.task = None
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled():
            beats = task.result()
            if reading.failing:
                reading.failing = False
                self._say("source_back", reading.source.name, "it can be read again", True)
                if reading.source.authoritative:
                    # What stood still there need not have stood still.
                    self.monitor.forgive(now_ns)
            reading.answered_ns = now_ns
            reading.seen.update(beat.node for beat in beats)
            self.signed_off.update(
                self.monitor.observe(beats, now_ns, authoritative=reading.source.authoritative)
            )
            self.signed_off -= {beat.node for beat in beats}
            return
        if error is not None and not isinstance(error, MrMarketError | TimeoutError | OSError):
            raise error
        if not reading.failing:
            reading.failing = True
            quiet = self._settings.on_database_loss is OnDatabaseLoss.WAIT
            words = "it does not answer in time" if isinstance(error, TimeoutError) else str(error)
            if not (quiet and reading.source.authoritative):
                self._say("source_lost", reading.source.name, words, True)

    def _forgive_the_unseen(self, now_ns: int) -> None:
        """Where silence says nothing about a node, do not count it."""
        if self.database_fresh:
            return
        policy = self._settings.on_database_loss
        if policy is OnDatabaseLoss.ACT:
            return
        elsewhere: set[str] = set()
        if policy is OnDatabaseLoss.JUDGE:
            elsewhere = {
                node
                for reading in self._readings
                if not reading.source.authoritative
                for node in reading.seen
            }
        for pulse in self.monitor.pulses:
            if pulse.node not in elsewhere:
                self.monitor.forgive_node(pulse.node, now_ns)
