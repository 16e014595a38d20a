"""Campaigns in books, as the rooms of partners read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from campaigns.campaign_stage import CampaignStage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[CampaignStage]:
    """Books in SQLite, a partner with one campaign, a chain and a vault."""
    opened = CampaignStage.on_file(tmp_path)
    yield opened
    opened.close()
