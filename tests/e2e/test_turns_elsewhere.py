"""Strategies take turns in an engine of its own, chosen by a process that only serves the API."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from e2e.engine_floor import EngineFloor
from e2e.running import RunningInstance
from mrmarket.services.api.selection_schema import DecisionView, SelectionView
from mrmarket.services.selection.turn_lease import NAME

pytest_plugins = ["postgres_server"]
RUN = "binance.BTCUSDT"
PATH = "admin/selection"
CHOICE = """bid_spread = "0.02"
ask_spread = "0.02"
order_amount = "0.01"
[selection]
enabled = true
evaluate_s = 0.3
[selection.thresholds]
margin_per_h = 0.0
z = 0.0
half_life_s = 4
least_samples = 2.0
cool_down_s = 0
dwell_s = 0
debounce = 1
switches_per_hour = 3600
may_idle = false
[[selection.candidates]]
id = "buyer"
[selection.candidates.strategy]
kind = "pure_market_making"
bid_spread = "0.00004"
ask_spread = "0.02"
order_amount = "2"
order_refresh_time = 1.0
"""
"""`[strategy]` quotes far away and earns nothing; the newcomer buys, and gains on paper when prices rise."""


@pytest.fixture
def floor(tmp_path: Path, postgres: str) -> Iterator[EngineFloor]:
    """One exchange and one database; nobody trades yet."""
    floor = EngineFloor(tmp_path, postgres, [], settings=CHOICE)
    yield floor
    floor.end()


def test_the_turn_changes_in_an_engine_elsewhere_and_the_decision_says_why(floor: EngineFloor) -> None:
    """The run goes on under the newcomer's strategy and under the same books; one process holds the lease."""
    api = floor.start_api(strategy="")
    floor.start("one")
    turn = partial(_has_turn, api, "buyer")
    floor.until(turn)
    floor.until(lambda: _spread(floor) == "0.00004" and floor.quoting_run(RUN))
    lease = floor.store.lease(NAME)
    assert lease is not None
    assert (lease.owner, lease.expires_ns > 0) == (floor.node("api"), True)
    told = [
        each for each in api.remote.read(f"{PATH}/decisions", list[DecisionView]) if each.outcome == "switch"
    ]
    assert told[-1].challenger == "buyer"
    assert told[-1].reason
    assert api.interrupt() == 0
    left = floor.store.lease(NAME)
    assert left is not None
    assert left.expires_ns == 0, "whoever ends lets others choose at once"


def _has_turn(api: RunningInstance, candidate: str) -> bool:
    return api.remote.read(PATH, SelectionView).current == candidate


def _spread(floor: EngineFloor) -> str:
    spec = floor.operations.run_spec(RUN)
    return "" if spec is None else str(spec.parameters["bid_spread"])
