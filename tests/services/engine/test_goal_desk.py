"""What campaigns ask for binds an engine's runs: the tightest of what is due, and nothing after its time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mrmarket.campaigns.errors import PartnerUnclearError
from mrmarket.campaigns.terms import ExecutionGoal, Pause
from mrmarket.core.clock import NS_PER_MS, ManualClock, SystemClock
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.goal_desk import GoalDesk, mandate_of
from mrmarket.services.partners.goals import EngineGoals, run_goal
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import RunGoal, RunSpec
from mrmarket.store.sqlite_operations import SqliteOperations
from mrmarket.trading.execution.risk.mandate import FREE, Mandate, Mandates

SPEC = RunSpec(id="run-1", venue="simulated", pair="ETH/USDT", kind="pure_market_making")
GOAL = ExecutionGoal(
    campaign="a",
    cycle=1,
    exchange="mexc",
    account="",
    market="ETH/USDT",
    start_ms=60_000,
    end_ms=120_000,
    volume=Decimal(1_000),
    min_spread_bps=2,
    max_spread_bps=40,
    max_inventory=Decimal(500),
    cost_ceiling=Decimal(8),
    pause=Pause.NONE,
    reason="",
)
VENUES = {"mexc": "simulated"}


def goal(**changes: Any) -> RunGoal:
    """As engines read it."""
    return run_goal(replace(GOAL, **changes), VENUES, 1)


def asked(*goals: RunGoal, at_ms: int = 61_000, only: bool = False, spec: RunSpec = SPEC) -> Mandate:
    """What they make of a run."""
    return mandate_of(spec, goals, at_ms, only_for_campaigns=only)


def bounds(mandate: Mandate) -> tuple[int | None, int | None, Decimal | None]:
    """Smallest and largest spread, and position."""
    return mandate.min_spread_bps, mandate.max_spread_bps, mandate.max_inventory


def test_a_goal_binds_the_runs_on_its_market_and_account() -> None:
    """Another pair, venue or account is nobody's business here."""
    assert bounds(asked(goal())) == (2, 40, Decimal(500))
    for other in (goal(market="BTC/USDT"), goal(exchange="kraken"), goal(account="second")):
        assert asked(other) == FREE


def test_of_two_campaigns_on_one_market_the_tightest_bound_of_each_kind_counts() -> None:
    """Both are named."""
    second = goal(campaign="b", min_spread_bps=5, max_spread_bps=60, max_inventory=Decimal(300))
    found = asked(goal(), second)
    assert bounds(found) == (5, 40, Decimal(300))
    assert "campaign a asks for volume in cycle 1: 2 to 40 bps" in found.reason
    assert "campaign b asks" in found.reason


@pytest.mark.parametrize("pause", [Pause.TARGET_MET, Pause.NOT_WORTH_IT, Pause.COST_CEILING, Pause.OVER])
def test_a_goal_that_pauses_leaves_the_run_as_the_strategy_would_have_it(pause: Pause) -> None:
    """It is told of, and binds nothing; another campaign's goes on to bind."""
    paused = goal(pause=pause, reason="so it is")
    found = asked(paused)
    assert (bounds(found), found.idle) == ((None, None, None), "")
    assert found.reason == f"campaign a asks for nothing ({pause.value.replace('_', ' ')})"
    assert bounds(asked(paused, goal(campaign="b"))) == (2, 40, Decimal(500))


def test_with_only_for_campaigns_a_run_waits_with_the_reason() -> None:
    """While nobody asks, and while whoever asked pauses; with a goal that is due it quotes."""
    assert "no campaign asks for volume here" in asked(only=True).idle
    met = asked(goal(pause=Pause.TARGET_MET, reason="made"), only=True)
    assert met.idle.endswith("campaign a asks for nothing (target met)")
    assert asked(goal(), only=True).idle == ""


def test_a_goal_holds_on_for_a_quarter_of_a_cycle_after_its_end_and_no_longer() -> None:
    """15 s of a minute: whoever asks has the time to ask for the next cycle."""
    assert asked(goal(), at_ms=59_999).max_inventory is None
    assert asked(goal(), at_ms=134_999).max_inventory == Decimal(500)
    assert asked(goal(), at_ms=135_000).max_inventory is None


def test_kinds_whose_prices_have_reasons_of_their_own_are_bound_in_their_position_alone() -> None:
    """A grid's levels stay where they are."""
    assert bounds(asked(goal(), spec=replace(SPEC, kind="grid"))) == (None, None, Decimal(500))


class House:
    """A database, who tells and who reads."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock(61_000 * NS_PER_MS)
        self.operations = SqliteOperations.open(path)
        self.mandates = Mandates()

    @property
    def teller(self) -> EngineGoals:
        """The campaigns' side."""
        return EngineGoals(self.operations, DatabaseLine(SystemClock(), 5), self.clock, VENUES)

    def desk(self, *, only: bool = False) -> GoalDesk:
        """The engine's side, as after a start."""
        self.mandates = Mandates()
        line = DatabaseLine(SystemClock(), 5)
        return GoalDesk(self.operations, line, self.mandates, self.clock, only_for_campaigns=only)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Fresh."""
    made = House(tmp_path / "control.db")
    with closing(made.operations):
        yield made


async def test_what_was_told_binds_another_process_and_outlives_a_restart(house: House) -> None:
    """Told once, read by each engine from its first look on."""
    await house.teller.put(GOAL)
    for _ in range(2):
        await house.desk().look({"run-1": SPEC})
        assert bounds(house.mandates.of("run-1").now) == (2, 40, Decimal(500))


async def test_a_later_cycle_takes_the_place_of_an_earlier_one_and_never_the_other_way_round(
    house: House,
) -> None:
    """A word that comes late changes nothing."""
    desk = house.desk()
    await house.teller.put(replace(GOAL, cycle=2, start_ms=61_000, max_inventory=Decimal(70)))
    await house.teller.put(GOAL)
    await desk.look({"run-1": SPEC})
    assert house.mandates.of("run-1").now.max_inventory == Decimal(70)


async def test_nothing_is_quoted_before_goals_are_read_where_only_campaigns_count(house: House) -> None:
    """A run that is claimed before the first look waits; without that setting it is free."""
    house.desk()
    assert house.mandates.of("run-1").now == FREE
    desk = house.desk(only=True)
    assert house.mandates.of("run-1").now.idle == "what campaigns ask for has not been read yet"
    await house.teller.put(GOAL)
    await desk.look({"run-1": SPEC})
    assert house.mandates.of("run-1").now.idle == ""


async def test_a_database_that_is_away_leaves_what_holds_until_its_time_is_over(house: House) -> None:
    """The one who tells hears of it, and the engine goes by what it read last."""
    desk = house.desk()
    await house.teller.put(GOAL)
    await desk.look({"run-1": SPEC})
    house.operations.close()
    with pytest.raises(PartnerUnclearError):
        await house.teller.put(replace(GOAL, cycle=2))
    with pytest.raises(StoreError):
        await desk.look({"run-1": SPEC})
    assert house.mandates.of("run-1").now.max_inventory == Decimal(500)
    house.clock.advance(74_000 * NS_PER_MS)
    desk.bind([SPEC])
    assert house.mandates.of("run-1").now.max_inventory is None


async def test_it_goes_on_looking_and_lets_go_of_what_is_over_while_the_database_is_away(
    house: House,
) -> None:
    """What was read last is judged by the time anew with every look."""
    desk = house.desk()
    await house.teller.put(GOAL)
    keeping = asyncio.create_task(desk.keep(lambda: {"run-1": SPEC}, 0.001))
    mandate = house.mandates.of("run-1")

    async def until(bound: Decimal | None) -> None:
        async with asyncio.timeout(30):
            while mandate.now.max_inventory != bound:
                assert not keeping.done()
                await asyncio.sleep(0.001)

    await until(Decimal(500))
    house.operations.close()
    house.clock.advance(74_000 * NS_PER_MS)
    await until(None)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
