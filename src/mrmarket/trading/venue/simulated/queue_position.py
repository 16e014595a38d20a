"""Clients' orders in the queues of a book, and how history moves them forward.

Queue position after the L2 rules of the `hftbacktest` documentation and Rigtorp, "Estimating order
queue position" (2013). Functions over columns of ints, as the kernel's.
"""

from __future__ import annotations

import math

from mrmarket.trading.venue.simulated.book_arrays import (
    EXPONENT_MILLI,
    MODEL,
    BookSide,
    Ints,
    Market,
    Queue,
)
from mrmarket.trading.venue.simulated.price_levels import (
    close_gap,
    find,
    forget,
    level_left,
    open_gap,
    put_level,
)


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


def advance(queue: Queue, key: int, lots: int) -> None:
    """A client took `lots` of history at a level from the front: the orders there move up."""
    at = queue.held[0] - 1
    while at >= 0 and queue.key[at] >= key:
        if queue.key[at] == key:
            queue.ahead[at] = max(0, queue.ahead[at] - lots)
        at -= 1


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


def set_level(side: BookSide, key: int, lots: int, settings: Ints) -> None:
    """History says a level now holds `lots`; 0 removes it."""
    before = put_level(side.levels, key, lots)
    if side.queue.held[0]:
        requeue(side.queue, key, before, lots, settings)


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
