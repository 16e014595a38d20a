"""All SQL of windowed jobs."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

from mrmarket.money.payouts.sealed_table import SealedTable
from mrmarket.store.sql import Sql


class JobState(StrEnum):
    """Where a window of a job stands."""

    DUE = "due"
    """It has ended and waits for its turn."""
    RUNNING = "running"
    """It was begun. After a crash it is begun again."""
    DONE = "done"
    FAILED = "failed"
    """It is tried again later, and the windows after it wait."""


class JobRow(msgspec.Struct, frozen=True):
    """A window of a job."""

    job: str
    scope: str
    start_ms: int
    end_ms: int
    state: JobState
    attempts: int
    reason: str
    """Why the last attempt failed; empty where none did."""
    due_ms: int
    """Not to be tried before; UTC ms."""
    changed_ms: int


_WINDOWS: Final = SealedTable("job_windows", JobRow, ("job", "scope", "start_ms"))


class JobRepository:
    """Windows of jobs."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def put(self, row: JobRow) -> None:
        """Keep a window as it stands."""
        _WINDOWS.put(self._sql, row)

    def find(self, job: str, scope: str, start_ms: int) -> JobRow | None:
        """A window."""
        rows = _WINDOWS.select(
            self._sql, "WHERE job = ? AND scope = ? AND start_ms = ?", job, scope, start_ms
        )
        return rows[0] if rows else None

    def last(self, job: str, scope: str) -> JobRow | None:
        """The latest window of a job that is known."""
        tail = "WHERE job = ? AND scope = ? ORDER BY start_ms DESC LIMIT 1"
        rows = _WINDOWS.select(self._sql, tail, job, scope)
        return rows[0] if rows else None

    def next(self, job: str, scope: str) -> JobRow | None:
        """The earliest window of a job that is not done."""
        tail = "WHERE job = ? AND scope = ? AND state <> 'done' ORDER BY start_ms LIMIT 1"
        rows = _WINDOWS.select(self._sql, tail, job, scope)
        return rows[0] if rows else None

    def listed(self, limit: int) -> list[JobRow]:
        """The windows that changed last."""
        return _WINDOWS.select(
            self._sql, "ORDER BY changed_ms DESC, job, scope, start_ms DESC LIMIT ?", limit
        )


def altered_windows(sql: Sql) -> Iterator[str]:
    """Sentences about windows that are not what was written."""
    return _WINDOWS.altered(sql)
