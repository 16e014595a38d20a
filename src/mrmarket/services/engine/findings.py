"""Writes down what venues say otherwise than the runs of this process know."""

from __future__ import annotations

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.store.operations import Finding, OperationsStore
from mrmarket.trading.execution.differences import Difference


class FindingDesk:
    """Differences wait here until the database takes them; only the latest of each counts."""

    def __init__(self, operations: OperationsStore, line: DatabaseLine, clock: Clock) -> None:
        self._operations = operations
        self._line = line
        self._clock = clock
        self._outbox: dict[str, Finding] = {}

    @property
    def unwritten(self) -> int:
        """Findings that the database does not know yet."""
        return len(self._outbox)

    def note(self, run: str, difference: Difference, stands: bool) -> None:
        """A difference was found, has changed, or is gone."""
        at_ms = self._clock.now_ns() // NS_PER_MS
        key = f"{run}:{difference.key}"
        self._outbox[key] = Finding(
            key=key,
            run=run,
            kind=difference.kind.value,
            subject=difference.subject,
            ours=difference.ours,
            theirs=difference.theirs,
            detail=difference.detail,
            first_ms=at_ms,
            last_ms=at_ms,
            closed_ms=0 if stands else at_ms,
        )

    async def write(self) -> None:
        """Bring everything into the database; raises a StoreError and keeps what was not written."""
        for key, finding in list(self._outbox.items()):
            if finding.closed_ms:
                await self._line.call(self._operations.close_finding, key, finding.closed_ms)
            else:
                await self._line.call(self._operations.note_finding, finding)
            if self._outbox.get(key) is finding:
                del self._outbox[key]
