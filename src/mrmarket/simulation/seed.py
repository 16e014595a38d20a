"""One seed from its beginning to its verdict."""

from __future__ import annotations

import gc
import hashlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from mrmarket.simulation.checkers import Violation
from mrmarket.simulation.plan import Plan, draw_plan
from mrmarket.simulation.storm import Storm
from mrmarket.simulation.world import World

_WORK_BOUND_S: Final = 400.0
"""Within this after the last fault every run quotes again."""
_LONGER_S: Final = 1_800.0
"""A seed that has not done enough, because its owner halted it for long, goes on for so long at most."""
_STOP_BOUND_S: Final = 200.0
_MONEY_BOUND_S: Final = 1_800.0
"""Within this after the last fault nobody's money is on its way: the longest pause between two looks at a
payment is five minutes, and a withdrawal takes several."""


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What came of one seed."""

    seed: int
    virtual_s: float
    actions: int
    fills: int
    faults: dict[str, int]
    crashes: int
    interventions: int
    """Of the Angel."""
    steps: int
    trace: str
    """Hash of everything that happened at the exchanges and in the event log."""
    violations: tuple[Violation, ...] = ()
    payouts: int = 0
    """Of campaigns, that were taken."""


def run_seed(seed: int, plan: Plan | None = None) -> SeedReport:
    """Simulate one seed; what goes wrong within it is in the report and is not raised."""
    with quiet():
        world = World(plan or draw_plan(seed))
        live(world)
        report = _report(world)
        del world
    return report


def live(world: World) -> None:
    """Let a world run through its storm, heal, rest, and be looked at."""
    storm = Storm(world)
    world.begin()
    storm.begin()
    world.loop.run_until(world.plan.storm_s)
    rest(world, storm)


def rest(world: World, storm: Storm) -> None:
    """Heal a world, let it come to rest, and look at it."""
    loop, plan, checkers = world.loop, world.plan, world.checkers
    storm.end()
    if not loop.run_until(plan.storm_s + _WORK_BOUND_S, done=world.is_at_work):
        checkers.report("heals", f"not every run quotes {_WORK_BOUND_S:.0f} s after the last fault")
    if not loop.run_until(plan.storm_s + _MONEY_BOUND_S, done=world.is_settled):
        checkers.report("payouts_end", f"money is on its way {_MONEY_BOUND_S:.0f} s after the last fault")
    loop.run_until(plan.end_s)
    loop.run_until(plan.end_s + _LONGER_S, done=world.has_done_enough)
    world.stop_runs()
    if not loop.run_until(loop.time() + _STOP_BOUND_S, done=world.is_stopped):
        checkers.report("stops", f"not every run has ended {_STOP_BOUND_S:.0f} s after it was asked to")
    loop.run_until(loop.time() + 2 * plan.round_s)
    loop.run_until(loop.time() + _MONEY_BOUND_S, done=world.is_settled)
    world.look_at_rest()
    for fault in loop.faults:
        error = fault.get("exception")
        checkers.report("unhandled", f"{fault.get('message')}: {error!r}")


def _report(world: World) -> SeedReport:
    trace = hashlib.sha256()
    for exchange in world.exchanges:
        for standing in exchange.orders.values():
            trace.update(repr((standing.order, standing.status, standing.filled_lots)).encode())
        for trade in exchange.trades:
            trace.update(repr(trade).encode())
    for stream in sorted(world.trading.events):
        log = world.trading.events[stream]
        trace.update(log[-1].hash if log else b"")
    if world.rewards is not None:
        chain = world.rewards.partner.chain
        trace.update(repr((chain.blocks[-1].block.hash, world.payouts_taken())).encode())
    trace.update(repr((world.loop.steps, world.loop.time())).encode())
    return SeedReport(
        seed=world.plan.seed,
        virtual_s=world.loop.time(),
        actions=sum(exchange.counts.actions for exchange in world.exchanges),
        fills=sum(exchange.counts.fills for exchange in world.exchanges),
        faults={kind.value: count for kind, count in sorted(world.weather.struck.items())},
        crashes=world.crashes,
        interventions=0 if world.angel is None else world.angel.interventions,
        steps=world.loop.steps,
        trace=trace.hexdigest(),
        violations=tuple(world.checkers.violations),
        payouts=world.payouts_taken(),
    )


@contextmanager
def quiet() -> Iterator[None]:
    """No log lines, no collection of garbage in the middle, no complaints of processes that were killed."""
    configured = structlog.get_config()
    hook, enabled = sys.unraisablehook, gc.isenabled()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    gc.disable()
    gc.freeze()  # what was there before need not be looked at afterwards
    sys.unraisablehook = lambda _unraisable: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield
            finally:
                gc.collect()
                gc.collect()  # what the first one has closed, coroutines, was still held by their clean-up
                gc.unfreeze()
    finally:
        sys.unraisablehook = hook
        if enabled:
            gc.enable()
        structlog.configure(**configured)
