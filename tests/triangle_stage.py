"""Three pairs of one paper account, a triangular run on them, and faults where a test wants them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import msgspec

from arbitrage_stage import FaultyVenue, NamedFeed
from fake_exchange import MemoryJournal
from mrmarket.core.clock import SystemClock
from mrmarket.core.events import Fact
from mrmarket.core.instrument import Instrument
from mrmarket.services.engine.shared_venue import SharedVenue
from mrmarket.trading.execution.order_id import order_prefix
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.strategy.multileg.setting import RunSetting
from mrmarket.trading.strategy.triangular.arbitrage import TriangularArbitrage
from mrmarket.trading.strategy.triangular.parameters import TriangularParameters
from mrmarket.trading.strategy.triangular.run import TriangularRun
from mrmarket.trading.venue.port import UnknownSymbolError
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from strategy_stage import QUICK

UNITS = 10**8
HOUSE, STREAM = "house", "tri-1"
FAIR = {"BTC/USDT": (5_000_000, 5_000_100), "ETH/USDT": (250_000, 250_010), "ETH/BTC": (49_990, 50_010)}
"""Bids and asks in ticks: 50,000 and 2,500 USDT, and 0.05 BTC."""


def pair(base: str, quote: str, tick: str) -> Instrument:
    """A pair with lots of 0.0001 and 10 bp for takers."""
    return Instrument(
        venue="one",
        symbol=f"{base}/{quote}",
        base=base,
        quote=quote,
        tick_size=Decimal(tick),
        lot_size=Decimal("0.0001"),
        min_notional=Decimal("0.0001") if quote == "BTC" else Decimal(5),
        taker_fee=Decimal("0.001"),
        maker_fee=Decimal("0.001"),
    )


PAIRS = {
    each.symbol: each
    for each in (pair("BTC", "USDT", "0.01"), pair("ETH", "USDT", "0.01"), pair("ETH", "BTC", "0.000001"))
}


class TriangleFeed(NamedFeed):
    """A feed of three pairs of one exchange."""

    def __init__(self) -> None:
        super().__init__("one")
        self._queues: dict[str, asyncio.Queue[MarketEvent | None]] = {
            symbol: asyncio.Queue() for symbol in PAIRS
        }
        self._shown = 0

    async def close(self) -> None:
        """End every stream."""
        for queue in self._queues.values():
            queue.put_nowait(None)

    def instrument(self, symbol: str) -> Instrument:
        """One of the pairs."""
        if symbol not in PAIRS:
            raise UnknownSymbolError(self.name, symbol, list(PAIRS))
        return PAIRS[symbol]

    async def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """What was put in."""
        while (event := await self._queues[symbol].get()) is not None:
            yield event

    def show_pair(self, symbol: str, bid: int, ask: int, lots: int = 20_000) -> None:
        """A whole new book with one level a side."""
        self._shown += 1
        self._queues[symbol].put_nowait(
            MarketEvent(
                kind=EventKind.SNAPSHOT,
                exchange_ns=5,
                local_ns=6,
                last_id=self._shown,
                bids=[(bid, lots)],
                asks=[(ask, lots)],
            )
        )


class TriangleStage:
    """One exchange that survives a crash, and runs on it."""

    def __init__(self, **parameters: Any) -> None:
        self.journal = MemoryJournal()
        self.table = {
            "pair": "BTC/USDT",
            "pairs": ["ETH/USDT", "ETH/BTC"],
            "max_book_age": 600,
            "depth_share": "1",
            "max_notional": "1000",
            "failure_cooldown": 0,
            "pause": 0,
            **parameters,
        }
        self.exchange = SimulatedExchange()
        self.exchange.add_account("us", {"BTC": 0, "ETH": 0, "USDT": 10_000 * UNITS})
        self.feed = TriangleFeed()
        self.venue = self.new_venue()
        self.runs: list[TriangularRun] = []
        self.opened: list[FaultyVenue] = []

    def new_venue(self) -> FaultyVenue:
        """The account, each time anew over the same exchange."""
        return FaultyVenue(self.feed, self.exchange)

    @property
    def run(self) -> TriangularRun:
        """The newest."""
        return self.runs[-1]

    async def life(self, **more: Any) -> TriangularRun:
        """A new run over the same exchange and journal, not started yet; the books agree."""
        self.feed = TriangleFeed()
        self.venue = self.new_venue()
        self.opened.append(self.venue)
        await self.venue.open()
        self.agree()
        shared = SharedVenue(self.venue)
        prefix = order_prefix(HOUSE, STREAM)
        parameters = msgspec.convert(more.pop("parameters", self.table), TriangularParameters, strict=False)
        values: dict[str, Any] = {
            "instance": HOUSE,
            "stream": STREAM,
            "wall": SystemClock(),
            "timing": QUICK,
            **more,
        }
        venues = {symbol: shared.for_run(symbol, prefix) for symbol in parameters.symbols}
        strategy = values.pop("strategy", TriangularArbitrage(parameters))
        journal = values.pop("journal", self.journal)
        own = {key: values.pop(key) for key in ("history", "on_decision") if key in values}
        run = TriangularRun(venues, strategy, journal, RunSetting(**values), **own)
        self.runs.append(run)
        return run

    async def ready(self, **more: Any) -> TriangularRun:
        """Start one and wait until it looks for triangles."""
        run = await self.life(**more)
        await run.start()
        await self.until(lambda: run.decision is not None)
        return run

    def agree(self) -> None:
        """Every pair at its fair price."""
        for symbol, (bid, ask) in FAIR.items():
            self.feed.show_pair(symbol, bid, ask)

    def stray(self) -> None:
        """ETH is one per cent cheaper in BTC than the two others say."""
        self.feed.show_pair("ETH/BTC", 49_490, 49_500)

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
        for venue in self.opened:
            await venue.close()

    def held(self, asset: str) -> int:
        """In units of 1e-8."""
        return sum(self.exchange.balances("us").get(asset, (0, 0)))

    def facts(self, kind: type[Fact]) -> list[Any]:
        """Facts of one kind in the log."""
        return [fact for fact in self.journal.facts if isinstance(fact, kind)]

    def slots(self) -> list[str]:
        """Slots of every order that was sent, in order."""
        return [record.slot for record in self.journal.records.values()]
