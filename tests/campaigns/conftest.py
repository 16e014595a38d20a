"""Campaigns in books on both databases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from campaigns.campaign_stage import CampaignStage
from mrmarket.money.ledger.postgres_store import PostgresStore
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.store.postgres import PostgresReader
from postgres_server import postgres, postgres_server

__all__ = ["postgres", "postgres_server"]


@pytest.fixture(scope="session")
def empty_books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with today's tables; a copy costs less than making them."""
    path = tmp_path_factory.mktemp("books") / "money.db"
    SqliteStore.open(path, "test").close()
    return path


@pytest.fixture
def stage(tmp_path: Path, empty_books: Path) -> Iterator[CampaignStage]:
    """Books in SQLite."""
    shutil.copy(empty_books, tmp_path / "money.db")
    opened = CampaignStage.on_file(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CampaignStage]:
    """Books on each database."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_books"), tmp_path / "money.db")
        opened = CampaignStage.on_file(tmp_path)
    else:
        address: str = request.getfixturevalue("postgres")
        opened = CampaignStage(PostgresStore.open(address, "test"), PostgresReader.open(address))
    yield opened
    opened.close()
