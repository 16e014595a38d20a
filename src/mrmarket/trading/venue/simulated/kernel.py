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
    NEAR,
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

FEW = 16
"""With fewer prices in order than this, more are looked for."""

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


def drop_first(column: Ints, by: int, count: int) -> None:
    """Move `column[by:count]` to the beginning."""
    column[0 : count - by] = column[by:count]


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


def slot_of(levels: Levels, key: int) -> int:
    """Where a price has its slot, or the free slot where it would have it."""
    keys = levels.slot_key
    mask = len(keys) - 1
    slot = key & mask
    while keys[slot] != key and keys[slot] != 0:
        slot = (slot + 1) & mask
    return slot


def level_left(levels: Levels, key: int) -> int:
    """Lots of history still to be had at a level."""
    slot = slot_of(levels, key)
    return max(0, levels.lots[slot] - levels.eaten[slot]) if levels.slot_key[slot] == key else 0


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


def rebuild(levels: Levels) -> None:
    """Make room in the table by dropping what holds nothing, and of too many levels the farthest."""
    keys, sizes, eaten = levels.slot_key, levels.lots, levels.eaten
    live = 0
    for slot in range(len(keys)):
        if keys[slot] != 0 and sizes[slot] > 0:
            live += 1
    floor = -NO_LIMIT
    if live > len(levels.key):
        deepen(levels, len(levels.key) // 2)
        floor = levels.key[0]
    live = 0
    for slot in range(len(keys)):
        if keys[slot] != 0 and sizes[slot] > 0 and keys[slot] >= floor:
            levels.spare_key[live] = keys[slot]
            levels.spare_size[live] = sizes[slot]
            levels.spare_eaten[live] = eaten[slot]
            live += 1
        keys[slot] = 0
    # Two loops over the table: an entry must not move in front of one that was not looked at yet.
    for row in range(live):
        slot = slot_of(levels, levels.spare_key[row])
        keys[slot] = levels.spare_key[row]
        sizes[slot] = levels.spare_size[row]
        eaten[slot] = levels.spare_eaten[row]
    levels.held[1] = live
    deepen(levels, min(NEAR, len(levels.key)) // 2)


def deepen(levels: Levels, rows: int) -> None:
    """Put the best prices that hold something in order anew, so many of them at most."""
    keys, sizes, near, held = levels.slot_key, levels.lots, levels.key, levels.held
    count = 0
    left_out = 0
    for slot in range(len(keys)):
        key = keys[slot]
        if key == 0 or sizes[slot] == 0:
            continue
        if count == rows:
            left_out = 1
            if key < near[0]:
                continue
            at = find(near, count, key)
            close_gap(near, 0, count)
            count -= 1
            at -= 1
        else:
            at = find(near, count, key)
        open_gap(near, at, count)
        near[at] = key
        count += 1
    held[0] = count
    held[2] = left_out


def settle_best(levels: Levels) -> None:
    """The best price is one that holds something, and is known as long as there is one."""
    near, held = levels.key, levels.held
    count = held[0]
    while count > 0 and levels.lots[slot_of(levels, near[count - 1])] == 0:
        count -= 1
    held[0] = count
    if held[2] == 1 and count < FEW:
        deepen(levels, min(NEAR, len(near)) // 2)


def go_deeper(levels: Levels) -> int:
    """Whoever has walked over all prices in order asks for the others; returns how many came below."""
    if levels.held[2] == 0:
        return 0
    before = levels.held[0]
    near = levels.key
    top = near[0]
    deepen(levels, len(near))
    # Empty rows are left out, so that rows are counted from the walker's end.
    return find(near, levels.held[0], top) if before > 0 else levels.held[0]


def rank(levels: Levels, key: int) -> None:
    """Note in the order of prices one that holds something again."""
    near, held = levels.key, levels.held
    count = held[0]
    at = find(near, count, key)
    if at < count and near[at] == key:
        return
    if held[2] == 1 and at == 0:
        return
    if count >= min(NEAR, len(near)):
        keep = max(1, min(NEAR, len(near)) // 2)
        drop_first(near, count - keep, count)
        count = keep
        held[0] = count
        held[2] = 1
        at = find(near, count, key)
        if at == 0:
            return
    open_gap(near, at, count)
    near[at] = key
    held[0] = count + 1


def put_level(levels: Levels, key: int, lots: int) -> int:
    """Write a level, 0 removes it; return what history held there before."""
    slot = slot_of(levels, key)
    if levels.slot_key[slot] == 0:
        if lots == 0:
            return 0
        if 4 * (levels.held[1] + 1) > 3 * len(levels.slot_key):
            rebuild(levels)
            slot = slot_of(levels, key)
        levels.slot_key[slot] = key
        levels.lots[slot] = 0
        levels.held[1] += 1
    before = levels.lots[slot]
    levels.lots[slot] = lots
    levels.eaten[slot] = 0
    if before == 0 and lots > 0:
        rank(levels, key)
    elif lots == 0 and levels.held[0] > 0 and levels.key[levels.held[0] - 1] == key:
        settle_best(levels)
    return before


def forget(levels: Levels) -> None:
    """Hold nothing."""
    levels.held[0] = 0
    levels.held[2] = 0
    if levels.held[1] > 0:
        levels.held[1] = 0
        keys = levels.slot_key
        for slot in range(len(keys)):
            keys[slot] = 0


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
    near, held = levels.key, levels.held
    while held[0] > 0 and near[held[0] - 1] > key:
        levels.lots[slot_of(levels, near[held[0] - 1])] = 0
        settle_best(levels)
    if held[0] > 0 and near[held[0] - 1] == key and levels.lots[slot_of(levels, key)] == lots:
        return
    put_level(levels, key, lots)


def clear_levels(market: Market) -> None:
    """Forget history; a snapshot's levels follow through `set_level`, then `end_snapshot`."""
    forget(market.bids.levels)
    forget(market.asks.levels)


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
