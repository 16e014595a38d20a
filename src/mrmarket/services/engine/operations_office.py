"""Implements `OperationsFace`: reads what engines and Angel say, and passes the owner's words on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import structlog

from mrmarket.angel.checklist import RecoveryFacts, checklist
from mrmarket.angel.recovery import CAUSE
from mrmarket.core.clock import NS_PER_MS, NS_PER_S, Clock
from mrmarket.core.errors import MrMarketError
from mrmarket.services.angel import overview
from mrmarket.services.api import operations_schema as ops
from mrmarket.services.api.refusals import DatabaseAwayError, KeyReusedError, NotFoundError
from mrmarket.services.engine import operations_views as views
from mrmarket.services.engine.composition import Engine
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.specs import venue_name
from mrmarket.services.keys.errors import KeyStoreError
from mrmarket.services.keys.key_file import FILE, read_key_file
from mrmarket.services.telemetry.health import Health
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import Command, CommandState, DesiredState, OperationsStore, Restriction
from mrmarket.store.trading_port import TradingLog
from mrmarket.trading.execution.risk.state import INSTANCE, Cause, RiskState, venue_scope

_ACTIONS: Final = 1_000
_SHOWN_ACTIONS: Final = 40
_FRESH_NS: Final = NS_PER_S // 2
_ANSWER_S: Final = 3.0
_DRILL_S: Final = 25.0
_NOTE_S: Final = 1.0
"""Halting waits no longer for its note to be on the disk."""
_log = structlog.get_logger("mrmarket.audit")

DryRunner = Callable[[], Awaitable[ops.DryRunView]]
"""Asks every exchange what the fail-safe would cancel; cancels nothing."""


class DrillSlowError(MrMarketError):
    """The exchanges took too long to say what stands."""

    code = "drill_slow"
    retryable = True

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"the exchanges did not say within {seconds:.0f} s what stands; try again")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficeSetting:
    """Where the office finds everything."""

    operations: OperationsStore
    log: TradingLog
    clock: Clock
    folder: Path
    """Where the kill switch's note and the keys lie."""
    engine: Callable[[], Engine | None] = field(default=lambda: None)
    """The engine of this process, where it has one."""
    health: Health | None = None
    angel_wanted: bool = False
    dry_run: DryRunner | None = None
    """None where nothing is watched."""


class OperationsOffice:
    """Reads at most twice a second, however many look; what the database does not tell is shown as it was."""

    def __init__(self, setting: OfficeSetting) -> None:
        self._setting = setting
        self._clock = setting.clock
        self._line = DatabaseLine(setting.clock, _ANSWER_S)
        self._facts: RecoveryFacts | None = None
        self._asked_ns: int | None = None
        self._away = ""
        self._reading: asyncio.Task[None] | None = None
        self._dry_run: ops.DryRunView | None = None
        self._drilling = asyncio.Lock()

    # What is shown.

    def notice(self) -> ops.TradingNotice:
        """Whether quotes stand as usual; by what was last read."""
        return ops.TradingNotice(state=self._trading())

    async def operations(self) -> ops.OperationsView:
        """How trading is run right now."""
        await self.refresh()
        setting, engine = self._setting, self._setting.engine()
        now_ns = self._clock.now_ns()
        now_ms = now_ns // NS_PER_MS
        facts = self._facts or RecoveryFacts(now_ns=0)
        held = self._restrictions()
        leases = views.holders_of(facts.leases, now_ns)
        reports = {report.run: report for report in facts.reports}
        seats = {} if engine is None else engine.host.seats
        node = "" if engine is None else engine.host.node
        runs = [
            views.run_view(spec, seats.get(spec.id), leases.get(spec.id), reports.get(spec.id), held, node)
            for spec in facts.specs
        ]
        keys, problem = await asyncio.to_thread(self._keys)
        health = [] if setting.health is None else (await setting.health.readiness()).parts
        return ops.OperationsView(
            at_ms=now_ms,
            trading=self._trading(),
            database=ops.DatabaseView(
                ready=not self._away,
                reason=self._away,
                read_ms=None if self._facts is None else facts.now_ns // NS_PER_MS,
            ),
            health=[ops.HealthView(part=part.part, ready=part.ready, reason=part.reason) for part in health],
            engines=views.engine_views(
                facts.beats, {run.id: run.holder for run in runs if run.holder}, now_ms, node
            ),
            venues=views.venue_views(runs, held),
            runs=runs,
            restrictions=[views.restriction_view(row) for row in held],
            differences=[views.difference_view(row) for row in facts.findings],
            angel=self._angel(facts, held, now_ms),
            checklist=[
                views.step_view(step)
                for step in ([] if self._facts is None else checklist(replace(facts, restrictions=held)))
            ],
            kill_switch=self._kill_switch(),
            keys=keys,
            keys_problem=problem,
        )

    async def differences(self, *, open_only: bool, limit: int) -> list[ops.DifferenceView]:
        """Differences, newest first."""
        rows = await self._ask_store(
            "the question", lambda: self._setting.operations.findings(open_only=open_only, limit=limit)
        )
        return [views.difference_view(row) for row in rows]

    async def angel_actions(self, limit: int) -> list[ops.AngelActionView]:
        """The Angel's log, newest first."""
        rows = await self._ask_store("the question", self._setting.operations.actions, limit)
        return [views.action_view(row) for row in rows]

    async def command(self, command: str) -> ops.CommandView:
        """A command and its answer."""
        found = await self._ask_store("the question", self._setting.operations.command, command)
        if found is None:
            raise NotFoundError("command", command)
        return views.command_view(found)

    # What is asked.

    async def ask_run(
        self, run: str, action: ops.RunAction, request: ops.OperationRequest, by: str
    ) -> ops.CommandView:
        """Ask whoever holds the run."""
        spec = await self._ask_store(action, self._setting.operations.run_spec, run)
        if spec is None or spec.desired is DesiredState.STOPPED:
            raise NotFoundError("run", run)
        return await self._ask(run, action.replace("-", "_"), request, by)

    async def ask_venue(
        self, venue: str, action: ops.ScopeAction, request: ops.OperationRequest, by: str
    ) -> ops.CommandView:
        """Halt or re-arm everything on a venue."""
        specs = await self._ask_store(action, self._setting.operations.run_specs)
        if venue not in {
            name for spec in specs for name in (spec.venue, venue_name(spec.venue, spec.account))
        }:
            raise NotFoundError("venue", venue)
        return await self._ask(venue_scope(venue), action, request, by)

    async def halt(self, request: ops.OperationRequest, by: str) -> ops.CommandView:
        """Here first and in memory; then for every other engine, if the database answers."""
        reason = request.reason or f"halted by the {by}"
        engine = self._setting.engine()
        if engine is None:
            return await self._ask(INSTANCE, "halt", request, by)
        engine.switch.pull(reason)
        _log.info("kill switch pulled", by=by, reason=reason, key=request.key)
        try:
            return await self._ask(INSTANCE, "halt", request, by)
        except DatabaseAwayError as away:
            return self._unrecorded("halt", request, by, f"everything here is halted; {away.why}")
        finally:
            # Whoever is answered may count on it also after a crash; a disk that hangs keeps nobody waiting.
            await engine.switch.settle(_NOTE_S)

    async def rearm(self, request: ops.OperationRequest, by: str) -> ops.CommandView:
        """Lift the kill switch, then what is written down."""
        engine = self._setting.engine()
        lifted = engine is not None and request.cause in ("", Cause.KILL_SWITCH)
        if engine is not None and lifted:
            engine.switch.lift()
            _log.info("kill switch lifted", by=by, key=request.key)
        try:
            return await self._ask(INSTANCE, "rearm", request, by)
        except DatabaseAwayError as away:
            if not lifted or engine is None:
                raise
            engine.board.rearm(INSTANCE, request.cause or None)
            return self._unrecorded("rearm", request, by, f"re-armed here; {away.why}")

    async def drill(self, request: ops.OperationRequest, by: str) -> ops.DryRunView:
        """What the fail-safe would cancel now."""
        if self._setting.dry_run is None:
            raise NotFoundError("Angel", "on paper no order leaves this machine")
        _log.info("asked", kind="angel_drill", target=INSTANCE, by=by, key=request.key)
        async with self._drilling:
            try:
                async with asyncio.timeout(_DRILL_S):
                    found = await self._setting.dry_run()
            except TimeoutError:
                raise DrillSlowError(_DRILL_S) from None
        self._dry_run = found
        return found

    async def resume(self, request: ops.OperationRequest, by: str) -> ops.ResumedView:
        """The owner has looked: engines may trade again."""
        lifted = await self._ask_store("resume", overview.resume, self._setting.operations)
        _log.info("asked", kind="resume_recovery", target=INSTANCE, by=by, key=request.key, lifted=lifted)
        self._changed()
        return ops.ResumedView(lifted=lifted)

    # Within.

    async def _ask(self, target: str, kind: str, request: ops.OperationRequest, by: str) -> ops.CommandView:
        arguments: dict[str, Any] = {}
        if request.reason:
            arguments["reason"] = request.reason
        if request.cause and kind == "rearm":
            arguments["cause"] = request.cause
        command = Command(
            id=request.key,
            target=target,
            kind=kind,
            arguments=arguments,
            asked_by=by,
            asked_ms=self._clock.now_ns() // NS_PER_MS,
        )
        there = await self._ask_store(kind, self._setting.operations.ask, command)
        if (there.target, there.kind) != (target, kind):
            raise KeyReusedError(request.key)
        _log.info("asked", kind=kind, target=target, by=by, key=request.key, reason=request.reason)
        self._changed()
        return views.command_view(there)

    def _unrecorded(self, kind: str, request: ops.OperationRequest, by: str, answer: str) -> ops.CommandView:
        now_ms = self._clock.now_ns() // NS_PER_MS
        command = Command(
            id=request.key,
            target=INSTANCE,
            kind=kind,
            asked_by=by,
            asked_ms=now_ms,
            state=CommandState.DONE,
            answer=answer,
            ended_ms=now_ms,
        )
        return views.command_view(command, recorded=False)

    def _changed(self) -> None:
        """Look again at once, here and in the engine."""
        self._asked_ns = None
        engine = self._setting.engine()
        if engine is not None:
            engine.host.hurry()

    async def _ask_store(self, asked: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await self._line.call(function, *arguments, name=f"{asked} {id(asyncio.current_task())}")
        except StoreError as error:
            raise DatabaseAwayError(asked, str(error)) from error

    async def refresh(self) -> None:
        """Read what is not of the last half second; a database that is away is remembered as such."""
        if self._asked_ns is not None and self._clock.monotonic_ns() - self._asked_ns < _FRESH_NS:
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_anew())
        # Whoever hangs up takes the question along for nobody else.
        await asyncio.shield(self._reading)

    async def _read_anew(self) -> None:
        try:
            self._facts = await self._line.call(self._read_facts)
            self._away = ""
        except StoreError as error:
            self._away = str(error)
        self._asked_ns = self._clock.monotonic_ns()

    def _read_facts(self) -> RecoveryFacts:
        store = self._setting.operations
        return RecoveryFacts(
            now_ns=self._clock.now_ns(),
            leases=self._setting.log.leases(),
            beats=store.beats(),
            specs=store.run_specs(),
            reports=store.reports(),
            restrictions=store.restrictions(),
            findings=store.findings(),
            actions=store.actions(_ACTIONS),
        )

    def _restrictions(self) -> list[Restriction]:
        engine = self._setting.engine()
        here = [] if engine is None else engine.board.restrictions()
        return views.merged(() if self._facts is None else self._facts.restrictions, here)

    def _trading(self) -> ops.Trading:
        if self._facts is None:
            return "recovering"
        engine = self._setting.engine()
        seats = {} if engine is None else engine.host.seats
        leases = views.holders_of(self._facts.leases, self._clock.now_ns())
        reported = {report.run: report.state for report in self._facts.reports}
        runs = []
        for spec in self._facts.specs:
            seat = seats.get(spec.id)
            if seat is not None:
                state = seat.phase.value if seat.run is None else seat.run.state.value
            else:
                state = reported.get(spec.id, "") if spec.id in leases else ""
            runs.append((spec.desired, state))
        return views.trading_of(runs, self._restrictions())

    def _angel(self, facts: RecoveryFacts, held: list[Restriction], now_ms: int) -> ops.AngelView:
        watchers = [views.watcher_view(beat, now_ms) for beat in facts.beats if beat.role == "angel"]
        return ops.AngelView(
            wanted=self._setting.angel_wanted,
            present=any(watcher.alive for watcher in watchers),
            watchers=watchers,
            waiting_for_owner=any(row.cause == CAUSE for row in held),
            interventions=views.interventions(facts.actions),
            actions=[views.action_view(row) for row in facts.actions[:_SHOWN_ACTIONS]],
            dry_run=self._dry_run,
        )

    def _kill_switch(self) -> ops.KillSwitchView:
        engine = self._setting.engine()
        held = self._restrictions()
        scope = [row for row in held if row.scope == INSTANCE and RiskState.of(row.state) is RiskState.HALT]
        by_hand = [row for row in scope if row.cause in (Cause.KILL_SWITCH, Cause.OWNER)]
        return ops.KillSwitchView(
            pulled=bool(by_hand) or (engine is not None and engine.switch.is_pulled),
            reason=by_hand[0].detail if by_hand else "",
            failure="" if engine is None else engine.switch.failure,
            local=engine is not None,
        )

    def _keys(self) -> tuple[list[ops.KeyView], str]:
        try:
            file = read_key_file(self._setting.folder / FILE)
        except KeyStoreError as error:
            return [], str(error)
        entries = [] if file is None else [sealed.entry for sealed in file.entries]
        return [views.key_view(entry) for entry in entries], ""
