"""Makes strategy runs out of specifications, on venues that the runs of a process share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

import msgspec

from mrmarket.core.clock import Clock
from mrmarket.core.errors import MrMarketError
from mrmarket.core.instrument import Instrument
from mrmarket.services.engine.commands import CommandRefusedError
from mrmarket.services.engine.ports import Hosted
from mrmarket.store.operations import RunSpec
from mrmarket.store.trading_port import TradingLog
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.order_id import order_prefix
from mrmarket.trading.execution.reconciler import StopReport
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.risk.pretrade import RiskLimits
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.strategy.multileg.host import MultiLegRun
from mrmarket.trading.strategy.observer import RunObserver
from mrmarket.trading.strategy.past import TakesPast, read_history
from mrmarket.trading.strategy.plugins import PluginRefusedError
from mrmarket.trading.strategy.port import Strategy
from mrmarket.trading.strategy.registry import Registry, UnknownStrategyError
from mrmarket.trading.strategy.run import StrategyRun
from mrmarket.trading.strategy.schema import StrategySchema
from mrmarket.trading.venue.port import Venue

ALL_PROVEN: Final = "all proven closed"
"""How the answer to `cancel_all` ends when nothing of the run can stand any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHabits:
    """What all runs of a process have in common."""

    limits: RiskLimits | None = None
    timing: Timing | None = None
    breakers: BreakerLimits | None = None
    dead_man_s: float = 0


class SpecificationRefusedError(MrMarketError):
    """A run's specification cannot be run."""

    code = "specification_refused"

    def __init__(self, run: str, problem: str) -> None:
        self.run = run
        self.problem = problem
        super().__init__(f"{run}: {problem}")


class Room(Protocol):
    """Where runs get their venues."""

    async def enter(self, spec: RunSpec, prefix: str) -> Venue:
        """The open venue of a run whose order ids begin with `prefix`."""
        ...

    async def leave(self, spec: RunSpec) -> None:
        """The run has ended."""
        ...


class RunWorkshop:
    """Implements `Workshop` with `StrategyRun`s."""

    def __init__(
        self,
        room: Room,
        log: TradingLog,
        *,
        instance: str,
        wall: Clock,
        world: Clock | None = None,
        observer: Callable[[RunSpec, Instrument], RunObserver | None] = lambda _spec, _instrument: None,
        view: Callable[[RunSpec, StrategyRun], dict[str, Any]] = lambda _spec, _run: {},
        on_made: Callable[[RunSpec, StrategyRun], None] = lambda _spec, _run: None,
        board: RiskBoard | None = None,
        habits: RunHabits | None = None,
        strategies: Registry | None = None,
    ) -> None:
        """Put it together.

        Args:
            room: opens venues.
            log: the trading store.
            instance: a part of every order id; the same for all engines of an instance.
            wall: real time.
            world: the strategies' time.
            observer: who watches a run.
            view: what a run's report carries.
            on_made: told of each run before it begins.
            board: this process's restrictions; None gives each run one of its own.
            habits: what all runs have in common.
            strategies: where they are found by kind; None: ours and those of plug-ins.
        """
        self._room = room
        self._log = log
        self._instance = instance
        self._wall = wall
        self._world = world
        self._observer = observer
        self._view = view
        self._on_made = on_made
        self._board = board
        self._habits = habits or RunHabits()
        self._snapshots: dict[str, str] = {}
        self._strategies = strategies or Registry()

    def check(self, spec: RunSpec) -> None:
        """Refuse what cannot be run."""
        self._strategy(spec)

    async def make(self, spec: RunSpec, fence: int, guard: LeaseGuard) -> StrategyRun:
        """A run that has not begun; its history is read in a thread."""
        strategy = self._strategy(spec)
        self._snapshots[spec.id] = await asyncio.to_thread(self._snapshot, spec)
        venue = await self._room.enter(spec, order_prefix(self._instance, spec.id))
        try:
            folds = isinstance(strategy, TakesPast)
            history = await asyncio.to_thread(read_history, self._log, spec.id, with_fold=folds)
            run = StrategyRun(
                venue,
                strategy,
                self._log,
                instance=self._instance,
                stream=spec.id,
                wall=self._wall,
                world=self._world,
                fence=fence,
                observer=self._observer(spec, venue.instrument(spec.pair)),
                history=history,
                limits=self._habits.limits,
                timing=self._habits.timing,
                guard=guard,
                board=self._board,
                breakers=self._habits.breakers,
                dead_man_s=self._habits.dead_man_s,
            )
        except BaseException:
            await self._room.leave(spec)
            raise
        self._on_made(spec, run)
        return run

    async def clear(self, spec: RunSpec, run: Hosted) -> None:  # noqa: ARG002 - the port's
        """Leave the venue to the other runs."""
        await self._room.leave(spec)

    def view(self, spec: RunSpec, run: Hosted) -> dict[str, Any]:
        """What the run's report carries."""
        if not isinstance(run, StrategyRun) or not (view := self._view(spec, run)):
            return {}
        return {**view, "strategy": spec.kind, "snapshot": self._snapshots.get(spec.id, "")}

    async def command(self, run: Hosted, kind: str, arguments: dict[str, Any], asked_by: str) -> str:
        """What is not the host's affair: `cancel_all`, `flatten`, `halt` and `rearm`."""
        if not isinstance(run, StrategyRun):
            raise CommandRefusedError(kind, "the run", "it knows no commands")
        return await obeyed(run, kind, arguments, asked_by)

    def _snapshot(self, spec: RunSpec) -> str:
        return self._strategies.snapshot(self._parameters(spec)).id

    def _parameters(self, spec: RunSpec) -> StrategySchema:
        return self._strategies.parameters(spec.kind, {**spec.parameters, "pair": spec.pair})

    def _strategy(self, spec: RunSpec) -> Strategy:
        try:
            return self._strategies.make(self._parameters(spec))
        except (msgspec.ValidationError, UnknownStrategyError, PluginRefusedError) as refused:
            raise SpecificationRefusedError(spec.id, str(refused)) from None


async def obeyed(run: StrategyRun | MultiLegRun, kind: str, arguments: dict[str, Any], asked_by: str) -> str:
    """Carry an owner's command out; returns what came of it.

    Raises:
        CommandRefusedError: there is no such command.
        ControlRefusedError: the run does not do it, and says what to do instead.
    """
    reason = str(arguments.get("reason") or f"{asked_by} asked for it")
    match kind:
        case "cancel_all":
            return told(await run.cancel_all(reason))
        case "halt":
            return told(await run.halt(reason, asked_by))
        case "flatten":
            return str(msgspec.json.encode(asdict(await run.flatten(reason))).decode())
        case "rearm":
            cause = arguments.get("cause")
            return f"lifted: {', '.join(run.rearm(None if cause is None else str(cause))) or 'nothing'}"
    raise CommandRefusedError(kind, run.stream, "there is no such command")


def told(report: StopReport) -> str:
    """The answer to a command that cancels."""
    left = ", ".join(report.remaining)
    proof = f"not proven closed: {left}" if left else ALL_PROVEN
    return f"{report.cancels_sent} cancels sent, {proof}"
