"""What runs and their venues say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from mrmarket.core.clock import NS_PER_S
from mrmarket.services.telemetry.reading import Distribution, Reading, Source
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.run import StrategyRun
from mrmarket.trading.venue.rate_budget import RateBudget

_MICRO: Final = 1e-6
_BIN_BOUNDS: Final = (*(f"{edge}.0" for edge in range(-5, 6)), "+Inf")
"""Upper edges of the bins of `RunTotals.captured_bins`, in basis points."""


@runtime_checkable
class KeepsBudget(Protocol):
    """A venue whose requests go through a rate budget."""

    budget: RateBudget


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A run of this process, and whose money it trades with."""

    run: StrategyRun
    pool: str = ""


Runs = Callable[[], Iterable[HeldRun]]


def runs_source(runs: Runs) -> Source:
    """Every run that this process holds, and their venues; to be read on the event loop."""

    def read() -> Iterator[Reading | Distribution]:
        held = list(runs())
        yield Reading("mm_runs_held", len(held))
        for each in held:
            yield from run_readings(each)
        yield from venue_readings([each.run for each in held])

    return read


def run_readings(held: HeldRun) -> Iterator[Reading | Distribution]:
    """One run."""
    run, totals = held.run, held.run.totals
    venue, pair, label = run.venue.name, run.strategy.symbol, (run.stream,)
    yield Reading("mm_run_info", 1, (run.stream, venue, pair, held.pool))
    for known in RunState:
        yield Reading("mm_strategy_state", float(run.state is known), (run.stream, known.value))
    yield Reading("mm_quotes_pulled", float(bool(run.pulled)), label)
    for state, count in (
        ("placed", totals.orders_placed),
        ("cancelled", totals.orders_cancelled),
        ("refused", run.refusals),
    ):
        yield Reading("mm_orders_total", count, (venue, pair, state))
    live = run.live_orders
    yield Reading("mm_orders_open", len(live), label)
    yield Reading("mm_orders_unknown", sum(order.is_doubted for order in live), label)
    yield Reading("mm_fills_total", totals.fills, (venue, pair))
    yield _captured(totals.captured_bins, label)
    if (share := run.uptime.share) is not None:
        yield Reading("mm_quote_uptime_ratio", share, label)
    view = run.watch.view(run.account)
    if view is not None and view.base_share is not None:
        skew = float(view.base_share) - float(run.strategy.inventory_target)
        yield Reading("mm_inventory_skew", skew, label)
    for quantile, microseconds in zip(("0.5", "0.99"), run.latency_us, strict=True):
        if microseconds is not None:
            yield Reading("mm_quote_latency_seconds", microseconds * _MICRO, (run.stream, quantile))


def venue_readings(runs: Iterable[StrategyRun]) -> Iterator[Reading]:
    """The venues of some runs, each told once: its oldest book, its worst stream."""
    ages_ns: dict[str, int] = {}
    streams: dict[str, bool] = {}
    budgets: dict[int, RateBudget] = {}
    for run in runs:
        name, age_ns = run.venue.name, run.watch.tracker.age_ns
        if age_ns is not None:
            ages_ns[name] = max(ages_ns.get(name, 0), age_ns)
        streams[name] = streams.get(name, True) and run.user_stream_connected
        if isinstance(run.venue, KeepsBudget):
            budgets[id(run.venue.budget)] = run.venue.budget
    for name, age_ns in ages_ns.items():
        yield Reading("mm_ws_age_seconds", age_ns / NS_PER_S, (name,))
    for name, up in streams.items():
        yield Reading("mm_user_stream_up", float(up), (name,))
    levels: dict[tuple[str, str], float] = {}
    for budget in budgets.values():
        yield Reading("mm_rate_refusals_total", budget.refusals, (budget.venue,))
        for limit, level in budget.levels().items():
            key = (budget.venue, limit)
            levels[key] = min(levels.get(key, 1.0), level)
    for key, level in levels.items():
        yield Reading("mm_rate_budget_ratio", level, key)


def _captured(bins: Iterable[int], label: tuple[str, ...]) -> Distribution:
    below, buckets = 0, []
    for bound, count in zip(_BIN_BOUNDS, bins, strict=True):
        below += count
        buckets.append((bound, float(below)))
    return Distribution("mm_spread_captured_bps", tuple(buckets), None, label)
