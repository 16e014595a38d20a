"""History on one side of a book: sizes by price in a hash table, the best prices in order beside it.

Functions over columns of ints, as the kernel's: they run as they are on lists, and compiled on int64
arrays.
"""

from __future__ import annotations

from mrmarket.trading.venue.simulated.book_arrays import NEAR, Ints, Levels

NO_LIMIT = 2**61
"""The key of an order that takes at any price; no price has it."""

FEW = 16
"""With fewer prices in order than this, more are looked for."""


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
