"""An engine's process from its start to its end, in this one."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mrmarket.services.config import LoadedConfig
from mrmarket.services.config_sections import Config, VenueSection
from mrmarket.services.engine.engine_process import EngineProcess, EngineSummary
from mrmarket.services.engine.section import EngineSection
from mrmarket.services.store_address import StoreSection
from mrmarket.store.operations import RunSpec
from mrmarket.store.postgres_operations import PostgresOperations
from postgres_server import postgres, postgres_server, url_of

__all__ = ["postgres", "postgres_server"]


@pytest.fixture
def own_umask() -> Iterator[None]:
    """An engine's files are its owner's alone; the tests' own are as before afterwards."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def until_it_fails(operations: PostgresOperations, node: str) -> None:
    """Wait for the sign of life that counts a failure."""
    async with asyncio.timeout(60):
        while not any(  # noqa: ASYNC110 - a row in a database
            beat.node == node and beat.detail["failures"] for beat in operations.beats()
        ):
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("own_umask")
async def test_an_engine_whose_exchange_is_away_lives_on_and_signs_off_when_asked_to(
    postgres: str, tmp_path: Path, nobody: int
) -> None:
    """It takes the run, notes why it cannot begin, gives the lease back, and ends with a summary."""
    address = url_of(postgres)
    config = Config(
        store=StoreSection(url=address),
        venue=VenueSection(
            exchange="binance", rest_url=f"http://127.0.0.1:{nobody}", ws_url=f"ws://127.0.0.1:{nobody}"
        ),
        engine=EngineSection(beat_s=0.1, lease_s=1.0, renew_s=0.2),
    )
    operations = PostgresOperations.open(address)
    operations.put_run(
        RunSpec(
            id="run", venue="binance", account="a", pair="BTC/USDT", kind="pure_market_making", parameters={}
        )
    )
    operations.put_run(
        RunSpec(id="far", venue="okx", account="a", pair="BTC/USDT", kind="pure_market_making", parameters={})
    )
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    process = EngineProcess(LoadedConfig(config, {}), tmp_path / "engine")
    working = asyncio.create_task(process.run(ready.set_result))
    async with asyncio.timeout(60):
        node = await ready
    await until_it_fails(operations, node)
    signal.raise_signal(signal.SIGTERM)
    summary = await working
    assert isinstance(summary, EngineSummary)
    assert summary.node == node
    assert summary.claims >= 1
    assert summary.failures >= 1
    assert operations.beats() == []
    operations.close()
