"""What the choice sees: runs that are held here, shadows, failures, and who keeps a run from trading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from mrmarket.core.clock import ManualClock
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.seat import Phase
from mrmarket.services.selection.sight import Sight, read_run
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.operations import DesiredState, OperationsStore, Restriction, RunSpec
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.shadow.reading import Reading

SPEC = RunSpec(id="run", venue="v", pair="BTC/USDT", kind="pure_market_making")


def reading(life: str) -> Reading:
    """A life's."""
    return Reading(
        life=life,
        at_ns=1,
        trading=True,
        profit=0.0,
        fees=0.0,
        capital=1.0,
        used=0.0,
        attempts=0,
        successes=0,
    )


@dataclass
class Chair:
    """What a seat shows."""

    run: Any
    phase: Phase = Phase.HELD
    fence: int = 7
    spec: RunSpec = SPEC


@dataclass
class Host:
    """What a host of runs shows."""

    seats: dict[str, Chair] = field(default_factory=dict)
    hurried: int = 0

    @property
    def keeper(self) -> Any:
        """Of setbacks."""
        return SimpleNamespace(setbacks=SimpleNamespace(barred=lambda _: frozenset({"broken"})))

    def hurry(self) -> None:
        """Noted."""
        self.hurried += 1


class Stage:
    """Eyes on a host and a database."""

    def __init__(self, operations: OperationsStore) -> None:
        self.operations, self.host, clock = operations, Host(), ManualClock()
        engine: Any = SimpleNamespace(host=self.host)
        shadows = {"arb": SimpleNamespace(reading=reading("paper"))}
        self.sight = Sight(
            lambda: engine,
            operations,
            DatabaseLine(clock, 30.0),
            shadows,
            clock,
            reader=lambda _run, life, _now: reading(life),
        )


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Nothing is held yet."""
    operations = StoreAddress(tmp_path).open_operations()
    yield Stage(operations)
    operations.close()


def test_only_what_is_held_here_is_read_and_each_life_counts_anew(stage: Stage) -> None:
    """Not a run that is elsewhere, starting, or without a seat; the fence is a part of the life."""
    run = SimpleNamespace(state=RunState.PAUSED)
    assert stage.sight.live("run", "main@5") is None
    stage.host.seats["run"] = Chair(run, Phase.STARTING)
    assert (stage.sight.live("run", "main@5"), stage.sight.state("run")) == (None, None)
    stage.host.seats["run"] = Chair(None)
    assert stage.sight.state("run") is None
    stage.host.seats["run"] = Chair(run)
    found = stage.sight.live("run", "main@5")
    assert found is not None
    assert found.life == "main@5/7"
    assert stage.sight.state("run") == (1, RunState.PAUSED)
    unknown: Any = object()
    assert read_run(unknown, "life", 1) is None


def test_shadows_failures_and_haste_are_passed_on(stage: Stage) -> None:
    """One without a shadow has no paper."""
    paper = stage.sight.paper("arb")
    assert paper is not None
    assert paper.life == "paper"
    assert stage.sight.paper("main") is None
    assert stage.sight.failed() == frozenset({"broken"})
    stage.sight.hurry()
    assert stage.host.hurried == 1


async def test_a_pause_and_a_halt_are_told_apart(stage: Stage) -> None:
    """By specification, by the run itself, and by a restriction of run, venue or instance."""
    for name in ("free", "set", "resting", "bound", "elsewhere"):
        stage.operations.put_run(msgspec.structs.replace(SPEC, id=name))
    stage.operations.put_run(msgspec.structs.replace(SPEC, id="set", desired=DesiredState.PAUSED, revision=2))
    stage.host.seats["resting"] = Chair(SimpleNamespace(state=RunState.PAUSED))
    stage.operations.restrict(
        Restriction(scope="run:bound", cause="owner", state="halt", by="owner", since_ms=1)
    )
    asked = {"free", "set", "resting", "bound"}
    assert await stage.sight.held(asked) == {"set": "paused", "resting": "paused", "bound": "halted"}
    stage.operations.restrict(
        Restriction(scope="venue:v", cause="owner", state="halt", by="owner", since_ms=1)
    )
    assert set((await stage.sight.held(asked)).values()) == {"halted"}
