"""A maker between two paper venues: a wide one where it quotes, and a tight one where it is hedged."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from arbitrage_stage import CrossStage, FaultyVenue, NamedFeed
from mrmarket.core.clock import SystemClock
from mrmarket.core.events import Filled
from mrmarket.trading.execution.leg_pair import parse_leg_slot
from mrmarket.trading.execution.order_id import parse_order_id
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.strategy.cross_making.maker import CrossExchangeMarketMaking
from mrmarket.trading.strategy.cross_making.parameters import CrossMakingParameters
from mrmarket.trading.strategy.cross_making.run import MakingRun
from mrmarket.trading.strategy.multileg.setting import Place, RunSetting
from mrmarket.trading.venue.port import NewOrder, OrderKind, OrderReport
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from strategy_stage import QUICK

LOTS = 1_000
"""Of each quote."""
BID, ASK = 5_970_001, 6_029_999
"""Where it quotes: one tick before the others."""


class GentleVenue(FaultyVenue):
    """Faults happen to orders that take, as hedges do; quotes get through."""

    async def place(self, order: NewOrder) -> OrderReport:
        """Send an order, or let something happen to it."""
        if order.kind is OrderKind.IOC:
            return await super().place(order)
        faults, self.faults = self.faults, deque()
        try:
            return await super().place(order)
        finally:
            self.faults = faults


class MakingStage(CrossStage):
    """Two exchanges that survive a crash, and makers between them."""

    def __init__(self, least_lots: int = 1, **parameters: Any) -> None:
        super().__init__()
        self.least_lots = least_lots
        self.setting = {
            "pair": self.table["pair"],
            "order_amount": "0.01",
            "adverse_sigmas": 0,
            "depth_share": "1",
            "max_book_age": 600,
            "failure_cooldown": 0,
            "order_refresh_time": 0,
            "leg_retries": 1,
            "unwind_retries": 1,
            **parameters,
        }
        self.makers: list[MakingRun] = []

    def venue(self, feed: NamedFeed, exchange: SimulatedExchange) -> GentleVenue:
        """One of the two, each time anew over the same exchange."""
        return GentleVenue(feed, exchange)

    @property
    def maker(self) -> MakingRun:
        """The newest."""
        return self.makers[-1]

    async def begin(self, **more: Any) -> MakingRun:
        """A new run over the same exchanges and journal, not started yet."""
        self.feeds = [NamedFeed("low"), NamedFeed("high")]
        for feed, least in zip(self.feeds, (1, self.least_lots), strict=True):
            feed._grid = replace(feed._grid, maker_fee=Decimal(0), min_lots=least)
        self.venues = [
            self.venue(feed, exchange) for feed, exchange in zip(self.feeds, self.exchanges, strict=True)
        ]
        for venue in self.venues:
            await venue.open()
        self.feeds[0].show(5_970_000, 6_030_000)
        self.feeds[1].show(5_999_900, 6_000_100)
        strategy = CrossExchangeMarketMaking(
            msgspec.convert(self.setting, CrossMakingParameters, strict=False)
        )
        values: dict[str, Any] = {
            "instance": "house",
            "stream": "xemm-1",
            "wall": SystemClock(),
            "timing": QUICK,
            "fence": len(self.makers),
            **more,
        }
        places = (Place(self.venues[0]), Place(self.venues[1]))
        journal = values.pop("journal", self.journal)
        history = values.pop("history", list(self.journal.facts))
        run = MakingRun(places, strategy, journal, RunSetting(**values), history=history)
        self.makers.append(run)
        return run

    async def quoting(self, **more: Any) -> MakingRun:
        """Start one and wait until both quotes stand."""
        run = await self.begin(**more)
        await run.start()
        await self.until(self.stands)
        return run

    def stands(self) -> bool:
        """Whether a bid and an ask are known to stand."""
        return bool(self.makers) and self.maker.sides[0].execution.table.rests_on_both_sides

    def hit(self, lots: int, *, bid: bool = True) -> None:
        """Somebody trades with our quote."""
        self.feeds[0].put(
            MarketEvent(
                kind=EventKind.TRADE,
                exchange_ns=7,
                local_ns=8,
                price_ticks=BID if bid else ASK,
                size_lots=lots,
                taker_buys=not bid,
            )
        )

    def hedges(self) -> list[NewOrder]:
        """Orders that were sent to the hedge venue."""
        return list(self.venues[1].placed)

    def sums(self) -> tuple[int, int]:
        """Lots of quotes and of hedges that were filled, bought less sold, from the event log alone."""
        quoted = hedged = 0
        for fill in self.facts(Filled):
            parsed = parse_order_id(fill.client_order_id)
            assert parsed is not None
            lots = fill.side.sign * int(Decimal(fill.size) * 100_000)
            if parse_leg_slot(parsed.slot) is None:
                quoted += lots
            else:
                hedged += lots
        return quoted, hedged

    async def end(self) -> None:
        """End everything."""
        for run in self.makers:
            await run.abandon()
        for venue in self.venues:
            await venue.close()
