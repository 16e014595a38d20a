"""The matching kernel: what history's trades and clients' orders do to each other, over columns of ints.

The functions here run as they are on lists and, compiled by `compiled.py`, on int64 arrays; both
give the same results. They read no clock and draw no random number. History is never altered by
clients: what they take is remembered beside the level until history refreshes it.
"""

from __future__ import annotations

from mrmarket.trading.venue.simulated.book_arrays import (
    FILL,
    HISTORY,
    MAKER_PREVENTED,
    TAKER_PREVENTED,
    Fills,
    Levels,
    Market,
    Queue,
)
from mrmarket.trading.venue.simulated.price_levels import NO_LIMIT, go_deeper, level_left, slot_of
from mrmarket.trading.venue.simulated.queue_position import advance, drop_order, rest

# Order kinds and outcomes are plain ints because they pass through compiled code.
LIMIT, POST_ONLY, IOC, FOK, MARKET = 0, 1, 2, 3, 4
RESTING, FILLED, EXPIRED, WOULD_TAKE, NO_ROOM, PREVENTED = 0, 1, 2, 3, 4, 5

STP_NONE, STP_TAKER, STP_MAKER, STP_BOTH = 0, 1, 2, 3


def note(fills: Fills, kind: int, maker: int, taker: int, key: int, lots: int, taker_buys: bool) -> None:
    """Write one row of what happened."""
    row = fills.rows[0]
    fills.kind[row] = kind
    fills.maker[row] = maker
    fills.taker[row] = taker
    fills.price_ticks[row] = abs(key)
    fills.lots[row] = lots
    fills.taker_buys[row] = 1 if taker_buys else 0
    fills.rows[0] = row + 1


def meet(queue: Queue, levels: Levels, fills: Fills, own_buys: bool) -> None:
    """Fill clients' orders that history's best opposite price reaches, up to what stands there."""
    at = levels.held[0] - 1
    while queue.held[0] > 0 and at >= 0:
        order = queue.held[0] - 1
        if queue.key[order] + levels.key[at] < 0:
            return
        slot = slot_of(levels, levels.key[at])
        lots = min(queue.open[order], levels.lots[slot] - levels.eaten[slot])
        if lots <= 0:
            at -= 1
            if at < 0:
                at = go_deeper(levels) - 1
            continue
        note(fills, FILL, queue.id[order], HISTORY, queue.key[order], lots, not own_buys)
        levels.eaten[slot] += lots
        queue.open[order] -= lots
        queue.ahead[order] = 0
        if queue.open[order] == 0:
            drop_order(queue, order)


def cross(market: Market) -> None:
    """After an event of history: no client's order is left standing against a crossing level."""
    meet(market.bids.queue, market.asks.levels, market.fills, True)
    meet(market.asks.queue, market.bids.levels, market.fills, False)


def print_trade(market: Market, taker_buys: bool, price_ticks: int, lots: int) -> None:
    """History trades: orders it went through fill whole, orders at its price by queue position."""
    queue = market.asks.queue if taker_buys else market.bids.queue
    key = -price_ticks if taker_buys else price_ticks
    fills = market.fills
    while queue.held[0] > 0:
        last = queue.held[0] - 1
        if queue.key[last] <= key:
            break
        note(fills, FILL, queue.id[last], HISTORY, queue.key[last], queue.open[last], taker_buys)
        drop_order(queue, last)
    served = 0
    at = queue.held[0] - 1
    while at >= 0 and queue.key[at] == key:
        # The taker's lots reach this order less what clients before it got.
        reach = lots - served
        ahead = queue.ahead[at]
        queue.traded[at] += lots
        queue.ahead[at] = max(0, ahead - reach)
        got = min(queue.open[at], reach - ahead)
        if got > 0:
            served += got
            note(fills, FILL, queue.id[at], HISTORY, key, got, taker_buys)
            queue.open[at] -= got
            if queue.open[at] == 0:
                drop_order(queue, at)
        at -= 1


def would_take(market: Market, buys: bool, limit_key: int) -> bool:
    """Whether an order of that limit meets anybody."""
    rival = market.asks if buys else market.bids
    levels, queue = rival.levels, rival.queue
    orders = queue.held[0]
    if orders and queue.key[orders - 1] + limit_key >= 0:
        return True
    at = levels.held[0] - 1
    while at >= 0 and levels.key[at] + limit_key >= 0:
        if level_left(levels, levels.key[at]) > 0:
            return True
        at -= 1
        if at < 0:
            at = go_deeper(levels) - 1
    return False


def next_left(levels: Levels, at: int, taken: int) -> tuple[int, int]:
    """From a row of the order of prices downwards: the next with more left than is spoken for of the first.

    Returns the row, -1 where there is none, and the lots spoken for there.
    """
    while at >= 0 and level_left(levels, levels.key[at]) <= taken:
        at -= 1
        taken = 0
        if at < 0:
            at = go_deeper(levels) - 1
    return at, taken


def front(levels: Levels, queue: Queue, at: int, order: int, taken: int) -> tuple[int, int]:
    """The key an incoming order meets next, and the lots of history it meets there before a client.

    `at` is the best level with something left (or -1) of which `taken` lots are spoken for,
    `order` the best client order (or -1); one of them is there.
    """
    left = level_left(levels, levels.key[at]) - taken if at >= 0 else 0
    if order < 0 or (at >= 0 and levels.key[at] > queue.key[order]):
        return levels.key[at], left
    key = queue.key[order]
    if at >= 0 and levels.key[at] == key:
        return key, min(left, queue.ahead[order] - taken)
    return key, 0


def fillable(
    market: Market, buys: bool, limit_key: int, lots: int, owner: int, self_trade: int
) -> tuple[int, int]:
    """What `take` would do, without doing it: lots, and the sum of price ticks times lots."""
    rival = market.asks if buys else market.bids
    levels, queue = rival.levels, rival.queue
    at = levels.held[0] - 1
    order = queue.held[0] - 1
    taken = 0
    wanted = lots
    grains = 0
    while wanted > 0:
        at, taken = next_left(levels, at, taken)
        if at < 0 and order < 0:
            break
        key, left = front(levels, queue, at, order, taken)
        if key + limit_key < 0:
            break
        if left > 0:
            got = min(wanted, left)
            taken += got
        else:
            order -= 1
            if self_trade != STP_NONE and queue.owner[order + 1] == owner:
                if self_trade == STP_MAKER:
                    continue
                break
            got = min(wanted, queue.open[order + 1])
        wanted -= got
        grains += abs(key) * got
    return lots - wanted, grains


def take(
    market: Market, buys: bool, limit_key: int, lots: int, owner: int, self_trade: int, taker: int
) -> int:
    """Match an incoming order by price, then queue; return the lots that found nobody.

    0 is also returned when self-trade prevention expired the rest (a TAKER_PREVENTED row says so).
    """
    rival = market.asks if buys else market.bids
    levels, queue = rival.levels, rival.queue
    fills = market.fills
    at = levels.held[0] - 1
    while lots > 0:
        at, _ = next_left(levels, at, 0)
        order = queue.held[0] - 1
        if at < 0 and order < 0:
            break
        key, left = front(levels, queue, at, order, 0)
        if key + limit_key < 0:
            break
        if left > 0:
            got = min(lots, left)
            levels.eaten[slot_of(levels, key)] += got
            note(fills, FILL, HISTORY, taker, key, got, buys)
            advance(queue, key, got)
            lots -= got
            continue
        if self_trade != STP_NONE and queue.owner[order] == owner:
            if self_trade != STP_TAKER:
                note(fills, MAKER_PREVENTED, queue.id[order], taker, key, queue.open[order], buys)
                drop_order(queue, order)
            if self_trade != STP_MAKER:
                note(fills, TAKER_PREVENTED, HISTORY, taker, key, lots, buys)
                return 0
            continue
        got = min(lots, queue.open[order])
        note(fills, FILL, queue.id[order], taker, key, got, buys)
        queue.open[order] -= got
        if queue.open[order] == 0:
            drop_order(queue, order)
        lots -= got
    return lots


def submit(
    market: Market,
    kind: int,
    buys: bool,
    price_ticks: int,
    lots: int,
    owner: int,
    self_trade: int,
    order_id: int,
) -> int:
    """Take a new order in and say what became of it; its trades are in `market.fills`."""
    key = price_ticks if buys else -price_ticks
    if kind == MARKET:
        key = NO_LIMIT
    queue = market.bids.queue if buys else market.asks.queue
    if kind <= POST_ONLY and queue.held[0] == len(queue.key):
        return NO_ROOM
    if kind == POST_ONLY and would_take(market, buys, key):
        return WOULD_TAKE
    if kind == FOK and fillable(market, buys, key, lots, owner, self_trade)[0] < lots:
        return EXPIRED
    fills = market.fills
    left = take(market, buys, key, lots, owner, self_trade, order_id)
    if left == 0:
        rows = fills.rows[0]
        return PREVENTED if rows > 0 and fills.kind[rows - 1] == TAKER_PREVENTED else FILLED
    if kind > POST_ONLY:
        return EXPIRED
    rest(market, buys, key, left, owner, order_id)
    return RESTING
