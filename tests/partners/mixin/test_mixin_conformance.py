"""The Mixin rail over the sandbox against the suite for every rail, with each fault on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mrmarket.partners.mixin.sandbox.faults import MixinFault, MixinFaultKind
from partners.mixin.mixin_bench import MixinBench
from rail_conformance import RailConformance

PLACES = {
    MixinFaultKind.LATE: 300,
    MixinFaultKind.LATE_EFFECT: 60,
}
CASES: dict[str, tuple[MixinFault, ...]] = {
    "calm": (),
    **{kind.value: (MixinFault(kind, rate=0.3, delay_ms=PLACES.get(kind, 0)),) for kind in MixinFaultKind},
    "all": tuple(MixinFault(kind, rate=0.05, delay_ms=PLACES.get(kind, 0)) for kind in MixinFaultKind),
}


class TestMixinRail(RailConformance):
    """The suite, once for each fault."""

    @pytest.fixture(params=CASES, ids=str)
    async def bench(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MixinBench]:
        """A sandbox with this case's faults."""
        bench = MixinBench(tmp_path, timeout_s=0.25)
        await bench.open()
        await bench.fund_platform(10_000)
        bench.sandbox.break_things(*CASES[request.param], seed=7)
        try:
            yield bench
        finally:
            await bench.close()
