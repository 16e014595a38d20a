"""Weeks of one instance: nothing may grow that does not have to."""

from __future__ import annotations

import gc
import resource
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.simulation.plan import Plan, Topology, draw_plan
from mrmarket.simulation.seed import quiet, rest
from mrmarket.simulation.storm import Storm
from mrmarket.simulation.weather import FaultKind
from mrmarket.simulation.world import World
from mrmarket.store.event_log import natural_key

_DAY_S: Final = 86_400.0
_KEPT_NS: Final = 2 * 3_600 * NS_PER_S
_SETTLED_DAYS: Final = 2
"""After so long an instance has everything in memory that it ever needs."""
_RATES: Final = {
    FaultKind.LOST_REQUEST: 0.003,
    FaultKind.LOST_ANSWER: 0.003,
    FaultKind.SLOW: 0.01,
    FaultKind.SERVER_ERROR: 0.003,
    FaultKind.STREAM_DUPLICATE: 0.01,
    FaultKind.STREAM_REORDER: 0.01,
    FaultKind.STREAM_BREAK: 0.001,
    FaultKind.MARKET_GAP: 0.003,
}
_PACE: Final = 20.0
_STATM: Final = Path("/proc/self/statm")


class Day(msgspec.Struct, frozen=True):
    """How an instance is at the end of a day."""

    day: int
    rss_bytes: int
    actions: int
    """Since the beginning."""
    fills: int


class WeeksReport(msgspec.Struct, frozen=True, kw_only=True):
    """What weeks came to."""

    virtual_seconds: int
    actions: int
    fills: int
    rss_begin_bytes: int
    """At the end of the second day, or of the last where there are fewer."""
    rss_end_bytes: int
    growth: float
    """Of the memory after the second day; a fraction."""
    faults: dict[str, int]
    violations: list[str]


def run_weeks(days: int, heard: Callable[[Day], None] = lambda _day: None) -> WeeksReport:
    """Live so many virtual days with faults that come and go, and look at the memory after each."""
    plan = replace(
        draw_plan(1),
        topology=Topology(1, 1, has_angel=False, has_server=False, depositors=1),
        rates=_RATES,
        happenings=(),
        move_every_s=18.0,
        lease_s=180.0,
        round_s=120.0,
        storm_s=days * _DAY_S,
        end_s=days * _DAY_S + 1_260.0,
        campaigns=None,
    )
    with tempfile.TemporaryDirectory() as folder, quiet():
        return _live(plan, days, Path(folder) / "money.db", heard)


def _live(plan: Plan, days: int, money_db: Path, heard: Callable[[Day], None]) -> WeeksReport:
    # A function of its own, so that its world is gone when `quiet` collects.
    seen: list[Day] = []
    world = World(plan, money_db)
    for person in world.people:
        person.pace = _PACE
    storm = Storm(world)
    world.begin()
    for day in range(1, days + 1):
        world.loop.run_until(day * _DAY_S)
        _forget(world)
        gc.collect()
        counts = [exchange.counts for exchange in world.exchanges]
        seen.append(
            Day(day, rss_bytes(), sum(each.actions for each in counts), sum(each.fills for each in counts))
        )
        heard(seen[-1])
    rest(world, storm)
    faults = Counter({kind.value: count for kind, count in world.weather.struck.items()})
    world.business.database.close()
    begin, end = seen[min(_SETTLED_DAYS, days) - 1], seen[-1]
    return WeeksReport(
        virtual_seconds=int(world.loop.time()),
        actions=end.actions,
        fills=end.fills,
        rss_begin_bytes=begin.rss_bytes,
        rss_end_bytes=end.rss_bytes,
        growth=round(end.rss_bytes / begin.rss_bytes - 1, 4),
        faults=dict(sorted(faults.items())),
        violations=[str(each) for each in world.checkers.violations],
    )


def rss_bytes() -> int:
    """Memory that this process has in use; at most it had, where the system does not say."""
    if _STATM.is_file():
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


def _forget(world: World) -> None:
    """Compare, then drop what the outside keeps and nobody asks for: it is a disk's, not the instance's."""
    before_ns = world.now_ns() - _KEPT_NS
    data = world.trading
    for exchange, spec in zip(world.exchanges, world.specs, strict=True):
        world.checkers.check_fills(exchange, spec.id, data, before_ns + _KEPT_NS // 2)
        exchange.forget(before_ns)
        log = data.events.get(spec.id, [])
        old = sum(1 for row in log[:-1] if row.at_ns < before_ns)
        data.forgotten[spec.id] = data.forgotten.get(spec.id, 0) + old
        del log[:old]
    data.keys = {
        key for log in data.events.values() for row in log if (key := natural_key(row.fact)) is not None
    }
    for key, record in list(data.orders.items()):
        if not record.is_open and record.updated_ns < before_ns:
            del data.orders[key]
    known = {key for exchange in world.exchanges for key in exchange.orders}
    world.checkers.placed_ids &= known
    world.checkers.arrivals = Counter({key: 1 for key in world.checkers.arrivals if key in known})
