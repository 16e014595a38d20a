"""Rails for the tests: worlds without sockets, servers in this process, and a real process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from mrmarket.services.rail.config import RailConfig
from mrmarket.services.rail.server import RailServer
from services.rail.rail_bench import FAST, SmallWorld

StartRail = Callable[..., Awaitable[RailServer]]


@pytest.fixture
def small(tmp_path: Path) -> SmallWorld:
    """A world on a clock that stands still."""
    return SmallWorld(tmp_path / "rail")


@pytest.fixture
async def start_rail(tmp_path: Path) -> AsyncIterator[StartRail]:
    """Start rails; all are stopped at the end of the test."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> RailServer:
            chosen = {"state_dir": str(tmp_path / "rail"), **FAST, **settings}
            server = RailServer(RailConfig(**chosen))
            await server.start()
            stack.push_async_callback(server.stop)
            return server

        yield start
