"""Runs on two venues as an engine makes them: pairs of orders or hedged quotes, by the kind's word."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from making_stage import LOTS, MakingStage
from mrmarket.core.clock import NS_PER_S, SystemClock
from mrmarket.services.engine.commands import CommandRefusedError
from mrmarket.services.engine.workshop import RunHabits, SpecificationRefusedError
from mrmarket.services.selection.sight import read_run
from mrmarket.services.selection.two_venues import TwoVenueWorkshop
from mrmarket.store.operations import RunSpec
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.execution.risk.budget import Budget
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.strategy.arbitrage.run import ArbitrageRun
from mrmarket.trading.strategy.cross_making.maker import CrossExchangeMarketMaking
from mrmarket.trading.strategy.cross_making.parameters import CrossMakingParameters
from mrmarket.trading.strategy.cross_making.run import MakingRun
from mrmarket.trading.strategy.cross_port import CrossView
from mrmarket.trading.strategy.errors import ControlRefusedError
from mrmarket.trading.strategy.selection.funded_cross import FundedMaker
from mrmarket.trading.venue.port import Venue
from strategy_stage import QUICK

WALL = SystemClock()


class Room:
    """Hands the first venue out, and counts who is in."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.inside = 0

    async def enter(self, spec: RunSpec, prefix: str) -> Venue:
        """The venue."""
        self.inside += 1
        return self.venue

    async def leave(self, spec: RunSpec) -> None:
        """Somebody is out."""
        self.inside -= 1


@pytest.fixture
async def stage() -> AsyncIterator[MakingStage]:
    """Two exchanges."""
    made = MakingStage()
    await made.begin()
    yield made
    await made.end()


def workshop(stage: MakingStage, room: Room, store: TradingStore, *, second: bool = True) -> TwoVenueWorkshop:
    """It makes runs between the stage's venues; nothing else is behind it."""
    inner: Any = None
    return TwoVenueWorkshop(
        inner,
        room,
        store,
        lambda _spec: stage.venues[1] if second else None,
        instance="house",
        wall=WALL,
        world=WALL,
        board=RiskBoard(WALL),
        habits=RunHabits(timing=QUICK),
    )


def spec(stage: MakingStage, kind: str = "cross_exchange_market_making", **more: Any) -> RunSpec:
    """A run's specification."""
    table = {key: value for key, value in stage.setting.items() if key != "pair"}
    parameters = table if kind == "cross_exchange_market_making" else {}
    return RunSpec(id="xemm-1", venue="low", pair="BTC/USDT", kind=kind, parameters={**parameters, **more})


async def test_a_maker_is_made_obeys_commands_and_is_read(stage: MakingStage, tmp_path: Path) -> None:
    """On the real store: it quotes, hedges, says what it earned, halts, is re-armed, and leaves its room."""
    store = TradingStore.open(tmp_path / "trading.db")
    room = Room(stage.venues[0])
    made = workshop(stage, room, store)
    guard = LeaseGuard(WALL)
    guard.renewed(WALL.monotonic_ns(), 600 * NS_PER_S)
    fence = store.acquire_lease("xemm-1", "here", 600 * NS_PER_S, 0)
    run = await made.make(spec(stage), fence, guard)
    assert isinstance(run, MakingRun)
    assert (room.inside, made.view(spec(stage), run)) == (1, {})
    stage.makers.append(run)
    await run.start()
    await stage.until(stage.stands)
    stage.hit(LOTS)
    await stage.until(lambda: len(run.pairs) == 1 and stage.stands())
    reading = read_run(run, "life", 5)
    assert reading is not None
    assert reading.profit > 0
    assert (reading.attempts, reading.successes) == (1, 1)
    assert "proven closed" in await made.command(run, "cancel_all", {}, "owner")
    assert "proven closed" in await made.command(run, "halt", {"reason": "enough"}, "owner")
    assert run.board.state("xemm-1") is RiskState.HALT
    assert "owner" in await made.command(run, "rearm", {}, "owner")
    with pytest.raises(ControlRefusedError):
        await made.command(run, "flatten", {}, "owner")
    with pytest.raises(CommandRefusedError):
        await made.command(run, "dance", {}, "owner")
    await run.stop()
    await made.clear(spec(stage), run)
    assert room.inside == 0
    assert store.verify_log().ok
    store.close()


async def test_the_kind_says_what_is_made(stage: MakingStage, tmp_path: Path) -> None:
    """Arbitrage is no maker; without a second venue neither is made."""
    store = TradingStore.open(tmp_path / "trading.db")
    made = workshop(stage, Room(stage.venues[0]), store)
    run = await made.make(spec(stage, "cross_exchange_arbitrage"), 0, LeaseGuard(WALL))
    assert isinstance(run, ArbitrageRun)
    alone = workshop(stage, Room(stage.venues[0]), store, second=False)
    for kind in ("cross_exchange_arbitrage", "cross_exchange_market_making"):
        with pytest.raises(SpecificationRefusedError, match="here is one"):
            alone.check(spec(stage, kind))
    store.close()


async def test_a_budget_bounds_the_quotes_of_a_maker(stage: MakingStage) -> None:
    """Of 60 quote in play a quote is worth no more; without a budget it is the other one's answer."""
    inner = CrossExchangeMarketMaking(CrossMakingParameters(adverse_sigmas=0, depth_share=Decimal(1)))
    budget = Budget()
    funded = FundedMaker(inner, budget)
    assert (funded.name, funded.symbol, funded.depth_levels) == (inner.name, inner.symbol, inner.depth_levels)
    assert (funded.rules, funded.leg_rules) == (inner.rules, inner.leg_rules)
    assert funded.parameters is inner.parameters
    run = stage.maker
    await run.start()
    await stage.until(lambda: all(side.watch.top is not None for side in run.sides))
    books = tuple(dataclasses.replace(side.book(20, ""), age_ns=0) for side in run.sides)
    view = CrossView(0, (books[0], books[1]), None)
    free = funded.quotes(view)
    assert free == inner.quotes(view)
    budget.set(Decimal(60), "its part")
    bounded = funded.quotes(view)
    assert [each.slot for each in bounded.quotes] == [each.slot for each in free.quotes]
    assert all(each.size_lots <= 101 for each in bounded.quotes)
    budget.set(Decimal(1), "its part")
    assert "its part of the capital is 1" in funded.quotes(view).reason
