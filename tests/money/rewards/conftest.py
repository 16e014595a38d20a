"""Books on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from money.rewards.reward_stage import Stage
from mrmarket.money.ledger.postgres_store import PostgresStore
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.store.postgres import PostgresReader
from mrmarket.store.sql import SqliteReader
from postgres_server import postgres, postgres_server

StageOpener = Callable[..., Stage]

__all__ = ["postgres", "postgres_server"]


@pytest.fixture
def open_stage(tmp_path: Path) -> Iterator[StageOpener]:
    """Opens books in SQLite, with any option of `Stage`."""
    with ExitStack() as opened:

        def open_file(**options: object) -> Stage:
            path = tmp_path / "money.db"
            store = SqliteStore.open(path, "test")
            stage = Stage(store, SqliteReader.open(path), **options)  # type: ignore[arg-type]  # passed on as they came
            opened.callback(stage.close)
            return stage

        yield open_file


@pytest.fixture(params=["sqlite", "postgres"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Open books with a campaign, on each database."""
    if request.param == "sqlite":
        path = tmp_path / "money.db"
        made = Stage(SqliteStore.open(path, "test"), SqliteReader.open(path))
    else:
        address: str = request.getfixturevalue("postgres")
        made = Stage(PostgresStore.open(address, "test"), PostgresReader.open(address))
    yield made.open_books()
    made.close()
