"""The choice between an instance's strategies, joined to its engine, database and market."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from mrmarket.core.clock import SystemClock
from mrmarket.core.notice import NoticeSink
from mrmarket.services.config_sections import Config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.engine.composition import Engine
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.venue_room import VenueRoom
from mrmarket.services.selection.chooser import Chooser
from mrmarket.services.selection.memory import SelectionMemory, forget_state, load_state
from mrmarket.services.selection.office import SelectionOffice
from mrmarket.services.selection.plan import Plan, selection_plans, specs_for
from mrmarket.services.selection.section import MAIN
from mrmarket.services.selection.shadows import keep_shadows, paper_opening, quoting_shadows
from mrmarket.services.selection.sight import Sight
from mrmarket.services.selection.switchboard import Switchboard
from mrmarket.services.trading_place import TradingPlace
from mrmarket.store.operations import DesiredState, OperationsStore, RunSpec
from mrmarket.store.selection_log import SelectionLog
from mrmarket.trading.strategy.shadow.shadow import Shadow

_ANSWER_S = 3.0


class Choice:
    """Opened before the engine, so that it starts with whoever had the turn last."""

    def __init__(self, config: Config, log: SelectionLog, plans: dict[str, Plan], current: str) -> None:
        self.office: SelectionOffice | None = None
        """What the API asks, once joined."""
        self.chooser: Chooser | None = None
        self.shadows: dict[str, Shadow] = {}
        self._config = config
        self._log = log
        self._plans = plans
        self._current = current

    @property
    def specs(self) -> list[RunSpec]:
        """Every candidate's run, the main one first, as whoever had the turn last wants it."""
        return specs_for(self._plans, self._current)

    async def join(
        self,
        engine: Callable[[], Engine],
        operations: OperationsStore,
        room: VenueRoom,
        place: TradingPlace,
        notices: NoticeSink,
    ) -> None:
        """Put everything together; nothing is decided yet. Raises a MrMarketError."""
        config, wall = self._config, SystemClock()
        section = config.selection
        line = DatabaseLine(wall, _ANSWER_S)
        feed = room.feed(place.venue.name, place.symbol)
        if section.shadows and feed is not None:
            self.shadows = quoting_shadows(
                self._plans.values(),
                section,
                place.venue,
                feed,
                wall=wall,
                world=place.world,
                opening=await paper_opening(place.venue),
                run_with={"limits": config.risk.orders(), "breakers": config.risk.breakers()},
            )
        sight = Sight(engine, operations, line, self.shadows, wall)
        memory = SelectionMemory(self._log, line, section.keep_days)
        self.chooser = Chooser(
            self._plans,
            memory,
            Switchboard(operations, line, sight, wall),
            sight,
            wall,
            notices,
            thresholds=section.thresholds,
            evaluate_s=section.evaluate_s,
        )
        self.office = SelectionOffice(self.chooser, memory, self.shadows, wall)

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What runs as long as the instance does."""
        if self.chooser is None:
            return []
        return [self.chooser.keep(), keep_shadows(self.shadows.values())]

    def close(self) -> None:
        """Release the database."""
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
        plans = selection_plans(config.selection, main)
        state = await asyncio.to_thread(load_state, log)
        current = MAIN if state is None else state.current
        if current and current not in plans:
            await asyncio.to_thread(forget_state, log)
            current = MAIN
        await asyncio.to_thread(_give_turn, operations, plans, current)
    except BaseException:
        log.close()
        raise
    return Choice(config, log, plans, current)


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
