"""The simulated rail as a real process against the suite for every rail, with each fault on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from mrmarket.services.rail.faults import RailFaultKind, RailFaultRule, RailFaults
from mrmarket.services.rail.messages import RailEndpoints
from rail_conformance import RailConformance
from services.rail.rail_bench import FAST, SimulatedBench, strike

pytestmark = pytest.mark.e2e

PLATFORM = "* /v1/[!w]*"
"""Requests of the platform's side: the wallets' answers are the suite's truth."""
CASES: dict[str, list[RailFaultRule]] = {
    "calm": [],
    **{
        kind.value: [strike(kind, match=match, rate=rate, delay_ms=delay_ms)]
        for kind, match, rate, delay_ms in (
            (RailFaultKind.DELAY, PLATFORM, 0.5, 60),
            (RailFaultKind.LOST_BEFORE, PLATFORM, 0.4, 0),
            (RailFaultKind.LOST_AFTER, PLATFORM, 0.4, 0),
            (RailFaultKind.SILENT_BEFORE, PLATFORM, 0.3, 400),
            (RailFaultKind.SILENT_AFTER, PLATFORM, 0.3, 400),
            (RailFaultKind.SERVER_ERROR, PLATFORM, 0.4, 0),
            (RailFaultKind.SERVER_ERROR_AFTER, PLATFORM, 0.4, 0),
            (RailFaultKind.GARBAGE, PLATFORM, 0.4, 0),
            (RailFaultKind.DUPLICATE, "feed:*", 0.5, 0),
            (RailFaultKind.REORDER, "feed:*", 0.5, 0),
            (RailFaultKind.GAP, "feed:*", 0.5, 0),
            (RailFaultKind.HIDE, "find", 0.5, 200),
            (RailFaultKind.REFUSE, "send:*", 0.5, 0),
            (RailFaultKind.STALL, "*", 0.4, 80),
            (RailFaultKind.RETRACT, "pay:*", 0.4, 0),
            (RailFaultKind.RETRACT_LATE, "pay:*", 0.4, 50),
        )
    },
    "all": [
        strike(RailFaultKind.LOST_AFTER, match=PLATFORM, rate=0.15),
        strike(RailFaultKind.SILENT_AFTER, match=PLATFORM, rate=0.1, delay_ms=400),
        strike(RailFaultKind.SERVER_ERROR, match=PLATFORM, rate=0.1),
        strike(RailFaultKind.GAP, match="feed:*", rate=0.3),
        strike(RailFaultKind.REORDER, match="feed:*", rate=0.3),
        strike(RailFaultKind.HIDE, match="find", rate=0.3, delay_ms=100),
        strike(RailFaultKind.REFUSE, match="send:*", rate=0.2),
        strike(RailFaultKind.STALL, rate=0.2, delay_ms=50),
        strike(RailFaultKind.RETRACT, match="pay:*", rate=0.2),
    ],
}


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RailEndpoints]:
    """`mrmarket rail` as a user would start it."""
    state = tmp_path_factory.mktemp("rail") / "state"
    command = [sys.executable, "-m", "mrmarket", "rail", "--state", str(state), "--json"]
    options = ["--seen-ms", str(FAST["seen_ms"]), "--block-ms", str(FAST["block_ms"])]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, env={**os.environ}) as child:
        assert child.stdout is not None
        try:
            yield msgspec.json.decode(child.stdout.readline(), type=RailEndpoints)
        finally:
            child.terminate()


def test_every_fault_has_its_case() -> None:
    """A new fault without a case here would be untested."""
    assert {kind.value for kind in RailFaultKind} <= CASES.keys()


class TestSimulatedRail(RailConformance):
    """The suite, once for each fault."""

    @pytest.fixture(params=CASES, ids=str)
    async def bench(
        self, request: pytest.FixtureRequest, endpoints: RailEndpoints
    ) -> AsyncIterator[SimulatedBench]:
        """The process with this case's faults."""
        bench = SimulatedBench(endpoints, timeout_s=0.25)
        calm = SimulatedBench(endpoints)
        await calm.rail.break_things(RailFaults())
        await calm.fund_platform(10_000)
        await calm.rail.break_things(RailFaults(rules=CASES[request.param], seed=7))
        try:
            yield bench
        finally:
            await calm.rail.break_things(RailFaults())
            await calm.close()
            await bench.close()
