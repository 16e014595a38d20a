"""The desk: one run's orders, written down before anybody acts on them. Synchronous, no venue in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from mrmarket.core import crash
from mrmarket.core.clock import Clock
from mrmarket.core.decimals import format_decimal
from mrmarket.core.events import (
    Fact,
    Filled,
    OrderAccepted,
    OrderCancelled,
    OrderCreated,
    OrderDoubted,
    OrderRejected,
)
from mrmarket.core.instrument import Instrument
from mrmarket.store.order_journal import OrderIntent
from mrmarket.trading.execution.fact_writer import FactWriter
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.order_id import OrderIds, parse_order_id
from mrmarket.trading.execution.order_table import OrderTable
from mrmarket.trading.execution.recent import RecentNames
from mrmarket.trading.execution.targets import Quote
from mrmarket.trading.venue.port import FillReport, OrderKind, OrderReport

_ORPHANS_KEPT: Final = 1_000


@dataclass(frozen=True, slots=True)
class OwnFill:
    """One trade of ours, durable in the event log. Prices are ticks, sizes lots."""

    fill: FillReport
    slot: str
    closes_order: bool
    """Whether the order was complete with it."""
    double_mid_ticks: int | None
    """Twice the mid when the fill was seen; None where there was no book."""
    seen_ns: int
    """Wall time."""


class DeskListener(Protocol):
    """Who is told what happened; called on the event loop."""

    def on_order(self, old: Order | None, new: Order) -> None:
        """An order changed."""
        ...

    def on_fact(self, fact: Fact) -> None:
        """Something other than a fill went into the event log."""
        ...

    def on_own_fill(self, own: OwnFill) -> None:
        """A trade of ours is durable."""
        ...

    def on_answer(self) -> None:
        """A cancel was answered: whatever is now due may be decided at once."""
        ...

    def on_fault(self, error: Exception) -> None:
        """Something broke that trading cannot go on without."""
        ...


class OrderDesk:
    """Merges every piece of evidence into the order table, the journal and the event log.

    An order is closed in the journal only when it is final and each of its fills is durable in the
    event log, so that a crash at any point leaves an open intent that leads recovery to the fills.
    """

    def __init__(
        self,
        instrument: Instrument,
        venue: str,
        stream: str,
        *,
        ids: OrderIds,
        journal: OrderJournal,
        facts: FactWriter,
        table: OrderTable,
        wall: Clock,
        listener: DeskListener,
        double_mid: Callable[[], int | None],
    ) -> None:
        self.instrument = instrument
        self.table = table
        self.foreign_fills = 0
        """Trades of the account that belong to somebody else's orders."""
        self.trades = 0
        """Reports of trades so far, repeated ones too."""
        self.on_trade: Callable[[FillReport], None] | None = None
        """Told of every trade of the account on this pair, whoever's it is; repeated ones too."""
        self._venue = venue
        self._stream = stream
        self._ids = ids
        self._journal = journal
        self._facts = facts
        self._wall = wall
        self._listener = listener
        self._double_mid = double_mid
        self._seen = RecentNames()
        self._orphans: dict[str, list[FillReport]] = {}
        self._undurable: dict[str, int] = {}
        self._journalled: dict[str, str] = {}
        self.journal_failed = False
        """Whether the journal has refused a state: from then on it holds orders as open that may not be."""
        self._told: frozenset[tuple[type[Fact], str]] = frozenset()

    @property
    def prefix(self) -> str:
        """How the ids of this run begin."""
        return self._ids.prefix

    def owns(self, client_order_id: str) -> bool:
        """Whether this run made an id."""
        return self._ids.owns(client_order_id)

    def open_orders(self, quotes: Sequence[Quote], kind: OrderKind) -> list[Order]:
        """Write the intents down as one commit; raises a StoreError, and then nothing may be sent."""
        orders = [self._new_order(quote, kind) for quote in quotes]
        self._journal.record_intents([self._intent(order) for order in orders])
        crash.reach("execution.intents_written")
        for quote, order in zip(quotes, orders, strict=True):
            self._announce(quote, order)
        return orders

    def _new_order(self, quote: Quote, kind: OrderKind) -> Order:
        now_ns = self._wall.now_ns()
        client_order_id = self._ids.make(quote.slot, self._journal.next_sequence(self._stream))
        return Order(
            client_order_id,
            self.instrument.symbol,
            quote.slot,
            quote.side,
            kind,
            quote.price_ticks,
            quote.size_lots,
            created_ns=now_ns,
            updated_ns=now_ns,
            stage=OrderStage.SENT,
        )

    def _announce(self, quote: Quote, order: Order) -> None:
        self._say(
            OrderCreated(
                venue=self._venue,
                at_ns=order.created_ns,
                symbol=order.symbol,
                client_order_id=order.client_order_id,
                slot=order.slot,
                side=order.side,
                price=self.instrument.price_text(order.price_ticks),
                size=self.instrument.size_text(order.size_lots),
                reason=quote.why,
            )
        )
        self.table.put(order)
        self._listener.on_order(None, order)

    def know_told(self, told: frozenset[tuple[type[Fact], str]]) -> None:
        """What the event log already says of orders that are open now: (kind, client order id)."""
        self._told = told

    def remember(self, order: Order) -> None:
        """Take an order over from an earlier life; its intent is in the journal."""
        self.table.put(order, age_ns=max(0, self._wall.now_ns() - order.created_ns))

    def adopt(self, report: OrderReport) -> Order | None:
        """Take over an order with our prefix that the journal has lost (after a power cut)."""
        parsed = parse_order_id(report.client_order_id)
        if parsed is None or not self.owns(report.client_order_id):
            return None
        now_ns = self._wall.now_ns()
        order = Order(
            report.client_order_id,
            report.symbol,
            parsed.slot,
            report.side,
            OrderKind.LIMIT,
            report.price_ticks,
            report.size_lots,
            created_ns=report.venue_ns or now_ns,
            stage=OrderStage.SENT,
        )
        self._journal.record_intents((self._intent(order),))
        self.remember(order)
        self.merge(report)
        return self.table.find(report.client_order_id)

    def merge(self, report: OrderReport) -> bool:
        """Take in what the venue says of an order; False if we know no such order."""
        old = self.table.find(report.client_order_id, report.venue_order_id)
        if old is None:
            return False
        self._move(old, old.with_report(report, self._wall.now_ns()))
        return True

    def refused(self, client_order_id: str, code: str, reason: str) -> None:
        """The venue said no, or proof was found that the order never lived."""
        old = self.table.find(client_order_id)
        if old is not None:
            now_ns = self._wall.now_ns()
            self._move(old, old.with_stage(OrderStage.REJECTED, now_ns), refusal=(code, reason))

    def closed(self, client_order_id: str) -> None:
        """Proof was found that an order which had lived has left the book."""
        old = self.table.find(client_order_id)
        if old is not None:
            self._move(old, old.with_stage(OrderStage.CANCELLED, self._wall.now_ns()))

    def doubt(self, client_order_id: str) -> None:
        """A placement had no answer."""
        old = self.table.find(client_order_id)
        if old is not None:
            self._move(old, old.doubted(self._wall.now_ns()))

    def cancelling(self, client_order_id: str) -> Order | None:
        """A cancel is about to be sent; None if the order is closed by now."""
        old = self.table.find(client_order_id)
        if old is None or old.is_final:
            return None
        order = old.cancelling(self._wall.now_ns())
        self.table.cancelling(client_order_id)
        self._move(old, order)
        return order

    def doubt_cancel(self, client_order_id: str, *, doubted: bool) -> None:
        """A cancel had no answer, or is known to have had no effect."""
        old = self.table.find(client_order_id)
        if old is not None:
            self._move(old, old.with_cancel_doubt(self._wall.now_ns(), doubted=doubted))

    def fill(self, fill: FillReport) -> None:
        """Take in one trade; a known one changes nothing."""
        self.trades += 1
        if self.on_trade is not None:
            self.on_trade(fill)
        if fill.trade_id in self._seen:
            return
        order = self.table.find(fill.client_order_id, fill.venue_order_id)
        if order is None and not fill.client_order_id:
            # The venue named only its own id and the acknowledgement is still on its way.
            waiting = self._orphans.setdefault(fill.venue_order_id, [])
            if len(self._orphans) > _ORPHANS_KEPT:
                del self._orphans[next(iter(self._orphans))]
            if all(each.trade_id != fill.trade_id for each in waiting):
                waiting.append(fill)
            return
        client_order_id = order.client_order_id if order else fill.client_order_id
        if order is None and not self.owns(client_order_id):
            self.foreign_fills += 1
            return
        self._seen.add(fill.trade_id)
        filled = order.with_fill(fill, self._wall.now_ns()) if order else None
        self._write_fill(fill, client_order_id, order, filled)
        if order is not None and filled is not None:
            self._move(order, filled)

    def _write_fill(
        self, fill: FillReport, client_order_id: str, before: Order | None, after: Order | None
    ) -> None:
        instrument, now_ns = self.instrument, self._wall.now_ns()
        double_mid = self._double_mid()
        parsed = parse_order_id(client_order_id)
        slot = after.slot if after else parsed.slot if parsed else ""
        complete = (
            before is not None
            and after is not None
            and before.filled_lots < after.size_lots <= after.filled_lots
        )
        self._undurable[client_order_id] = self._undurable.get(client_order_id, 0) + 1

        def durable(appended: bool) -> None:
            self._undurable[client_order_id] -= 1
            if not self._undurable[client_order_id]:
                del self._undurable[client_order_id]
            current = self.table.find(client_order_id)
            if current is not None:
                self._record(current)
            if appended:
                self._listener.on_own_fill(OwnFill(fill, slot, complete, double_mid, now_ns))

        self._facts.write(
            Filled(
                venue=self._venue,
                at_ns=fill.venue_ns or now_ns,
                symbol=fill.symbol,
                base=instrument.base,
                quote=instrument.quote,
                trade_id=fill.trade_id,
                client_order_id=client_order_id,
                venue_order_id=fill.venue_order_id,
                side=fill.side,
                price=instrument.price_text(fill.price_ticks),
                size=instrument.size_text(fill.size_lots),
                quote_size=format_decimal(instrument.notional(fill.price_ticks, fill.size_lots)),
                fee=fill.fee,
                fee_asset=fill.fee_asset,
                maker=fill.maker,
            ),
            urgent=True,
            then=durable,
        )

    def _move(self, old: Order, new: Order, refusal: tuple[str, str] = ("", "")) -> None:
        if new == old:
            return
        self.table.put(new)
        self._tell(old, new, refusal)
        self._record(new)
        self._listener.on_order(old, new)
        if new.venue_order_id and not old.venue_order_id:
            for fill in self._orphans.pop(new.venue_order_id, ()):
                self.fill(fill)

    def _tell(self, old: Order, new: Order, refusal: tuple[str, str]) -> None:
        key, symbol, at_ns, venue = new.client_order_id, new.symbol, new.updated_ns, self._venue
        lived = new.stage >= OrderStage.ACKED and new.stage is not OrderStage.REJECTED
        if lived and old.stage < OrderStage.ACKED:
            self._say(
                OrderAccepted(
                    venue=venue,
                    at_ns=at_ns,
                    symbol=symbol,
                    client_order_id=key,
                    venue_order_id=new.venue_order_id,
                )
            )
        if new.stage is OrderStage.REJECTED and old.stage is not OrderStage.REJECTED:
            code, reason = refusal
            self._say(
                OrderRejected(
                    venue=venue,
                    at_ns=at_ns,
                    symbol=symbol,
                    client_order_id=key,
                    code=code or "rejected",
                    reason=reason or "the venue reports it as rejected",
                )
            )
        gone = (OrderStage.CANCELLED, OrderStage.EXPIRED)
        if new.stage in gone and new.is_settled and not (old.stage in gone and old.is_settled):
            filled = self.instrument.size_text(new.filled_lots)
            self._say(
                OrderCancelled(venue=venue, at_ns=at_ns, symbol=symbol, client_order_id=key, filled=filled)
            )
        for request, doubted in (
            ("place", new.place_doubted and not old.place_doubted),
            ("cancel", new.cancel_doubted and not old.cancel_doubted),
        ):
            if doubted and not new.is_final:
                self._say(
                    OrderDoubted(
                        venue=venue, at_ns=at_ns, symbol=symbol, client_order_id=key, request=request
                    )
                )

    def _say(
        self, fact: OrderCreated | OrderAccepted | OrderRejected | OrderCancelled | OrderDoubted
    ) -> None:
        if (type(fact), fact.client_order_id) not in self._told or isinstance(fact, OrderDoubted):
            self._facts.write(fact)
            self._listener.on_fact(fact)

    def _record(self, order: Order) -> None:
        key, state = order.client_order_id, order.state
        closing = order.is_final
        if closing and (not order.is_settled or key in self._undurable):
            return
        if state in ("new", "sent") or self._journalled.get(key) == state or self.journal_failed:
            return
        try:
            self._journal.record_report(
                key,
                state=state,
                venue_order_id=order.venue_order_id,
                filled_lots=order.filled_lots,
                at_ns=order.updated_ns,
            )
        except Exception as error:  # noqa: BLE001 - a journal that fails must not keep quotes from being cancelled
            # The intent stays open, which leads recovery to the order. The run has failed with this; another
            # attempt might wait again for what does not come, and the remaining cancels with it.
            self.journal_failed = True
            self._listener.on_fault(error)
            return
        if closing:
            self._journalled.pop(key, None)
        else:
            self._journalled[key] = state

    def _intent(self, order: Order) -> OrderIntent:
        return OrderIntent(
            stream=self._stream,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            slot=order.slot,
            side=order.side,
            kind=order.kind.value,
            price_ticks=order.price_ticks,
            size_lots=order.size_lots,
            created_ns=order.created_ns,
        )
