"""Engines on a virtual clock over real SQLite files, with runs that do as they are told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mrmarket.core.notice import Notice
from mrmarket.services.engine.host import EngineHost
from mrmarket.services.engine.timing import EngineTiming
from mrmarket.simulation.loop import EPOCH_NS, VirtualLoop
from mrmarket.store.errors import DatabaseDisconnectedError
from mrmarket.store.operations import RunSpec
from mrmarket.store.sqlite_operations import SqliteOperations
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.strategy.observer import RunState


class StageClock:
    """The virtual loop's time, on a machine whose wall clock may be wrong."""

    def __init__(self, loop: VirtualLoop, skew_ns: int = 0) -> None:
        self._loop = loop
        self.skew_ns = skew_ns

    def now_ns(self) -> int:
        """UTC nanoseconds."""
        return EPOCH_NS + self._loop.now_ns() + self.skew_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds since the beginning."""
        return self._loop.now_ns()


class StageRun:
    """A run that only remembers what was done to it."""

    def __init__(self, spec: RunSpec, fence: int, guard: LeaseGuard) -> None:
        self.spec = spec
        self.fence = fence
        self.guard = guard
        self.state = RunState.STARTING
        self.failure: Exception | None = None
        self.calls: list[str] = []
        self.start_fails: Exception | None = None
        self.stop_takes_s = 0.05
        self._ended = asyncio.Event()

    async def start(self) -> None:
        """Begin, or fail to."""
        self.calls.append("start")
        await asyncio.sleep(0.1)
        if self.start_fails is not None:
            raise self.start_fails
        self.state = RunState.RUNNING

    async def pause(self, reason: str) -> None:
        """Stay and quote nothing."""
        self.calls.append(f"pause: {reason}")
        self.state = RunState.PAUSED

    def resume(self) -> None:
        """Quote again."""
        self.calls.append("resume")
        self.state = RunState.RUNNING

    async def stop(self, reason: str = "") -> None:
        """Cancel and prove, which takes a moment."""
        self.calls.append(f"stop: {reason}")
        await asyncio.sleep(self.stop_takes_s)
        self.state = RunState.STOPPED
        self._ended.set()

    async def abandon(self) -> None:
        """Drop everything."""
        self.calls.append("abandon")
        self._ended.set()

    async def wait(self) -> None:
        """Until it has ended."""
        await self._ended.wait()

    def fail(self, error: Exception) -> None:
        """Break."""
        self.failure = error
        self.state = RunState.FAILED
        self._ended.set()


class StageWorkshop:
    """Makes such runs."""

    def __init__(self) -> None:
        self.made: list[StageRun] = []
        self.cleared: list[str] = []
        self.prepare: Callable[[StageRun], None] = lambda _: None

    def check(self, spec: RunSpec) -> None:
        """Anything goes."""

    async def make(self, spec: RunSpec, fence: int, guard: LeaseGuard) -> StageRun:
        """One more."""
        run = StageRun(spec, fence, guard)
        self.prepare(run)
        self.made.append(run)
        return run

    async def clear(self, spec: RunSpec, run: Any) -> None:
        """Remember it."""
        assert run.spec.id == spec.id
        self.cleared.append(spec.id)

    def view(self, spec: RunSpec, run: Any) -> dict[str, Any]:
        """What the report carries."""
        return {"pair": spec.pair, "calls": len(run.calls)}

    async def command(self, run: Any, kind: str, arguments: dict[str, Any], asked_by: str) -> str:
        """Echo it."""
        run.calls.append(kind)
        return f"{kind} for {asked_by}"


class LossyStore:
    """A database that can be cut off: every call to it then fails as a lost connection does."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.cut = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            if self.cut:
                raise DatabaseDisconnectedError("the database", "cut off")
            return found(*arguments, **named)

        call.__name__ = name
        return call


class Notices:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.heard: list[Notice] = []

    def notify(self, notice: Notice) -> None:
        """Remember it."""
        self.heard.append(notice)


class StageEngine:
    """One engine with connections of its own."""

    def __init__(self, stage: Stage, node: str, **options: Any) -> None:
        self.clock = StageClock(stage.loop, options.pop("skew_ns", 0))
        self.operations = LossyStore(SqliteOperations.open(stage.folder / "control.db"))
        self.log = LossyStore(TradingStore.open(stage.folder / "trading.db"))
        self.workshop = StageWorkshop()
        self.board = RiskBoard(self.clock)
        self.notices = Notices()
        self.told: list[tuple[str, bool, str]] = []
        self.host = EngineHost(
            node,
            self.operations,
            self.log,
            self.workshop,
            clock=self.clock,
            timing=options.pop("timing", EngineTiming()),
            random=random.Random(f"{node} {options.get('machine')} {options.get('process')}"),  # noqa: S311 - a test's
            board=self.board,
            notices=self.notices,
            on_run=lambda spec, run, error: self.told.append((spec.id, run is not None, str(error or ""))),
            **options,
        )
        self.task = stage.loop.create_task(self.host.keep())

    @property
    def runs(self) -> list[str]:
        """Ids of the runs here."""
        return sorted(self.host.seats)

    def latest(self, run: str) -> StageRun:
        """The newest life of a run here."""
        return next(made for made in reversed(self.workshop.made) if made.spec.id == run)

    def cut(self, *, off: bool) -> None:
        """Take both databases away, or give them back."""
        self.operations.cut = self.log.cut = off


class Stage:
    """Databases, a virtual loop, and the engines on it."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        self.folder = folder
        make: Any = VirtualLoop  # it leaves the abstract loop's sockets and signals out
        self.loop: VirtualLoop = make(random.Random(seed))  # noqa: S311 - a test's
        self.operations = SqliteOperations.open(folder / "control.db")
        self.engines: dict[str, StageEngine] = {}

    def specs(self, *runs: str, **fields: Any) -> None:
        """Put runs down."""
        for run in runs:
            self.operations.put_run(
                RunSpec(
                    id=run,
                    venue="venue",
                    pair="BTC/USDT",
                    kind="pure_market_making",
                    pool=fields.get("pool", ""),
                )
            )

    def engine(self, node: str, **options: Any) -> StageEngine:
        """Start an engine."""

        def build() -> None:
            self.engines[node] = StageEngine(self, node, **options)

        self._inside(build)
        return self.engines[node]

    def close(self, node: str) -> None:
        """End an engine as on Ctrl-C."""
        engine = self.engines.pop(node)

        async def end() -> None:
            engine.task.cancel()
            await asyncio.gather(engine.task, return_exceptions=True)
            await engine.host.close()

        self.loop.create_task(end())
        self.run_for(5)

    def kill(self, node: str) -> StageEngine:
        """End an engine as SIGKILL does: nothing of it runs any more."""
        engine = self.engines.pop(node)

        def drop() -> None:
            engine.task.cancel()
            engine.cut(off=True)
            for seat in engine.host.seats.values():
                if seat.task is not None:
                    seat.task.cancel()

        self._inside(drop)
        return engine

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.run_until(self.loop.time() + seconds)
        for engine in self.engines.values():
            assert not engine.task.done(), engine.task.exception()

    def until(self, holds: Callable[[], bool], limit_s: float = 60.0) -> float:
        """Let time pass until something holds; the virtual seconds that took."""
        began_s = self.loop.time()
        while not holds():
            assert self.loop.time() - began_s < limit_s, "it never held"
            self.run_for(0.05)
        return self.loop.time() - began_s

    def held(self) -> dict[str, list[str]]:
        """Runs by engine."""
        return {node: engine.runs for node, engine in self.engines.items()}

    def _inside(self, work: Callable[[], None]) -> None:
        """Do something on the loop, and let it happen."""
        self.loop.call_soon(work)
        self.run_for(0.001)
