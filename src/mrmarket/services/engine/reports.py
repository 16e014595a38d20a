"""What the runs of one engine have to say, written where API and other engines read it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final

import structlog

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.ports import Workshop
from mrmarket.services.engine.seat import Seat
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import OperationsStore, RunReport

_REPORT_S: Final = 0.02
"""What a report of each run may cost: where there are many, each reports less often."""
_VIEWS_AT_ONCE: Final = 5
_NEVER: Final = ((0, ""), 0)

_log = structlog.get_logger("mrmarket.engine")


class RunReports:
    """Writes reports of the runs in the seats of one engine."""

    def __init__(
        self,
        node: str,
        seats: Mapping[str, Seat],
        operations: OperationsStore,
        line: DatabaseLine,
        workshop: Workshop,
        clock: Clock,
        every_s: float,
    ) -> None:
        """`every_s`: between two rounds of reports."""
        self._node = node
        self._seats = seats
        self._operations = operations
        self._line = line
        self._workshop = workshop
        self._clock = clock
        self._every_s = every_s
        self._said: dict[str, tuple[tuple[int, str], int]] = {}
        """By run, what its last report said (fence and state), and when."""

    async def keep(self) -> None:
        """Write round after round until cancelled; a database that refuses is asked again."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.write(max(self._every_s, len(self._seats) * _REPORT_S))
            except StoreError as error:
                _log.warning("reports were not written", error=str(error))

    async def write(self, every_s: float = 0.0) -> None:
        """Write what the runs here have to say: first those whose state is new, then whose turn it is.

        Args:
            every_s: a run whose state is not new reports so often; 0 is each time.
        """
        self._said = {run: last for run, last in self._said.items() if run in self._seats}
        last = self._said
        fresh = [seat for seat in self._seats.values() if last.get(seat.spec.id, _NEVER)[0] != seat.said]
        await self._tell(fresh)
        rounds = max(1.0, every_s / self._every_s)
        longest = sorted(self._seats.values(), key=lambda seat: last.get(seat.spec.id, _NEVER)[1])
        await self._tell([seat for seat in longest if seat not in fresh][: ceil(len(longest) / rounds)])

    async def _tell(self, seats: Sequence[Seat]) -> None:
        reports = []
        for place, seat in enumerate(seats):
            said = seat.said
            reports.append(
                RunReport(
                    run=seat.spec.id,
                    node=self._node,
                    fence=seat.fence,
                    at_ms=self._clock.now_ns() // NS_PER_MS,
                    state=said[1],
                    view={} if seat.run is None else self._workshop.view(seat.spec, seat.run),
                )
            )
            self._said[seat.spec.id] = (said, self._clock.monotonic_ns())
            if place % _VIEWS_AT_ONCE == _VIEWS_AT_ONCE - 1:
                # A view takes a while to make: quotes come first.
                await asyncio.sleep(0)
        try:
            if reports:
                await self._line.call(self._operations.report_all, reports)
        except StoreError:
            self._said.clear()
            raise
