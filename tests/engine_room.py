"""Desk, executor and reconciler put together over the fake exchange, with a clock that leaps."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from fake_exchange import FakeExchange, FakeVenue, LeapingClock, MemoryJournal, btc_usdt
from mrmarket.core.clock import NS_PER_S
from mrmarket.core.events import Fact
from mrmarket.core.side import Side
from mrmarket.trading.execution.assembly import assemble
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.differ import Plan, RefreshRules
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.order_id import OrderIds
from mrmarket.trading.execution.reconciler import Recovery
from mrmarket.trading.execution.risk.pretrade import MarketTop, RiskLimits
from mrmarket.trading.execution.targets import Quote, TargetQuotes
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.venue.port import FillReport, OrderKind, OrderReport

STREAM = "run-1"
TOP = MarketTop(5_999_900, 6_000_100)
RULES = RefreshRules(refresh_ns=5 * NS_PER_S, tolerance=Decimal(0), cancel_cooldown_ns=NS_PER_S)
BID = Quote("b1", Side.BUY, 5_999_000, 1_000, why="layer 1")
ASK = Quote("s1", Side.SELL, 6_001_000, 1_000, why="layer 1")
BOTH = TargetQuotes((BID, ASK))
NOTHING = TargetQuotes(reason="asked to stop")


class EngineRoom:
    """One life of the execution side; after a crash a new room takes over the exchange and the journal."""

    def __init__(
        self,
        exchange: FakeExchange,
        journal: MemoryJournal,
        clock: LeapingClock,
        *,
        venue: FakeVenue | None = None,
        timing: Timing | None = None,
        known_until_ns: int | None = None,
        limits: RiskLimits | None = None,
    ) -> None:
        self.clock = clock
        self.exchange = exchange
        self.journal = journal
        self.instrument = btc_usdt()
        self.venue = venue or FakeVenue(exchange, self.instrument)
        self.own_fills: list[OwnFill] = []
        self.changes: list[Order] = []
        self.faults: list[Exception] = []
        self.double_mid: int | None = TOP.double_mid_ticks
        execution = assemble(
            self.venue,
            self.instrument.symbol,
            journal,
            self,
            ids=OrderIds("house", STREAM),
            stream=STREAM,
            rules=RULES,
            kind=OrderKind.POST_ONLY,
            limits=limits or RiskLimits(),
            timing=timing or Timing(),
            wall=clock,
            world=clock,
            double_mid=lambda: self.double_mid,
            sleep=clock.sleep,
        )
        self.table = execution.table
        self.facts = execution.facts
        self.account = execution.account
        self.desk = execution.desk
        self.executor = execution.executor
        self.reconciler = execution.reconciler
        if known_until_ns is not None:
            self.reconciler.know_fills_until(known_until_ns)

    def on_order(self, old: Order | None, new: Order) -> None:
        """Note it."""
        self.changes.append(new)

    def on_fact(self, fact: Fact) -> None:
        """Nothing to note: the journal has it."""

    def on_own_fill(self, own: OwnFill) -> None:
        """Note it."""
        self.own_fills.append(own)

    def on_answer(self) -> None:
        """The tests decide by themselves."""

    def on_fault(self, error: Exception) -> None:
        """Note it."""
        self.faults.append(error)

    async def recover(self) -> Recovery:
        """What a start does."""
        self.reconciler.load()
        found = await self.reconciler.recover()
        await self.settle()
        return found

    async def settle(self) -> None:
        """Let everything in flight arrive: answers, the user stream, the event log."""
        for _ in range(3):
            await self.executor.drain()
            self.hear()
            await self.facts.flush()

    def hear(self) -> None:
        """Take in what the user stream carries."""
        while not self.venue.user.empty():
            event = self.venue.user.get_nowait()
            try:
                if isinstance(event, OrderReport):
                    self.desk.merge(event)
                elif isinstance(event, FillReport):
                    self.desk.fill(event)
            except OSError as error:
                self.on_fault(error)

    async def want(self, targets: TargetQuotes = BOTH) -> Plan:
        """Decide once and let it arrive."""
        plan = self.executor.apply(targets, TOP, self.clock.monotonic_ns())
        await self.settle()
        return plan

    async def later(self, seconds: float) -> None:
        """Let time pass and do what is then due."""
        self.clock.advance(int(seconds * NS_PER_S))
        await self.reconciler.maintain()
        await self.settle()

    async def abandon(self) -> None:
        """The process is gone; what was in flight stays in flight."""
        self.facts._queue.clear()
        await self.executor.close()
        await self.facts.close()

    def only(self, slot: str) -> Order:
        """The one open order of a slot."""
        (order,) = (each for each in self.table.open() if each.slot == slot)
        return order

    def states(self) -> dict[str, str]:
        """State by slot of the open orders."""
        return {order.slot: order.state for order in self.table.open()}

    @property
    def position_lots(self) -> int:
        """The fold over what the strategy was told."""
        return sum(own.fill.side.sign * own.fill.size_lots for own in self.own_fills)


async def let_run(turns: int = 30) -> None:
    """Give other tasks their turn."""
    for _ in range(turns):
        await asyncio.sleep(0)
