"""The choice between an instance's strategies, joined to its engine, database and market."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec

from mrmarket.core.clock import Clock, SystemClock
from mrmarket.core.errors import MrMarketError
from mrmarket.core.notice import NoticeSink
from mrmarket.services.config_sections import Config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.engine.composition import Engine
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.ports import LeaseStore
from mrmarket.services.engine.section import MAIN_ACCOUNT
from mrmarket.services.engine.shared_venue import SharedFeed
from mrmarket.services.engine.venue_room import VenueRoom
from mrmarket.services.selection.capital import Capital
from mrmarket.services.selection.chooser import Chooser
from mrmarket.services.selection.demo import demo_selection
from mrmarket.services.selection.memory import SelectionMemory, forget_state, load_state
from mrmarket.services.selection.office import SelectionOffice
from mrmarket.services.selection.plan import Plan, selection_plans, specs_for
from mrmarket.services.selection.ports import Eyes
from mrmarket.services.selection.rebalance_places import open_rebalancing
from mrmarket.services.selection.rebalancing import Rebalancing
from mrmarket.services.selection.remote_sight import RemoteSight
from mrmarket.services.selection.second_market import SECOND, FollowingFeed, Premium
from mrmarket.services.selection.section import MAIN
from mrmarket.services.selection.shadows import ShadowHouse, is_cross, keep_shadows, paper_opening
from mrmarket.services.selection.sight import Sight
from mrmarket.services.selection.switchboard import Switchboard
from mrmarket.services.selection.turn_lease import TurnLease
from mrmarket.services.trading_place import TradingPlace
from mrmarket.store.operations import DesiredState, OperationsStore, RunSpec
from mrmarket.store.selection_log import SelectionLog
from mrmarket.trading.execution.risk.budget import Budgets
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.strategy.shadow.shadow import Shadow
from mrmarket.trading.venue.paper import PaperVenue
from mrmarket.trading.venue.paper_memory import PaperMemory
from mrmarket.trading.venue.port import Venue
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange

_ANSWER_S = 3.0


class NoSecondVenueError(MrMarketError):
    """A candidate trades between two venues where there is one."""

    code = "no_second_venue"

    def __init__(self, candidate: str) -> None:
        self.candidate = candidate
        super().__init__(
            f"{candidate} trades between two venues, and only the embedded exchange has a second market"
            " beside it; take the candidate out of [selection]"
        )


class CapitalElsewhereError(MrMarketError):
    """Capital is to bind runs that are in other processes."""

    code = "capital_elsewhere"

    def __init__(self) -> None:
        super().__init__(
            "[selection.capital] act = true binds runs of one process; set it to false (the parts are advice"
            " then) or run everything in one, without --role"
        )


class Choice:
    """Opened before the engine, so that it starts with whoever had the turn last."""

    def __init__(
        self,
        config: Config,
        directory: DataDirectory,
        log: SelectionLog,
        plans: dict[str, Plan],
        current: str,
    ) -> None:
        self._second: PaperVenue | None = None
        self._feed: SharedFeed | None = None
        self._following: FollowingFeed | None = None
        self.office: SelectionOffice | None = None
        """What the API asks, once joined."""
        self.chooser: Chooser | None = None
        self.shadows: dict[str, Shadow] = {}
        self.rebalancing: list[Rebalancing] = []
        self._beside: list[Coroutine[Any, Any, None]] = []
        self._config = config
        self._directory = directory
        self._log = log
        self._plans = plans
        self._current = current

    @property
    def specs(self) -> list[RunSpec]:
        """Every candidate's run, the main one first, as whoever had the turn last wants it."""
        return specs_for(self._plans, self._current)

    @property
    def follow(self) -> Callable[[], AsyncIterator[MarketEvent]] | None:
        """The main pair's feed, which shadows follow, too; None before the market is open."""
        return None if self._feed is None else self._feed.follow

    def second(self, spec: RunSpec) -> Venue | None:  # noqa: ARG002 - there is one
        """The second venue of a run that trades on two; None where there is none."""
        return self._second

    async def open_market(self, room: VenueRoom, place: TradingPlace) -> None:
        """Open what candidates trade on beside the instance's venue. Raises a MrMarketError."""
        self._feed = room.feed(place.venue.name, place.symbol)
        crosses = [plan for plan in self._plans.values() if is_cross(plan.spec)]
        if not crosses:
            return
        if not place.simulated or self._feed is None:
            raise NoSecondVenueError(crosses[0].candidate.id)
        seed, instrument = self._config.simulation.seed, place.venue.instrument(place.symbol)
        self._following = FollowingFeed(instrument, self._feed.follow, lambda: Premium(seed), place.world)
        memory = PaperMemory(self._directory.root / "second-market")
        self._second = PaperVenue(
            self._following,
            SimulatedExchange(),
            SystemClock(),
            account=crosses[0].spec.account,
            symbols=(place.symbol,),
            memory=memory,
        )
        self._second.name = SECOND
        await self._second.open()

    async def join(
        self,
        engine: Callable[[], Engine],
        operations: OperationsStore,
        place: TradingPlace,
        notices: NoticeSink,
    ) -> None:
        """Put everything together; nothing is decided yet. Raises a MrMarketError."""
        wall = SystemClock()
        line = DatabaseLine(wall, _ANSWER_S)
        has_shadows = demo_selection(self._config).shadows and self._feed is not None
        self._open_shadows(place, wall, await paper_opening(place.venue) if has_shadows else None)
        sight = Sight(engine, operations, line, self.shadows, wall)
        memory = SelectionMemory(self._log, line, demo_selection(self._config).keep_days)
        await self._compose(
            memory, sight, Switchboard(operations, line, sight, wall), notices, engine().board.budgets
        )
        self.rebalancing = self._rebalancings(engine, place, memory, notices, wall)
        assert self.chooser is not None  # noqa: S101 - just composed
        self.office = SelectionOffice(self.chooser, memory, self.shadows, wall, self.rebalancing)

    async def join_remote(
        self,
        node: str,
        leases: LeaseStore,
        operations: OperationsStore,
        place: TradingPlace,
        notices: NoticeSink,
    ) -> None:
        """The same where engines elsewhere hold the runs: by their reports, and commands in the database.

        Several such processes may be there; one of them chooses, under a lease.

        Args:
            node: this process's name.
            leases: the trading store.
            operations: where engines report and are asked.
            place: the open public venue, whose feed the shadows follow.
            notices: who is told.

        Raises:
            CapitalElsewhereError: budgets are to bind, and the runs are not here.
        """
        section, wall = demo_selection(self._config), SystemClock()
        if section.capital.act:
            raise CapitalElsewhereError
        line = DatabaseLine(wall, _ANSWER_S)
        lease = TurnLease(leases, line, node, wall)
        self._open_shadows(place, wall, None)
        sight = RemoteSight(operations, line, self.shadows, wall)
        memory = SelectionMemory(self._log, line, section.keep_days)
        board = Switchboard(operations, line, sight, wall)
        await self._compose(memory, sight, board, notices, Budgets(), lambda: lease.is_ours)
        assert self.chooser is not None  # noqa: S101 - just composed
        self.office = SelectionOffice(self.chooser, memory, self.shadows, wall, [])
        self._beside = [lease.keep(), sight.keep()]

    def _open_shadows(self, place: TradingPlace, wall: Clock, opening: dict[str, int] | None) -> None:
        section, risk = demo_selection(self._config), self._config.risk
        if section.shadows and self._feed is not None:
            house = ShadowHouse(
                section,
                place.venue,
                self._feed,
                self._following,
                wall=wall,
                world=place.world,
                opening=opening,
                limits=risk.orders(),
                breakers=risk.breakers(),
            )
            self.shadows = house.shadows(self._plans.values())

    async def _compose(
        self,
        memory: SelectionMemory,
        eyes: Eyes,
        board: Switchboard,
        notices: NoticeSink,
        budgets: Budgets,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        section, wall = demo_selection(self._config), SystemClock()
        caps = {MAIN: section.capital.main_cap, **{each.id: each.cap for each in section.candidates}}
        capital = Capital(section.capital, self._plans, caps, memory, budgets, wall)
        await capital.recover()
        self.chooser = Chooser(
            self._plans,
            memory,
            board,
            eyes,
            wall,
            notices,
            thresholds=section.thresholds,
            evaluate_s=section.evaluate_s,
            capital=capital,
            leads=leads,
        )

    def _rebalancings(
        self,
        engine: Callable[[], Engine],
        place: TradingPlace,
        memory: SelectionMemory,
        notices: NoticeSink,
        wall: Clock,
    ) -> list[Rebalancing]:
        """One for each candidate with money of its own on the embedded exchange and its second market."""
        section, chooser = self._config.selection.rebalance, self.chooser
        if not section.enabled or self._second is None or place.funding is None or chooser is None:
            return []
        return [
            open_rebalancing(
                plan, section, place.funding, self._second, engine, memory, wall, notices, chooser
            )
            for plan in self._plans.values()
            if is_cross(plan.spec) and plan.spec.account != MAIN_ACCOUNT
        ]

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What runs as long as the instance does."""
        if self.chooser is None:
            return []
        return [
            self.chooser.keep(),
            keep_shadows(self.shadows.values()),
            *(each.keep() for each in self.rebalancing),
            *self._beside,
        ]

    async def close(self) -> None:
        """Close the second market, release the database."""
        if self._second is not None:
            await self._second.close()
        self._log.close()


async def open_choice(
    config: Config, directory: DataDirectory, operations: OperationsStore, main: RunSpec
) -> Choice | None:
    """What strategies may take turns, and whose turn it was; None where none do. Raises a StoreError.

    Args:
        config: the instance's.
        directory: where the databases are.
        operations: to give the main run back its own strategy where nothing is chosen any more.
        main: the run of `[strategy]`.
    """
    log = await asyncio.to_thread(directory.store.open_selection)
    try:
        if not config.selection.enabled:
            await asyncio.to_thread(_end_earlier, log, operations, main.id)
            log.close()
            return None
        plans = selection_plans(demo_selection(config), main)
        state = await asyncio.to_thread(load_state, log)
        current = MAIN if state is None else state.current
        if current and current not in plans:
            await asyncio.to_thread(forget_state, log)
            current = MAIN
        await asyncio.to_thread(_give_turn, operations, plans, current)
    except BaseException:
        log.close()
        raise
    return Choice(config, directory, log, plans, current)


def _give_turn(operations: OperationsStore, plans: dict[str, Plan], current: str) -> None:
    """Runs that are known keep what is wanted of them: have it say what the last choice was."""
    for spec in specs_for(plans, current):
        there = operations.run_spec(spec.id)
        # A main run that its owner has paused stays so: only who has not the turn is set down here.
        if there is not None and spec.desired is DesiredState.PAUSED is not there.desired:
            operations.put_run(
                msgspec.structs.replace(there, desired=spec.desired, revision=there.revision + 1)
            )


def _end_earlier(log: SelectionLog, operations: OperationsStore, main: str) -> None:
    """Strategies took turns once, and do not any more: the main run has its turn for good."""
    state = load_state(log)
    if state is None:
        return
    there = operations.run_spec(main)
    if state.current != MAIN and there is not None and there.desired is DesiredState.PAUSED:
        operations.put_run(
            msgspec.structs.replace(there, desired=DesiredState.RUNNING, revision=there.revision + 1)
        )
    forget_state(log)
