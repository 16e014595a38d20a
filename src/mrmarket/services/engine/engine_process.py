"""`mrmarket run --role engine`: a process that holds runs and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from mrmarket.core.clock import NS_PER_MS, Clock, SystemClock
from mrmarket.core.errors import MrMarketError
from mrmarket.services.config import LoadedConfig
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.engine.composition import Engine, EngineSetting
from mrmarket.services.engine.identity import shared_identity
from mrmarket.services.engine.specs import pairs_of
from mrmarket.services.engine.venue_room import VenueRoom
from mrmarket.services.run_desk import report_view
from mrmarket.services.selection.remote_sight import told_of
from mrmarket.services.telemetry.followed_workshop import held_runs, leases_hold
from mrmarket.services.telemetry.instance_report import report_operations, report_runs, report_trading_store
from mrmarket.services.telemetry.parts import check_lease
from mrmarket.services.telemetry.run_sources import HeldRun
from mrmarket.services.telemetry.voice import Voice
from mrmarket.services.trading_place import SIMULATED, open_account, open_public
from mrmarket.store.operations import OperationsStore, RunSpec
from mrmarket.store.trading_port import TradingLog
from mrmarket.trading.strategy.run import StrategyRun
from mrmarket.trading.venue.port import Venue

_THREADS: Final = 32
_log = structlog.get_logger("mrmarket.engine.process")


class RoleRefusedError(MrMarketError):
    """This process cannot be what it was asked to be."""

    code = "role_refused"

    def __init__(self, role: str, problem: str) -> None:
        self.role = role
        super().__init__(f"--role {role}: {problem}")


class EngineSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine did from its start to its end."""

    node: str
    claims: int
    """Leases taken."""
    handed_over: int
    lost: int
    """Leases that somebody else took."""
    failures: int


def require_role(loaded: LoadedConfig, role: str) -> None:
    """Refuse a role that this configuration leaves nothing for."""
    config = loaded.config
    if not config.store.url:
        raise RoleRefusedError(role, "roles meet in PostgreSQL; give its address with --store")
    if config.venue.exchange == SIMULATED or config.venue.paper:
        raise RoleRefusedError(
            role,
            "the embedded exchange and paper trading live in one process; name an exchange with --venue, or"
            " start `mrmarket venue` and give its addresses in [venue]",
        )


class EngineProcess:
    """One engine on one machine."""

    def __init__(self, loaded: LoadedConfig, data: Path) -> None:
        """Nothing is opened yet."""
        require_role(loaded, "engine")
        self._loaded = loaded
        self._data = data

    async def run(self, on_ready: Callable[[str], None]) -> EngineSummary:
        """Hold runs until SIGINT or SIGTERM; then hand every one of them over.

        Args:
            on_ready: told the node's name once the databases are open.

        Raises:
            MrMarketError: what kept it from starting or from going on.
        """
        os.umask(0o077)
        config = self._loaded.config
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        # Renewals must not wait for the many runs that read their history at the same time.
        loop.set_default_executor(ThreadPoolExecutor(_THREADS, "database"))
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)
        with DataDirectory(self._data, config.store.url) as directory:
            node = directory.instance_id()
            voice = Voice(config, self._data, SystemClock(), os.environ, role="engine", node=node)
            async with voice:
                await asyncio.to_thread(directory.require_current)
                log = await asyncio.to_thread(directory.store.open_trading)
                try:
                    operations = await asyncio.to_thread(directory.store.open_operations)
                    try:
                        return await self._hold(directory, voice, log, operations, stopping, on_ready)
                    finally:
                        operations.close()
                finally:
                    log.close()

    async def _hold(
        self,
        directory: DataDirectory,
        voice: Voice,
        log: TradingLog,
        operations: OperationsStore,
        stopping: asyncio.Event,
        on_ready: Callable[[str], None],
    ) -> EngineSummary:
        wall, node = SystemClock(), directory.instance_id()
        instance = await asyncio.to_thread(shared_identity, operations, node, wall.now_ns() // NS_PER_MS)

        async def opener(venue: str, account: str) -> Venue:
            specs = engine.host.specs.values()
            here = (spec for spec in specs if (spec.venue, spec.account) == (venue, account))
            pairs = {pair for spec in here for pair in pairs_of(spec)}
            return await open_account(self._loaded.config, directory, account, pairs, voice.redactor.know)

        async def public(venue: str) -> Venue:
            here = (spec for spec in engine.host.specs.values() if spec.venue == venue)
            pairs = {pair for spec in here for pair in pairs_of(spec)}
            return await open_public(self._loaded.config, pairs)

        room = VenueRoom(opener, public)
        setting = EngineSetting(
            node=node,
            role="engine",
            instance=instance,
            folder=directory.root,
            operations=operations,
            log=log,
            room=room,
            wall=wall,
            world=wall,
            notices=voice.notifier,
            order_log=voice.order_log,
        )
        engine = Engine(
            self._loaded.config,
            setting,
            on_run=lambda _spec, _run, _error: None,
            view=partial(_view, choice=self._loaded.config.selection.enabled, wall=wall),
            serves=lambda spec: spec.venue == self._loaded.config.venue.exchange,
        )
        _report(voice, engine, log, operations)
        directory.keep()
        keeping = asyncio.create_task(engine.keep(), name="engine")
        stopped = asyncio.create_task(stopping.wait())
        on_ready(node)
        try:
            await asyncio.wait({keeping, stopped}, return_when=asyncio.FIRST_COMPLETED)
            failed = keeping.done()
        finally:
            for task in (keeping, stopped):
                task.cancel()
            await asyncio.gather(keeping, stopped, return_exceptions=True)
            await engine.close()
            await room.close()
        if failed:
            keeping.result()
        host = engine.host
        return EngineSummary(
            node=node,
            claims=host.claims,
            handed_over=host.keeper.handed_over,
            lost=host.keeper.lost,
            failures=host.keeper.failures,
        )


def _view(spec: RunSpec, run: StrategyRun, *, choice: bool, wall: Clock) -> dict[str, Any]:
    """A run's report; where strategies take turns with what the process needs that chooses."""
    said = report_view(run, wall)
    return {**said, **told_of(run, spec.revision, wall.now_ns())} if choice else said


def _report(voice: Voice, engine: Engine, log: TradingLog, operations: OperationsStore) -> None:
    """Let Prometheus and orchestrators see how it is."""
    telemetry, wall, seats = voice.telemetry, SystemClock(), engine.host.seats

    def runs() -> Iterator[HeldRun]:
        return held_runs(list(seats.values()))

    report_runs(telemetry, runs)
    report_trading_store(telemetry, log, wall)
    report_operations(telemetry, operations, wall)
    check_lease(telemetry.health, partial(leases_hold, seats.values()))
