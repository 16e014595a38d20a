"""A stretch of history played against scheduled requests, with latency, in one kernel call.

Backtests drive this: they schedule what a strategy sends at the time it reaches the exchange, play
history up to the next decision, and read the reports at the time they become visible. Like the
kernel it runs on lists as it is, and compiled on int64 arrays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.venue.simulated.book_arrays import (
    FILL,
    HISTORY,
    Columns,
    Fills,
    Ints,
    Levels,
    Market,
    list_column,
)
from mrmarket.trading.venue.simulated.kernel import (
    FILLED,
    NO_ROOM,
    RESTING,
    STP_MAKER,
    WOULD_TAKE,
    cross,
    print_trade,
    submit,
)
from mrmarket.trading.venue.simulated.price_levels import (
    drop_first,
    find,
    forget,
    open_gap,
    put_level,
    set_top,
)
from mrmarket.trading.venue.simulated.queue_position import end_snapshot, requeue, withdraw

# Row codes are bits because a row is one kernel step.
LEVEL_ROW: Final = 0
TRADE_ROW: Final = 1
CLEAR_ROW: Final = 2
TOP_ROW: Final = 3
ASK_BIT: Final = 4
"""The level is an ask, or the taker buys."""
END_BIT: Final = 8
"""The event is complete: crossings are settled now."""
SNAPSHOT_BIT: Final = 16
"""The event that ends here was a snapshot."""

PLACE: Final = 0
CANCEL: Final = 1

ACCEPTED, TRADED, CANCELLED, REJECTED, ENDED, CANCEL_REJECTED = 0, 1, 2, 3, 4, 5
"""Kinds of report; ENDED is an IOC, FOK or MARKET rest, or self-trade prevention."""

SOLE_OWNER: Final = 1
"""A session has one account."""


class Rows(NamedTuple):
    """History, one changed level or one trade a row."""

    code: Ints
    price_ticks: Ints
    lots: Ints
    at_ns: Ints


class Requests(NamedTuple):
    """What is on its way to the exchange, ascending by arrival; equals in the order of sending."""

    due_ns: Ints
    action: Ints
    kind: Ints
    buys: Ints
    price_ticks: Ints
    lots: Ints
    order_id: Ints
    span: Ints
    """[first not yet executed, one past the last]."""


class Reports(NamedTuple):
    """What the exchange answered."""

    at_ns: Ints
    visible_ns: Ints
    """When the strategy learns of it."""
    kind: Ints
    order_id: Ints
    price_ticks: Ints
    lots: Ints
    maker: Ints
    rows: Ints
    """[how many]."""


def new_requests(column: Columns = list_column, capacity: int = 4_096) -> Requests:
    """An empty queue."""
    parts = Requests(
        due_ns=column(capacity),
        action=column(capacity),
        kind=column(capacity),
        buys=column(capacity),
        price_ticks=column(capacity),
        lots=column(capacity),
        order_id=column(capacity),
        span=column(2),
    )
    return column.bundle(parts)


def new_reports(market: Market, column: Columns = list_column) -> Reports:
    """An empty buffer with room for at least two of the largest answers of that market."""
    capacity = 2 * (2 * len(market.fills.kind) + 2)
    parts = Reports(
        at_ns=column(capacity),
        visible_ns=column(capacity),
        kind=column(capacity),
        order_id=column(capacity),
        price_ticks=column(capacity),
        lots=column(capacity),
        maker=column(capacity),
        rows=column(1),
    )
    return column.bundle(parts)


def to_rows(events: Iterable[MarketEvent], column: Columns = list_column, *, tops: bool = True) -> Rows:
    """Spread events over rows, by the exchange's time where known.

    Without `tops` best bids and asks are left out, as in a feed of updates and trades alone; the
    queue models that share cancellations out are calibrated to such a feed.
    """
    code: Ints = []
    price: Ints = []
    lots: Ints = []
    at_ns: Ints = []

    def add(row_code: int, row_price: int, row_lots: int, row_ns: int) -> None:
        code.append(row_code)
        price.append(row_price)
        lots.append(row_lots)
        at_ns.append(row_ns)

    for event in events:
        now_ns = event.exchange_ns or event.local_ns
        if event.kind is EventKind.TRADE:
            side = ASK_BIT if event.taker_buys else 0
            add(TRADE_ROW | side | END_BIT, event.price_ticks, event.size_lots, now_ns)
        elif event.kind is not EventKind.TOP or tops:
            snapshot = event.kind is EventKind.SNAPSHOT
            level_row = TOP_ROW if event.kind is EventKind.TOP else LEVEL_ROW
            first = len(code)
            if snapshot:
                add(CLEAR_ROW, 0, 0, now_ns)
                add(CLEAR_ROW | ASK_BIT, 0, 0, now_ns)
            # Worst first, so that building a side from nothing appends.
            for row_price, row_lots in reversed(event.bids):
                add(level_row, row_price, row_lots, now_ns)
            for row_price, row_lots in reversed(event.asks):
                add(level_row | ASK_BIT, row_price, row_lots, now_ns)
            if len(code) > first:
                code[-1] |= END_BIT | (SNAPSHOT_BIT if snapshot else 0)
    rows = Rows(*(column(len(code)) for _ in range(4)))
    rows.code[:] = code
    rows.price_ticks[:] = price
    rows.lots[:] = lots
    rows.at_ns[:] = at_ns
    return rows


def schedule(
    requests: Requests,
    due_ns: int,
    action: int,
    kind: int,
    buys: bool,
    price_ticks: int,
    lots: int,
    order_id: int,
) -> bool:
    """Put a request on its way; false when the queue is full."""
    first, end = requests.span[0], requests.span[1]
    columns = (
        requests.due_ns,
        requests.action,
        requests.kind,
        requests.buys,
        requests.price_ticks,
        requests.lots,
        requests.order_id,
    )
    if end == len(requests.due_ns):
        if first == 0:
            return False
        for column in columns:
            drop_first(column, first, end)
        first, end = 0, end - first
    at = end
    while at > first and requests.due_ns[at - 1] > due_ns:
        at -= 1
    for column in columns:
        open_gap(column, at, end)
    requests.due_ns[at] = due_ns
    requests.action[at] = action
    requests.kind[at] = kind
    requests.buys[at] = 1 if buys else 0
    requests.price_ticks[at] = price_ticks
    requests.lots[at] = lots
    requests.order_id[at] = order_id
    requests.span[0] = first
    requests.span[1] = end + 1
    return True


def report(
    reports: Reports,
    at_ns: int,
    response_ns: int,
    kind: int,
    order_id: int,
    price: int,
    lots: int,
    maker: int,
) -> None:
    """Write one report."""
    row = reports.rows[0]
    reports.at_ns[row] = at_ns
    reports.visible_ns[row] = at_ns + response_ns
    reports.kind[row] = kind
    reports.order_id[row] = order_id
    reports.price_ticks[row] = price
    reports.lots[row] = lots
    reports.maker[row] = maker
    reports.rows[0] = row + 1


def report_fills(reports: Reports, fills: Fills, at_ns: int, response_ns: int) -> None:
    """Turn the rows of the last kernel call into reports of our orders, and clear them."""
    for row in range(fills.rows[0]):
        price = fills.price_ticks[row]
        lots = fills.lots[row]
        kind = TRADED if fills.kind[row] == FILL else ENDED
        if fills.maker[row] != HISTORY:
            report(reports, at_ns, response_ns, kind, fills.maker[row], price, lots, 1)
        if fills.taker[row] != HISTORY and fills.kind[row] == FILL:
            report(reports, at_ns, response_ns, kind, fills.taker[row], price, lots, 0)
    fills.rows[0] = 0


def execute(market: Market, requests: Requests, row: int, reports: Reports, response_ns: int) -> None:
    """A request has arrived at the exchange."""
    at_ns = requests.due_ns[row]
    order_id = requests.order_id[row]
    buys = requests.buys[row] == 1
    price = requests.price_ticks[row]
    lots = requests.lots[row]
    if requests.action[row] == CANCEL:
        left = withdraw(market, buys, price, order_id)
        kind = CANCELLED if left > 0 else CANCEL_REJECTED
        report(reports, at_ns, response_ns, kind, order_id, price, left, 0)
        return
    outcome = submit(market, requests.kind[row], buys, price, lots, SOLE_OWNER, STP_MAKER, order_id)
    if outcome in (WOULD_TAKE, NO_ROOM):
        report(reports, at_ns, response_ns, REJECTED, order_id, price, lots, 0)
        return
    report(reports, at_ns, response_ns, ACCEPTED, order_id, price, lots, 0)
    report_fills(reports, market.fills, at_ns, response_ns)
    if outcome not in (RESTING, FILLED):
        report(reports, at_ns, response_ns, ENDED, order_id, price, 0, 0)


def arrive(market: Market, requests: Requests, reports: Reports, now_ns: int, response_ns: int) -> bool:
    """Execute what is due by now; false when `reports` must be emptied first."""
    span = requests.span
    limit = len(reports.kind) - (2 * len(market.fills.kind) + 2)
    while span[0] < span[1] and requests.due_ns[span[0]] <= now_ns:
        if reports.rows[0] > limit:
            return False
        execute(market, requests, span[0], reports, response_ns)
        span[0] += 1
    return reports.rows[0] <= limit


def put_row(levels: Levels, kind: int, key: int, lots: int) -> None:
    """Take one row of a side in that is no single level."""
    if kind == TOP_ROW:
        set_top(levels, key, lots)
    elif kind == CLEAR_ROW:
        forget(levels)


def somebody_at(keys: Ints, held: Ints, key: int) -> bool:
    """Whether a client's order stands at a key."""
    count = held[0]
    if count == 0 or key < keys[0] or key > keys[count - 1]:
        return False
    return keys[find(keys, count, key)] == key


def end_event(market: Market, code: int, price_ticks: int, lots: int) -> None:
    """An event is complete: fill whom it reaches."""
    if code & 3 == TRADE_ROW:
        print_trade(market, code & ASK_BIT != 0, price_ticks, lots)
        return
    if code & SNAPSHOT_BIT:
        end_snapshot(market)
    cross(market)


def play(  # noqa: C901, PLR0912 - the common row is worked off in line, see below
    market: Market,
    rows: Rows,
    start: int,
    stop: int,
    requests: Requests,
    reports: Reports,
    response_ns: int,
) -> int:
    """Play rows `start` up to `stop`, executing each request when it is due, before what follows it.

    Returns the row to go on from: `stop`, or less when `reports` must be emptied first.
    """
    # Taken out of their tuples once, and the common row (a level that is known and not the best) is
    # worked off in line for each side: compiled, every access to a tuple counts references, and a call
    # costs by the number of columns it is given. That is a factor of four here.
    bids, asks = market.bids.levels, market.asks.levels
    bid_slots, bid_sizes, bid_eaten, bid_best, bid_levels = (
        bids.slot_key,
        bids.lots,
        bids.eaten,
        bids.key,
        bids.held,
    )
    ask_slots, ask_sizes, ask_eaten, ask_best, ask_levels = (
        asks.slot_key,
        asks.lots,
        asks.eaten,
        asks.key,
        asks.held,
    )
    mask = len(bid_slots) - 1
    bid_queue, ask_queue = market.bids.queue, market.asks.queue
    bid_keys, ask_keys = bid_queue.key, ask_queue.key
    bid_held, ask_held = bid_queue.held, ask_queue.held
    settings, fill_rows = market.settings, market.fills.rows
    codes, prices, sizes, times = rows.code, rows.price_ticks, rows.lots, rows.at_ns
    dues, span, written = requests.due_ns, requests.span, reports.rows
    limit = len(reports.kind) - (2 * len(market.fills.kind) + 2)
    for at in range(start, stop):
        due = span[0] < span[1] and dues[span[0]] <= times[at]
        if (due or written[0] > limit) and not arrive(market, requests, reports, times[at], response_ns):
            return at
        code, price, lots = codes[at], prices[at], sizes[at]
        if code & ASK_BIT:
            if code & 3 == LEVEL_ROW:
                key = -price
                slot = key & mask
                while ask_slots[slot] != key and ask_slots[slot] != 0:
                    slot = (slot + 1) & mask
                before = ask_sizes[slot]
                if ask_slots[slot] == key and (
                    before > 0 and (lots > 0 or ask_best[ask_levels[0] - 1] != key)
                ):
                    ask_sizes[slot] = lots
                    ask_eaten[slot] = 0
                else:
                    before = put_level(asks, key, lots)
                if ask_held[0] > 0 and somebody_at(ask_keys, ask_held, -price):
                    requeue(ask_queue, -price, before, lots, settings)
            else:
                put_row(asks, code & 3, -price, lots)
        elif code & 3 == LEVEL_ROW:
            key = price
            slot = key & mask
            while bid_slots[slot] != key and bid_slots[slot] != 0:
                slot = (slot + 1) & mask
            before = bid_sizes[slot]
            if bid_slots[slot] == key and (before > 0 and (lots > 0 or bid_best[bid_levels[0] - 1] != key)):
                bid_sizes[slot] = lots
                bid_eaten[slot] = 0
            else:
                before = put_level(bids, key, lots)
            if bid_held[0] > 0 and somebody_at(bid_keys, bid_held, price):
                requeue(bid_queue, price, before, lots, settings)
        else:
            put_row(bids, code & 3, price, lots)
        if code & END_BIT and bid_held[0] + ask_held[0] > 0:
            end_event(market, code, price, lots)
            if fill_rows[0] > 0:
                report_fills(reports, market.fills, times[at], response_ns)
    return stop


def play_stretch(
    markets: list[Market],
    rows: Rows,
    start: int,
    stop: int,
    requests: list[Requests],
    reports: list[Reports],
    response_ns: int,
) -> int:
    """`play` with everything but the rows as the only element of a sequence; see `Columns.sole`."""
    return play(markets[0], rows, start, stop, requests[0], reports[0], response_ns)
