"""Carries out what the machine decides, through the same commands that the owner gives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from mrmarket.core.clock import NS_PER_MS, NS_PER_S, Clock
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.workshop import ALL_PROVEN
from mrmarket.services.selection.plan import Plan, same_strategy
from mrmarket.store.errors import StaleRevisionError
from mrmarket.store.operations import Command, CommandState, DesiredState, OperationsStore, RunSpec
from mrmarket.trading.strategy.observer import RunState

ASKER: Final = "selection"
_POLL_S: Final = 0.05


class RunsHere(Protocol):
    """What the switchboard sees of the engine."""

    def state(self, run: str) -> tuple[int, RunState] | None:
        """Revision of its specification and state of a run that is here; None where it is not."""
        ...

    def hurry(self) -> None:
        """Have the engine look at commands and specifications now."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an action."""

    ok: bool
    detail: str = ""


class Switchboard:
    """Pauses one run to the proof, and lets another trade. Every method may be called again."""

    def __init__(
        self,
        operations: OperationsStore,
        line: DatabaseLine,
        runs: RunsHere,
        clock: Clock,
        *,
        patience_s: float = 30.0,
    ) -> None:
        """Nothing is asked yet.

        Args:
            operations: where commands are put down.
            line: how the database is asked.
            runs: the engine of this process.
            clock: real time.
            patience_s: how long an answer is waited for.
        """
        self._operations = operations
        self._line = line
        self._runs = runs
        self._clock = clock
        self._patience_s = patience_s
        self._asked = 0

    async def stop(self, plan: Plan, reason: str) -> Answer:
        """Pause the run and prove that none of its orders stands; raises a StoreError."""
        if self._runs.state(plan.run) is None:
            await self._want(plan.run, DesiredState.PAUSED)
            return Answer(False, "its run is not here; it is recovered first")
        paused = await self._ask(plan.run, "pause", reason)
        if not paused.ok:
            return paused
        proven = await self._ask(plan.run, "cancel_all", reason)
        return Answer(proven.ok and proven.detail.endswith(ALL_PROVEN), proven.detail)

    async def start(self, plan: Plan, reason: str) -> Answer:
        """Give the run the candidate's strategy and let it trade; raises a StoreError."""
        spec = await self._call(self._operations.run_spec, plan.run)
        if spec is None:
            return Answer(False, f"there is no run {plan.run}")
        if not same_strategy(spec, plan.spec):
            wanted = msgspec.structs.replace(
                spec,
                kind=plan.spec.kind,
                parameters=plan.spec.parameters,
                pair=plan.spec.pair,
                desired=DesiredState.RUNNING,
                revision=spec.revision + 1,
            )
            try:
                await self._call(self._operations.put_run, wanted)
            except StaleRevisionError:
                return Answer(False, "somebody else has changed the run; it is tried again")
            spec = wanted
        elif self._runs.state(plan.run) is not None:
            resumed = await self._ask(plan.run, "resume", reason)
            if not resumed.ok:
                return resumed
        else:
            await self._want(plan.run, DesiredState.RUNNING)
        self._runs.hurry()
        return await self._until_running(plan.run, spec.revision)

    async def hold_down(self, plans: Mapping[str, Plan], current: str) -> list[str]:
        """Pause whichever candidate's run trades although it has not the turn; returns their ids."""
        mine = plans[current].run if current in plans else ""
        held = []
        for run in sorted({plan.run for plan in plans.values()} - {mine}):
            found = self._runs.state(run)
            if found is not None and found[1] is RunState.RUNNING:
                await self._ask(run, "pause", "another strategy has the turn")
                held.append(run)
        return held

    async def _until_running(self, run: str, revision: int) -> Answer:
        deadline_ns = self._clock.monotonic_ns() + int(self._patience_s * NS_PER_S)
        last: tuple[int, RunState] | None = None
        while self._clock.monotonic_ns() < deadline_ns:
            last = self._runs.state(run)
            if last is not None and last[0] >= revision:
                if last[1] is RunState.RUNNING:
                    return Answer(True)
                if last[1] is RunState.FAILED:
                    break
            await asyncio.sleep(_POLL_S)
        return Answer(False, "its run did not begin" if last is None else f"its run is {last[1].value}")

    async def _want(self, run: str, desired: DesiredState) -> None:
        spec: RunSpec | None = await self._call(self._operations.run_spec, run)
        if spec is not None and spec.desired is not desired:
            wanted = msgspec.structs.replace(spec, desired=desired, revision=spec.revision + 1)
            try:
                await self._call(self._operations.put_run, wanted)
            except StaleRevisionError:
                return  # whoever was first will be looked at with the next try

    async def _ask(self, run: str, kind: str, reason: str) -> Answer:
        now_ns = self._clock.now_ns()
        self._asked += 1
        command = Command(
            id=f"{ASKER}:{run}:{now_ns}:{self._asked}",
            target=run,
            kind=kind,
            arguments={"reason": reason},
            asked_by=ASKER,
            asked_ms=now_ns // NS_PER_MS,
        )
        await self._call(self._operations.ask, command)
        deadline_ns = self._clock.monotonic_ns() + int(self._patience_s * NS_PER_S)
        while self._clock.monotonic_ns() < deadline_ns:
            self._runs.hurry()
            found = await self._call(self._operations.command, command.id)
            if found is not None and found.state is not CommandState.ASKED:
                return Answer(found.state is CommandState.DONE, found.answer)
            await asyncio.sleep(_POLL_S)
        return Answer(False, f"no engine answered to {kind}")

    async def _call(self, function: Any, *arguments: Any) -> Any:
        return await self._line.call(function, *arguments, name=f"selection {function.__name__}")
