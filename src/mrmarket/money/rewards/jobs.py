"""Recurring work in durable windows: each carried out once, in order, and after a downtime one by one.

A window is the half-open time between two multiples of a job's period, counted from the job's own start; the
last may be short. Work on a window happens at least once: it must be safe to repeat, by keys of its own.
Only the process that holds the ledger can move a window on, because that is written through the writer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from msgspec.structs import replace

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.crash import reach
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.rewards.errors import JobsError
from mrmarket.money.rewards.job_repository import JobRepository, JobRow, JobState

_FIRST_PAUSE_MS: Final = 1_000
_LONGEST_PAUSE_MS: Final = 600_000
_AHEAD: Final = 100
"""Most windows of one job that are opened in one step."""


@dataclass(frozen=True, slots=True)
class Window:
    """One piece of recurring work."""

    job: str
    scope: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Job:
    """Work that recurs."""

    name: str
    """Such as `rewards`; with `scope` and the window's start it is a window's natural key."""
    scope: str
    """What it is done for: a campaign, a pool."""
    start_ms: int
    period_ms: int
    run: Callable[[Window], None]
    """Does the work and returns when it is durable; safe to repeat. What it raises is written down."""
    end_ms: int | None = None
    """Where the last window ends; None for never."""

    def __post_init__(self) -> None:
        if self.start_ms < 0 or self.period_ms <= 0 or (self.end_ms or self.start_ms + 1) <= self.start_ms:
            raise JobsError(self.name, self.scope, "it needs a start before its end and a positive period")

    def windows(self, after_ms: int, now_ms: int, most: int) -> list[Window]:
        """Windows that begin at or after a time and have ended, oldest first."""
        found: list[Window] = []
        start_ms = max(after_ms, self.start_ms)
        while len(found) < most:
            end_ms = start_ms + self.period_ms - (start_ms - self.start_ms) % self.period_ms
            if self.end_ms is not None:
                end_ms = min(end_ms, self.end_ms)
            if end_ms > now_ms or end_ms <= start_ms:
                break
            found.append(Window(self.name, self.scope, start_ms, end_ms))
            start_ms = end_ms
        return found


class JobRunner:
    """Opens windows as they end and carries them out. Stateless: drop it and build it again at any time."""

    def __init__(self, writer: LedgerWriter, clock: Clock, jobs: Sequence[Job]) -> None:
        names = [(job.name, job.scope) for job in jobs]
        for name, scope in names:
            if names.count((name, scope)) > 1:
                raise JobsError(name, scope, "it is listed twice; give each a scope of its own")
        self._writer = writer
        self._clock = clock
        self._jobs = tuple(jobs)

    def step(self, most: int = 10) -> int:
        """Carry out the windows that are due, at most so many of each job; how many were done.

        A window that fails is tried again after a pause that doubles; the windows after it wait for it.
        """
        self._writer.perform(self._open).result()
        reach("jobs.opened")
        return sum(self._work_off(job, most) for job in self._jobs)

    def _open(self, draft: Draft) -> None:
        repository = JobRepository(draft.sql)
        now_ms = self._now_ms()
        for job in self._jobs:
            last = repository.last(job.name, job.scope)
            for window in job.windows(last.end_ms if last else job.start_ms, now_ms, _AHEAD):
                repository.put(
                    JobRow(
                        job=job.name,
                        scope=job.scope,
                        start_ms=window.start_ms,
                        end_ms=window.end_ms,
                        state=JobState.DUE,
                        attempts=0,
                        reason="",
                        due_ms=window.end_ms,
                        changed_ms=now_ms,
                    )
                )

    def _work_off(self, job: Job, most: int) -> int:
        done = 0
        while done < most:
            row = self._writer.perform(partial(self._begin, job)).result()
            if row is None:
                break
            reach("jobs.started")
            reason = _carried_out(job, Window(row.job, row.scope, row.start_ms, row.end_ms))
            reach("jobs.ran")
            self._writer.perform(partial(self._finish, row, reason)).result()
            reach("jobs.finished")
            if reason is not None:
                break
            done += 1
        return done

    def _begin(self, job: Job, draft: Draft) -> JobRow | None:
        repository = JobRepository(draft.sql)
        row = repository.next(job.name, job.scope)
        now_ms = self._now_ms()
        if row is None or row.due_ms > now_ms:
            return None
        begun = replace(row, state=JobState.RUNNING, attempts=row.attempts + 1, changed_ms=now_ms)
        repository.put(begun)
        return begun

    def _finish(self, row: JobRow, reason: str | None, draft: Draft) -> None:
        now_ms = self._now_ms()
        if reason is None:
            ended = replace(row, state=JobState.DONE, reason="", changed_ms=now_ms)
        else:
            pause_ms = min(_FIRST_PAUSE_MS << min(row.attempts - 1, 20), _LONGEST_PAUSE_MS)
            ended = replace(
                row, state=JobState.FAILED, reason=reason, due_ms=now_ms + pause_ms, changed_ms=now_ms
            )
        JobRepository(draft.sql).put(ended)

    def _now_ms(self) -> int:
        return self._clock.now_ns() // NS_PER_MS


def _carried_out(job: Job, window: Window) -> str | None:
    """Why the work failed; None where it did not."""
    try:
        job.run(window)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is written down, shown, and tried again
        return f"{type(error).__name__}: {error}"
    return None
