"""The Mixin rail over the sandbox against the suite for every rail, with each fault on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mrmarket.partners.mixin.sandbox.faults import MixinFault, MixinFaultKind
from partners.mixin.mixin_bench import MixinBench
from rail_conformance import RailConformance

TIMEOUT_S = 2.0
"""Of the client: the sandbox shares its processor, and on a busy machine a shorter one strikes by itself."""
CASES: dict[str, tuple[MixinFault, ...]] = {
    "calm": (),
    "lost after": (MixinFault(MixinFaultKind.LOST_AFTER, rate=0.3),),
    "late": (MixinFault(MixinFaultKind.LATE, rate=0.3, times=2, delay_ms=2_500),),
    "late effect": (MixinFault(MixinFaultKind.LATE_EFFECT, rate=0.3, delay_ms=60),),
    "doubled": (MixinFault(MixinFaultKind.DUPLICATE, rate=0.5),),
    "error after": (MixinFault(MixinFaultKind.SERVER_ERROR_AFTER, rate=0.3),),
    "garbage": (MixinFault(MixinFaultKind.GARBAGE, rate=0.3),),
    "all": tuple(
        MixinFault(kind, rate=0.05, delay_ms=60) for kind in MixinFaultKind if kind is not MixinFaultKind.LATE
    ),
}


class TestMixinRail(RailConformance):
    """The suite, once for each fault."""

    @pytest.fixture(params=CASES, ids=str)
    async def bench(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MixinBench]:
        """A sandbox with this case's faults."""
        bench = MixinBench(tmp_path, timeout_s=TIMEOUT_S)
        await bench.open()
        await bench.fund_platform(10_000)
        bench.sandbox.break_things(*CASES[request.param], seed=7)
        try:
            yield bench
        finally:
            await bench.close()
