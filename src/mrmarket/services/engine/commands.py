"""Carries out what the owner asks of runs, wherever it was asked, and answers it once."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.errors import MrMarketError
from mrmarket.services.engine.ports import Hosted, Workshop
from mrmarket.services.engine.seat import Ending, Phase, Seat
from mrmarket.services.engine.specs import venue_name
from mrmarket.store.errors import StaleRevisionError, StoreError
from mrmarket.store.operations import (
    Command,
    CommandState,
    DesiredState,
    OperationsStore,
    Restriction,
    RunSpec,
)

if TYPE_CHECKING:
    from mrmarket.services.engine.host import EngineHost

INSTANCE: Final = "instance"
_VENUE: Final = "venue:"
_ENGINE: Final = "engine:"
_OWNER: Final = "owner"
_log = structlog.get_logger("mrmarket.engine.commands")


class CommandRefusedError(MrMarketError):
    """A command cannot be carried out."""

    code = "command_refused"

    def __init__(self, command: str, target: str, reason: str) -> None:
        self.command = command
        self.target = target
        super().__init__(f"{command} of {target}: {reason}")


class CommandDesk:
    """One engine's answers. A run's commands are its holder's; what is for many is handed on to each run."""

    def __init__(
        self, host: EngineHost, operations: OperationsStore, workshop: Workshop, clock: Clock
    ) -> None:
        self._host = host
        self._operations = operations
        self._workshop = workshop
        self._clock = clock
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def look(self) -> None:
        """Begin whatever is asked of this engine and its runs; returns without waiting for the outcome."""
        host = self._host
        held = [run for run, seat in host.seats.items() if seat.phase is Phase.HELD]
        venues = {f"{_VENUE}{name}" for spec in host.specs.values() for name in _names(spec)}
        resting = [
            run for run in host.keeper.setbacks.barred(self._clock.monotonic_ns()) if run not in host.seats
        ]
        targets = [INSTANCE, f"{_ENGINE}{host.node}", *sorted(venues), *held, *resting]
        for command in await host.line.call(self._operations.commands, targets):
            if command.id not in self._busy:
                task = asyncio.create_task(self._carry_out(command), name=f"command {command.id}")
                self._busy[command.id] = task
                task.add_done_callback(partial(self._done, command.id))

    def follow(self, seat: Seat, spec: RunSpec) -> None:
        """A specification that only says otherwise whether its run is to quote."""
        changed = seat.spec.desired is not spec.desired
        seat.spec = spec
        if not changed or seat.run is None or seat.phase is not Phase.HELD:
            return
        if spec.desired is DesiredState.RUNNING:
            seat.run.resume()
            return
        name = f"pause {spec.id}"
        if name not in self._busy:
            task = asyncio.create_task(self._pause(seat.run), name=name)
            self._busy[name] = task
            task.add_done_callback(partial(self._done, name))

    async def _pause(self, run: Hosted) -> None:
        try:
            await run.pause("paused by the owner")
        except MrMarketError as error:
            _log.warning("a run did not pause cleanly", error=str(error))

    def _done(self, command: str, _: asyncio.Task[None]) -> None:
        self._busy.pop(command, None)

    async def _carry_out(self, command: Command) -> None:
        state = CommandState.DONE
        try:
            if command.target == INSTANCE or command.target.startswith(_VENUE):
                answer = await self._for_many(command)
            elif command.target.startswith(_ENGINE):
                answer = self._for_engine(command)
            else:
                answer = await self._for_run(command)
        except StoreError as error:
            _log.warning("a command waits for the database", command=command.id, error=str(error))
            return
        except MrMarketError as error:
            state, answer = CommandState.REFUSED, str(error)
        except Exception as error:  # noqa: BLE001 - whoever asked must hear of it, and other commands go on
            _log.error("a command failed", command=command.id, exc_info=error)
            state, answer = CommandState.REFUSED, f"it failed: {error}"
        at_ms = self._clock.now_ns() // NS_PER_MS
        try:
            await self._host.line.call(
                self._operations.answer, command.id, state, answer, at_ms, name=f"answer {command.id}"
            )
        except StoreError as error:
            # Every command may be carried out twice; the answer comes with the next attempt.
            _log.warning("an answer was not written", command=command.id, error=str(error))

    async def _for_many(self, command: Command) -> str:
        """Halt and re-arm are one restriction that all engines read; the rest goes to each run."""
        if command.kind == "halt":
            for scope in self._scopes(command.target):
                await self._call(self._operations.restrict, self._restriction(command, scope))
            return f"{command.target} is halted"
        if command.kind == "rearm":
            return await self._rearm(command)
        venue = command.target.removeprefix(_VENUE)
        runs = [
            spec.id
            for spec in self._host.specs.values()
            if spec.desired is not DesiredState.STOPPED
            and (command.target == INSTANCE or venue in _names(spec))
        ]
        for run in runs:
            part = msgspec.structs.replace(command, id=f"{command.id}:{run}", target=run)
            await self._call(self._operations.ask, part)
        self._host.hurry()
        return f"passed on to {len(runs)} runs"

    async def _rearm(self, command: Command) -> str:
        cause = str(command.arguments.get("cause", ""))
        scopes = self._scopes(command.target)
        lifted = 0
        for restriction in await self._call(self._operations.restrictions):
            if restriction.scope in scopes and cause in ("", restriction.cause):
                lifted += await self._call(self._operations.lift, restriction.scope, restriction.cause)
        return f"{lifted} restrictions of {command.target} lifted"

    def _for_engine(self, command: Command) -> str:
        if command.kind != "drain":
            raise CommandRefusedError(command.kind, command.target, "an engine only knows drain")
        for seat in self._host.seats.values():
            seat.ask(Ending.HAND_OVER, f"{command.asked_by} asked for it")
        return f"{len(self._host.seats)} runs are being handed over"

    async def _for_run(self, command: Command) -> str:
        seat = self._host.seats.get(command.target)
        spec = self._host.specs.get(command.target)
        if seat is None and spec is not None and command.kind == "resume":
            await self._call(
                self._operations.put_run,
                msgspec.structs.replace(spec, desired=DesiredState.RUNNING, revision=spec.revision + 1),
            )
            self._host.hurry()
            return "it is started again"
        if seat is None or seat.run is None:
            raise CommandRefusedError(command.kind, command.target, "it is not here any more; ask again")
        run, by = seat.run, command.asked_by
        match command.kind:
            case "pause":
                await self._want(seat, DesiredState.PAUSED)
                await run.pause(str(command.arguments.get("reason") or f"paused by {by}"))
                return "paused"
            case "resume":
                await self._want(seat, DesiredState.RUNNING)
                run.resume()
                return run.state.value
            case "release":
                seat.ask(Ending.HAND_OVER, f"{by} asked for it")
                return "it is being handed over"
            case "tune":
                return await self._tune(seat, command.arguments)
        return await self._of_run(run, command)

    async def _of_run(self, run: Hosted, command: Command) -> str:
        answer = await self._workshop.command(run, command.kind, command.arguments, command.asked_by)
        # Whoever is told that a run is halted counts on it, even if this process ends with the next step.
        await self._host.write_restrictions()
        return answer

    async def _tune(self, seat: Seat, arguments: dict[str, Any]) -> str:
        spec = await self._latest(seat)
        tuned = msgspec.structs.replace(
            spec, parameters={**spec.parameters, **arguments}, revision=spec.revision + 1
        )
        self._workshop.check(tuned)
        await self._call(self._operations.put_run, tuned)
        self._host.hurry()
        return f"revision {tuned.revision}"

    async def _want(self, seat: Seat, desired: DesiredState) -> None:
        """Write down what the owner wants, so that an heir holds to it, too."""
        spec = await self._latest(seat)
        while spec.desired is not desired:
            wanted = msgspec.structs.replace(spec, desired=desired, revision=spec.revision + 1)
            try:
                await self._call(self._operations.put_run, wanted)
            except StaleRevisionError:
                spec = await self._latest(seat)
                continue
            seat.spec = spec = wanted

    async def _latest(self, seat: Seat) -> RunSpec:
        return await self._call(self._operations.run_spec, seat.spec.id) or seat.spec

    def _scopes(self, target: str) -> list[str]:
        """What a target means: each account of a venue is restricted under the name of its own."""
        venue = target.removeprefix(_VENUE)
        accounts = [spec for spec in self._host.specs.values() if target != INSTANCE and spec.venue == venue]
        return sorted({target, *(f"{_VENUE}{venue_name(venue, spec.account)}" for spec in accounts)})

    def _restriction(self, command: Command, scope: str) -> Restriction:
        return Restriction(
            scope=scope,
            cause=str(command.arguments.get("cause") or _OWNER),
            state="halt",
            detail=str(command.arguments.get("reason", "")),
            by=command.asked_by,
            since_ms=self._clock.now_ns() // NS_PER_MS,
        )

    async def _call(self, function: Any, *arguments: Any) -> Any:
        return await self._host.line.call(
            function, *arguments, name=f"{function.__name__} for a command {id(asyncio.current_task())}"
        )


def _names(spec: RunSpec) -> set[str]:
    """How the owner may name a run's venue: all accounts of it, or the one that the run trades on."""
    return {spec.venue, venue_name(spec.venue, spec.account)}
