"""From what the cores hold to what the API says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol, assert_never

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.decimals import format_decimal
from mrmarket.core.events import (
    BalanceObserved,
    DifferenceClosed,
    DifferenceFound,
    Fact,
    Filled,
    MarkObserved,
    OrderAccepted,
    OrderCancelled,
    OrderCreated,
    OrderDoubted,
    OrderRejected,
    RiskChanged,
    RunStateChanged,
)
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.money.pool.view import EquityFigures, PoolFigures
from mrmarket.services.api import schema
from mrmarket.store.event_log import LoggedFact
from mrmarket.store.order_journal import OrderRecord
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.market.event import Level
from mrmarket.trading.strategy.observer import FillRecord

_BPS: Final = 10_000


def instrument_view(instrument: Instrument) -> schema.InstrumentView:
    """The pair's grid and fees."""
    return schema.InstrumentView(
        symbol=instrument.symbol,
        base=instrument.base,
        quote=instrument.quote,
        tick_size=format_decimal(instrument.tick_size),
        lot_size=format_decimal(instrument.lot_size),
        min_notional=format_decimal(instrument.min_notional),
        maker_fee=format_decimal(instrument.maker_fee),
        taker_fee=format_decimal(instrument.taker_fee),
    )


class Resting(Protocol):
    """An order as far as the book's view looks at it."""

    @property
    def side(self) -> Side:
        """Buy or sell."""
        ...

    @property
    def price_ticks(self) -> int:
        """Where it stands."""
        ...

    @property
    def remaining_lots(self) -> int:
        """What of it is left."""
        ...

    @property
    def venue_order_id(self) -> str:
        """Empty where it does not stand."""
        ...


def book_levels(
    instrument: Instrument, levels: Iterable[Level], own: Iterable[Resting], side: Side
) -> list[schema.BookLevel]:
    """One side of the book, best first, with what of it is ours."""
    ours: dict[int, int] = {}
    for order in own:
        if order.side is side and order.venue_order_id:
            ours[order.price_ticks] = ours.get(order.price_ticks, 0) + order.remaining_lots
    return [
        schema.BookLevel(
            price=instrument.price_text(ticks),
            size=instrument.size_text(lots),
            own=instrument.size_text(min(lots, ours.get(ticks, 0))),
        )
        for ticks, lots in levels
    ]


def spread_bps(bid: Level | None, ask: Level | None) -> float | None:
    """Best ask less best bid, relative to the mid."""
    if bid is None or ask is None:
        return None
    return 2 * (ask[0] - bid[0]) / (ask[0] + bid[0]) * _BPS


def quotes_view(
    strategy: str,
    instrument: Instrument,
    targets: TargetQuotes,
    live: Iterable[Order],
    why_not: str,
    now_ns: int,
) -> schema.QuotesView:
    """Every wanted quote with the terms of its price."""
    standing = {order.slot for order in live if order.venue_order_id and not order.is_final}
    return schema.QuotesView(
        strategy=strategy,
        reason=why_not or targets.reason,
        at_ms=now_ns // NS_PER_MS,
        quotes=[
            schema.QuoteView(
                slot=quote.slot,
                side=quote.side.value,
                price=instrument.price_text(quote.price_ticks),
                size=instrument.size_text(quote.size_lots),
                live=quote.slot in standing,
                why=quote.why,
                terms=[schema.QuoteTerm(name=t.name, value=t.value, unit=t.unit) for t in quote.terms],
            )
            for quote in targets.quotes
        ],
    )


def order_view(instrument: Instrument, order: Order) -> schema.OrderView:
    """An order that is being tracked."""
    return schema.OrderView(
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id or None,
        symbol=order.symbol,
        slot=order.slot,
        side=order.side.value,
        price=instrument.price_text(order.price_ticks),
        size=instrument.size_text(order.size_lots),
        filled=instrument.size_text(max(order.filled_lots, order.reported_lots)),
        state=order.state,
        created_ms=order.created_ns // NS_PER_MS,
        updated_ms=order.updated_ns // NS_PER_MS,
    )


def recorded_order_view(instrument: Instrument, record: OrderRecord) -> schema.OrderView:
    """An order from the journal."""
    return schema.OrderView(
        client_order_id=record.client_order_id,
        venue_order_id=record.venue_order_id or None,
        symbol=record.symbol,
        slot=record.slot,
        side=record.side.value,
        price=instrument.price_text(record.price_ticks),
        size=instrument.size_text(record.size_lots),
        filled=instrument.size_text(record.filled_lots),
        state=record.state,
        created_ms=record.created_ns // NS_PER_MS,
        updated_ms=record.updated_ns // NS_PER_MS,
    )


def fill_view(fact: Filled, captured_bps: float | None) -> schema.FillView:
    """One trade of ours."""
    return schema.FillView(
        trade_id=fact.trade_id,
        client_order_id=fact.client_order_id,
        symbol=fact.symbol,
        side=fact.side.value,
        price=fact.price,
        size=fact.size,
        quote_size=fact.quote_size,
        fee=fact.fee,
        fee_asset=fact.fee_asset,
        maker=fact.maker,
        spread_captured_bps=captured_bps,
        at_ms=fact.at_ns // NS_PER_MS,
    )


def fill_record_view(instrument: Instrument, record: FillRecord) -> schema.FillView:
    """One trade of ours as the run tells it."""
    fill = record.own.fill
    return schema.FillView(
        trade_id=fill.trade_id,
        client_order_id=fill.client_order_id,
        symbol=fill.symbol,
        side=fill.side.value,
        price=instrument.price_text(fill.price_ticks),
        size=instrument.size_text(fill.size_lots),
        quote_size=format_decimal(instrument.notional(fill.price_ticks, fill.size_lots)),
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        maker=fill.maker,
        spread_captured_bps=record.spread_captured_bps,
        at_ms=(fill.venue_ns or record.own.seen_ns) // NS_PER_MS,
    )


def event_view(logged: LoggedFact) -> schema.EventView:
    """One row of the event log."""
    return schema.EventView(
        seq=logged.seq,
        at_ms=logged.at_ns // NS_PER_MS,
        kind=str(logged.fact.__struct_config__.tag),
        summary=summarise(logged.fact),
        hash=logged.hash.hex(),
    )


def summarise(fact: Fact) -> str:  # noqa: C901, PLR0911 - one sentence for each kind
    """One sentence for people."""
    match fact:
        case OrderCreated():
            return f"{fact.side.value} {fact.size} at {fact.price} ({fact.slot})"
        case OrderAccepted():
            return f"order {fact.client_order_id} stands at {fact.venue}"
        case OrderRejected():
            return f"order {fact.client_order_id} was refused: {fact.reason}"
        case OrderCancelled():
            return f"order {fact.client_order_id} left the book, {fact.filled} filled"
        case OrderDoubted():
            return f"no answer to {fact.request} of {fact.client_order_id}"
        case Filled():
            verb = "bought" if fact.side is Side.BUY else "sold"
            role = "maker" if fact.maker else "taker"
            return (
                f"{verb} {fact.size} {fact.base} at {fact.price} as {role}, fee {fact.fee} {fact.fee_asset}"
            )
        case MarkObserved():
            return f"{fact.symbol} is {fact.bid} to {fact.ask}"
        case BalanceObserved():
            return f"{fact.venue} holds {fact.free} {fact.asset} free and {fact.locked} locked"
        case RunStateChanged():
            return f"{fact.symbol} {fact.state}" + (f": {fact.reason}" if fact.reason else "")
        case RiskChanged():
            return f"{fact.scope} is {fact.state} ({fact.cause})" + (
                f": {fact.detail}" if fact.detail else ""
            )
        case DifferenceFound():
            return f"{fact.kind} {fact.subject}: we know {fact.ours}, {fact.venue} says {fact.theirs}"
        case DifferenceClosed():
            return f"{fact.kind} {fact.subject} is explained" + (f": {fact.detail}" if fact.detail else "")
    assert_never(fact)


def pool_view(figures: PoolFigures) -> schema.PoolView:
    """The pool by the ledger."""
    return schema.PoolView(
        id=figures.id,
        quote=figures.quote,
        nav=figures.nav,
        shares=figures.shares,
        nav_per_share=figures.nav_per_share,
        holdings=[
            schema.AssetHolding(asset=h.asset, amount=h.amount, value=h.value) for h in figures.holdings
        ],
        depositors=[
            schema.DepositorView(name=d.name, shares=d.shares, share=d.share, value=d.value, earned=d.earned)
            for d in figures.depositors
        ],
        ledger_seq=figures.ledger_seq,
        ledger_head=figures.ledger_head,
        settled_through_seq=figures.settled_through_seq,
        log_head_seq=figures.log_head_seq,
    )


def equity_points(figures: Sequence[EquityFigures]) -> list[schema.EquityPoint]:
    """The equity curve."""
    return [
        schema.EquityPoint(at_ms=point.at_ms, nav=point.nav, nav_per_share=point.nav_per_share, pnl=point.pnl)
        for point in figures
    ]
