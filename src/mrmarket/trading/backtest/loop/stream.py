"""History played until there is something to decide, and not a row further.

The exchange plays each row at its time; requests arrive between rows. What an event leaves on top of
the book goes on its way to the strategy, which hears of it when the event's `seen_ns` has come. When
a row is about to be played, everything that is due before it has been settled in order of time: at
one time the exchange works off requests first, then the strategy hears.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mrmarket.trading.backtest.loop.desk import (
    ASK,
    ASK_LOTS,
    BID,
    BID_LOTS,
    FEED,
    NOW_NS,
    ON,
    OWN,
    PRICES,
    RESPONSE_NS,
    RING,
    WAKES,
    WOKEN,
    Desk,
    cancel,
    hear,
    make_room,
    place,
)
from mrmarket.trading.venue.simulated.book_arrays import BookSide, Ints, Levels
from mrmarket.trading.venue.simulated.price_levels import put_level, slot_of
from mrmarket.trading.venue.simulated.queue_position import requeue
from mrmarket.trading.venue.simulated.session import (
    ASK_BIT,
    END_BIT,
    LEVEL_ROW,
    TRADE_ROW,
    end_event,
    execute,
    put_row,
    report_fills,
    somebody_at,
)

NEVER_NS: Final = 2**62

NO_BOOK: Final = -1
"""For the best bid in news that are no update of the book."""


def play_row(side: BookSide, kind: int, key: int, lots: int, settings: Ints) -> None:
    """One row of history on its side."""
    levels, queue = side.levels, side.queue
    if kind != LEVEL_ROW:
        put_row(levels, kind, key, lots)
        return
    slot = slot_of(levels, key)
    before = levels.lots[slot]
    # A level that is known and is not the best moves nothing else; most rows are such.
    if levels.slot_key[slot] == key and before > 0 and (lots > 0 or levels.key[levels.held[0] - 1] != key):
        levels.lots[slot] = lots
        levels.eaten[slot] = 0
    else:
        before = put_level(levels, key, lots)
    if queue.held[0] > 0 and somebody_at(queue.key, queue.held, key):
        requeue(queue, key, before, lots, settings)


def best(levels: Levels) -> int:
    """The best key of history, 0 when there is none."""
    count = levels.held[0]
    return levels.key[count - 1] if count > 0 else 0


def send_news(desk: Desk, code: int, seen_ns: int) -> bool:
    """An event that ends goes on its way; false when too much is on its way already.

    An update of the book carries what stands on top of it now; a trade leaves the book as it is.
    """
    news = desk.news
    heard, sent = news.span[0], news.span[1]
    if sent - heard == RING:
        return False
    # The streams overtake each other by a few events.
    at = sent
    while at > heard and news.seen_ns[(at - 1) & (RING - 1)] > seen_ns:
        row, before = at & (RING - 1), (at - 1) & (RING - 1)
        news.seen_ns[row] = news.seen_ns[before]
        news.bid[row] = news.bid[before]
        news.ask[row] = news.ask[before]
        news.bid_lots[row] = news.bid_lots[before]
        news.ask_lots[row] = news.ask_lots[before]
        at -= 1
    row = at & (RING - 1)
    news.seen_ns[row] = seen_ns
    news.span[1] = sent + 1
    if code & 3 == TRADE_ROW:
        news.bid[row] = NO_BOOK
        return True
    bids, asks = desk.market.bids.levels, desk.market.asks.levels
    bid, ask = best(bids), best(asks)
    news.bid[row] = bid
    news.ask[row] = -ask
    news.bid_lots[row] = bids.lots[slot_of(bids, bid)] if bid != 0 else 0
    news.ask_lots[row] = asks.lots[slot_of(asks, ask)] if ask != 0 else 0
    return True


def next_ns(desk: Desk) -> int:
    """When the next thing happens that is no row: a request arrives, or news do."""
    requests, news = desk.requests, desk.news
    at_ns = requests.due_ns[requests.span[0]] if requests.span[0] < requests.span[1] else NEVER_NS
    if news.span[0] < news.span[1]:
        at_ns = min(at_ns, news.seen_ns[news.span[0] & (RING - 1)])
    return at_ns


def wake(desk: Desk) -> bool:
    """The strategy hears the next news, and answers that came before; whether it is called for them."""
    news, state = desk.news, desk.state
    row = news.span[0] & (RING - 1)
    news.span[0] += 1
    woken = FEED
    state[NOW_NS] = news.seen_ns[row]
    if news.bid[row] != NO_BOOK:
        if state[BID] != news.bid[row] or state[ASK] != news.ask[row]:
            woken |= PRICES
            state[BID] = news.bid[row]
            state[ASK] = news.ask[row]
        state[BID_LOTS] = news.bid_lots[row]
        state[ASK_LOTS] = news.ask_lots[row]
    if hear(desk, state[NOW_NS]):
        woken |= OWN
    if woken & desk.settings[ON] == 0:
        return False
    state[WOKEN] = woken
    state[WAKES] += 1
    return True


def answer_fills(desk: Desk, at_ns: int) -> None:
    """Orders of ours were filled by history."""
    make_room(desk)
    report_fills(desk.reports, desk.market.fills, at_ns, desk.settings[RESPONSE_NS])


def settle(desk: Desk, now_ns: int) -> bool:
    """Everything that is due by now and is no row; true as soon as the strategy is called."""
    requests, news = desk.requests, desk.news
    span, reports = requests.span, desk.reports
    while True:
        due = requests.due_ns[span[0]] if span[0] < span[1] else NEVER_NS
        heard = news.seen_ns[news.span[0] & (RING - 1)] if news.span[0] < news.span[1] else NEVER_NS
        if due <= heard:
            if due > now_ns:
                return False
            make_room(desk)
            execute(desk.market, requests, span[0], reports, desk.settings[RESPONSE_NS])
            span[0] += 1
        else:
            if heard > now_ns:
                return False
            if wake(desk):
                return True


def play_on(desks: list[Desk], code: Ints, price_ticks: Ints, lots: Ints, at_ns: Ints, seen_ns: Ints) -> bool:
    """Play on until the strategy is called (`WOKEN` says why), or to the end (`WOKEN` is 0).

    False when more news were on their way than there is room for.
    """
    desk = desks[0]
    bids, asks = desk.market.bids, desk.market.asks
    bid_orders, ask_orders = bids.queue.held, asks.queue.held
    settings, fill_rows = desk.market.settings, desk.market.fills.rows
    event_ns = next_ns(desk)
    for at in range(desk.progress[2], len(code)):
        if event_ns <= at_ns[at]:
            if settle(desk, at_ns[at]):
                desk.progress[2] = at
                return True
            event_ns = next_ns(desk)
        row, price, size = code[at], price_ticks[at], lots[at]
        if row & ASK_BIT:
            play_row(asks, row & 3, -price, size, settings)
        else:
            play_row(bids, row & 3, price, size, settings)
        if row & END_BIT:
            if bid_orders[0] + ask_orders[0] > 0:
                end_event(desk.market, row, price, size)
                if fill_rows[0] > 0:
                    answer_fills(desk, at_ns[at])
            if not send_news(desk, row, seen_ns[at]):
                return False
            event_ns = min(event_ns, seen_ns[at])
    if not settle(desk, NEVER_NS - 1):
        desk.state[WOKEN] = 0
    desk.progress[2] = len(code)
    return True


def drive(
    desks: list[Desk],
    code: Ints,
    price_ticks: Ints,
    lots: Ints,
    at_ns: Ints,
    seen_ns: Ints,
    decide: Callable[[Desk], None],
) -> bool:
    """Play all rows against a strategy; false as `play_on`."""
    while play_on(desks, code, price_ticks, lots, at_ns, seen_ns):
        if desks[0].state[WOKEN] == 0:
            return True
        decide(desks[0])
    return False


def send_order(desks: list[Desk], buys: bool, price_ticks: int, lots: int) -> int:
    """`place`, for plain Python."""
    return place(desks[0], buys, price_ticks, lots)


def send_cancel(desks: list[Desk], row: int) -> None:
    """`cancel`, for plain Python."""
    cancel(desks[0], row)
