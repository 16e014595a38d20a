"""A trading database of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mrmarket.store.trading_store import TradingStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "data" / "trading.db"


@pytest.fixture
def store(path: Path) -> Iterator[TradingStore]:
    """An open store."""
    store = TradingStore.open(path)
    yield store
    store.close()
