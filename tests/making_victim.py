"""A process with a maker between two paper venues that kills itself in the middle of its first hedge."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from arbitrage_stage import PAIR, NamedFeed
from making_stage import LOTS, GentleVenue, MakingStage
from mrmarket.core.clock import NS_PER_S
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.strategy.past import read_history
from mrmarket.trading.venue.paper_memory import PaperMemory
from mrmarket.trading.venue.port import NewOrder, OrderKind, OrderReport
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange


class DeadlyVenue(GentleVenue):
    """Its first order that takes is the process's last: `before` it has reached the exchange, or `after`."""

    moment = ""

    async def place(self, order: NewOrder) -> OrderReport:
        """Send an order, and die of it."""
        dies = order.kind is OrderKind.IOC and bool(self.moment)
        if dies and self.moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        report = await super().place(order)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return report


class DurableStage(MakingStage):
    """The same with exchanges and a store that outlive the process."""

    def __init__(self, folder: Path, moment: str = "") -> None:
        super().__init__()
        self.folder = folder
        self.moment = moment
        self.store = TradingStore.open(folder / "trading.db")

    def venue(self, feed: NamedFeed, exchange: SimulatedExchange) -> GentleVenue:
        """A venue whose account lies in the folder."""
        made = DeadlyVenue(
            feed, exchange, symbols=(PAIR,), memory=PaperMemory(self.folder / f"venue-{feed.name}")
        )
        made.moment = self.moment if feed.name == "high" else ""
        return made


async def live(folder: Path, moment: str) -> None:
    """Quote, be hit, hedge, die."""
    stage = DurableStage(folder, moment)
    fence = stage.store.acquire_lease("xemm-1", "victim", NS_PER_S, 0)
    history = read_history(stage.store, "xemm-1", with_fold=False)
    await stage.quoting(journal=stage.store, history=history, fence=fence)
    stage.hit(LOTS)
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), sys.argv[2]))
