"""What a lean strategy sees and does: the best prices it has heard of, its orders, its position.

Plain ints in columns, read and written alike by compiled strategies and by plain Python ones. The
desk learns of everything late: of the market by the feed's latency, of its orders by the answer's.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mrmarket.trading.venue.simulated.book_arrays import (
    Columns,
    Ints,
    Market,
    QueueModel,
    list_column,
    new_market,
)
from mrmarket.trading.venue.simulated.kernel import LIMIT
from mrmarket.trading.venue.simulated.price_levels import drop_first
from mrmarket.trading.venue.simulated.session import (
    ACCEPTED,
    CANCEL,
    CANCEL_REJECTED,
    PLACE,
    REJECTED,
    TRADED,
    Reports,
    Requests,
    new_reports,
    new_requests,
    schedule,
)

# Indices into `Desk.state`.
NOW_NS: Final = 0
BID: Final = 1
"""Best bid in ticks, 0 when there is none."""
BID_LOTS: Final = 2
ASK: Final = 3
ASK_LOTS: Final = 4
POSITION: Final = 5
"""Lots bought less lots sold, as far as heard of."""
CASH: Final = 6
"""Price ticks times lots, received less paid; fees are not in it."""
ORDERS: Final = 7
"""Own orders that have not ended, as far as heard of."""
WOKEN: Final = 8
"""Why the strategy was called: bits of FEED, PRICES, OWN; 0 when the rows came to their end."""
WAKES: Final = 9
"""How often it was called."""
SENT: Final = 10
"""Requests it has sent."""
DROPPED: Final = 11
"""Requests there was no room for; anything but 0 means that figures are not to be used."""
TRADES: Final = 12
MAKER_LOTS: Final = 13
TAKER_LOTS: Final = 14
MAKER_GRAINS: Final = 15
"""Price ticks times lots traded as a maker."""
TAKER_GRAINS: Final = 16
REFUSED: Final = 17
"""Orders and cancels that the exchange refused."""
TRADE_ROWS: Final = 18
"""Rows of `Desk.trades` in use."""
STATE: Final = 24

FEED, PRICES, OWN = 1, 2, 4
"""Bits of WOKEN and of the setting ON: any news, other best prices, an answer about an own order."""

# Indices into `Desk.settings`.
ORDER_NS: Final = 0
"""From the strategy to the exchange."""
RESPONSE_NS: Final = 1
"""From the exchange to the strategy."""
ON: Final = 2
"""What the strategy is called for."""
KIND: Final = 3
"""Kind of its orders: kernel.LIMIT or kernel.POST_ONLY."""
SETTINGS: Final = 8

# Stages of an own order.
SENT_OUT, LIVE, CANCELLING = 0, 1, 2

OWN_CAPACITY: Final = 256
RING: Final = 1 << 14
"""News on their way to the strategy at one time, at most; a power of two."""
TRADES_KEPT: Final = 1 << 14
"""Trades of the strategy that are written down; of more only the sums are known."""


class Own(NamedTuple):
    """The strategy's orders that have not ended, oldest first."""

    id: Ints
    buys: Ints
    price_ticks: Ints
    lots: Ints
    """Still open."""
    stage: Ints
    """SENT_OUT, LIVE or CANCELLING."""


class News(NamedTuple):
    """Events on their way to the strategy: a ring."""

    seen_ns: Ints
    bid: Ints
    bid_lots: Ints
    ask: Ints
    ask_lots: Ints
    span: Ints
    """[events heard of, events sent], both counted from the beginning."""


class Trades(NamedTuple):
    """The strategy's trades, by the exchange's time."""

    at_ns: Ints
    buys: Ints
    price_ticks: Ints
    lots: Ints
    maker: Ints


class Desk(NamedTuple):
    """Everything one run of the loop works on."""

    state: Ints
    settings: Ints
    parameters: Ints
    """The strategy's own settings."""
    memory: Ints
    """The strategy's own notes."""
    own: Own
    news: News
    trades: Trades
    market: Market
    requests: Requests
    reports: Reports
    progress: Ints
    """[reports heard of, last order id, rows of the feed played]."""


def new_desks(
    column: Columns = list_column,
    *,
    model: QueueModel = QueueModel.POWER,
    exponent_milli: int = 2_000,
) -> list[Desk]:
    """An empty desk as the only element; `settings` and `parameters` are written by whoever runs it."""
    market = new_market(column, model=model, exponent_milli=exponent_milli)
    desk = Desk(
        state=column(STATE),
        settings=column(SETTINGS),
        parameters=column(16),
        memory=column(64),
        own=Own(*(column(OWN_CAPACITY) for _ in range(5))),
        news=News(column(RING), column(RING), column(RING), column(RING), column(RING), span=column(2)),
        trades=Trades(*(column(TRADES_KEPT) for _ in range(5))),
        market=market,
        requests=new_requests(column),
        reports=new_reports(market, column),
        progress=column(3),
    )
    return column.block(desk)


def place(desk: Desk, buys: bool, price_ticks: int, lots: int) -> int:
    """Send an order; its id, or 0 when there is no room for more."""
    state, own = desk.state, desk.own
    row = state[ORDERS]
    order_id = desk.progress[1] + 1
    due_ns = state[NOW_NS] + desk.settings[ORDER_NS]
    if row == OWN_CAPACITY or not schedule(
        desk.requests, due_ns, PLACE, desk.settings[KIND], buys, price_ticks, lots, order_id
    ):
        state[DROPPED] += 1
        return 0
    own.id[row] = order_id
    own.buys[row] = 1 if buys else 0
    own.price_ticks[row] = price_ticks
    own.lots[row] = lots
    own.stage[row] = SENT_OUT
    state[ORDERS] = row + 1
    state[SENT] += 1
    desk.progress[1] = order_id
    return order_id


def cancel(desk: Desk, row: int) -> None:
    """Ask for the end of the own order of a row that is LIVE."""
    own, state = desk.own, desk.state
    due_ns = state[NOW_NS] + desk.settings[ORDER_NS]
    buys = own.buys[row] == 1
    if schedule(desk.requests, due_ns, CANCEL, LIMIT, buys, own.price_ticks[row], 0, own.id[row]):
        own.stage[row] = CANCELLING
        state[SENT] += 1
    else:
        state[DROPPED] += 1


def row_of(desk: Desk, order_id: int) -> int:
    """The row of an own order, -1 when it has ended."""
    ids = desk.own.id
    for row in range(desk.state[ORDERS]):
        if ids[row] == order_id:
            return row
    return -1


def drop_own(desk: Desk, row: int) -> None:
    """An own order has ended."""
    own, state = desk.own, desk.state
    count = state[ORDERS]
    for at in range(row, count - 1):
        own.id[at] = own.id[at + 1]
        own.buys[at] = own.buys[at + 1]
        own.price_ticks[at] = own.price_ticks[at + 1]
        own.lots[at] = own.lots[at + 1]
        own.stage[at] = own.stage[at + 1]
    state[ORDERS] = count - 1


def book_trade(desk: Desk, row: int, report: int) -> None:
    """A trade of ours became known."""
    state, own, reports, trades = desk.state, desk.own, desk.reports, desk.trades
    lots, price = reports.lots[report], reports.price_ticks[report]
    maker, buys = reports.maker[report], own.buys[row]
    sign = 1 if buys else -1
    state[POSITION] += sign * lots
    state[CASH] -= sign * lots * price
    state[TRADES] += 1
    state[MAKER_LOTS if maker else TAKER_LOTS] += lots
    state[MAKER_GRAINS if maker else TAKER_GRAINS] += lots * price
    written = state[TRADE_ROWS]
    if written < TRADES_KEPT:
        trades.at_ns[written] = reports.at_ns[report]
        trades.buys[written] = buys
        trades.price_ticks[written] = price
        trades.lots[written] = lots
        trades.maker[written] = maker
        state[TRADE_ROWS] = written + 1
    own.lots[row] -= lots
    if own.lots[row] == 0:
        drop_own(desk, row)


def take_in(desk: Desk, kind: int, at: int, report: int) -> None:
    """One answer of the exchange about the own order at a row, which has ended where that is negative."""
    if kind in (CANCEL_REJECTED, REJECTED):
        desk.state[REFUSED] += 1
    if at < 0 or kind == CANCEL_REJECTED:
        return
    if kind == TRADED:
        book_trade(desk, at, report)
    elif kind == ACCEPTED:
        desk.own.stage[at] = LIVE
    else:
        drop_own(desk, at)


def hear(desk: Desk, now_ns: int) -> bool:
    """Take in what the exchange's answers say that have arrived; whether there were any."""
    reports = desk.reports
    row, end = desk.progress[0], reports.rows[0]
    if row == end or reports.visible_ns[row] > now_ns:
        return False
    while row < end and reports.visible_ns[row] <= now_ns:
        take_in(desk, reports.kind[row], row_of(desk, reports.order_id[row]), row)
        row += 1
    if row == end:
        row = 0
        reports.rows[0] = 0
    desk.progress[0] = row
    return True


def make_room(desk: Desk) -> None:
    """Drop the answers that were heard of, if the largest one might not fit behind them."""
    reports = desk.reports
    row, end = desk.progress[0], reports.rows[0]
    if row == 0 or end <= len(reports.kind) - (2 * len(desk.market.fills.kind) + 2):
        return
    drop_first(reports.at_ns, row, end)
    drop_first(reports.visible_ns, row, end)
    drop_first(reports.kind, row, end)
    drop_first(reports.order_id, row, end)
    drop_first(reports.price_ticks, row, end)
    drop_first(reports.lots, row, end)
    drop_first(reports.maker, row, end)
    reports.rows[0] = end - row
    desk.progress[0] = 0
