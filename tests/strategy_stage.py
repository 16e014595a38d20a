"""A strategy run over the fake exchange on the machine's clock, and what a test waits with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from fake_exchange import FakeExchange, FakeVenue, MemoryJournal, snapshot
from mrmarket.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from mrmarket.core.events import Fact
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.strategy.observer import FillRecord, RunState, Unobserved
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.strategy.pure_market_making import PureMarketMaking
from mrmarket.trading.strategy.run import StrategyRun

BOOK = snapshot([(5_999_950, 100_000)], [(6_000_050, 100_000)])
QUICK = Timing(
    doubt_ns=50 * NS_PER_MS,
    propagation_ns=0,
    stop_timeout_ns=NS_PER_S // 2,
    poll_ns=NS_PER_MS,
    first_book_ns=NS_PER_S // 5,
)


class Diary(Unobserved):
    """Notes what it is told, and lets a test wait for it."""

    def __init__(self) -> None:
        self.states: list[tuple[RunState, str]] = []
        self.fills: list[FillRecord] = []
        self.orders: list[Order] = []
        self.quotes: list[TargetQuotes] = []
        self.events: list[MarketEvent] = []
        self.tops = 0
        self.changed = asyncio.Event()

    def on_market(self, event: MarketEvent) -> None:
        """Note it."""
        self.events.append(event)
        self.changed.set()

    def on_book(self) -> None:
        """Note it."""
        self.tops += 1

    def on_quotes(self, targets: TargetQuotes) -> None:
        """Note it."""
        self.quotes.append(targets)
        self.changed.set()

    def on_order(self, order: Order) -> None:
        """Note it."""
        self.orders.append(order)
        self.changed.set()

    def on_fill(self, record: FillRecord) -> None:
        """Note it."""
        self.fills.append(record)
        self.changed.set()

    def on_state(self, state: RunState, reason: str) -> None:
        """Note it."""
        self.states.append((state, reason))
        self.changed.set()


class Stage:
    """A run over the fake exchange on the machine's clock, and what a test waits with."""

    def __init__(self, exchange: FakeExchange, journal: MemoryJournal, **more: Any) -> None:
        self.exchange = exchange
        self.journal = journal
        self.venue: FakeVenue = more.pop("with_venue", None) or FakeVenue(exchange)
        self.diary = Diary()
        table = {
            "bid_spread": "0.001",
            "ask_spread": "0.001",
            "number_of_layers": 1,
            **more.pop("strategy", {}),
        }
        self.strategy = more.pop("with_strategy", None) or PureMarketMaking(
            msgspec.convert(table, Parameters)
        )
        self.run = StrategyRun(
            self.venue,
            self.strategy,
            journal,
            **{
                "instance": "house",
                "stream": "run-1",
                "wall": SystemClock(),
                "timing": QUICK,
                "observer": self.diary,
                **more,
            },
        )

    async def until(self, condition: Callable[[], bool], *, within_s: float = 30.0) -> None:
        """Wait until something is so; whatever changes is told through the diary or a tick."""
        async with asyncio.timeout(within_s):
            while not condition():
                self.diary.changed.clear()
                try:
                    async with asyncio.timeout(0.02):
                        await self.diary.changed.wait()
                except TimeoutError:
                    continue

    def resting(self) -> list[str]:
        """Slots that stand at the venue and are known to."""
        return sorted(order.slot for order in self.run.live_orders if order.is_resting)

    async def quoting(self) -> None:
        """Start, show a book, wait for both quotes."""
        await self.run.start()
        self.venue.market.put_nowait(BOOK)
        await self.until(lambda: self.resting() == ["b1", "s1"])

    def facts(self, kind: type[Fact]) -> list[Any]:
        """Facts of one kind in the log."""
        return [fact for fact in self.journal.facts if isinstance(fact, kind)]
