"""A market that stands still has a price all the same: whoever deals by it must be told."""

from __future__ import annotations

from itertools import pairwise

from fake_exchange import btc_usdt
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.core.events import MarkObserved
from mrmarket.simulation.disk import Disk
from mrmarket.simulation.trading_log import MemoryTradingLog, TradingData
from mrmarket.trading.execution.account import Account
from mrmarket.trading.execution.fact_writer import FactWriter
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.strategy.observations import Observations


async def test_a_price_that_stands_still_is_confirmed() -> None:
    """A mark of the same price is written again every half minute, and not more often."""
    clock, data = ManualClock(), TradingData()
    facts = FactWriter(MemoryTradingLog(data, Disk("disk")), "run", lambda _error: None)
    instrument = btc_usdt()
    observations = Observations(
        instrument, "fake", facts, clock, mark_every_ns=2 * NS_PER_S, balances_every_ns=NS_PER_S
    )
    account = Account(instrument)
    for _ in range(50):
        clock.advance(2 * NS_PER_S)
        observations.tick(MarketTop(100, 102), account, stale=False)
    await facts.close()
    marks = [row.fact.at_ns for row in data.events["run"] if isinstance(row.fact, MarkObserved)]
    assert len(marks) == 4
    assert all(later - earlier == 30 * NS_PER_S for earlier, later in pairwise(marks))
