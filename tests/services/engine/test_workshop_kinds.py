"""A specification names any strategy; what is no good is refused before a venue is entered."""

from __future__ import annotations

from typing import Any

import pytest

from fake_exchange import FakeExchange, FakeVenue, MemoryJournal
from mrmarket.core.clock import SystemClock
from mrmarket.services.engine.specs import main_spec
from mrmarket.services.engine.workshop import RunWorkshop, SpecificationRefusedError
from mrmarket.store.operations import RunSpec
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.venue.port import Venue


class OneRoom:
    """Gives every run the same venue."""

    def __init__(self) -> None:
        self.venue = FakeVenue(FakeExchange(SystemClock()))
        self.entered: list[str] = []

    async def enter(self, spec: RunSpec, prefix: str) -> Venue:
        """Note who came."""
        self.entered.append(f"{spec.id} {len(prefix)}")
        return self.venue

    async def leave(self, spec: RunSpec) -> None:
        """Note who went."""
        self.entered.append(f"{spec.id} left")


class Journal(MemoryJournal):
    """A journal without a past."""

    def load_fold(self, stream: str) -> None:
        """None was kept."""

    def read_facts(self, stream: str, after_seq: int, limit: int) -> list[Any]:
        """Nothing happened."""
        return []


def workshop(room: OneRoom) -> RunWorkshop:
    """Over a journal in memory; reports carry one figure."""
    return RunWorkshop(
        room,
        Journal(),  # type: ignore[arg-type]  # the part of a trading log that a start reads
        instance="house",
        wall=SystemClock(),
        view=lambda _spec, run: {"fills": run.totals.fills},
        strategies=Registry(plugins=lambda: ()),
    )


def spec(kind: str, **parameters: Any) -> RunSpec:
    """A run of BTC/USDT."""
    return RunSpec(id="r1", venue="fake", pair="BTC/USDT", kind=kind, parameters=parameters)


@pytest.mark.parametrize("kind", ["pure_market_making", "glft", "twap"])
async def test_a_run_is_made_of_any_kind(kind: str) -> None:
    """Its report says which strategy it is, and pins it."""
    room = OneRoom()
    made = workshop(room)
    wanted = spec(kind, order_refresh_time="3.5")
    run = await made.make(wanted, 1, LeaseGuard(SystemClock()))
    assert run.strategy.name == kind
    assert room.entered == ["r1 12"]
    view = made.view(wanted, run)
    registry = Registry(plugins=lambda: ())
    expected = registry.snapshot(registry.parameters(kind, {"order_refresh_time": 3.5})).id
    assert view == {"fills": 0, "strategy": kind, "snapshot": expected}


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        (spec("gltf"), "did you mean glft"),
        (spec("glft", max_inventory=0), "max_inventory"),
        (spec("glft", schema_version=9), "schema_version"),
    ],
)
async def test_what_cannot_be_run_is_refused(wanted: RunSpec, word: str) -> None:
    """With the run's name, and no venue is entered."""
    room = OneRoom()
    made = workshop(room)
    with pytest.raises(SpecificationRefusedError, match=f"r1: .*{word}"):
        made.check(wanted)
    with pytest.raises(SpecificationRefusedError):
        await made.make(wanted, 1, LeaseGuard(SystemClock()))
    assert room.entered == []


def test_the_configurations_parameters_become_a_specification() -> None:
    """Kind and parameters apart, every default pinned, decimals as text."""
    made = main_spec("s", "fake", "ETH/USDT", Parameters(), "pool")
    assert (made.kind, made.pair) == ("pure_market_making", "ETH/USDT")
    assert made.parameters["bid_spread"] == "0.0002"
    assert "kind" not in made.parameters
    registry = Registry(plugins=lambda: ())
    grid = main_spec("s", "fake", "ETH/USDT", registry.parameters("grid", {"levels": 7}), "pool")
    assert (grid.kind, grid.parameters["levels"], grid.parameters["pair"]) == ("grid", 7, "ETH/USDT")
