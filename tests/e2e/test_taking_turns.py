"""Market making and arbitrage take turns in a whole instance on the embedded exchange."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mrmarket.services.config import load_config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.instance import Instance
from mrmarket.trading.strategy.observer import RunState

pytestmark = pytest.mark.e2e

TEXT = """
[angel]
enabled = false
[simulation]
speed = 6
[selection]
enabled = true
evaluate_s = 1.0
[selection.thresholds]
margin_per_h = 0.0
z = 0.2
half_life_s = 4
least_samples = 2.0
cool_down_s = 0
dwell_s = 0
debounce = 1
switches_per_hour = 3600
may_idle = false
"""


async def test_arbitrage_takes_over_when_the_markets_part_and_only_one_trades_at_a_time(
    tmp_path: Path,
) -> None:
    """The turn changes with a reason, the main run is paused without an order, and both end clean."""
    file = tmp_path / "mrmarket.toml"
    file.write_text(TEXT)
    with DataDirectory(tmp_path / "data", "") as directory:
        instance = Instance(load_config(file, {}), directory)
        await instance.open()
        try:
            office = instance.selection
            assert office is not None
            async with asyncio.timeout(160):
                while office.standing().current != "arbitrage":
                    assert not instance.failed.done()
                    await asyncio.sleep(0.2)  # the chooser tells nobody of its steps
                main, other = instance.run, instance.engine.held("arbitrage")
                assert (main.state, list(main.live_orders)) == (RunState.PAUSED, [])
                assert other is not None
                decisions = await office.decisions(50, None)
                assert {"switch", "started"} <= {each.outcome for each in decisions}
                assert all(each.reason for each in decisions)
                scores = {each.id: each for each in office.standing().candidates}
                assert all(each.paper_off == "" for each in scores.values())
        finally:
            await instance.close()
        check = instance.books.check
        assert check is not None
        assert check.ok
