"""Keeps a process's risk board and the restrictions in the database the same, whoever changes them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

import structlog

from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.store.operations import OperationsStore, Restriction
from mrmarket.trading.execution.risk.board import RiskBoard, RiskChange
from mrmarket.trading.execution.risk.state import run_scope

_log = structlog.get_logger("mrmarket.engine.board")
_Key = tuple[str, str]
_GONE: Final = object()


class BoardSync:
    """Writes down what a board restricts once the database answers, and takes over what others restrict.

    A restriction that ends by itself is each engine's own affair, because each watches the condition; only
    those that wait for the owner bind every engine. Restrictions of a run go with the run.
    """

    def __init__(self, board: RiskBoard, operations: OperationsStore, line: DatabaseLine) -> None:
        self._board = board
        self._operations = operations
        self._line = line
        self._outbox: dict[_Key, Restriction | None] = {}
        self._shared: frozenset[_Key] = frozenset()
        self._echo = False
        self._writing = asyncio.Lock()
        self._forget = board.listen(self._changed)

    def close(self) -> None:
        """Hear nothing more of the board."""
        self._forget()

    @property
    def unwritten(self) -> int:
        """Changes that the database does not know yet."""
        return len(self._outbox)

    async def open(self) -> None:
        """Take over what earlier processes have written down; raises a StoreError."""
        rows = await self._line.call(self._operations.restrictions)
        self._board.load(rows)
        self._shared = _hard(rows)

    async def look(self, arrived: Collection[str] = ()) -> None:
        """Write our changes, then read the others'; raises a StoreError and keeps what was not written.

        Args:
            arrived: runs that were taken since the last look: their restrictions come along.
        """
        await self.write()
        self._take(await self._line.call(self._operations.restrictions), arrived)

    async def write(self) -> None:
        """Write our changes down; raises a StoreError and keeps what was not written."""
        async with self._writing:  # one after the other, so that what is newer is written later
            for key in list(self._outbox):
                if key not in self._outbox:
                    continue
                restriction = self._outbox[key]
                if restriction is None:
                    await self._line.call(self._operations.lift, *key)
                else:
                    await self._line.call(self._operations.restrict, restriction)
                if self._outbox.get(key, _GONE) is restriction:
                    del self._outbox[key]

    def leave(self, run: str, *, lost: bool) -> None:
        """A run is here no longer: its restrictions are kept by whoever takes it.

        Where the lease was lost an heir is at work, and what we have not written yet must not bind it.
        """
        scope = run_scope(run)
        if lost:
            for key in [key for key in self._outbox if key[0] == scope]:
                del self._outbox[key]
        self._lift(scope, None)

    def _take(self, rows: Sequence[Restriction], arrived: Collection[str]) -> None:
        scopes = {run_scope(run) for run in arrived}
        hard = _hard(rows)
        self._board.load(
            [
                row
                for row in rows
                if ((row.scope, row.cause) in hard or row.scope in scopes)
                and (row.scope, row.cause) not in self._outbox
            ]
        )
        for scope, cause in self._shared - hard:
            if (scope, cause) not in self._outbox and any(
                held.cause == cause for held in self._board.restrictions(scope)
            ):
                _log.info("a restriction was lifted elsewhere", scope=scope, cause=cause)
                self._lift(scope, cause)
        self._shared = hard

    def _lift(self, scope: str, cause: str | None) -> None:
        self._echo = True
        try:
            self._board.rearm(scope, cause)
        finally:
            self._echo = False

    def _changed(self, change: RiskChange) -> None:
        if not self._echo and not change.is_local:
            self._outbox[change.scope, change.cause] = change.restriction


def _hard(rows: Sequence[Restriction]) -> frozenset[_Key]:
    return frozenset((row.scope, row.cause) for row in rows if not row.until_ms)
