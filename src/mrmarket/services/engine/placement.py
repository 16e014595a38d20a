"""Which engine takes which run: a pure rule that every engine applies to the same rows by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moves:
    """What one engine is to do now."""

    claim: tuple[str, ...] = ()
    """Free runs to take, by id."""
    hand_over: tuple[str, ...] = ()
    """Runs of ours that another engine should have; never more at once than allowed."""


def shares(held: Mapping[str, int], runs: int) -> dict[str, int]:
    """How many runs each engine should hold: all the same, or one more for those that hold most already.

    Args:
        held: runs by live engine; an engine without any counts 0.
        runs: how many there are to hold.
    """
    if not held:
        return {}
    base, extra = divmod(runs, len(held))
    fullest_first = sorted(held, key=lambda node: (-held[node], node))
    return {node: base + (place < extra) for place, node in enumerate(fullest_first)}


def plan_moves(
    me: str,
    holders: Mapping[str, str],
    nodes: Collection[str],
    *,
    barred: Collection[str] = (),
    overdue: Collection[str] = (),
    leaving: Collection[str] = (),
    waiting: Collection[str] = (),
    late: Collection[str] = (),
    given: Collection[str] = (),
    at_once: int = 1,
) -> Moves:
    """What `me` should claim and hand over.

    Whoever holds a run keeps it unless somebody else lacks one. Free runs go to the engine with the
    fewest, ties by name; two engines that see different rows may both want one, and the lease decides.

    Args:
        me: this engine; it counts as live.
        holders: run to the engine whose lease runs; empty for a free one. Only runs that are wanted.
        nodes: live engines.
        barred: free runs that this engine must leave to others for now.
        overdue: free runs that their engine has not taken in time: anybody may.
        leaving: runs of ours that are being set down already.
        waiting: runs of ours under whose lease nothing was begun: they go first, and any number at once.
        late: engines whose sign of life is late: they may be back at any moment.
        given: free runs that were given back and not lost. They are left to late engines, too: whoever gave
            them to an engine that then starts many at once would take them back, only to give them again.
        at_once: most others that may be between two engines at the same time.
    """
    live = {*nodes, me}
    if live == {me} and all(node == me for node in holders.values()):
        return Moves()
    held = Counter(dict.fromkeys(live, 0))
    held.update(node for node in holders.values() if node in live)
    free = sorted(run for run, node in holders.items() if not node)
    claim = []
    near = {*live, *late}
    counts = Counter(dict.fromkeys(near, 0))
    counts.update(node for node in holders.values() if node in near)
    for run in free:
        taker = min(near if run in given else live, key=lambda node: (counts[node], node))
        counts[taker] += 1
        if (taker == me or run in overdue) and run not in barred:
            claim.append(run)
    wanted = shares(held, len(holders))
    surplus = held[me] - wanted[me]
    # Runs that are free, or whose engine is gone, fill gaps first: nobody gives away for those.
    loose = sum(1 for node in holders.values() if node not in live)
    gaps = sum(max(0, wanted[node] - held[node]) for node in live) - loose
    count = max(0, min(surplus, gaps) - len(leaving))
    mine = sorted((run for run, node in holders.items() if node == me and run not in leaving), reverse=True)
    easy = [run for run in mine if run in waiting][:count]
    # Nor more than the others have shown that they can take: what was handed over before must be held again.
    hard = max(0, min(count - len(easy), at_once - len(leaving) - loose))
    hand_over = easy + [run for run in mine if run not in waiting][:hard]
    return Moves(tuple(claim), tuple(sorted(hand_over)))
