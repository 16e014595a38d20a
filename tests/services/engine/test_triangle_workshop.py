"""A run of several pairs: refused where the books could not follow it, made where its account is its own."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fake_exchange import MemoryJournal
from mrmarket.core.clock import SystemClock
from mrmarket.services.engine.commands import CommandRefusedError
from mrmarket.services.engine.shared_venue import SharedVenue
from mrmarket.services.engine.specs import pairs_named, pairs_of
from mrmarket.services.engine.triangle_workshop import TriangleWorkshop
from mrmarket.services.engine.venue_room import LoneRoom
from mrmarket.services.engine.workshop import Room, RunHabits, RunWorkshop, SpecificationRefusedError
from mrmarket.store.operations import RunSpec
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.strategy.errors import ControlRefusedError
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.strategy.triangular.parameters import TriangularParameters
from mrmarket.trading.strategy.triangular.run import TriangularRun
from mrmarket.trading.venue.port import UnknownSymbolError, Venue
from triangle_stage import TriangleStage

PAIRS = ["ETH/USDT", "ETH/BTC"]


class Journal(MemoryJournal):
    """A journal without a past."""

    def load_fold(self, stream: str) -> None:
        """None was kept."""

    def read_facts(self, stream: str, after_seq: int, limit: int) -> list[Any]:
        """Nothing happened."""
        return []


class SharedRoom:
    """One account for all."""

    def __init__(self) -> None:
        self.shared = SharedVenue(TriangleStage().venue)
        self.inside: list[str] = []

    async def enter(self, spec: RunSpec, prefix: str) -> Venue:
        """The account as one pair sees it."""
        venue = self.shared.for_run(spec.pair, prefix)
        venue.instrument(spec.pair)
        self.inside.append(spec.pair)
        return venue

    async def leave(self, spec: RunSpec) -> None:
        """One less."""
        self.inside.pop()


def workshop(room: Room) -> TriangleWorkshop:
    """Around the ordinary one."""
    clock, journal, plain = SystemClock(), Journal(), Registry(plugins=lambda: ())
    inner = RunWorkshop(
        room,
        journal,  # type: ignore[arg-type]  # the part of a trading log that a start reads
        instance="house",
        wall=clock,
        strategies=plain,
    )
    return TriangleWorkshop(
        inner,
        room,
        journal,  # type: ignore[arg-type]  # the same
        instance="house",
        wall=clock,
        world=clock,
        board=RiskBoard(clock),
        habits=RunHabits(),
        strategies=plain,
    )


def spec(kind: str = "triangular_arbitrage", account: str = "corner", **parameters: Any) -> RunSpec:
    """A run of BTC/USDT."""
    return RunSpec(id="r1", venue="one", account=account, pair="BTC/USDT", kind=kind, parameters=parameters)


async def test_a_run_enters_once_for_each_pair_and_leaves_as_often() -> None:
    """Three views of one account, one prefix; the report carries what its rounds came to."""
    room = SharedRoom()
    made = workshop(room)
    wanted = spec(pairs=PAIRS)
    made.check(wanted)
    run = await made.make(wanted, 1, LeaseGuard(SystemClock()))
    assert isinstance(run, TriangularRun)
    assert room.inside == ["BTC/USDT", *PAIRS]
    assert list(run.markets) == ["BTC/USDT", *PAIRS]
    view = made.view(wanted, run)
    assert (view["strategy"], view["home"], view["rounds"]) == ("triangular_arbitrage", "USDT", 0)
    assert msgspec.json.decode(msgspec.json.encode(view)) == view
    await made.clear(wanted, run)
    assert room.inside == []


async def test_everything_else_is_left_to_the_other_workshop() -> None:
    """A quoting strategy enters once; its view, commands and end are the ordinary one's."""
    room = SharedRoom()
    made = workshop(room)
    wanted = spec("pure_market_making")
    made.check(wanted)
    run = await made.make(wanted, 1, LeaseGuard(SystemClock()))
    assert room.inside == ["BTC/USDT"]
    assert made.view(wanted, run) == {}
    with pytest.raises(CommandRefusedError):
        await made.command(run, "dance", {}, "ann")
    await made.clear(wanted, run)
    assert room.inside == []
    with pytest.raises(SpecificationRefusedError, match="no strategy"):
        made.check(spec("nothing"))


@pytest.mark.parametrize(
    ("account", "parameters", "words"),
    [
        ("default", {"pairs": PAIRS}, "account of its own"),
        ("corner", {}, "names no further pairs"),
        ("corner", {"pairs": ["ETH/USDT"]}, "2 to 19 different pairs"),
        ("corner", {"pairs": PAIRS, "min_profit": "2"}, "min_profit"),
    ],
)
def test_what_cannot_be_run_is_refused(account: str, parameters: dict[str, Any], words: str) -> None:
    """The pool's own account, too few pairs, a parameter out of its range: one clear line."""
    with pytest.raises(SpecificationRefusedError, match=words):
        workshop(SharedRoom()).check(spec(account=account, **parameters))


def test_a_room_for_one_pair_is_none_for_three() -> None:
    """Where a run has the venue to itself, nothing could be shared between its pairs."""
    with pytest.raises(SpecificationRefusedError, match="account of its own"):
        workshop(LoneRoom(TriangleStage().venue)).check(spec(pairs=PAIRS))


async def test_a_pair_that_is_not_listed_leaves_nothing_behind() -> None:
    """Whatever was entered before is left again."""
    room = SharedRoom()
    with pytest.raises(UnknownSymbolError):
        await workshop(room).make(spec(pairs=["ETH/BTC", "X/USDT"]), 1, LeaseGuard(SystemClock()))
    assert room.inside == []


async def test_the_owner_commands_it() -> None:
    """Halt, re-arm and cancel; flattening and unknown words are refused."""
    stage = TriangleStage()
    run = await stage.ready()
    try:
        made = workshop(SharedRoom())
        assert "all proven closed" in await made.command(run, "halt", {"reason": "look"}, "ann")
        assert await made.command(run, "rearm", {}, "ann") == "lifted: owner"
        assert await made.command(run, "rearm", {"cause": "owner"}, "ann") == "lifted: nothing"
        assert "all proven closed" in await made.command(run, "cancel_all", {}, "ann")
        with pytest.raises(ControlRefusedError):
            await made.command(run, "flatten", {}, "ann")
        with pytest.raises(CommandRefusedError):
            await made.command(run, "dance", {}, "ann")
    finally:
        await stage.close()


def test_every_pair_of_a_run_is_known_from_its_specification() -> None:
    """Venues are opened with all of them, by specification and by parameters."""
    assert pairs_of(spec(pairs=PAIRS)) == ("BTC/USDT", *PAIRS)
    assert pairs_of(spec("pure_market_making")) == ("BTC/USDT",)
    assert pairs_named(TriangularParameters(pairs=("ETH/USDT", "ETH/BTC"))) == ("BTC/USDT", *PAIRS)
    assert pairs_named(Parameters()) == ("BTC/USDT",)
