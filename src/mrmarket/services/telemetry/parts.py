"""Which parts an instance has to be well in, and what can be seen of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.services.money.offices import Offices
from mrmarket.services.notify.watchman import RunSight, Sight
from mrmarket.services.telemetry.health import Health
from mrmarket.services.telemetry.run_sources import Runs
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.run import StrategyRun

_BEHIND: Final = 5_000
"""Facts that may wait for settlement."""


def check_runs(health: Health, runs: Runs) -> None:
    """Parts `run` and `venue`: none failed, and every venue is heard."""

    async def failed() -> str:
        return "; ".join(f"{held.run.stream} failed" for held in runs() if held.run.state is RunState.FAILED)

    async def silent() -> str:
        reasons = {held.run.venue.name: reason for held in runs() if (reason := silence(held.run))}
        return "; ".join(f"{venue}: {reason}" for venue, reason in sorted(reasons.items()))

    health.check("run", failed)
    health.check("venue", silent)


def check_database(health: Health, part: str, read: Callable[[], Any]) -> None:
    """A part that is well if a read comes back."""

    async def answers() -> str:
        await asyncio.to_thread(read)
        return ""

    health.check(part, answers)


def check_ledger(
    health: Health,
    offices: Offices,
    check: Callable[[], LedgerCheck | None],
    behind: Callable[[], int | None],
) -> None:
    """Part `ledger`: readable, verified, and not far behind the event log."""

    def read() -> None:
        with offices.treasury.reader.snapshot() as sql:
            sql.rows("SELECT 1")

    async def sound() -> str:
        await asyncio.to_thread(read)
        last, waiting = check(), behind()
        if last is None:
            return "it is being verified"
        if not last.ok:
            return "it does not verify"
        if waiting is not None and waiting > _BEHIND:
            return f"settlement is {waiting} facts behind"
        return ""

    health.check("ledger", sound)


def check_lease(health: Health, valid: Callable[[], bool]) -> None:
    """Part `lease`: this process may still send."""

    async def held() -> str:
        return "" if valid() else "somebody else may hold it by now: nothing is placed"

    health.check("lease", held)


def sight_of(runs: Runs, check: Callable[[], LedgerCheck | None]) -> Sight:
    """What the watchman looks at."""
    last = check()
    return Sight(
        runs=tuple(
            RunSight(
                run=held.run.stream,
                venue=held.run.venue.name,
                failed=held.run.state_reason if held.run.state is RunState.FAILED else "",
                silent=silence(held.run),
            )
            for held in runs()
        ),
        ledger_fault="" if last is None or last.ok else (last.reason or "no reason was given"),
    )


def silence(run: StrategyRun) -> str:
    """Why a run's venue is not heard; empty where it is, or where nobody listens."""
    if run.state in (RunState.STOPPED, RunState.FAILED):
        return ""
    if not run.user_stream_connected:
        return "the user stream is down"
    tracker = run.watch.tracker
    if tracker.stale is None:
        return ""
    age = "" if tracker.age_ns is None else f", {tracker.age_ns // NS_PER_S} s old"
    return f"the book is stale ({tracker.stale.value}{age})"
