"""Which venue a run of the instance's own process is given, and what a role needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fake_exchange import SYMBOL, FakeExchange, FakeVenue
from mrmarket.core.clock import SystemClock
from mrmarket.services.config import LoadedConfig
from mrmarket.services.config_sections import Config, VenueSection
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.engine.engine_process import EngineProcess, RoleRefusedError
from mrmarket.services.engine.place_room import place_room
from mrmarket.services.engine.section import RunSection
from mrmarket.services.engine.shared_venue import RunVenue
from mrmarket.services.engine.specs import further_specs, main_spec
from mrmarket.services.keys.secret import unregistered
from mrmarket.services.store_address import StoreSection
from mrmarket.services.trading_place import NoAccountError, TradingPlace
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.venue.port import VenueError


async def test_a_lone_run_has_the_venue_to_itself_and_several_share_it(tmp_path: Path) -> None:
    """The main account is open already; one that this venue does not have is said to be missing."""
    clock = SystemClock()
    venue = FakeVenue(FakeExchange(clock))
    place = TradingPlace(venue, SYMBOL, "live", clock, 1.0, simulated=False)
    main = main_spec("fake.BTCUSDT", "fake", SYMBOL, Parameters(), "main")
    (further,) = further_specs([RunSection(id="second", account="b")], "fake")
    directory = DataDirectory(tmp_path)
    lone = place_room(Config(), directory, place, [main], unregistered)
    assert await lone.enter(main, "p") is venue
    await lone.leave(main)
    await lone.close()

    room = place_room(Config(), directory, place, [main, further], unregistered)
    view = await room.enter(main, "p")
    assert isinstance(view, RunVenue)
    with pytest.raises(NoAccountError, match="'b'"):
        await room.enter(further, "q")
    await view.open()
    assert await view.open_orders(SYMBOL) == []
    assert await view.fills_since(SYMBOL, 0) == []
    assert {report.asset for report in await view.balances()} == {"BTC", "USDT"}
    assert await view.permissions() == await venue.permissions()
    assert view.capabilities == venue.capabilities
    with pytest.raises(VenueError):
        await view.transfers_since(0)
    await view.close()
    await room.leave(main)
    await room.close()


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        ({}, "PostgreSQL"),
        ({"store": StoreSection(url="postgresql:///x")}, "embedded exchange"),
        (
            {
                "store": StoreSection(url="postgresql:///x"),
                "venue": VenueSection(exchange="binance", paper=True),
            },
            "paper trading",
        ),
    ],
)
def test_a_role_without_anything_to_do_is_refused(
    tmp_path: Path, sections: dict[str, Any], problem: str
) -> None:
    """Before anything is opened, with one sentence."""
    with pytest.raises(RoleRefusedError, match=problem):
        EngineProcess(LoadedConfig(Config(**sections), {}), tmp_path)
