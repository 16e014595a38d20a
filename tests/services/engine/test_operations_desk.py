"""The owner's view of trading as a process puts it together."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mrmarket.services.api import operations_schema as ops
from mrmarket.services.api.refusals import NotFoundError
from mrmarket.services.config_sections import Config, VenueSection
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.engine.operations_desk import operations_office
from mrmarket.services.engine.operations_office import OperationsOffice

DRILL = ops.OperationRequest(key="k")


@contextmanager
def office_of(config: Config, folder: Path) -> Iterator[OperationsOffice]:
    """The office of an instance without an engine."""
    with (
        DataDirectory(folder) as directory,
        closing(directory.store.open_trading()) as log,
        closing(directory.store.open_operations()) as operations,
    ):
        yield operations_office(config, directory, operations, log, engine=lambda: None, health=None)


async def test_on_paper_there_is_nothing_to_drill(tmp_path: Path) -> None:
    """No order leaves this machine, and the office says so."""
    config = Config(venue=VenueSection(exchange="binance", paper=True))
    with office_of(config, tmp_path / "data") as office, pytest.raises(NotFoundError, match="on paper"):
        await office.drill(DRILL, "owner")


async def test_a_drill_asks_every_exchange_and_names_those_that_are_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes by the configuration where no Angel has left its plan; nothing is cancelled."""
    monkeypatch.setenv("MRMARKET_API_KEY", "k" * 64)
    monkeypatch.setenv("MRMARKET_API_SECRET", "s" * 64)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        section = VenueSection(
            exchange="binance", rest_url=f"http://127.0.0.1:{port}", ws_url=f"ws://127.0.0.1:{port}"
        )
        with office_of(Config(venue=section), tmp_path / "data") as office:
            found = await office.drill(DRILL, "owner")
            shown = await office.operations()
    assert found.orders == []
    assert list(found.silent) == ["binance"]
    assert found.spared == 0
    assert shown.runs == []
