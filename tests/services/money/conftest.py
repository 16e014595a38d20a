"""A business core for a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from money.payouts.payments_outside import OutsideRail
from mrmarket.core.clock import ManualClock
from services.money.counter_house import CounterHouse


@pytest.fixture
def house(tmp_path: Path) -> Iterator[CounterHouse]:
    """A founded pool."""
    clock = ManualClock()
    rail = OutsideRail(clock)
    house = CounterHouse(tmp_path, clock, rail)
    yield house
    house.close()
    rail.close()
