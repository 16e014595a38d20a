"""The choice between strategies joined to a real engine, on a market that is put together by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arbitrage_stage import PAIR, FaultyVenue, NamedFeed
from mrmarket.core.clock import SystemClock
from mrmarket.core.notice import Unheard
from mrmarket.services.config import load_config
from mrmarket.services.config_sections import Config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.engine.composition import Engine, EngineSetting
from mrmarket.services.engine.keeper import OnRun
from mrmarket.services.engine.local_side import LocalSide
from mrmarket.services.engine.section import MAIN_ACCOUNT
from mrmarket.services.engine.specs import main_spec, put_specs
from mrmarket.services.engine.venue_room import VenueRoom
from mrmarket.services.rail.config import VenueLink
from mrmarket.services.selection.choice import (
    CapitalElsewhereError,
    Choice,
    NoSecondVenueError,
    open_choice,
)
from mrmarket.services.selection.second_market import SECOND
from mrmarket.services.trading_place import TradingPlace
from mrmarket.store.operations import OperationsStore
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.venue.port import Venue
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange

TEXT = """
[strategy]
bid_spread = "0.001"
ask_spread = "0.001"
order_amount = "0.01"
[selection]
enabled = true
evaluate_s = 0.05
[selection.rebalance]
enabled = true
"""
STREAM = "simulated.BTCUSDT"


class House:
    """One instance's parts, without its books and its page."""

    def __init__(self, directory: DataDirectory, operations: OperationsStore, config: Config) -> None:
        self.config, self.directory, self.operations = config, directory, operations
        self.wall = SystemClock()
        self.log = directory.store.open_trading()
        self.feeds = [NamedFeed("simulated"), NamedFeed("simulated")]
        self.place = TradingPlace(
            venue=self.venue(0),
            symbol=PAIR,
            market="generator",
            world=self.wall,
            speed=1.0,
            simulated=True,
            funding=VenueLink(url="http://127.0.0.1:9", token="none"),
        )
        self.room = VenueRoom(self.open_account)
        self.main = main_spec(STREAM, "simulated", PAIR, config.strategy, "first")

    def venue(self, number: int) -> FaultyVenue:
        """An account at the exchange."""
        venue = FaultyVenue(self.feeds[number], SimulatedExchange())
        venue.name = "simulated"
        return venue

    async def open_account(self, _venue: str, _account: str) -> Venue:
        """The candidate's own."""
        venue = self.venue(1)
        await venue.open()
        return venue

    async def open(self) -> Choice:
        """The venue and the choice."""
        await self.place.venue.open()
        self.room.keep("simulated", MAIN_ACCOUNT, self.place.venue)
        for feed in self.feeds:
            feed.show(5_999_900, 6_000_100)
        choice = await open_choice(self.config, self.directory, self.operations, self.main)
        assert choice is not None
        return choice

    def side(self, choice: Choice) -> LocalSide:
        """The engine, as an instance makes it."""
        setting = EngineSetting(
            node="here",
            role="all",
            instance="house",
            folder=self.directory.root,
            operations=self.operations,
            log=self.log,
            room=self.room,
            wall=self.wall,
            world=self.wall,
            notices=Unheard(),
        )

        def make(on_run: OnRun) -> Engine:
            return Engine(self.config, setting, on_run=on_run, second=choice.second)

        return LocalSide(make, STREAM, self.wall, alone=False)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """On a folder of its own."""
    file = tmp_path / "mrmarket.toml"
    file.write_text(TEXT)
    with DataDirectory(tmp_path / "data", "") as directory:
        operations = directory.store.open_operations()
        made = House(directory, operations, load_config(file, {}).config)
        yield made
        await made.room.close()
        await made.place.close()
        made.log.close()
        operations.close()


async def until(holds: Callable[[], bool], *alive: asyncio.Future[Any]) -> None:
    """Wait until something is so, while some tasks live; whatever changes is told to nobody."""
    async with asyncio.timeout(60):
        while not holds():
            assert not any(task.done() for task in alive)
            await asyncio.sleep(0.02)


async def test_the_demo_is_joined_watched_on_paper_and_read(house: House) -> None:
    """Both strategies trade on paper, the current one live; the other's accounts are looked at."""
    choice = await house.open()
    await choice.open_market(house.room, house.place)
    put_specs(house.operations, choice.specs)
    side = house.side(choice)
    await choice.join(lambda: side.engine, house.operations, house.place, Unheard())
    office, chooser = choice.office, choice.chooser
    assert office is not None
    assert chooser is not None
    async with AsyncExitStack() as closing:
        closing.push_async_callback(choice.close)
        await side.begin()
        closing.push_async_callback(side.close, abandon=False)
        tasks = [asyncio.ensure_future(work) for work in choice.tasks()]
        closing.push_async_callback(end, tasks)
        assert set(choice.shadows) == {"main", "arbitrage"}
        shadows = choice.shadows.values()
        await until(lambda: all(shadow.reading is not None for shadow in shadows), *tasks)
        await until(lambda: office.standing().evaluated_ms > 0, *tasks)
        views = {view.id: view for view in office.standing().candidates}
        assert (views["main"].has_turn, views["arbitrage"].has_turn) == (True, False)
        assert [shadow.why_off for shadow in shadows] == ["", ""]
        await until(partial(is_paused, side, "arbitrage"), *tasks)
        (moved,) = choice.rebalancing
        assert moved.places == ("simulated/arbitrage", f"{SECOND}/arbitrage")
        await until(lambda: set(moved.left) == {"BTC", "USDT"}, *tasks)
        (shown,) = office.rebalance()
        assert (shown.candidate, shown.problem) == ("arbitrage", "")


def is_paused(side: LocalSide, run: str) -> bool:
    """Whether the engine holds it and lets it wait."""
    held = side.engine.held(run)
    return held is not None and held.state is RunState.PAUSED


async def end(tasks: Sequence[asyncio.Future[None]]) -> None:
    """Cancel and forget."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_two_venues_are_refused_where_there_is_one(house: House) -> None:
    """The candidate is named."""
    choice = await house.open()
    house.place.simulated = False
    with pytest.raises(NoSecondVenueError, match="arbitrage trades between two venues"):
        await choice.open_market(house.room, house.place)
    assert choice.tasks() == []
    await choice.close()


async def test_runs_elsewhere_are_chosen_from_but_not_bound(house: House) -> None:
    """Joined through the database: nobody reports, so nothing is decided; binding budgets are refused."""
    choice = await house.open()
    await choice.open_market(house.room, house.place)
    assert choice.follow is not None
    await choice.join_remote("api-1", house.log, house.operations, house.place, Unheard())
    assert choice.office is not None
    tasks = [asyncio.ensure_future(work) for work in choice.tasks()]
    chooser = choice.chooser
    assert chooser is not None
    await until(lambda: chooser.standing().evaluated_ms > 0, *tasks)
    assert chooser.standing().state.current == "main"
    assert choice.rebalancing == []
    await end(tasks)
    await choice.close()

    section = house.config.selection
    bound = msgspec.structs.replace(section, capital=msgspec.structs.replace(section.capital, act=True))
    house.config = msgspec.structs.replace(house.config, selection=bound)
    again = await open_choice(house.config, house.directory, house.operations, house.main)
    assert again is not None
    with pytest.raises(CapitalElsewhereError):
        await again.join_remote("api-1", house.log, house.operations, house.place, Unheard())
    await again.close()


async def test_without_shadows_nobody_trades_on_paper(house: House) -> None:
    """Then a candidate that is idle has no score; the account is not asked what it holds."""
    off = msgspec.structs.replace(house.config.selection, shadows=False)
    house.config = msgspec.structs.replace(house.config, selection=off)
    choice = await house.open()
    await choice.open_market(house.room, house.place)
    side = house.side(choice)
    await choice.join(lambda: side.engine, house.operations, house.place, Unheard())
    assert choice.shadows == {}
    assert choice.rebalancing[0].candidate == "arbitrage"
    assert choice.office is not None
    assert choice.office.standing().capital == str(Decimal(0))
    await choice.close()
