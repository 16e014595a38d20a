"""One seed's world: machines, processes and exchanges, put together, struck, healed and looked at."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.services.engine.host import EngineHost
from mrmarket.services.engine.timing import EngineTiming
from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.store.errors import StoreError
from mrmarket.store.sql import SqliteSql
from mrmarket.simulation.books import new_database, pool_plan
from mrmarket.simulation.business import BusinessNode
from mrmarket.simulation.money_checks import check_books, open_work
from mrmarket.simulation.people import Person
from mrmarket.simulation.rail import NAME as RAIL, Rail
from mrmarket.simulation.checkers import Checkers
from mrmarket.simulation.disk import AFTER, BEFORE, Disk
from mrmarket.simulation.engine import ProcessClock, SimulatedWorkshop
from mrmarket.simulation.exchange import Exchange, pair
from mrmarket.simulation.loop import EPOCH_NS, VirtualLoop
from mrmarket.simulation.network import Network
from mrmarket.simulation.operations import MemoryOperations, OperationsData
from mrmarket.simulation.plan import Happening, Plan
from mrmarket.simulation.process import Process
from mrmarket.simulation.trading_log import MemoryTradingLog, TradingData
from mrmarket.simulation.venue import ExchangeLine
from mrmarket.simulation.weather import FaultKind, Weather
from mrmarket.store.operations import DesiredState, RunSpec
from mrmarket.trading.execution.timing import Timing

_BASES: Final = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOT")
_RESTART_S: Final = (0.5, 15.0)
_IDLE_S: Final = 8.0
_RUN_TIMING: Final = Timing(
    doubt_ns=4 * NS_PER_S,
    reconcile_ns=60 * NS_PER_S,
    tick_ns=10 * NS_PER_S,
    maintenance_ns=5 * NS_PER_S,
    stop_timeout_ns=40 * NS_PER_S,
    poll_ns=NS_PER_S,
)
_QUIET_S: Final = 240.0
"""After the last fault everything is as it should be within this."""


@dataclass(slots=True)
class Machine:
    """Where processes run: a clock that they share, and a disk."""

    name: str
    disk: Disk
    skew_ns: int = 0


@dataclass(slots=True)
class EngineNode:
    """An engine: its machine, and the life it is in."""

    name: str
    machine: Machine
    process: Process | None = None
    host: EngineHost | None = None
    workshop: SimulatedWorkshop | None = None
    lives: int = 0
    lines: list[ExchangeLine] = field(default_factory=list)


class World:
    """Builds what a plan says, lets it strike, and keeps the checkers told."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rng = random.Random(f"world {plan.seed}")  # noqa: S311 - repeatable on purpose, guards nothing
        self.loop = VirtualLoop(random.Random(f"loop {plan.seed}"))  # noqa: S311 - the same
        self.weather = Weather(plan.rates, random.Random(f"weather {plan.seed}"))  # noqa: S311 - the same
        self.network = Network(self.loop, self.weather)
        self.checkers = Checkers(self.loop.time, int(plan.lease_s * NS_PER_S))
        self.crashes = 0
        self.crash_points: set[str] = set()
        self.trading = TradingData(fence_watchers=[self.checkers.fence_taken])
        self.operations = OperationsData()
        self.loop.on_kill = self._buried
        topology = plan.topology
        self.server = Disk("server") if topology.has_server else None
        if self.server is not None:
            self.server.is_reachable = lambda process: not self.network.is_cut(process, "database")
        self.machines = [
            Machine(f"machine-{number}", self.server or Disk(f"machine-{number}"))
            for number in range(1, topology.engines + 1)
        ]
        self.exchanges = [self._exchange(number) for number in range(topology.runs)]
        self.specs = [self._spec(exchange) for exchange in self.exchanges]
        self.engines = [
            EngineNode(f"engine-{number}", machine) for number, machine in enumerate(self.machines, 1)
        ]
        self.operations.specs.update((spec.id, spec) for spec in self.specs)
        self.rail = Rail(self.network, {exchange.name: exchange for exchange in self.exchanges})
        self.plans = [
            pool_plan("main" if number == 0 else f"pool{number + 1}", spec.id, spec.venue, "USDT", RAIL)
            for number, spec in enumerate(self.specs)
        ]
        home = self.machines[0]
        self.business = BusinessNode(
            self.network,
            home.disk,
            new_database(),
            self.rail,
            self.plans,
            lambda: self._log(home),
            random.Random(f"business {plan.seed}"),  # noqa: S311 - repeatable on purpose
            plan.round_s,
            self._business_ended,
        )
        self._lives: list[asyncio.Task[None]] = []
        self._look_again_s = 0.0
        self.people = [self._person(number) for number in range(topology.depositors)]

    @property
    def exchange_names(self) -> list[str]:
        """Names of all exchanges."""
        return [exchange.name for exchange in self.exchanges]

    # Life.

    def begin(self) -> None:
        """Start every process, every market, and the storm."""
        for node in self.engines:
            self.network.later(self.rng.uniform(0.0, 3.0), self.start_engine, node)
        for exchange in self.exchanges:
            self._wait_for_move(exchange)
        self.network.later(self.rng.uniform(0.0, 3.0), self.start_business)
        for person in self.people:
            self.network.later(0.0, self._begin_life, person)
        for happening in self.plan.happenings:
            self.network.later(happening.at_s, self.strike, happening)

    def start_engine(self, node: EngineNode) -> None:
        """A new life of an engine."""
        if node.process is not None and node.process.is_alive:
            return
        node.lives += 1
        process = node.process = Process(node.name, node.lives)
        process.skew_ns = node.machine.skew_ns
        process.run(self._launch, node, process)

    def _launch(self, node: EngineNode, process: Process) -> None:
        clock = ProcessClock(self.loop, process)
        machine = node.machine
        log = self._log(machine)
        node.workshop = SimulatedWorkshop(process, log, clock, _RUN_TIMING, self._connect)
        node.host = EngineHost(
            node.name,
            MemoryOperations(self.operations, machine.disk),
            log,
            node.workshop,
            clock=clock,
            timing=engine_timing(self.plan.lease_s),
            random=random.Random(f"{self.plan.seed} {process}"),  # noqa: S311 - repeatable on purpose
        )
        task = self.loop.create_task(node.host.keep(), name=f"{process} host")
        task.add_done_callback(lambda done: self._host_ended(node, process, done))

    def _host_ended(self, node: EngineNode, process: Process, task: asyncio.Task[None]) -> None:
        if task.cancelled() or not process.is_alive:
            return
        error = task.exception()
        self.checkers.report("engine_lives", f"{process} ended by itself: {error!r}")

    def _connect(self, process: Process, venue: str) -> ExchangeLine:
        exchange = next(each for each in self.exchanges if each.name == venue)
        line = ExchangeLine(
            exchange,
            self.network,
            process,
            skew=lambda: process.skew_ns,
            on_handed=self.checkers.handed,
        )
        node = next(each for each in self.engines if each.process is process)
        node.lines.append(line)
        return line

    def start_business(self) -> None:
        """A new life of the business core."""
        process = self.business.process
        if process is None or not process.is_alive:
            self.business.start(self.machines[0].skew_ns)

    def _business_ended(self, process: Process, error: BaseException | None) -> None:
        if not isinstance(error, StoreError | LedgerStoppedError):
            self.checkers.report("business_lives", f"{process} ended by itself: {error!r}")
        self._bury(process)

    def _log(self, machine: Machine) -> MemoryTradingLog:
        return MemoryTradingLog(self.trading, machine.disk, self.now_ns if self.server else None)

    def _person(self, number: int) -> Person:
        rng = random.Random(f"person {self.plan.seed} {number}")  # noqa: S311 - repeatable on purpose
        pool = self.plans[number % len(self.plans)].name
        return Person(f"person{number}", f"0x{number + 1:040x}", pool, rng, self.rail, self.business)

    def _begin_life(self, person: Person) -> None:
        self._lives.append(self.loop.create_task(person.live(self.plan.storm_s - 600.0, self.loop.time)))

    # The market.

    def _wait_for_move(self, exchange: Exchange) -> None:
        wait_s = self.rng.expovariate(1.0 / self.plan.move_every_s)
        if wait_s > _IDLE_S:
            self.network.later(_IDLE_S, self._idle, exchange, wait_s - _IDLE_S)
        else:
            self.network.later(wait_s, self._move, exchange)

    def _idle(self, exchange: Exchange, rest_s: float) -> None:
        exchange.idle(self.now_ns())
        if rest_s > _IDLE_S:
            self.network.later(_IDLE_S, self._idle, exchange, rest_s - _IDLE_S)
        else:
            self.network.later(rest_s, self._move, exchange)

    def _move(self, exchange: Exchange) -> None:
        exchange.move(self.now_ns())
        self._wait_for_move(exchange)

    def now_ns(self) -> int:
        """True wall time."""
        return EPOCH_NS + self.loop.now_ns()

    # Faults.

    def strike(self, happening: Happening) -> None:
        """Let something happen, if there is somebody to whom it can."""
        victims = self._victims()
        if not victims:
            self.network.later(5.0, self.strike, happening)
            return
        process, machine = victims[int(happening.target * len(victims))]
        self.weather.note(happening.kind)
        match happening.kind:
            case FaultKind.CRASH:
                process.steps_left = 1 + int(happening.draw * 400)
            case FaultKind.CRASH_AT_COMMIT:
                label = BEFORE if happening.draw < 0.5 else AFTER  # noqa: PLR2004 - the one or the other
                process.crash_label = (label, 1 + int(happening.draw * 1_000) % 7)
            case FaultKind.POWER_CUT:
                self._cut_power(machine)
            case FaultKind.PAUSE:
                if not process.is_frozen:
                    process.is_frozen = True
                    self.network.later(happening.for_s, self.loop.thaw, process)
            case FaultKind.CLOCK_STEP:
                machine.skew_ns += int((happening.draw - 0.5) * 8 * NS_PER_S)
                process.skew_ns = machine.skew_ns
            case FaultKind.PARTITION:
                peers = [*self.exchange_names, *(["database"] if self.server else [])]
                peer = peers[int(happening.draw * len(peers))]
                self.network.cut(process.name, peer, self.loop.time() + happening.for_s)
            case FaultKind.DISK_FULL:
                machine.disk.is_full = True
                self.network.later(happening.for_s, self._empty, machine.disk)
            case FaultKind.DATABASE_AWAY:
                machine.disk.is_away = True
                self.network.later(happening.for_s, self._bring_back, machine.disk)
            case _:
                raise ValueError(happening.kind)

    def heal(self) -> None:
        """From now on nothing goes wrong any more."""
        self.weather.is_calm = True
        self.network.heal()
        for machine in self.machines:
            machine.disk.is_full = machine.disk.is_away = False
        for process, _ in self._victims():
            process.steps_left, process.crash_label = None, None
            if process.is_frozen:
                self.loop.thaw(process)

    def _victims(self) -> list[tuple[Process, Machine]]:
        """Every living process and its machine."""
        everyone = [(node.process, node.machine) for node in self.engines]
        everyone.append((self.business.process, self.machines[0]))
        return [(process, machine) for process, machine in everyone if process and process.is_alive]

    def _cut_power(self, machine: Machine) -> None:
        for process, place in self._victims():
            if place is machine:
                process.kill("a power cut")
                self._buried(process)
        machine.disk.lose_power()

    @staticmethod
    def _empty(disk: Disk) -> None:
        disk.is_full = False

    @staticmethod
    def _bring_back(disk: Disk) -> None:
        disk.is_away = False

    def _buried(self, process: Process) -> None:
        """A process has died: hang its lines up, keep what is left of it, have it started again."""
        self.crashes += 1
        self.crash_points.add(process.died_at)
        self._bury(process)

    def _bury(self, process: Process) -> None:
        process.remains = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
        for node in self.engines:
            if node.process is process:
                for line in node.lines:
                    line.sever()
                node.lines.clear()
                self.network.later(self.rng.uniform(*_RESTART_S), self.start_engine, node)
        if process is self.business.process:
            self.business.office = None
            self.network.later(self.rng.uniform(*_RESTART_S), self.start_business)

    # Coming to rest.

    def is_at_work(self) -> bool:
        """Whether every run quotes at exactly one engine."""
        holders = [run for node in self._living() if node.workshop for run in node.workshop.runs.values()]
        running = [run.stream for run in holders if run.state.value == "running" and not run.pulled]
        return sorted(running) == sorted(spec.id for spec in self.specs)

    def owned(self) -> list[str]:
        """Every order that some living run knows as open."""
        return [
            order.client_order_id
            for node in self._living()
            if node.workshop
            for run in node.workshop.runs.values()
            for order in run.live_orders
        ]

    def stop_runs(self) -> None:
        """The owner wants every run stopped."""
        for spec in list(self.operations.specs.values()):
            self.operations.specs[spec.id] = _stopped(spec)

    def is_stopped(self) -> bool:
        """Whether no engine holds a run."""
        return not any(node.host.seats for node in self._living() if node.host)

    def is_settled(self) -> bool:
        """Whether people have stopped asking and nobody's money is on its way."""
        now_s = self.loop.time()
        if now_s < self._look_again_s:
            return False
        self._look_again_s = now_s + self.plan.round_s / 4
        if any(not life.done() for life in self._lives) or self.rail.in_flight:
            return False
        return not open_work(SqliteSql(Path("money.db"), self.business.database))

    def look_at_rest(self) -> None:
        """The checks of what must be true when nothing moves."""
        for exchange, spec in zip(self.exchanges, self.specs, strict=True):
            self.checkers.check_orders(exchange, ())
            self.checkers.check_fills(exchange, spec.id, self.trading)
        business = self.business.business
        if business is None:
            self.checkers.report("business_lives", "there is no business core")
            return
        check_books(
            business.offices.treasury,
            self.plans,
            self.exchanges,
            self.rail,
            self.people,
            self.checkers.report,
        )

    def _living(self) -> list[EngineNode]:
        return [node for node in self.engines if node.process is not None and node.process.is_alive]

    def _exchange(self, number: int) -> Exchange:
        exchange = Exchange(
            pair(f"sim{number + 1}", _BASES[number], "USDT"),
            random.Random(f"exchange {self.plan.seed} {number}"),  # noqa: S311 - repeatable on purpose
            base_lots=100_000,
            quote_units=100_000 * 10**10,
        )
        exchange.on_placed.append(lambda order, _now_ns: self.checkers.arrived(_run_id(exchange), order))
        return exchange

    def _spec(self, exchange: Exchange) -> RunSpec:
        return RunSpec(
            id=_run_id(exchange),
            venue=exchange.name,
            pair=exchange.instrument.symbol,
            kind="pure_market_making",
            parameters={
                "pair": exchange.instrument.symbol,
                "bid_spread": "0.00015",
                "ask_spread": "0.00015",
                "order_amount": "0.02",
                "order_refresh_time": 25.0,
                "number_of_layers": 1,
                "order_refresh_tolerance": "0",
            },
        )


def engine_timing(lease_s: float) -> EngineTiming:
    """An engine's periods, in proportion to the length of a lease."""
    return EngineTiming(
        beat_s=lease_s / 4,
        look_s=lease_s / 3,
        report_s=lease_s * 4,
        lease_s=lease_s,
        renew_s=lease_s / 3,
        dead_s=lease_s * 0.9,
        patience_s=lease_s / 3,
        steady_s=lease_s / 3,
    )


def _run_id(exchange: Exchange) -> str:
    return f"{exchange.name}.{exchange.instrument.venue_symbol}"


def _stopped(spec: RunSpec) -> RunSpec:
    return RunSpec(
        id=spec.id,
        venue=spec.venue,
        pair=spec.pair,
        kind=spec.kind,
        parameters=spec.parameters,
        desired=DesiredState.STOPPED,
        revision=spec.revision + 1,
    )
