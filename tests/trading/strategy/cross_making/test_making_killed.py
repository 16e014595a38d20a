"""A maker's process is killed in the middle of a hedge: the next one hedges what is owed, and no more."""

from __future__ import annotations

import asyncio
import signal
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from making_stage import LOTS
from making_victim import DurableStage
from mrmarket.core.clock import NS_PER_S
from mrmarket.core.events import Filled, OrderCreated
from mrmarket.trading.strategy.past import read_history

VICTIM = Path(__file__).parents[3] / "making_victim.py"


@pytest.mark.parametrize(("moment", "hedges"), [("before", 1), ("after", 0)])
async def test_a_killed_hedge_is_neither_lost_nor_repeated(tmp_path: Path, moment: str, hedges: int) -> None:
    """SIGKILL before the order has left and after it has traded; intents, fills and accounts are on disk."""
    victim = await asyncio.create_subprocess_exec(
        sys.executable, str(VICTIM), str(tmp_path), moment, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(120):
        _, said = await victim.communicate()
    assert victim.returncode == -signal.SIGKILL, said.decode()[-2_000:]
    stage = DurableStage(tmp_path)
    try:
        store = stage.store
        left = store.open_intents("xemm-1")
        assert "b200" in {record.slot for record in left}
        fence = store.acquire_lease("xemm-1", "heir", 600 * NS_PER_S, 3600 * NS_PER_S)
        history = read_history(store, "xemm-1", with_fold=False)
        run = await stage.begin(journal=store, history=history, fence=fence)
        assert run.work.owed == Fraction(1, 100)
        await run.start()
        await stage.until(lambda: run.work.owed == 0 and stage.stands())
        assert len(stage.hedges()) == hedges
        report = await run.stop()
        assert report.clean
        assert store.verify_log().ok
        facts = [row.fact for row in store.read_facts("xemm-1", 0, 10_000)]
        fills = [fact for fact in facts if isinstance(fact, Filled)]
        by_venue = {
            name: sum(fill.side.sign * Decimal(fill.size) for fill in fills if fill.venue == name)
            for name in ("low-paper", "high-paper")
        }
        size = Decimal(LOTS) / 100_000
        assert by_venue == {"low-paper": size, "high-paper": -size}
        assert len({fact.client_order_id for fact in facts if isinstance(fact, OrderCreated)}) == len(
            [fact for fact in facts if isinstance(fact, OrderCreated)]
        )
    finally:
        await stage.end()
        stage.store.close()
