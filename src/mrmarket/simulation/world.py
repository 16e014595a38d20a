"""One seed's world: machines, processes, exchanges, a rail and people, put together and kept going."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Final

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.services.engine.workshop import RunHabits
from mrmarket.simulation import reward_checks
from mrmarket.simulation.angel import AngelNode
from mrmarket.simulation.books import new_database, pool_plan
from mrmarket.simulation.business import BusinessNode
from mrmarket.simulation.chain import Chain
from mrmarket.simulation.chain_line import new_chain_database
from mrmarket.simulation.checkers import Checkers
from mrmarket.simulation.disk import Disk
from mrmarket.simulation.engine import EngineNode
from mrmarket.simulation.exchange import Exchange, pair
from mrmarket.simulation.loop import EPOCH_NS, VirtualLoop
from mrmarket.simulation.machine import Machine
from mrmarket.simulation.money_checks import check_books, open_work
from mrmarket.simulation.network import Network
from mrmarket.simulation.operations import MemoryOperations, OperationsData
from mrmarket.simulation.owner import Owner
from mrmarket.simulation.partner import REWARD, Partner
from mrmarket.simulation.people import Person
from mrmarket.simulation.plan import CampaignPlan, Plan
from mrmarket.simulation.process import Process
from mrmarket.simulation.rail import NAME as RAIL
from mrmarket.simulation.rail import Rail
from mrmarket.simulation.rewards import RewardWorld
from mrmarket.simulation.trading_log import MemoryTradingLog, TradingData
from mrmarket.simulation.venue import ExchangeLine
from mrmarket.simulation.weather import FaultKind, Weather
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import DesiredState, RunSpec
from mrmarket.store.sql import SqliteSql
from mrmarket.trading.execution.timing import Timing

_BASES: Final = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOT")
_RESTART_S: Final = (0.5, 15.0)
_LONG_S: Final = (45.0, 200.0)
_LONG_SHARE: Final = 0.15
"""Of restarts: somebody has to come and do it."""
_IDLE_S: Final = 40.0
"""After so long an exchange says that nothing has changed; shorter than a book's greatest age."""
_HABITS: Final = RunHabits(
    timing=Timing(
        doubt_ns=4 * NS_PER_S,
        reconcile_ns=60 * NS_PER_S,
        tick_ns=40 * NS_PER_S,
        maintenance_ns=20 * NS_PER_S,
        stop_timeout_ns=40 * NS_PER_S,
        poll_ns=NS_PER_S,
    )
)
_REFRESH_S: Final = 19.0
"""For each run there is: many runs together act as often as one alone does."""
_BASE_LOTS: Final = 100_000
_QUOTE_UNITS: Final = 100_000 * 10**10
_LOOK_S: Final = 600.0
_LEAVING_S: Final = 600.0
"""So long before the storm ends people begin nothing new."""
_WISHES_S: Final = 1_000.0
"""What a deposit and a withdrawal take somebody in no hurry, at most."""

Node = EngineNode | BusinessNode | AngelNode


class World:
    """Builds what a plan says, lets it live, and keeps the checkers told."""

    def __init__(self, plan: Plan, money_db: Path | None = None) -> None:
        """`money_db` is a file for the ledger; None keeps it in memory."""
        self.plan = plan
        self._money_db = money_db
        self.rng = self.draw("world")
        self.loop = VirtualLoop(self.draw("loop"))
        self.weather = Weather(plan.rates, self.draw("weather"))
        self.network = Network(self.loop, self.weather)
        self.checkers = Checkers(self.loop.time, int(plan.lease_s * NS_PER_S))
        self.crashes = 0
        self.trading = TradingData(fence_watchers=[self.checkers.fence_taken])
        self.operations = OperationsData(on_lift=[self.checkers.lifted])
        self.loop.on_kill = self.died
        self.server = Disk("server") if plan.topology.has_server else None
        if self.server is not None:
            self.server.is_reachable = lambda process: not self.network.is_cut(process, "database")
            self.server.forgets = lambda: self.weather.strikes(FaultKind.LOST_COMMIT)
        self.machines = [self._machine(number) for number in range(1, plan.topology.engines + 1)]
        self.exchanges = [self._exchange(number) for number in range(plan.topology.runs)]
        self.specs = [self._spec(exchange) for exchange in self.exchanges]
        self.operations.specs.update((spec.id, spec) for spec in self.specs)
        self.rail = Rail(self.network, {exchange.name: exchange for exchange in self.exchanges})
        self.plans = [
            pool_plan("main" if number == 0 else f"pool{number + 1}", spec.id, spec.venue, "USDT", RAIL)
            for number, spec in enumerate(self.specs)
        ]
        self.engines = [self._engine(machine) for machine in self.machines]
        self.rewards: RewardWorld | None = None
        self.business = self._business(self.machines[0])
        self.angel = self._angel(self._machine(0)) if plan.topology.has_angel else None
        self.people = [self._person(number) for number in range(plan.topology.depositors)]
        if plan.campaigns is not None:
            self.rewards = self.business.rewards = self._rewards(plan.campaigns)
        self.owner = Owner(
            self._operations(self.machines[0]),
            self.checkers,
            {spec.id: spec.venue for spec in self.specs},
            lambda: self.now_ns() // NS_PER_MS,
        )
        self._lives: list[asyncio.Task[None]] = []
        self._look_again_s = 0.0

    def draw(self, name: str) -> random.Random:
        """A stream of chance of its own."""
        return random.Random(f"{name} {self.plan.seed}")  # noqa: S311 - repeatable on purpose, guards nothing

    @property
    def nodes(self) -> list[Node]:
        """Everybody who runs as a process."""
        watchers = [] if self.angel is None else [self.angel]
        return [*self.engines, self.business, *watchers]

    def victims(self) -> list[tuple[Process, Machine]]:
        """Every living process and its machine."""
        return [
            (node.process, node.machine)
            for node in self.nodes
            if node.process is not None and node.process.is_alive
        ]

    def now_ns(self) -> int:
        """True wall time."""
        return EPOCH_NS + self.loop.now_ns()

    # Life.

    def begin(self) -> None:
        """Start every process, every market and every person."""
        for node in self.nodes:
            self.network.later(self.rng.uniform(0.0, 3.0), self._start, node)
        for exchange in self.exchanges:
            self._wait_for_move(exchange)
        for person in self.people:
            self.network.later(0.0, self._begin_life, person)
        self.network.later(0.0, self._begin_asks)
        if self.rewards is not None:
            self.rewards.partner.begin()
            self.network.later(_LOOK_S, self._look_at_rewards)

    def _start(self, node: Node) -> None:
        if node.process is None or not node.process.is_alive:
            node.start()

    def died(self, process: Process) -> None:
        """A process was killed."""
        self.crashes += 1
        self._bury(process)

    def _engine_ended(self, process: Process, error: BaseException | None) -> None:
        self.checkers.report("engine_lives", f"{process} ended by itself: {error!r}")
        self._bury(process)

    def _business_ended(self, process: Process, error: BaseException | None) -> None:
        # Books that cannot be written end their process: it begins again from what is on the disk.
        if not isinstance(error, StoreError | LedgerStoppedError):
            self.checkers.report("business_lives", f"{process} ended by itself: {error!r}")
        self._bury(process)

    def _bury(self, process: Process) -> None:
        """Keep what is left of a process, hang its lines up, and have it started again."""
        process.remains = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
        for node in self.nodes:
            if node.process is process:
                node.bury()
                span_s = _LONG_S if self.rng.random() < _LONG_SHARE else _RESTART_S
                self.network.later(self.rng.uniform(*span_s), self._start, node)

    def _begin_life(self, person: Person) -> None:
        until_s = self.plan.storm_s - _LEAVING_S - (person.pace - 1.0) * _WISHES_S
        self._lives.append(self.loop.create_task(person.live(until_s, self.loop.time)))

    def _begin_asks(self) -> None:
        self._lives.append(self.loop.create_task(self.owner.live(self.plan.asks)))

    def _look_at_rewards(self) -> None:
        """The identity holds at every moment at which nobody is in the middle of a transaction."""
        if not self.business.database.in_transaction:
            reward_checks.look(self._books(), self.checkers.report)
        self.network.later(_LOOK_S, self._look_at_rewards)

    # The market.

    def _wait_for_move(self, exchange: Exchange) -> None:
        self._idle_or_move(exchange, self.rng.expovariate(1.0 / self.plan.move_every_s))

    def _idle_or_move(self, exchange: Exchange, wait_s: float) -> None:
        if wait_s > _IDLE_S:
            self.network.later(_IDLE_S, self._idle, exchange, wait_s - _IDLE_S)
        else:
            self.network.later(wait_s, self._move, exchange)

    def _idle(self, exchange: Exchange, rest_s: float) -> None:
        exchange.idle(self.now_ns())
        self._idle_or_move(exchange, rest_s)

    def _move(self, exchange: Exchange) -> None:
        exchange.move(self.now_ns())
        self._wait_for_move(exchange)

    # Coming to rest.

    def is_at_work(self) -> bool:
        """Whether every run quotes, each at one engine."""
        running = [
            run.stream
            for node in self.engines
            for run in node.runs
            if run.state.value == "running" and not run.pulled
        ]
        return sorted(running) == sorted(spec.id for spec in self.specs)

    def has_done_enough(self) -> bool:
        """Whether there was enough to say anything."""
        return sum(exchange.counts.actions for exchange in self.exchanges) >= self.plan.least_actions

    def owned(self) -> list[str]:
        """Every order that some living run knows as open."""
        return [
            order.client_order_id for node in self.engines for run in node.runs for order in run.live_orders
        ]

    def stop_runs(self) -> None:
        """The owner wants every run stopped."""
        for spec in list(self.operations.specs.values()):
            self.operations.specs[spec.id] = _stopped(spec)

    def is_stopped(self) -> bool:
        """Whether no engine holds a run."""
        return not any(node.host.seats for node in self.engines if node.host is not None and node.is_alive)

    def is_settled(self) -> bool:
        """Whether people have stopped asking and nobody's money is on its way."""
        now_s = self.loop.time()
        if now_s < self._look_again_s:
            return False
        self._look_again_s = now_s + self.plan.round_s / 4
        if any(not life.done() for life in self._lives) or self.rail.in_flight:
            return False
        if open_work(self._books()):
            return False
        return self.rewards is None or reward_checks.is_settled(self._books(), self.rewards)

    def payouts_taken(self) -> int:
        """Payouts of campaigns that the books have."""
        if self.rewards is None:
            return 0
        return int(self._books().rows("SELECT count(*) FROM campaign_payouts")[0][0])

    def _books(self) -> SqliteSql:
        return SqliteSql(Path("money.db"), self.business.database)

    def look_at_rest(self) -> None:
        """The checks of what must be true when nothing moves."""
        for exchange, spec in zip(self.exchanges, self.specs, strict=True):
            self.checkers.check_orders(exchange, ())
            self.checkers.check_fills(exchange, spec.id, self.trading)
        business = self.business.business
        if business is None:
            self.checkers.report("business_lives", "there is no business core")
            return
        treasury = business.offices.treasury
        check_books(treasury, self.plans, self.exchanges, self.rail, self.people, self.checkers.report)
        if self.rewards is not None:
            reward_checks.look_at_rest(self._books(), self.rewards, self.checkers.report)

    # Putting it together.

    def _machine(self, number: int) -> Machine:
        name = f"machine-{number}"
        return Machine(name, self.server or Disk(name))

    def _log(self, machine: Machine) -> MemoryTradingLog:
        return MemoryTradingLog(self.trading, machine.disk, self.now_ns if self.server else None)

    def _operations(self, machine: Machine) -> MemoryOperations:
        return MemoryOperations(self.operations, machine.disk)

    def _line(self, exchange: Exchange, process: Process, *, switch: bool = False) -> ExchangeLine:
        return ExchangeLine(
            exchange,
            self.network,
            process,
            skew=lambda: process.skew_ns,
            on_handed=self.checkers.handed,
            switch=switch,
        )

    def _run_line(self, process: Process, spec: RunSpec) -> ExchangeLine:
        line = self._line(
            next(each for each in self.exchanges if each.name == spec.venue),
            process,
            switch=self.plan.dead_man_s > 0,
        )
        line.run = spec.id
        return line

    def _engine(self, machine: Machine) -> EngineNode:
        return EngineNode(
            machine.name.replace("machine", "engine"),
            machine,
            self.network,
            self.plan.seed,
            self.plan.lease_s,
            replace(_HABITS, dead_man_s=self.plan.dead_man_s),
            self._run_line,
            self._log,
            self._operations,
            self._engine_ended,
        )

    def _angel(self, machine: Machine) -> AngelNode:
        # Without a server it shares the disk of the one machine there is.
        place = machine if self.server is not None else self.machines[0]
        return AngelNode(
            place,
            self.network,
            self.draw("angel"),
            self.plan.lease_s,
            lambda process: [self._line(exchange, process) for exchange in self.exchanges],
            self._log,
            self._operations,
            self._engine_ended,
        )

    def _business(self, machine: Machine) -> BusinessNode:
        return BusinessNode(
            self.network,
            machine,
            new_database(self._money_db),
            self.rail,
            self.plans,
            lambda: self._log(machine),
            self.draw("business"),
            self.plan.round_s,
            self._business_ended,
        )

    def _person(self, number: int) -> Person:
        pool = self.plans[number % len(self.plans)].name
        return Person(
            f"person{number}",
            f"0x{number + 1:040x}",
            pool,
            self.draw(f"person {number}"),
            self.rail,
            self.business,
        )

    def _rewards(self, plan: CampaignPlan) -> RewardWorld:
        rng = self.draw("rewards")
        rail = Rail(self.network, {}, REWARD.namespace, REWARD)
        chain = Chain(rng, self.now_ns() // NS_PER_S)
        partner = Partner(plan, chain, rail, self.network, rng)
        return RewardWorld(plan, partner, new_chain_database(), self.people)

    def _exchange(self, number: int) -> Exchange:
        exchange = Exchange(
            pair(f"sim{number + 1}", _BASES[number], "USDT"),
            self.draw(f"exchange {number}"),
            base_lots=_BASE_LOTS,
            quote_units=_QUOTE_UNITS,
        )
        run = _run_id(exchange)
        exchange.on_placed.append(lambda order, _now_ns: self.checkers.arrived(run, order))
        return exchange

    def _spec(self, exchange: Exchange) -> RunSpec:
        return RunSpec(
            id=_run_id(exchange),
            venue=exchange.name,
            pair=exchange.instrument.symbol,
            kind="pure_market_making",
            parameters={
                "bid_spread": "0.00015",
                "ask_spread": "0.00015",
                "order_amount": "0.02",
                "order_refresh_time": _REFRESH_S * self.plan.topology.runs,
                "number_of_layers": 1,
                "order_refresh_tolerance": "0",
            },
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
