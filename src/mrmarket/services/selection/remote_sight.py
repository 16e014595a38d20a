"""What the chooser sees of runs that are in engines elsewhere: what these report, and their signs of life."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
import structlog

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.setbacks import RESTING
from mrmarket.services.selection.sight import HasReading, held_of
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import OperationsStore, RunReport
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.run import StrategyRun
from mrmarket.trading.strategy.shadow.reading import Reading, reading_of

_READING: Final = "reading"
_REVISION: Final = "revision"
_LOOK_S: Final = 0.25
_OLD_S: Final = 10.0
"""A report that has not been renewed for so long says nothing of the present."""
_STATES: Final = frozenset(state.value for state in RunState)
_log = structlog.get_logger("mrmarket.selection.sight")


def told_of(run: StrategyRun, revision: int, now_ns: int) -> dict[str, Any]:
    """What an engine adds to a run's report for whoever chooses elsewhere."""
    found = reading_of(run, "", now_ns)
    return {_REVISION: revision, _READING: None if found is None else msgspec.to_builtins(found)}


class RemoteSight:
    """Implements `Eyes` and `RunsHere` over the database that engines report to."""

    def __init__(
        self,
        operations: OperationsStore,
        line: DatabaseLine,
        shadows: Mapping[str, HasReading],
        clock: Clock,
    ) -> None:
        """Nothing is seen before the first `look`."""
        self._operations = operations
        self._line = line
        self._shadows = shadows
        self._clock = clock
        self._reports: dict[str, tuple[RunReport, int]] = {}
        """By run: what was last reported, and when we first saw that, by our monotonic clock."""
        self._resting: frozenset[str] = frozenset()
        self._now = asyncio.Event()

    async def keep(self) -> None:
        """Look again and again until cancelled; a database that is away leaves what is known to grow old."""
        while True:
            try:
                await self.look()
            except StoreError as error:
                _log.warning("reports of runs were not read", error=str(error))
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._now.wait()
            except TimeoutError:
                continue
            self._now.clear()

    async def look(self) -> None:
        """Read what engines say. Raises a StoreError."""
        reports = await self._line.call(self._operations.reports, name="selection reports")
        beats = await self._line.call(self._operations.beats, name="selection beats")
        now_ns = self._clock.monotonic_ns()
        for report in reports:
            known = self._reports.get(report.run)
            if known is None or (known[0].fence, known[0].at_ms) != (report.fence, report.at_ms):
                self._reports[report.run] = (report, now_ns)
        resting = {run for beat in beats for run in beat.detail.get(RESTING, ())}
        self._resting = frozenset(run for run in resting if self.state(run) is None)

    def live(self, run: str, life: str) -> Reading | None:
        """What a run has earned, as of its last report."""
        report = self._fresh(run)
        told = None if report is None else report.view.get(_READING)
        if report is None or told is None:
            return None
        try:
            found = msgspec.convert(told, Reading)
        except msgspec.ValidationError as strange:
            _log.warning("an engine of another version reports otherwise", run=run, error=str(strange))
            return None
        # Another life of the run, after a failure or a hand-over, counts anew.
        return replace(found, life=f"{life}/{report.fence}")

    def paper(self, candidate: str) -> Reading | None:
        """What a candidate's shadow has earned."""
        shadow = self._shadows.get(candidate)
        return None if shadow is None else shadow.reading

    def failed(self) -> Collection[str]:
        """Runs that rest after a failure, and that no engine holds."""
        return self._resting

    async def held(self, runs: Collection[str]) -> Mapping[str, str]:
        """`paused` by the owner, or `halted` by whatever waits for the owner. Raises a StoreError."""
        return await held_of(self._operations, self._line, runs, self.state)

    def state(self, run: str) -> tuple[int, RunState] | None:
        """Revision of its specification and state of a run that an engine reports."""
        report = self._fresh(run)
        revision = None if report is None else report.view.get(_REVISION)
        if report is None or not isinstance(revision, int) or report.state not in _STATES:
            return None
        return revision, RunState(report.state)

    def hurry(self) -> None:
        """Read now; engines look by themselves."""
        self._now.set()

    def _fresh(self, run: str) -> RunReport | None:
        report, seen_ns = self._reports.get(run, (None, 0))
        return report if self._clock.monotonic_ns() - seen_ns <= _OLD_S * NS_PER_S else None
