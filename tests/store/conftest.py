"""Databases of their own for each test: a SQLite file, and for the conformance suites every backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest
from psycopg import conninfo

from mrmarket.store.operations import OperationsStore
from mrmarket.store.postgres_operations import PostgresOperations
from mrmarket.store.postgres_trading_store import PostgresTradingStore
from mrmarket.store.sqlite_operations import SqliteOperations
from mrmarket.store.trading_port import TradingLog
from mrmarket.store.trading_store import TradingStore
from postgres_server import PostgresServer, postgres_server

__all__ = ["postgres_server"]

OpenLog = Callable[[], TradingLog]
"""Opens the same trading log once more, as another process would."""
OpenOperations = Callable[[], OperationsStore]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "data" / "trading.db"


@pytest.fixture
def store(path: Path) -> Iterator[TradingStore]:
    """An open SQLite store."""
    store = TradingStore.open(path)
    yield store
    store.close()


@pytest.fixture(scope="session")
def migrated(postgres_server: PostgresServer) -> Iterator[str]:
    """Name of a PostgreSQL database with today's tables, to be copied."""
    with postgres_server.database() as address:
        PostgresTradingStore.open(address).close()
        PostgresOperations.open(address).close()
        yield str(conninfo.conninfo_to_dict(address)["dbname"])


@pytest.fixture
def server_address(postgres_server: PostgresServer, migrated: str) -> Iterator[str]:
    """A PostgreSQL database with today's tables and nothing in them."""
    with postgres_server.database(migrated) as address:
        yield address


@pytest.fixture(params=["sqlite", "postgres"])
def open_log(request: pytest.FixtureRequest, path: Path) -> Iterator[OpenLog]:
    """A trading log in each of its databases; whatever is opened is closed afterwards."""
    with ExitStack() as opened:
        if request.param == "sqlite":
            opener: OpenLog = lambda: TradingStore.open(path)  # noqa: E731 - one of two
        else:
            address = cast("str", request.getfixturevalue("server_address"))
            opener = lambda: PostgresTradingStore.open(address)  # noqa: E731 - the other

        def open_once() -> TradingLog:
            log = opener()
            opened.callback(log.close)
            return log

        yield open_once


@pytest.fixture
def log(open_log: OpenLog) -> TradingLog:
    """An open trading log."""
    return open_log()


@pytest.fixture(params=["sqlite", "postgres"])
def open_operations(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenOperations]:
    """An operations store in each of its databases; whatever is opened is closed afterwards."""
    with ExitStack() as opened:
        if request.param == "sqlite":
            opener: OpenOperations = lambda: SqliteOperations.open(tmp_path / "control.db")  # noqa: E731 - one of two
        else:
            address = cast("str", request.getfixturevalue("server_address"))
            opener = lambda: PostgresOperations.open(address)  # noqa: E731 - the other

        def open_once() -> OperationsStore:
            operations = opener()
            opened.callback(operations.close)
            return operations

        yield open_once


@pytest.fixture
def operations(open_operations: OpenOperations) -> OperationsStore:
    """An open operations store."""
    return open_operations()
