"""What the chooser sees: runs of this process, shadows, and what keeps runs from trading."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from mrmarket.core.clock import Clock
from mrmarket.services.engine.composition import Engine
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.ports import Hosted
from mrmarket.services.engine.seat import Phase
from mrmarket.store.operations import DesiredState, OperationsStore
from mrmarket.trading.execution.risk.state import INSTANCE, RiskState, run_scope, venue_scope
from mrmarket.trading.strategy.arbitrage.two_venue_run import TwoVenueRun
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.run import StrategyRun
from mrmarket.trading.strategy.shadow.cross_shadow import cross_reading
from mrmarket.trading.strategy.shadow.reading import Reading, reading_of

Reader = Callable[[Hosted, str, int], Reading | None]
"""(run, life, now in ns) to what it has earned; None for a run that it cannot read."""


class HasReading(Protocol):
    """A shadow."""

    @property
    def reading(self) -> Reading | None:
        """What it has earned."""
        ...


def read_run(run: Hosted, life: str, now_ns: int) -> Reading | None:
    """What a run has earned, on one venue or on two."""
    if isinstance(run, TwoVenueRun):
        return cross_reading(run, life, now_ns)
    return reading_of(run, life, now_ns) if isinstance(run, StrategyRun) else None


async def held_of(
    operations: OperationsStore,
    line: DatabaseLine,
    runs: Collection[str],
    state_of: Callable[[str], tuple[int, RunState] | None],
) -> dict[str, str]:
    """Of these runs, who may not trade: `paused` by the owner, or `halted`. Raises a StoreError."""
    restrictions = await line.call(operations.restrictions, name="selection restrictions")
    halted = {row.scope for row in restrictions if RiskState.of(row.state) is RiskState.HALT}
    specs = await line.call(operations.run_specs, name="selection specs")
    found = {}
    for spec in specs:
        if spec.id not in runs:
            continue
        scopes = {INSTANCE, run_scope(spec.id), venue_scope(spec.venue)}
        state = state_of(spec.id)
        if halted & scopes:
            found[spec.id] = "halted"
        elif spec.desired is not DesiredState.RUNNING or (state is not None and state[1] is RunState.PAUSED):
            found[spec.id] = "paused"
    return found


class Sight:
    """Implements `Eyes` and `RunsHere` over the engine of this process."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        operations: OperationsStore,
        line: DatabaseLine,
        shadows: Mapping[str, HasReading],
        clock: Clock,
        reader: Reader = read_run,
    ) -> None:
        self._engine = engine
        self._operations = operations
        self._line = line
        self._shadows = shadows
        self._clock = clock
        self._reader = reader

    def live(self, run: str, life: str) -> Reading | None:
        """What a run of this process has earned."""
        seat = self._engine().host.seats.get(run)
        if seat is None or seat.run is None or seat.phase is not Phase.HELD:
            return None
        # Another life of the run, after a failure or a hand-over, counts anew.
        return self._reader(seat.run, f"{life}/{seat.fence}", self._clock.now_ns())

    def paper(self, candidate: str) -> Reading | None:
        """What a candidate's shadow has earned."""
        shadow = self._shadows.get(candidate)
        return None if shadow is None else shadow.reading

    def failed(self) -> Collection[str]:
        """Runs that rest after a failure."""
        host = self._engine().host
        return host.keeper.setbacks.barred(self._clock.monotonic_ns())

    async def held(self, runs: Collection[str]) -> Mapping[str, str]:
        """`paused` by the owner, or `halted` by whatever waits for the owner. Raises a StoreError."""
        return await held_of(self._operations, self._line, runs, self.state)

    def state(self, run: str) -> tuple[int, RunState] | None:
        """Revision of its specification and state of a run that is held here."""
        seat = self._engine().host.seats.get(run)
        if seat is None or seat.run is None or seat.phase is not Phase.HELD:
            return None
        return seat.spec.revision, seat.run.state

    def hurry(self) -> None:
        """Have the engine look now."""
        self._engine().host.hurry()
