"""A tape as rows with two times: when the exchange knew it, and when the strategy hears of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.venue.simulated.book_arrays import Columns, Ints, list_column
from mrmarket.trading.venue.simulated.session import END_BIT, TRADE_ROW, to_rows


class Feed(NamedTuple):
    """History, one changed level or one trade a row, ascending by the exchange's time."""

    code: Ints
    """As `session.Rows`."""
    price_ticks: Ints
    lots: Ints
    at_ns: Ints
    """By the exchange's clock."""
    seen_ns: Ints
    """When the strategy hears of the event that the row belongs to; updates of the book stay in order."""


def to_feed(
    events: Iterable[MarketEvent], column: Columns = list_column, *, least_latency_ns: int = 0
) -> Feed:
    """Spread events over rows; best bids and asks that a feed sends beside its updates are left out.

    Clocks of a recording rarely agree: the local one is shifted as a whole so that the fastest event
    took `least_latency_ns`. Trades and updates of the book come by streams of their own and overtake
    each other; within a stream an event is heard no earlier than those the exchange sent before it.

    Raises:
        InvalidInputError: an event has no time of the exchange.
    """
    ordered = sorted((event for event in events if _makes_rows(event)), key=lambda event: event.exchange_ns)
    if ordered and not ordered[0].exchange_ns:
        raise InvalidInputError("tape", "an event without the exchange's time", "that time on every event")
    rows = to_rows(ordered, column, tops=False)
    shift = least_latency_ns - min((event.local_ns - event.exchange_ns for event in ordered), default=0)
    heard = iter(ordered)
    seen: Ints = []
    latest = {True: 0, False: 0}
    at = 0
    for code in rows.code:
        if not at:
            trade = code & 3 == TRADE_ROW
            at = latest[trade] = max(latest[trade], next(heard).local_ns + shift)
        seen.append(at)
        if code & END_BIT:
            at = 0
    seen_ns = column(len(seen))
    seen_ns[:] = seen
    return Feed(rows.code, rows.price_ticks, rows.lots, rows.at_ns, seen_ns)


def _makes_rows(event: MarketEvent) -> bool:
    if event.kind is EventKind.TOP:
        return False
    return event.kind is not EventKind.DEPTH or bool(event.bids or event.asks)
