"""The business core as a process of the simulation: its lives, and the door at which people ask."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeVar

from mrmarket.campaigns.arrivals import arrival_claimer
from mrmarket.core.errors import MrMarketError
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.services.money.face import MoneyOffice
from mrmarket.simulation.books import Business
from mrmarket.simulation.machine import Machine, ProcessClock
from mrmarket.simulation.network import Network
from mrmarket.simulation.process import Process
from mrmarket.simulation.rail import FundingLine, Rail, RailLine
from mrmarket.simulation.rewards import RewardCore, RewardWorld
from mrmarket.simulation.trading_log import MemoryTradingLog
from mrmarket.simulation.weather import FaultKind

T = TypeVar("T")

_PEER: Final = "people"


@dataclass(slots=True)
class BusinessNode:
    """Where the books are kept: the database stays, processes come and go."""

    network: Network
    machine: Machine
    database: sqlite3.Connection
    rail: Rail
    plans: list[PoolPlan]
    new_log: Callable[[], MemoryTradingLog]
    rng: Random
    round_s: float
    on_end: Callable[[Process, BaseException | None], None]
    """Told of a process that ended by itself."""
    rewards: RewardWorld | None = None
    """Campaigns that pay; None where there are none."""
    process: Process | None = None
    office: MoneyOffice | None = None
    business: Business | None = None
    lives: int = 0
    endings: list[str] = field(default_factory=list)
    """Why processes ended by themselves."""

    name = "business"

    def bury(self) -> None:
        """Its process is dead: nobody answers people."""
        self.office = None

    def start(self) -> None:
        """A new life."""
        self.lives += 1
        process = self.process = Process(self.name, self.lives, self.machine)
        task = process.spawn(self.network.loop, self._live(process), f"{process} books")
        process.run(task.add_done_callback, lambda done: self._ended(process, done))

    async def _live(self, process: Process) -> None:
        business = await asyncio.to_thread(self._open, process)
        self.business, self.office = business, business.office
        if self.rewards is None:
            await business.keep(self.round_s)
            return
        clock = ProcessClock(self.network.loop, process)
        disk = self.machine.disk
        core = RewardCore(self.rewards, self.network, process, disk, clock, business.offices)
        await asyncio.gather(business.keep(self.round_s), core.keep(self.rewards.plan.round_s))

    def _open(self, process: Process) -> Business:
        rails = [self.rail, *([] if self.rewards is None else [self.rewards.partner.rail])]
        claimers = [] if self.rewards is None else [arrival_claimer(self.rewards.partner.rail.name)]
        return Business(
            self.database,
            self.machine.disk,
            self.new_log(),
            self.plans,
            ProcessClock(self.network.loop, process),
            {rail.name: RailLine(rail, self.network, process) for rail in rails},
            {plan.venue: FundingLine(self.rail, self.network, process, plan.venue) for plan in self.plans},
            Random(self.rng.getrandbits(64)),  # noqa: S311 - repeatable on purpose, guards nothing
            claimers,
        )

    def _ended(self, process: Process, task: asyncio.Task[Any]) -> None:
        self.office = None
        if process.is_alive and not task.cancelled():
            error = task.exception()
            self.endings.append(repr(error))
            process.kill("it ended by itself")
            self.on_end(process, error)

    async def ask(self, question: Callable[[MoneyOffice], Awaitable[T]], timeout_s: float) -> T:
        """What people's requests come through.

        Raises:
            TimeoutError: no answer; what was asked may have happened.
            MrMarketError: the platform's word.
        """
        network = self.network
        loop, weather = network.loop, network.weather
        future: asyncio.Future[T] = loop.create_future()
        is_lost = weather.strikes(FaultKind.LOST_REQUEST)
        loses_answer = weather.strikes(FaultKind.LOST_ANSWER)

        def answer(task: asyncio.Task[T]) -> None:
            if task.cancelled():
                return
            error = task.exception()
            if loses_answer or future.done():
                return
            if error is None:
                network.later(network.near_s(), _set, future, task.result())
            elif isinstance(error, MrMarketError):
                network.later(network.near_s(), _raise, future, error)

        def arrive() -> None:
            process, office = self.process, self.office
            if process is None or not process.is_alive or office is None:
                return
            process.spawn(loop, _carry_out(question, office), _PEER).add_done_callback(answer)

        if not is_lost:
            network.later(network.near_s(), arrive)
        async with asyncio.timeout(timeout_s):
            return await future


async def _carry_out(question: Callable[[MoneyOffice], Awaitable[T]], office: MoneyOffice) -> T:
    return await question(office)


def _set(future: asyncio.Future[Any], answer: object) -> None:
    if not future.done():
        future.set_result(answer)


def _raise(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
