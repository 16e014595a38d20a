"""The owner, who halts, pauses and flattens in the middle of a storm, and takes it back again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from mrmarket.simulation.checkers import Checkers
from mrmarket.simulation.operations import MemoryOperations
from mrmarket.simulation.plan import Ask
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import Command, CommandState
from mrmarket.trading.execution.risk.state import run_scope, venue_scope

_LOOK_S: Final = 4.0
_INSTANCE: Final = "instance"
_UNDO: Final = {"halt": "rearm", "pause": "resume", "flatten": "resume", "cancel_all": ""}


@dataclass(slots=True)
class Owner:
    """Somebody at the platform's controls, who looks until there is an answer."""

    operations: MemoryOperations
    checkers: Checkers
    runs: dict[str, str]
    """The venue of each run, by id."""
    now_ms: Callable[[], int]
    asked: int = 0

    async def live(self, asks: Iterable[Ask]) -> None:
        """Ask for one thing after the other."""
        loop = asyncio.get_running_loop()
        for ask in asks:
            await asyncio.sleep(max(0.0, ask.at_s - loop.time()))
            await self._carry_through(ask)

    async def _carry_through(self, ask: Ask) -> None:
        """Ask for something, and a while later for the opposite."""
        run = sorted(self.runs)[int(ask.target * len(self.runs))]
        target = run
        if ask.kind == "halt":
            target = (run, f"venue:{self.runs[run]}", _INSTANCE)[int(ask.draw * 3)]
        done = await self._until_answered(ask.kind, target)
        scopes = self._scopes(target)
        if ask.kind == "halt" and done:
            self.checkers.halted(scopes, at_once=target == run)
        await asyncio.sleep(ask.for_s)
        if ask.kind == "halt":
            self.checkers.allowed(scopes)
            self.checkers.rearmed.add(run_scope(target) if target == run else target)
        if undo := _UNDO[ask.kind]:
            is_undone = False
            while not is_undone:
                is_undone = await self._until_answered(undo, target)
                await asyncio.sleep(_LOOK_S)
                is_undone = is_undone and not self._still_halted(undo, target)

    def _scopes(self, target: str) -> list[str]:
        """Runs that a target stands for."""
        if target in self.runs:
            return [target]
        return [run for run, venue in self.runs.items() if target in (_INSTANCE, venue_scope(venue))]

    def _still_halted(self, undo: str, target: str) -> bool:
        """Whether what was to be lifted still stands where everybody reads it."""
        scope = run_scope(target) if target in self.runs else target
        try:
            rows = self.operations.restrictions()
        except StoreError:
            return True
        return undo == "rearm" and any(row.scope == scope and not row.until_ms for row in rows)

    async def _until_answered(self, kind: str, target: str) -> bool:
        """Ask under one id until there is an answer; whether it was done."""
        self.asked += 1
        command = Command(
            id=f"ask-{self.asked:04d}",
            target=target,
            kind=kind,
            arguments={"reason": "the owner asks"},
            asked_by="owner",
            asked_ms=self.now_ms(),
        )
        while True:
            try:
                known = self.operations.ask(command)
            except StoreError:
                known = command
            if known.state is not CommandState.ASKED:
                return known.state is CommandState.DONE
            await asyncio.sleep(_LOOK_S)
