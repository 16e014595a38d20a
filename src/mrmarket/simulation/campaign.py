"""Many seeds on several cores, and what they come to together."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import Final

import msgspec

from mrmarket.simulation.seed import SeedReport, run_seed

_CHUNK: Final = 8
"""Seeds that a worker is given at a time."""

Heard = Callable[[SeedReport], None]


class Spread(msgspec.Struct, frozen=True):
    """How something is distributed over seeds."""

    least: int
    median: float
    most: int


class FoundViolation(msgspec.Struct, frozen=True):
    """Something that must never be, and the command that shows it again."""

    seed: int
    check: str
    detail: str
    at_s: float
    reproduce: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign came to."""

    seeds: int
    start: int
    virtual_seconds: int
    faults: dict[str, int]
    """How often each kind has struck."""
    violations: list[FoundViolation]
    actions: Spread
    """Orders placed and cancelled in each seed."""
    fills: Spread
    faults_per_seed: Spread
    crashes: Spread
    interventions: int
    """Of the Angel."""
    payouts: int
    """Of campaigns, taken in those seeds that live with some."""
    steps: int
    """Callbacks run."""
    trace: str
    """Hash over the traces of all seeds: two versions that do the same in every seed say the same."""


def reproduce(seed: int) -> str:
    """The command that runs one seed again."""
    return f"mrmarket simulate --seeds 1 --start {seed}"


def run_campaign(seeds: Sequence[int], jobs: int, heard: Heard = lambda _report: None) -> Summary:
    """Run seeds, each by itself, and add them up; `heard` is told of each as it ends, in their order."""
    reports = []
    for report in _reports(seeds, jobs):
        heard(report)
        reports.append(report)
    return _sum_up(reports)


def _reports(seeds: Sequence[int], jobs: int) -> Iterator[SeedReport]:
    if jobs == 1:
        for seed in seeds:
            yield run_seed(seed)
        return
    chunks = [seeds[at : at + _CHUNK] for at in range(0, len(seeds), _CHUNK)]
    workers = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, workers, initializer=_settle_in) as pool:
        for chunk in pool.map(_run_chunk, chunks):
            yield from chunk


def _settle_in() -> None:
    """Whatever was imported stays: the collector need not look at it again after each seed."""
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    run_seed(0)
    gc.collect()
    gc.freeze()


def _end_with_parent() -> None:
    """A worker whose parent was killed would go on by itself with what it was given."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run_chunk(seeds: Sequence[int]) -> list[SeedReport]:
    return [run_seed(seed) for seed in seeds]


def _sum_up(reports: Sequence[SeedReport]) -> Summary:
    faults: Counter[str] = Counter()
    for report in reports:
        faults.update(report.faults)
    return Summary(
        seeds=len(reports),
        start=min((report.seed for report in reports), default=0),
        virtual_seconds=int(sum(report.virtual_s for report in reports)),
        faults=dict(sorted(faults.items())),
        violations=[
            FoundViolation(report.seed, each.check, each.detail, round(each.at_s, 3), reproduce(report.seed))
            for report in reports
            for each in report.violations
        ],
        actions=_spread([report.actions for report in reports]),
        fills=_spread([report.fills for report in reports]),
        faults_per_seed=_spread([sum(report.faults.values()) for report in reports]),
        crashes=_spread([report.crashes for report in reports]),
        interventions=sum(report.interventions for report in reports),
        payouts=sum(report.payouts for report in reports),
        steps=sum(report.steps for report in reports),
        trace=hashlib.sha256("".join(report.trace for report in reports).encode()).hexdigest(),
    )


def _spread(values: Sequence[int]) -> Spread:
    if not values:
        return Spread(0, 0.0, 0)
    return Spread(min(values), float(median(values)), max(values))
