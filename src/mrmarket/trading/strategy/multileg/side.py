"""One market of a run over several: its book, its orders, its view of the account, and what it may do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from mrmarket.core.events import Fact, Filled, OrderAccepted, OrderCancelled, OrderCreated, OrderRejected
from mrmarket.core.side import Side
from mrmarket.trading.execution.assembly import assemble
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.differ import Plan, RefreshRules
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.execution.legs import Send
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.order_id import OrderIds
from mrmarket.trading.execution.reconciler import Recovery
from mrmarket.trading.execution.risk.breakers import LossLimit
from mrmarket.trading.execution.risk.gate import RiskGate
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.execution.targets import Quote, TargetQuotes, Term
from mrmarket.trading.market.event import Level
from mrmarket.trading.strategy.cross_port import VenueBook
from mrmarket.trading.strategy.market_watch import MarketWatch
from mrmarket.trading.strategy.multileg.amounts import Amounts, added, changes_of
from mrmarket.trading.strategy.multileg.port import Whole
from mrmarket.trading.strategy.multileg.setting import Place, RunSetting
from mrmarket.trading.strategy.multileg.side_journal import SideJournal
from mrmarket.trading.strategy.observations import Observations
from mrmarket.trading.strategy.observer import FillRecord
from mrmarket.trading.strategy.run_risk import RunRisk
from mrmarket.trading.strategy.sweep import Sweep
from mrmarket.trading.strategy.totals import RunTotals
from mrmarket.trading.strategy.upkeep import Upkeep
from mrmarket.trading.venue.port import (
    FillReport,
    OrderKind,
    OrderReport,
    StreamState,
    UserEvent,
    VenueError,
)

_FILLS_KEPT: Final = 1_000
_OrderFact: Final = OrderCreated | OrderAccepted | OrderRejected | OrderCancelled
_NO_LIMIT: Final = LossLimit()


class MarketSide:
    """Implements the desk's listener for one market."""

    def __init__(
        self,
        number: int,
        place: Place,
        journal: OrderJournal,
        whole: Whole,
        setting: RunSetting,
        *,
        shares_account: bool = False,
        rules: RefreshRules | None = None,
    ) -> None:
        """Put it together; nothing is sent.

        Args:
            number: its place in the run, from 0.
            place: an open venue and the pair on it; user events name no other pair's orders.
            journal: the trading store.
            whole: the run.
            setting: what all sides share.
            shares_account: whether other sides trade with the same account: then this one's trades cannot
                explain its balances, and what the log says of the account may be of any of them.
            rules: when quotes that stand here give way; None where none ever stands.
        """
        venue, symbol = place.venue, place.symbol
        wall, world = setting.wall, setting.strategy_clock
        self.number = number
        self.venue = venue
        self.instrument = instrument = venue.instrument(symbol)
        self.market = place.market or instrument.venue
        """The exchange, whatever account on it."""
        self.watch = MarketWatch(instrument, wall=wall, world=world)
        self.totals = RunTotals(instrument)
        self.fills: deque[FillRecord] = deque(maxlen=_FILLS_KEPT)
        self.connected = asyncio.Event()
        self.user_stream_connected = False
        self.recovery: Recovery | None = None
        self.last_refusal = ""
        self.ended = False
        self._quotes = rules is not None
        self._shares_account = shares_account
        self._wall = wall
        self._whole = whole
        self._changed: dict[str, Amounts] = {}
        self._durable: dict[str, int] = {}
        known_as = symbol if shares_account else venue.name
        breakers = replace(
            setting.breakers,
            loss_1m=_NO_LIMIT,
            loss_1h=_NO_LIMIT,
            loss_24h=_NO_LIMIT,
            drawdown=_NO_LIMIT,
            deviation=_NO_LIMIT,
        )
        self.risk = RunRisk(
            f"{setting.stream}@{known_as}", venue, instrument, whole.board, breakers, wall=wall, world=world
        )
        """Breakers of this market; gains and losses are watched for all together."""
        self.risk.gate = RiskGate(
            instrument,
            lambda: max(self.risk.state, whole.risk_state),
            gap_lots=lambda _top: whole.exposure_lots(self),
            why=lambda: self.risk.why or whole.risk_reason,
        )
        self.journal = SideJournal(journal, lambda record: whole.owns(self, record), lambda: whole.leg_number)
        self.execution = execution = assemble(
            venue,
            symbol,
            self.journal,
            self,
            ids=OrderIds(setting.instance, setting.stream, fence=setting.fence),
            stream=setting.stream,
            rules=rules or RefreshRules(),
            kind=OrderKind.IOC if rules is None else OrderKind.POST_ONLY,
            limits=setting.limits,
            timing=setting.timing,
            wall=wall,
            world=world,
            double_mid=lambda: self.watch.double_mid_ticks,
            sleep=asyncio.sleep,
            guard=setting.guard,
            audits=lambda _asset: not shares_account,
            gate=self.risk.gate,
        )
        self.facts = execution.facts
        self.risk.bind(execution, self.totals, self.watch, lambda: Decimal(0))
        execution.differences.listen(self.risk.on_difference)
        self.upkeep = Upkeep(
            f"{setting.stream} {known_as}",
            venue.name,
            execution.reconciler,
            wall,
            setting.timing,
            on_ended=whole.on_task_ended,
        )
        self.sweep = Sweep(
            execution.reconciler,
            execution.table,
            self.upkeep,
            on_end=lambda: whole.on_book(self),
            may_maintain=lambda: not self.ended,
        )
        self.observations = Observations(
            instrument,
            venue.name,
            self.facts,
            wall,
            mark_every_ns=setting.mark_every_ns,
            balances_every_ns=setting.balances_every_ns,
        )

    # Life.

    def recall(self, facts: Iterable[Fact], stream: str) -> None:
        """Take back what earlier lives have left; all facts of the stream, oldest first."""
        execution = self.execution
        told: set[tuple[type[Fact], str]] = set()
        open_ids = {record.client_order_id for record in self.journal.open_intents(stream)}
        latest_ns = 0
        for fact in self.risk.recall(filter(self._is_mine, facts), self.totals):
            if isinstance(fact, _OrderFact) and fact.client_order_id in open_ids:
                told.add((type(fact), fact.client_order_id))
            self.totals.replay(fact)
            execution.differences.replay(fact)
            latest_ns = max(latest_ns, fact.at_ns)
            if isinstance(fact, Filled):
                execution.reconciler.know_trade(fact.trade_id)
        execution.desk.know_told(frozenset(told))
        if latest_ns:
            execution.reconciler.know_fills_until(latest_ns)

    def _is_mine(self, fact: Fact) -> bool:
        if self._shares_account:
            return getattr(fact, "symbol", "") == self.instrument.symbol
        return fact.venue == self.venue.name

    async def begin(self, failure: Callable[[], Exception | None]) -> None:
        """Find out what an earlier life left, then follow the market.

        Raises:
            RunNotReadyError: the venue's user stream or its answers do not come.
        """
        self.execution.reconciler.load()
        self.upkeep.spawn(self._follow_user(), "user stream")
        self.recovery = await self.upkeep.recover(self.connected, failure)
        self.observations.balances(self.execution.account)
        self.upkeep.spawn(self._follow_market(), "market")
        self.upkeep.begin_maintenance()
        self.risk.begin(self.facts, lambda change: self._whole.on_side_risk(self, change))

    async def end(self) -> None:
        """End every task; what is in flight is left to recovery."""
        self.ended = True
        self.risk.end()
        await self.sweep.cancel()
        await self.upkeep.end()
        await self.execution.executor.close()

    # What a decision needs.

    def levels(self, count: int) -> tuple[list[Level], list[Level]]:
        """Bids and asks in ticks and lots, the best first, our own orders left out."""
        book, orders = self.watch.tracker.book, self.execution.table.open()
        return of_others(book.bids(count), orders, Side.BUY), of_others(book.asks(count), orders, Side.SELL)

    @property
    def age_ns(self) -> int:
        """Since the book was last heard of."""
        return self.watch.tracker.age_ns or 0

    def book(self, levels: int, unfit: str) -> VenueBook:
        """The market as a strategy sees it. What our quotes lock counts as free: others will replace them."""
        account = self.execution.account
        if self._quotes:
            free = account.base_total, account.quote_total
        else:
            held = account.holdings(self.execution.table.open())
            free = held.base_free, held.quote_free
        bids, asks = self.levels(levels)
        return VenueBook(
            self.market,
            self.instrument,
            bids,
            asks,
            self.age_ns,
            max(free[0], Decimal(0)),
            max(free[1], Decimal(0)),
            unfit,
        )

    def unfit(self, *, settled: bool = True) -> str:
        """Why nothing new may begin here now; empty if something may. `settled`: no order may be open."""
        execution = self.execution
        stale = self.watch.tracker.stale
        if not self.user_stream_connected:
            return "the user stream is down"
        if self._wall.now_ns() < execution.executor.banned_until_ns:
            return "the venue has banned us for now"
        if stale is not None:
            return f"the book is stale ({stale.value})"
        wanted = settled and not self._quotes
        unsettled = "the last order is not settled yet" if wanted and not self.is_settled else ""
        restricted = self.risk.why if self.risk.state > RiskState.ACTIVE else ""
        return self.sweep.reason or unsettled or restricted or self.observations.wanting(execution.account)

    @property
    def outlook(self) -> tuple[str, bool, int, int]:
        """What a decision looks at here, in short."""
        book = self.watch.tracker.book
        return self.unfit(), self.is_settled, self.execution.account.revision, book.last_id

    @property
    def is_settled(self) -> bool:
        """Whether no order is open and no fill is awaited."""
        table = self.execution.table
        return not (len(table) or table.short_of_fills() or self.execution.facts.urgent_pending)

    @property
    def may_send(self) -> bool:
        """Whether this process still holds the run's lease."""
        return self.execution.executor.may_send

    def free(self, asset: str) -> Fraction:
        """What may be spent of one of the pair's two assets."""
        held = self.execution.account.holdings(self.execution.table.open())
        amount = held.base_free if asset == self.instrument.base else held.quote_free
        return max(Fraction(0), Fraction(amount))

    async def refresh_balances(self) -> bool:
        """Ask what the account holds; False without an answer."""
        account = self.execution.account
        mark = account.mark
        try:
            account.observe_all(await self.venue.balances(), since=mark)
        except VenueError:
            return False
        return True

    # Orders.

    def quote(self, targets: TargetQuotes, top: MarketTop | None, cause_ns: int) -> Plan:
        """Bring what stands here closer to the targets; without a top nothing is placed."""
        self.journal.quotes = True
        try:
            return self.execution.executor.apply(targets, top, cause_ns)
        finally:
            self.journal.quotes = False

    def send(self, leg: Send, why: str = "", terms: tuple[Term, ...] = ()) -> str:
        """Send a leg; returns why it was held back, if it was. `why` and `terms`: of the decision."""
        top = self.watch.top or MarketTop(leg.price_ticks, leg.price_ticks)
        reason = f"{leg.why}: {why}" if why else leg.why
        quote = Quote(leg.slot, leg.side, leg.price_ticks, leg.size_lots, terms, reason)
        refused = self.execution.executor.take(quote, OrderKind.IOC, top)
        return "" if refused is None else refused.text

    def settled(self, order: Order) -> Amounts | None:
        """What a leg changed, once it is closed and each of its fills is durable; else None."""
        key = order.client_order_id
        if not order.is_settled or self._durable.get(key, 0) < order.filled_lots:
            return None
        return self._changed.get(key, {})

    def changed_by(self, fill: FillReport) -> Amounts:
        """What a trade changed: base, quote and the fee's asset."""
        instrument = self.instrument
        notional = instrument.notional(fill.price_ticks, fill.size_lots)
        size = instrument.size(fill.size_lots)
        return changes_of(instrument, fill.side, notional, size, Decimal(fill.fee), fill.fee_asset)

    def forget(self, keys: Iterable[str]) -> None:
        """Legs that are over."""
        for key in keys:
            self._changed.pop(key, None)
            self._durable.pop(key, None)

    # What execution reports.

    def on_order(self, old: Order | None, new: Order) -> None:
        """An order changed."""
        self.risk.on_order(old, new)
        self._whole.on_order(self, new)
        if new.is_resting and self._whole.is_leg(new.slot) and not new.cancel_attempts:
            # What should have been gone at once stands after all: it must not wait for anybody.
            self.execution.executor.cancel(new)
        self._whole.on_leg(self, new)

    def on_fact(self, fact: Fact) -> None:
        """A fact about an order."""
        self.totals.replay(fact)
        self.risk.on_fact(fact)
        if isinstance(fact, OrderRejected):
            self.last_refusal = fact.reason

    def on_own_fill(self, own: OwnFill) -> None:
        """A trade is durable: now it counts."""
        fill = own.fill
        fee = Decimal(fill.fee)
        self.totals.count_fill(
            fill.side, fill.price_ticks, fill.size_lots, fee, fill.fee_asset, maker=fill.maker
        )
        captured = None
        if own.double_mid_ticks is not None:
            captured = self.totals.count_capture(
                fill.side, fill.price_ticks, fill.size_lots, own.double_mid_ticks
            )
        self.risk.on_own_fill(own)
        record = FillRecord(own, captured)
        self.fills.append(record)
        order = self.execution.table.find(fill.client_order_id, fill.venue_order_id)
        key = order.client_order_id if order is not None else fill.client_order_id
        if self._whole.is_leg(own.slot):
            self._changed[key] = added(self._changed.get(key, {}), self.changed_by(fill))
            self._durable[key] = self._durable.get(key, 0) + fill.size_lots
        self._whole.on_fill(self, record, key)
        if order is not None:
            self._whole.on_leg(self, order)

    def on_answer(self) -> None:
        """A cancel was answered."""
        self._whole.on_book(self)

    def on_fault(self, error: Exception) -> None:
        """Something broke."""
        self._whole.on_fault(error)

    # Streams.

    async def _follow_market(self) -> None:
        async for event in self.venue.market_events(self.instrument.symbol):
            if self.watch.apply(event, self.execution.table.open()):
                self._whole.on_book(self)

    async def _follow_user(self) -> None:
        async for event in self.venue.user_events():
            self._take(event)

    def _take(self, event: UserEvent) -> None:
        execution = self.execution
        if isinstance(event, OrderReport):
            if not execution.desk.merge(event) and execution.desk.owns(event.client_order_id):
                execution.reconciler.request()
        elif isinstance(event, FillReport):
            execution.desk.fill(event)
        elif isinstance(event, StreamState):
            self.user_stream_connected = event.connected
            if event.connected:
                self.connected.set()
                if self.recovery is not None:
                    execution.reconciler.request()
            self._whole.on_book(self)
        elif execution.account.observe(event):
            self._whole.on_book(self)


def of_others(levels: list[Level], orders: Sequence[Order], side: Side) -> list[Level]:
    """A side of the book less our own orders that are known to stand in it."""
    own: dict[int, int] = {}
    for order in orders:
        if order.side is side and order.stage >= OrderStage.ACKED:
            own[order.price_ticks] = own.get(order.price_ticks, 0) + order.remaining_lots
    if not own:
        return levels
    left = [(price, size - own.get(price, 0)) for price, size in levels]
    return [(price, size) for price, size in left if size > 0]
