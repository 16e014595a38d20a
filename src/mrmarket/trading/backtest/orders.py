"""Our orders in a backtest, as the strategy's side knows them: late, and by the same lattice as live."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from mrmarket.core.decimals import format_decimal
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.backtest.tally import Trade
from mrmarket.trading.execution.account import Account
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.order_table import OrderTable
from mrmarket.trading.execution.targets import Quote
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.strategy.uptime import QuoteUptime
from mrmarket.trading.venue.port import BalanceReport, FillReport, OrderKind

_CLOSED_KEPT: Final = 64
_MOST_DOUBLINGS: Final = 20
_RESTING: Final = frozenset({OrderKind.LIMIT, OrderKind.POST_ONLY})
"""Kinds whose acknowledgement says that they were not refused."""


class TapeTime:
    """The strategy's clock: exchange time where it stands; monotonic from the tape's first event on."""

    def __init__(self, first_ns: int) -> None:
        self.at_ns = first_ns
        self._first_ns = first_ns

    def now_ns(self) -> int:
        """Exchange time."""
        return self.at_ns

    def monotonic_ns(self) -> int:
        """Since the tape's first event."""
        return self.at_ns - self._first_ns


@dataclass(slots=True)
class Tried:
    """What happened to orders, counted."""

    placed: int = 0
    cancelled: int = 0
    rejected: int = 0
    lots_placed: int = 0


@dataclass(slots=True)
class OwnOrders:
    """The order table, the account and the rests after refusals, as execution keeps them in a live run."""

    instrument: Instrument
    clock: TapeTime
    kind: OrderKind
    fee_asset: str
    table: OrderTable = field(init=False)
    account: Account = field(init=False)
    uptime: QuoteUptime = field(default_factory=QuoteUptime)
    tried: Tried = field(default_factory=Tried)
    blocked_until_ns: dict[str, int] = field(default_factory=dict)
    _refused_in_a_row: dict[str, int] = field(default_factory=dict)
    _timing: Timing = field(default_factory=Timing)
    _base: Decimal = Decimal(0)
    _quote: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        self.table = OrderTable(self.clock, closed_kept=_CLOSED_KEPT)
        self.account = Account(self.instrument)

    def fund(self, base: Decimal, quote: Decimal) -> None:
        """What the account holds now."""
        self._base, self._quote = base, quote
        self._tell_account()

    def place(self, quote: Quote) -> Order:
        """A new order is on its way."""
        self.tried.placed += 1
        self.tried.lots_placed += quote.size_lots
        now_ns = self.clock.at_ns
        order = Order(
            str(self.tried.placed),
            self.instrument.symbol,
            quote.slot,
            quote.side,
            self.kind,
            quote.price_ticks,
            quote.size_lots,
            created_ns=now_ns,
            updated_ns=now_ns,
            stage=OrderStage.SENT,
        )
        self.table.put(order)
        return order

    def cancel(self, order: Order) -> None:
        """A cancel is on its way."""
        self.table.cancelling(order.client_order_id)
        self.table.put(order.cancelling(self.clock.at_ns))

    def accepted(self, number: int) -> None:
        """The exchange took the order in."""
        order = self._find(number)
        if self.kind in _RESTING:
            self._refused_in_a_row.pop(order.slot, None)
        self._stage(order, OrderStage.ACKED)

    def cancelled(self, number: int) -> None:
        """It is off the book."""
        self.tried.cancelled += 1
        self._stage(self._find(number), OrderStage.CANCELLED)

    def ended(self, number: int) -> None:
        """Its rest expired: its slot rests, as after a refusal."""
        order = self._find(number)
        self._rest(order.slot)
        self._stage(order, OrderStage.EXPIRED)

    def rejected(self, number: int) -> None:
        """It was refused: its slot rests, longer each time, as in a live run."""
        order = self._find(number)
        self.tried.rejected += 1
        self._rest(order.slot)
        self._stage(order, OrderStage.REJECTED)

    def filled(self, trade: Trade, number: int, fee: Decimal, seen_double_mid: int | None) -> OwnFill:
        """A trade of ours became known: the order and the account change by it."""
        order = self._find(trade.order)
        fill = FillReport(
            symbol=order.symbol,
            trade_id=str(number),
            client_order_id=order.client_order_id,
            venue_order_id="",
            side=order.side,
            price_ticks=trade.price_ticks,
            size_lots=trade.lots,
            fee=format_decimal(fee),
            fee_asset=self.fee_asset,
            maker=trade.maker,
            venue_ns=trade.at_ns,
        )
        after = order.with_fill(fill, self.clock.at_ns)
        self.table.put(after)
        self._base += trade.sign * self.instrument.size(trade.lots)
        self._quote -= trade.sign * self.instrument.notional(trade.price_ticks, trade.lots) + fee
        self._tell_account()
        closes = after.stage is OrderStage.FILLED
        return OwnFill(fill, order.slot, closes, seen_double_mid, self.clock.at_ns)

    def look(self) -> None:
        """Note whether both sides are quoted from now on."""
        sides = {order.side for order in self.table.open() if order.is_resting}
        self.uptime.observe(self.clock.at_ns, quoting=len(sides) == len(Side), running=True)

    def _rest(self, slot: str) -> None:
        count = self._refused_in_a_row.get(slot, 0)
        self._refused_in_a_row[slot] = count + 1
        timing = self._timing
        rest_ns = min(timing.refusal_rest_ns << min(count, _MOST_DOUBLINGS), timing.longest_rest_ns)
        self.blocked_until_ns[slot] = self.clock.at_ns + rest_ns

    def _find(self, number: int) -> Order:
        order = self.table.find(str(number))
        assert order is not None  # noqa: S101 - the exchange names orders that we placed
        return order

    def _stage(self, order: Order, stage: OrderStage) -> None:
        self.table.put(order.with_stage(stage, self.clock.at_ns))

    def _tell_account(self) -> None:
        for asset, held in ((self.instrument.base, self._base), (self.instrument.quote, self._quote)):
            self.account.observe(BalanceReport(asset=asset, free=format_decimal(held), locked="0"))
