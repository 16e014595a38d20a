"""How large each side is, by what is held. Inventory and limit in orders of the usual size."""

from __future__ import annotations

from math import exp


def linear_sizes(inventory: float, limit: float) -> tuple[float, float]:
    """(bid's, ask's) share of the usual size: the side that adds shrinks to nothing at the limit."""
    share = inventory / limit
    return min(1.0, max(0.0, 1.0 - share)), min(1.0, max(0.0, 1.0 + share))


def range_sizes(inventory: float, limit: float) -> tuple[float, float]:
    """(bid's, ask's) share: one side shrinks to nothing while the other doubles."""
    share = min(1.0, max(-1.0, inventory / limit))
    return 1.0 - share, 1.0 + share


def fading_sizes(inventory: float, eta: float) -> tuple[float, float]:
    """(bid's, ask's) share: the side that adds fades with `e^(−η|q|)` and never ends."""
    if inventory > 0.0:
        return exp(-eta * inventory), 1.0
    return 1.0, exp(eta * inventory)
