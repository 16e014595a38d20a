"""The fact writer's end."""

from __future__ import annotations

import asyncio

from fake_exchange import MemoryJournal
from mrmarket.core.events import RunStateChanged
from mrmarket.trading.execution.fact_writer import FactWriter

STREAM = "pmm-1"


def changed(reason: str) -> RunStateChanged:
    """A fact that nobody waits for."""
    return RunStateChanged(venue="fake", at_ns=1, symbol="BTC/USDT", state="running", reason=reason)


async def test_a_writer_can_be_closed_again_after_a_late_word() -> None:
    """An answer that comes after the end neither reopens a writer nor makes anybody wait for it."""
    journal = MemoryJournal()
    writer = FactWriter(journal, STREAM, lambda error: None)
    writer.write(changed("in time"), urgent=True)
    await writer.close()
    writer.write(changed("too late"), urgent=True)
    async with asyncio.timeout(10):
        await writer.flush()
        await writer.close()
    assert [fact.reason for fact in journal.facts if isinstance(fact, RunStateChanged)] == ["in time"]
    assert writer.failure is None
