"""Levels that stand still while the price wanders through them."""

from __future__ import annotations

from math import exp, floor, log, log1p


def grid_price(anchor: float, step: float, level: int) -> float:
    """The price of a level, in ticks: `anchor · (1 + step)^level`."""
    return anchor * exp(level * log1p(step))


def grid_level(price: float, anchor: float, step: float) -> int:
    """The level nearest to a price, by ratio."""
    return floor(log(price / anchor) / log1p(step) + 0.5)
