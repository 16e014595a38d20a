"""Two paper venues whose books diverge, a run between them, and faults where a test wants them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from fake_exchange import MemoryJournal
from fake_venue import GRID, FakeFeed
from mrmarket.core.clock import SystemClock
from mrmarket.core.events import Fact
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.strategy.arbitrage.cross_exchange import CrossExchangeArbitrage
from mrmarket.trading.strategy.arbitrage.parameters import CrossExchangeParameters
from mrmarket.trading.strategy.arbitrage.run import ArbitrageRun
from mrmarket.trading.strategy.multileg.setting import Place, RunSetting
from mrmarket.trading.venue.paper import PaperVenue
from mrmarket.trading.venue.port import (
    NewOrder,
    OrderRefusedError,
    OrderReport,
    OutcomeUnknownError,
    VenueUnavailableError,
)
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from strategy_stage import QUICK

PAIR = GRID.symbol
UNITS = 10**8


class NamedFeed(FakeFeed):
    """A feed of one exchange among several."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._grid = replace(GRID, venue=name, taker_fee=Decimal("0.001"), min_notional=Decimal(1))

    def instrument(self, symbol: str) -> Instrument:
        """The pair on this exchange."""
        super().instrument(symbol)
        return self._grid

    def show(self, bid: int, ask: int, lots: int = 100_000, *, bids: list[Level] | None = None) -> None:
        """A whole new book with one level a side."""
        self.put(
            MarketEvent(
                kind=EventKind.SNAPSHOT,
                exchange_ns=5,
                local_ns=6,
                last_id=1,
                bids=[(bid, lots)] if bids is None else bids,
                asks=[(ask, lots)],
            )
        )


async def no_wait(seconds: float) -> None:
    """No latency."""


class FaultyVenue(PaperVenue):
    """`refuse`, `lose_request` (no effect), `lose_answer` (effect), `part:N` (N lots at most), in order."""

    def __init__(self, feed: NamedFeed, exchange: SimulatedExchange, **more: Any) -> None:
        super().__init__(
            feed, exchange, SystemClock(), account="us", session=feed.name, sleep=no_wait, **more
        )
        self.faults: deque[str] = deque()
        self.placed: list[NewOrder] = []
        self.deaf = False
        """Whether questions have no answer."""
        self.gate: asyncio.Event | None = None

    async def place(self, order: NewOrder) -> OrderReport:
        """Send an order, or let something happen to it."""
        self.placed.append(order)
        fault = self.faults.popleft() if self.faults else ""
        if self.gate is not None:
            await self.gate.wait()
        if fault == "refuse":
            raise OrderRefusedError(self.name, "place", "no such luck")
        if fault == "lose_request":
            raise OutcomeUnknownError(self.name, "place", "time-out")
        if fault.startswith("part:"):
            order = msgspec.structs.replace(order, size_lots=int(fault[5:]))
        report = await super().place(order)
        if fault == "lose_answer":
            raise OutcomeUnknownError(self.name, "place", "time-out")
        return report

    async def query(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Ask for one order."""
        if self.deaf:
            raise VenueUnavailableError(self.name, "query", "no answer")
        return await super().query(symbol, client_order_id, venue_order_id)


class CrossStage:
    """Two exchanges that survive a crash, and runs between them."""

    def __init__(self, **parameters: Any) -> None:
        self.journal = MemoryJournal()
        self.table = {
            "pair": PAIR,
            "max_book_age": 600,
            "max_book_gap": 600,
            "depth_share": "1",
            "max_notional": "60",
            "first_leg": "buy",
            "failure_cooldown": 0,
            "leg_deadline": 5,
            **parameters,
        }
        self.exchanges = [self._exchange(), self._exchange()]
        self.feeds: list[NamedFeed] = []
        self.venues: list[FaultyVenue] = []
        self.runs: list[ArbitrageRun] = []

    def _exchange(self) -> SimulatedExchange:
        exchange = SimulatedExchange()
        exchange.add_account("us", {"BTC": UNITS, "USDT": 100_000 * UNITS})
        return exchange

    @property
    def run(self) -> ArbitrageRun:
        """The newest."""
        return self.runs[-1]

    async def life(self, **more: Any) -> ArbitrageRun:
        """A new run over the same exchanges and journal, not started yet; both show 60,000."""
        self.feeds = [NamedFeed("low"), NamedFeed("high")]
        self.venues = [
            FaultyVenue(feed, exchange) for feed, exchange in zip(self.feeds, self.exchanges, strict=True)
        ]
        for venue, feed in zip(self.venues, self.feeds, strict=True):
            await venue.open()
            feed.show(5_999_900, 6_000_000)
        strategy = CrossExchangeArbitrage(msgspec.convert(self.table, CrossExchangeParameters, strict=False))
        values: dict[str, Any] = {
            "instance": "house",
            "stream": "arb-1",
            "wall": SystemClock(),
            "timing": QUICK,
            **more,
        }
        strategy = values.pop("strategy", strategy)
        journal = values.pop("journal", self.journal)
        own = {key: values.pop(key) for key in ("history", "on_decision") if key in values}
        places = Place(self.venues[0]), Place(self.venues[1])
        run = ArbitrageRun(places, strategy, journal, RunSetting(**values), pause_s=0, **own)
        self.runs.append(run)
        return run

    async def ready(self, **more: Any) -> ArbitrageRun:
        """Start one and wait until it looks for pairs."""
        run = await self.life(**more)
        await run.start()
        await self.until(lambda: run.decision is not None)
        return run

    def diverge(self) -> None:
        """The second exchange becomes dear by half a per cent."""
        self.feeds[1].show(6_030_000, 6_030_100)

    async def until(self, condition: Callable[[], bool], *, within_s: float = 20.0) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(within_s):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        """End everything."""
        for run in self.runs:
            await run.abandon()
        for venue in self.venues:
            await venue.close()

    def held(self) -> tuple[int, int]:
        """Base on both exchanges, in units of 1e-8."""
        one, two = (sum(exchange.balances("us")["BTC"]) for exchange in self.exchanges)
        return one, two

    def facts(self, kind: type[Fact]) -> list[Any]:
        """Facts of one kind in the log."""
        return [fact for fact in self.journal.facts if isinstance(fact, kind)]

    def slots(self) -> list[str]:
        """Slots of every order that was sent, in order."""
        return [record.slot for record in self.journal.records.values()]
