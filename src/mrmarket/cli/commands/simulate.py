"""`mrmarket simulate`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import Json
from mrmarket.cli.output import notes, print_json, print_pairs

if TYPE_CHECKING:
    from mrmarket.simulation.campaign import Spread, Summary
    from mrmarket.simulation.seed import SeedReport

_EVERY = 500
"""Seeds between two lines of progress."""


def simulate(
    *,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=10_000_000, help="How many seeds.")] = 100,
    start: Annotated[int, typer.Option("--start", min=0, help="The first seed.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", min=0, max=256, help="Processes; 0 is one a core.")] = 0,
    days: Annotated[
        int, typer.Option("--days", min=0, max=3_660, help="Instead: so many virtual days of one instance.")
    ] = 0,
    json: Json = False,
) -> int:
    """Run the whole platform in one process on a virtual clock, and break what surrounds it."""
    if days:
        return _days(days, as_json=json)
    from mrmarket.simulation.campaign import reproduce, run_campaign

    done = 0

    def heard(report: SeedReport) -> None:
        nonlocal done
        done += 1
        if report.violations:
            worst = report.violations[0]
            notes.print(
                f"seed {report.seed}: {worst}; run it again: {reproduce(report.seed)}",
                soft_wrap=True,
                markup=False,
            )
        elif done % _EVERY == 0:
            notes.print(f"{done} of {seeds} seeds")

    wanted = range(start, start + seeds)
    summary = run_campaign(wanted, jobs=min(jobs or os.cpu_count() or 1, seeds), heard=heard)
    if json:
        print_json(summary)
    else:
        _print(summary)
    return ExitCode.CHECK_FAILED if summary.violations else ExitCode.OK


def _days(days: int, *, as_json: bool) -> int:
    from mrmarket.simulation.weeks import Day, run_weeks

    def heard(day: Day) -> None:
        notes.print(f"day {day.day}: {day.actions} order actions, {day.rss_bytes / 2**20:.1f} MiB")

    report = run_weeks(days, heard)
    if as_json:
        print_json(report)
    else:
        print_pairs(
            f"{days} virtual days",
            [
                ("order actions", str(report.actions)),
                ("fills", str(report.fills)),
                ("memory", f"{report.rss_begin_bytes / 2**20:.1f} to {report.rss_end_bytes / 2**20:.1f} MiB"),
                ("growth", f"{report.growth:.2%}"),
                ("violations", "; ".join(report.violations) or "none"),
            ],
        )
    return ExitCode.CHECK_FAILED if report.violations else ExitCode.OK


def _print(summary: Summary) -> None:
    bad = len({each.seed for each in summary.violations})
    print_pairs(
        f"{summary.seeds} seeds from {summary.start}, {summary.virtual_seconds / 3_600:.0f} virtual hours",
        [
            ("order actions a seed", _spread(summary.actions)),
            ("fills a seed", _spread(summary.fills)),
            ("faults a seed", _spread(summary.faults_per_seed)),
            ("crashes a seed", _spread(summary.crashes)),
            ("faults", ", ".join(f"{kind} {count}" for kind, count in summary.faults.items())),
            ("Angel interventions", str(summary.interventions)),
            ("violations", f"{len(summary.violations)} in {bad} seeds" if bad else "none"),
        ],
    )


def _spread(spread: Spread) -> str:
    return f"{spread.least} to {spread.most}, median {spread.median:g}"
