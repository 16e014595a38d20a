"""Everything that a process tells of itself, in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from mrmarket import __version__
from mrmarket.core.clock import NS_PER_MS, NS_PER_S, Clock
from mrmarket.services.telemetry.collector import check_reading, families
from mrmarket.services.telemetry.health import Health, Readiness
from mrmarket.services.telemetry.loop_lag import LoopLag
from mrmarket.services.telemetry.reading import Distribution, Reading, Source
from mrmarket.services.telemetry.requests import RequestFigures

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_PATIENCE_S: Final = 4.0
_FRESH_S: Final = 2.0

_log = structlog.get_logger("mrmarket.telemetry")


class PublicStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What anybody may know: for directories of instances. No money, no people."""

    name: str
    version: str
    state: str
    """`ready` or `degraded`."""
    uptime_s: int
    pools: int
    now_ms: int


class Telemetry:
    """Sources are read when somebody asks, and at no other time. All methods belong to the event loop."""

    def __init__(self, name: str, clock: Clock, *, node: str = "", role: str = "all") -> None:
        self.health = Health()
        self.lag = LoopLag()
        self.requests = RequestFigures()
        self.pools = 0
        """How many pools people can see here."""
        self.name = name
        self.node = node
        self.role = role
        self._clock = clock
        self._started_ns = clock.now_ns()
        self._began_ns = clock.monotonic_ns()
        self._quick: dict[str, Source] = {}
        self._slow: dict[str, Source] = {}
        self._failures: dict[str, int] = {}
        self._kept: list[Reading | Distribution] = []
        self._kept_at_s: float | None = None
        self._under_way: asyncio.Task[list[Reading | Distribution]] | None = None
        self._reading = asyncio.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._snapshot = _Snapshot()
        self._registry.register(self._snapshot)
        ProcessCollector(registry=self._registry)

    def watch(self, name: str, source: Source, *, threaded: bool = False) -> None:
        """Read a source at each scrape; one that reads a database or the disk goes into a thread."""
        self.forget(name)
        (self._slow if threaded else self._quick)[name] = source

    def forget(self, name: str) -> None:
        """Read a source no more."""
        self._quick.pop(name, None)
        self._slow.pop(name, None)

    async def exposition(self) -> bytes:
        """The text that Prometheus reads. A source that fails is left out, counted and logged."""
        async with self._reading:
            readings = [*self._own(), *self._read(self._quick), *await self._read_slow()]
            readings += [
                Reading("mm_ready", float(part.ready), (part.part,))
                for part in (await self.health.readiness()).parts
            ]
            readings += [
                Reading("mm_scrape_failures_total", count, (name,)) for name, count in self._failures.items()
            ]
            self._snapshot.families = list(families(readings))
            return bytes(generate_latest(self._registry))

    async def readiness(self) -> Readiness:
        """Every part's state."""
        return await self.health.readiness()

    async def status(self) -> PublicStatus:
        """What anybody may know."""
        return PublicStatus(
            name=self.name,
            version=__version__,
            state="ready" if (await self.health.readiness()).ready else "degraded",
            uptime_s=(self._clock.monotonic_ns() - self._began_ns) // NS_PER_S,
            pools=self.pools,
            now_ms=self._clock.now_ns() // NS_PER_MS,
        )

    def _own(self) -> Iterator[Reading | Distribution]:
        yield Reading("mm_instance_info", 1, (self.name, __version__, self.node, self.role))
        yield Reading("mm_started_timestamp_seconds", self._started_ns / NS_PER_S)
        yield Reading("mm_event_loop_lag_seconds", self.lag.worst_s)
        yield from self.requests.distributions()

    def _read(self, sources: dict[str, Source]) -> list[Reading | Distribution]:
        """Every source's readings; called on the loop for the quick ones, in a thread for the others."""
        found: list[Reading | Distribution] = []
        for name, source in list(sources.items()):
            try:
                found += _checked(source())
            except Exception as error:  # noqa: BLE001 - one source that cannot be read must not blind all
                self._failed(name, error)
        return found

    async def _read_slow(self) -> list[Reading | Distribution]:
        loop = asyncio.get_running_loop()
        if self._kept_at_s is not None and loop.time() - self._kept_at_s < _FRESH_S:
            return self._kept
        if self._under_way is None:
            self._under_way = loop.create_task(asyncio.to_thread(self._read, dict(self._slow)))
        done, _ = await asyncio.wait({self._under_way}, timeout=_PATIENCE_S)
        if not done:
            # It goes on, and no second one is begun: a database that hangs costs one thread.
            self._failed("slow sources", TimeoutError(f"no answer within {_PATIENCE_S:.0f} s"))
            return []
        self._kept, self._kept_at_s, self._under_way = self._under_way.result(), loop.time(), None
        return self._kept

    def _failed(self, name: str, error: Exception) -> None:
        count = self._failures.get(name, 0)
        self._failures[name] = count + 1
        if not count:
            _log.warning("a source of figures cannot be read", source=name, exc_info=error)


class _Snapshot(Collector):
    """Hands the registry what was read before it asked."""

    def __init__(self) -> None:
        self.families: list[Family] = []

    def collect(self) -> Iterable[Family]:
        """What was read."""
        return self.families


def _checked(readings: Iterable[Reading | Distribution]) -> list[Reading | Distribution]:
    found = list(readings)
    for reading in found:
        check_reading(reading)
    return found
