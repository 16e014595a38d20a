"""The simulator's stores in place of the databases, for the suites that every store must pass."""

from __future__ import annotations

import time

import pytest

from mrmarket.simulation.disk import Disk
from mrmarket.simulation.operations import MemoryOperations, OperationsData
from mrmarket.simulation.trading_log import MemoryTradingLog, TradingData
from mrmarket.store.operations import OperationsStore
from mrmarket.store.trading_port import TradingLog
from store.conftest import OpenLog, OpenOperations


@pytest.fixture(params=["file", "server"])
def open_log(request: pytest.FixtureRequest) -> OpenLog:
    """A trading log in memory, whose leases are judged by the callers' clocks or by its own."""
    data, disk = TradingData(), Disk("disk")
    clock = time.time_ns if request.param == "server" else None
    return lambda: MemoryTradingLog(data, disk, clock)


@pytest.fixture
def log(open_log: OpenLog) -> TradingLog:
    """An open trading log."""
    return open_log()


@pytest.fixture
def open_operations() -> OpenOperations:
    """An operations store in memory."""
    data, disk = OperationsData(), Disk("disk")
    return lambda: MemoryOperations(data, disk)


@pytest.fixture
def operations(open_operations: OpenOperations) -> OperationsStore:
    """An open operations store."""
    return open_operations()
