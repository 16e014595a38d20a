"""Sees what nobody reports: a run that failed, a venue that fell silent, books that do not verify."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mrmarket.core.clock import NS_PER_MS, NS_PER_S, Clock
from mrmarket.core.notice import Notice, NoticeSink, Severity

_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class RunSight:
    """What can be seen of a run from outside."""

    run: str
    venue: str
    failed: str
    """Why it cannot go on; empty while it can."""
    silent: str
    """Why its venue counts as silent: the user stream is down, the book is stale; empty while it is heard."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What can be seen of a process at one moment."""

    runs: tuple[RunSight, ...] = ()
    ledger_fault: str = ""
    """Why the books did not verify; empty where they did, or were not verified yet."""


class Watchman:
    """Says each thing once when it begins, and once when it is over. Times are monotonic nanoseconds."""

    def __init__(self, silent_s: int) -> None:
        self._silent_ns = silent_s * NS_PER_S
        self._silent_since: dict[str, int] = {}
        self._told: set[str] = set()

    def look(self, sight: Sight, mono_ns: int, at_ms: int) -> list[Notice]:
        """What is news in what is to be seen now."""
        found: list[Notice] = []
        for run in sight.runs:
            key = f"run.{run.run}.failed"
            text = f"{run.failed}. Its quotes are pulled; look at the log, then start it again."
            found += self._turn(
                key, bool(run.failed), "run", Severity.CRITICAL, f"run {run.run} failed", text, at_ms
            )
        found += self._venues(sight, mono_ns, at_ms)
        found += self._turn(
            "ledger.broken",
            bool(sight.ledger_fault),
            "ledger",
            Severity.CRITICAL,
            "the ledger does not verify",
            f"{sight.ledger_fault}. Nothing is settled and nothing is paid out until it does.",
            at_ms,
        )
        return found

    def _venues(self, sight: Sight, mono_ns: int, at_ms: int) -> list[Notice]:
        reasons: dict[str, str] = {}
        for run in sight.runs:
            if run.silent or run.venue not in reasons:
                reasons[run.venue] = reasons.get(run.venue) or run.silent
        found: list[Notice] = []
        for venue, reason in reasons.items():
            if not reason:
                self._silent_since.pop(venue, None)
            since_ns = self._silent_since.setdefault(venue, mono_ns) if reason else mono_ns
            late = bool(reason) and mono_ns - since_ns >= self._silent_ns
            if reason and not late:
                continue
            title = f"{venue} has been silent for {(mono_ns - since_ns) // NS_PER_S} s" if late else venue
            text = f"{reason}. Quotes there are pulled until it is heard again."
            found += self._turn(f"venue.{venue}.silent", late, "venue", Severity.WARNING, title, text, at_ms)
        for venue in self._silent_since.keys() - reasons.keys():
            del self._silent_since[venue]
        return found

    def _turn(
        self, key: str, bad: bool, kind: str, severity: Severity, title: str, text: str, at_ms: int
    ) -> list[Notice]:
        if bad == (key in self._told):
            return []
        if bad:
            self._told.add(key)
            return [Notice(key=key, kind=kind, severity=severity, title=title, text=text, at_ms=at_ms)]
        self._told.discard(key)
        # As loud as what it ends: whoever was woken may sleep again.
        over = f"over: {key.partition('.')[2].replace('.', ' ')}"
        return [
            Notice(key=f"{key}.over.{at_ms}", kind=kind, severity=Severity.WARNING, title=over, at_ms=at_ms)
        ]


async def keep_watch(
    watchman: Watchman, sight: Callable[[], Sight], notices: NoticeSink, clock: Clock
) -> None:
    """Look once a second until cancelled."""
    while True:
        await asyncio.sleep(_EVERY_S)
        for notice in watchman.look(sight(), clock.monotonic_ns(), clock.now_ns() // NS_PER_MS):
            notices.notify(notice)
