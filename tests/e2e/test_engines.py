"""Three engines, one PostgreSQL, one exchange: what becomes of runs when engines are killed and frozen."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.engine_floor import EngineFloor
from e2e.loopback_venue import SYMBOL
from mrmarket.core.clock import SystemClock
from mrmarket.core.events import Filled
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.money.pool.treasury import Treasury
from mrmarket.services.engine.timing import EngineTiming

pytest_plugins = ["postgres_server"]
LEASE_S = EngineTiming().lease_s
LATE_S = 6 * LEASE_S
"""Two leases on a machine of its own; three times that where others work on it, too."""
ACCOUNTS = [f"a{number}" for number in range(6)]


@pytest.fixture
def floor(tmp_path: Path, postgres: str) -> Iterator[EngineFloor]:
    """Six runs on six accounts; nobody trades yet."""
    floor = EngineFloor(tmp_path, postgres, ACCOUNTS)
    yield floor
    floor.end()


def test_runs_outlive_engines_that_are_killed_and_frozen(floor: EngineFloor, tmp_path: Path) -> None:
    """Every run is held again in bounded time; no order is left alone, none sent twice; books add up."""
    nodes = {name: floor.start(name) for name in ("one", "two", "three")}
    floor.until(
        lambda: floor.loads() == [2, 2, 2] and len(floor.quoting(set(nodes.values()))) == len(ACCOUNTS)
    )

    floor.signal("one", signal.SIGKILL)
    left = {nodes["two"], nodes["three"]}
    floor.until(lambda: floor.nodes() <= left, LATE_S)
    floor.until(lambda: len(floor.quoting(left)) == len(ACCOUNTS))

    floor.signal("two", signal.SIGSTOP)
    floor.until(lambda: floor.nodes() == {nodes["three"]}, LATE_S)
    floor.until(lambda: len(floor.quoting({nodes["three"]})) == len(ACCOUNTS))
    fences = {run: fence for run, (_, fence) in floor.holders().items()}
    floor.signal("two", signal.SIGCONT)
    floor.until(lambda: floor.loads() == [3, 3] and len(floor.quoting(left)) == len(ACCOUNTS))
    assert all(fence >= fences[run] for run, (_, fence) in floor.holders().items())

    floor.stop_all()
    assert [floor.engines[name].returncode for name in ("two", "three")] == [0, 0]
    for account, desk in floor.desks.items():
        assert desk.open_orders() == [], f"orders of {account} that nobody owns"
        ids = [
            order["clientOrderId"]
            for order in desk.signed("GET", "/api/v3/allOrders", symbol=SYMBOL, limit=1000)
        ]
        assert len(set(ids)) == len(ids), f"an id of {account} was given twice"
        facts = [row.fact for row in floor.store.read_facts(f"run-{account}", 0, 1_000_000)]
        known = Counter(fact.trade_id for fact in facts if isinstance(fact, Filled))
        assert known == Counter(str(trade["id"]) for trade in desk.trades(-1)), f"fills of {account}"
    assert floor.store.verify_log().ok
    assert sum(desk.trades(-1) != [] for desk in floor.desks.values()) > 0

    plan = PoolPlan(stream="run-a0", venue=floor.venue_of("a0"), quote="USDT")
    treasury = Treasury.open(tmp_path / "money.db", floor.store, plan, SystemClock())
    try:
        treasury.settle()
        assert treasury.verify().ok
        assert {line.difference for line in treasury.reconciliation() if line.observed} == {"0"}
    finally:
        treasury.close()


def test_an_api_without_an_engine_shows_and_steers_a_run_elsewhere(floor: EngineFloor) -> None:
    """It serves before any engine is there, then shows its run, steers it, and settles its trades."""
    api = floor.start_api()
    assert api.remote.status().state == "starting"
    floor.start("one")
    floor.until(lambda: api.remote.status().state == "running" and api.remote.status().open_orders > 0)
    floor.until(lambda: api.remote.performance().fills > 0)
    floor.until(lambda: api.remote.pool().settled_through_seq > 0)
    assert api.remote.stop().state == "paused"
    floor.until(lambda: floor.desks["default"].open_orders() == [])
    assert api.remote.start().state == "running"
    floor.until(lambda: api.remote.status().open_orders > 0)
    floor.stop_all()
    assert api.interrupt() == 0
