"""Campaigns in books on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from campaigns.campaign_stage import CampaignStage
from mrmarket.money.ledger.postgres_store import PostgresStore
from mrmarket.store.postgres import PostgresReader
from postgres_server import postgres, postgres_server

__all__ = ["postgres", "postgres_server"]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[CampaignStage]:
    """Books in SQLite."""
    opened = CampaignStage.on_file(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CampaignStage]:
    """Books on each database."""
    if request.param == "sqlite":
        opened = CampaignStage.on_file(tmp_path)
    else:
        address: str = request.getfixturevalue("postgres")
        opened = CampaignStage(PostgresStore.open(address, "test"), PostgresReader.open(address))
    yield opened
    opened.close()
