"""The matching kernel: book, queue position and matching, over columns of ints.

The functions here run as they are on lists and, compiled by `compiled.py`, on int64 arrays; both
give the same results. They read no clock and draw no random number. History is never altered by
clients: what they take is remembered beside the level until history refreshes it.

Queue position after the L2 rules of the `hftbacktest` documentation and Rigtorp, "Estimating order
queue position" (2013).
"""

from __future__ import annotations

import math

from mrmarket.trading.venue.simulated.book_arrays import (
    EXPONENT_MILLI,
    FILL,
    HISTORY,
    MAKER_PREVENTED,
    MODEL,
    TAKER_PREVENTED,
    BookSide,
    Fills,
    Ints,
    Levels,
    Market,
    Queue,
)

NO_LIMIT = 2**61
"""The key of an order that takes at any price."""

# Order kinds and outcomes are plain ints because they pass through compiled code.
LIMIT, POST_ONLY, IOC, FOK, MARKET = 0, 1, 2, 3, 4
RESTING, FILLED, EXPIRED, WOULD_TAKE, NO_ROOM, PREVENTED = 0, 1, 2, 3, 4, 5

STP_NONE, STP_TAKER, STP_MAKER, STP_BOTH = 0, 1, 2, 3


def find(keys: Ints, count: int, key: int) -> int:
    """Index of the first of `count` ascending keys that is not below `key`."""
    low, high = 0, count
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


def open_gap(column: Ints, at: int, count: int) -> None:
    """Move `column[at:count]` one up."""
    column[at + 1 : count + 1] = column[at:count]


def close_gap(column: Ints, at: int, count: int) -> None:
    """Drop `column[at]` by moving what follows one down."""
    column[at : count - 1] = column[at + 1 : count]


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


def drop_order(queue: Queue, at: int) -> None:
    """Take one client order off the book."""
    count = queue.held[0]
    close_gap(queue.key, at, count)
    close_gap(queue.id, at, count)
    close_gap(queue.open, at, count)
    close_gap(queue.ahead, at, count)
    close_gap(queue.traded, at, count)
    close_gap(queue.owner, at, count)
    queue.held[0] = count - 1


def level_left(levels: Levels, key: int) -> int:
    """Lots of history still to be had at a level."""
    count = levels.held[0]
    at = find(levels.key, count, key)
    if at < count and levels.key[at] == key:
        return max(0, levels.size[at] - levels.eaten[at])
    return 0


def visible(side: BookSide, key: int) -> int:
    """Lots anybody sees at a level: what is left of history, and clients' orders."""
    lots = level_left(side.levels, key)
    queue = side.queue
    count = queue.held[0]
    at = find(queue.key, count, key)
    while at < count and queue.key[at] == key:
        lots += queue.open[at]
        at += 1
    return lots


def stood_behind(settings: Ints, ahead: int, behind: int, cancelled: int) -> int:
    """How many of the cancelled lots of a level stood behind an order, rounded up."""
    if settings[MODEL] == 0:
        return min(behind, cancelled)
    if settings[MODEL] == 1:
        exponent = settings[EXPONENT_MILLI] / 1000.0
        weight_behind = float(behind) ** exponent
        weight_ahead = float(ahead) ** exponent
    else:
        weight_behind = math.log1p(float(behind))
        weight_ahead = math.log1p(float(ahead))
    total = weight_behind + weight_ahead
    share = weight_behind / total if total > 0.0 else 1.0
    # The allowance keeps a last bit of libm from turning a whole number into the next one.
    return min(behind, math.ceil(share * cancelled - 1e-9))


def requeue(queue: Queue, key: int, before: int, after: int, settings: Ints) -> None:
    """Move the orders at a level forward when history changes it from `before` to `after` lots.

    What trades took since the last change already moved them and is not counted again.
    """
    count = queue.held[0]
    at = find(queue.key, count, key)
    while at < count and queue.key[at] == key:
        traded = queue.traded[at]
        ahead = queue.ahead[at]
        cancelled = before - after - traded
        if cancelled > 0:
            behind = max(0, before - traded - ahead)
            ahead -= cancelled - stood_behind(settings, ahead, behind, cancelled)
        queue.ahead[at] = max(0, min(ahead, after))
        queue.traded[at] = 0
        at += 1


def bury(levels: Levels) -> None:
    """Drop the levels that hold nothing, and of the rest the worst beyond half of the column."""
    kept = 0
    for at in range(levels.held[0]):
        if levels.size[at] > 0:
            levels.key[kept] = levels.key[at]
            levels.size[kept] = levels.size[at]
            levels.eaten[kept] = levels.eaten[at]
            kept += 1
    extra = kept - len(levels.key) // 2
    if extra > 0:
        kept -= extra
        levels.key[0:kept] = levels.key[extra : extra + kept]
        levels.size[0:kept] = levels.size[extra : extra + kept]
        levels.eaten[0:kept] = levels.eaten[extra : extra + kept]
    levels.held[0] = kept


def put_level(levels: Levels, key: int, lots: int) -> int:
    """Write a level, 0 removes it; return what history held there before.

    A removed level stays as a size of 0 unless it was the best: most come back within milliseconds,
    and moving the columns is what costs. The last level is never one of those.
    """
    count = levels.held[0]
    keys = levels.key
    at = find(keys, count, key)
    if at < count and keys[at] == key:
        before = levels.size[at]
        levels.size[at] = lots
        levels.eaten[at] = 0
        if at == count - 1:
            while count > 0 and levels.size[count - 1] == 0:
                count -= 1
            levels.held[0] = count
        return before
    if lots == 0:
        return 0
    if count == len(keys):
        bury(levels)
        count = levels.held[0]
        at = find(keys, count, key)
    open_gap(keys, at, count)
    open_gap(levels.size, at, count)
    open_gap(levels.eaten, at, count)
    levels.held[0] = count + 1
    keys[at] = key
    levels.size[at] = lots
    levels.eaten[at] = 0
    return 0


def set_level(side: BookSide, key: int, lots: int, settings: Ints) -> None:
    """History says a level now holds `lots`; 0 removes it."""
    before = put_level(side.levels, key, lots)
    if side.queue.held[0]:
        requeue(side.queue, key, before, lots, settings)


def set_top(levels: Levels, key: int, lots: int) -> None:
    """History says the best level of a side is now this one; what was better is gone.

    It moves levels, not queues: the print that explains it may come before or after, and counting
    both would move an order forward twice. The next update of the level puts its queue right.
    """
    last = levels.held[0] - 1
    if last >= 0 and levels.key[last] == key and levels.size[last] == lots:
        return
    while last >= 0 and levels.key[last] > key:
        last -= 1
    levels.held[0] = last + 1
    put_level(levels, key, lots)


def clear_levels(market: Market) -> None:
    """Forget history; a snapshot's levels follow through `set_level`, then `end_snapshot`."""
    market.bids.levels.held[0] = 0
    market.asks.levels.held[0] = 0


def end_snapshot(market: Market) -> None:
    """Nobody can stand behind more than the new snapshot shows at his price."""
    for side in (market.bids, market.asks):
        levels, queue = side.levels, side.queue
        for at in range(queue.held[0]):
            queue.ahead[at] = min(queue.ahead[at], level_left(levels, queue.key[at]))
            queue.traded[at] = 0


def meet(queue: Queue, levels: Levels, fills: Fills, own_buys: bool) -> None:
    """Fill clients' orders that history's best opposite price reaches, up to what stands there."""
    at = levels.held[0] - 1
    while queue.held[0] > 0 and at >= 0:
        order = queue.held[0] - 1
        if queue.key[order] + levels.key[at] < 0:
            return
        lots = min(queue.open[order], levels.size[at] - levels.eaten[at])
        if lots <= 0:
            at -= 1
            continue
        note(fills, FILL, queue.id[order], HISTORY, queue.key[order], lots, not own_buys)
        levels.eaten[at] += lots
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
        if levels.size[at] > levels.eaten[at]:
            return True
        at -= 1
    return False


def front(levels: Levels, queue: Queue, at: int, order: int, taken: int) -> tuple[int, int]:
    """The key an incoming order meets next, and the lots of history it meets there before a client.

    `at` is the best level with something left (or -1) of which `taken` lots are spoken for,
    `order` the best client order (or -1); one of them is there.
    """
    left = levels.size[at] - levels.eaten[at] - taken if at >= 0 else 0
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
        while at >= 0 and levels.size[at] - levels.eaten[at] <= taken:
            at -= 1
            taken = 0
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


def advance(queue: Queue, key: int, lots: int) -> None:
    """A client took `lots` of history at a level from the front: the orders there move up."""
    at = queue.held[0] - 1
    while at >= 0 and queue.key[at] >= key:
        if queue.key[at] == key:
            queue.ahead[at] = max(0, queue.ahead[at] - lots)
        at -= 1


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
        while at >= 0 and levels.size[at] <= levels.eaten[at]:
            at -= 1
        order = queue.held[0] - 1
        if at < 0 and order < 0:
            break
        key, left = front(levels, queue, at, order, 0)
        if key + limit_key < 0:
            break
        if left > 0:
            got = min(lots, left)
            levels.eaten[at] += got
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


def rest(market: Market, buys: bool, key: int, lots: int, owner: int, order_id: int) -> None:
    """Stand at the back of the queue of a price."""
    side = market.bids if buys else market.asks
    queue = side.queue
    count = queue.held[0]
    at = find(queue.key, count, key)
    open_gap(queue.key, at, count)
    open_gap(queue.id, at, count)
    open_gap(queue.open, at, count)
    open_gap(queue.ahead, at, count)
    open_gap(queue.traded, at, count)
    open_gap(queue.owner, at, count)
    queue.key[at] = key
    queue.id[at] = order_id
    queue.open[at] = lots
    queue.ahead[at] = level_left(side.levels, key)
    queue.traded[at] = 0
    queue.owner[at] = owner
    queue.held[0] = count + 1


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


def withdraw(market: Market, buys: bool, price_ticks: int, order_id: int) -> int:
    """Take an order off the book; return its open lots, 0 when it is not there."""
    queue = market.bids.queue if buys else market.asks.queue
    key = price_ticks if buys else -price_ticks
    count = queue.held[0]
    at = find(queue.key, count, key)
    while at < count and queue.key[at] == key:
        if queue.id[at] == order_id:
            lots = queue.open[at]
            drop_order(queue, at)
            return lots
        at += 1
    return 0
