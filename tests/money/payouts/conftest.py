"""The room over SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from money.payouts.payments_house import House
from money.payouts.payments_outside import OutsideRail
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger.port import LedgerStore
from mrmarket.money.ledger.postgres_store import PostgresStore
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.store.postgres import PostgresReader
from mrmarket.store.sql import SqliteReader, SqlReader
from postgres_server import postgres, postgres_server

HouseBuilder = Callable[..., House]

__all__ = ["postgres", "postgres_server"]


@pytest.fixture
def clock() -> ManualClock:
    """Time that tests move."""
    return ManualClock()


@pytest.fixture
def rail(clock: ManualClock) -> Iterator[OutsideRail]:
    """The world outside."""
    rail = OutsideRail(clock)
    yield rail
    rail.close()


@pytest.fixture
def build(tmp_path: Path, rail: OutsideRail, clock: ManualClock) -> Iterator[HouseBuilder]:
    """Builds the house over one SQLite file, again and again as restarts do."""
    path = tmp_path / "money.db"
    with ExitStack() as opened:

        def rebuild(**options: Any) -> House:
            store = SqliteStore.open(path, "test")
            reader = SqliteReader.open(path)
            opened.callback(reader.close)
            house = House(store, reader, rail, clock, **options)
            opened.callback(house.close)
            return house

        yield rebuild


@pytest.fixture
def house(build: HouseBuilder) -> House:
    """A house over SQLite."""
    return build()


@pytest.fixture(params=["sqlite", "postgres"])
def either_house(
    request: pytest.FixtureRequest, tmp_path: Path, rail: OutsideRail, clock: ManualClock
) -> Iterator[House]:
    """A house over each database."""
    with ExitStack() as opened:
        if request.param == "sqlite":
            store: LedgerStore = SqliteStore.open(tmp_path / "money.db", "test")
            reader: SqlReader = SqliteReader.open(tmp_path / "money.db")
        else:
            address: str = request.getfixturevalue("postgres")
            store = PostgresStore.open(address, "test")
            reader = PostgresReader.open(address)
        opened.callback(reader.close)
        house = House(store, reader, rail, clock)
        opened.callback(house.close)
        yield house
