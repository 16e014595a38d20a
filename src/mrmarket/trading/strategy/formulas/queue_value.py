"""Whether a better price is worth the place in the queue that moving would give up."""

from __future__ import annotations

from math import exp


def fill_chance(ahead_lots: float, traded_lots_s: float, horizon_s: float) -> float:
    """The chance that what stands ahead is traded away in time, trading being exponential: `e^(−V/vt)`."""
    passing = traded_lots_s * horizon_s
    return exp(-ahead_lots / passing) if passing > 0.0 else 0.0


def queue_value(chance_now: float, chance_at_the_back: float, edge_ticks: float) -> float:
    """What the place is worth, in ticks: the fill it makes likelier, times what a fill earns."""
    return (chance_now - chance_at_the_back) * edge_ticks


def is_worth_moving(live_ticks: float, wanted_ticks: float, tolerance_ticks: float, value: float) -> bool:
    """Only when the price is off by more than the tolerance and more than the place is worth."""
    return abs(wanted_ticks - live_ticks) > max(tolerance_ticks, value)
