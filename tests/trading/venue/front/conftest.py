"""A venue on a free port over the quiet market of `front_desk`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from front_desk import Desk, RawClient, StartVenue, quiet_events, quiet_instrument
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.server import VenueServer


@pytest.fixture(scope="session")
def quiet_tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`quiet_events` as a file."""
    path = tmp_path_factory.mktemp("tapes") / "quiet.tape.gz"
    with TapeWriter(path, quiet_instrument()) as writer:
        for event in quiet_events():
            writer.write(event)
    return path


@pytest.fixture
def desk() -> Desk:
    """A gateway without sockets."""
    return Desk()


@pytest.fixture
async def start_venue(quiet_tape: Path) -> AsyncIterator[StartVenue]:
    """Start venues; all are stopped at the end of the test."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> VenueServer:
            settings.setdefault("tapes", [str(quiet_tape)])
            settings.setdefault("accounts", {"alice": {}, "bob": {}})
            server = VenueServer(VenueConfig(**settings))
            await server.start()
            stack.push_async_callback(server.stop)
            return server

        yield start


@pytest.fixture
async def venue(start_venue: StartVenue) -> VenueServer:
    """One venue with the accounts alice and bob."""
    return await start_venue()


@pytest.fixture
async def alice(venue: VenueServer) -> AsyncIterator[RawClient]:
    """A raw client of the first account."""
    async with aiohttp.ClientSession() as session:
        yield RawClient(venue, session, venue.keys[0])


@pytest.fixture
async def bob(venue: VenueServer) -> AsyncIterator[RawClient]:
    """A raw client of the second account."""
    async with aiohttp.ClientSession() as session:
        yield RawClient(venue, session, venue.keys[1])
