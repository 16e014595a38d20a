"""The market maker of Avellaneda and Stoikov, as their paper has it.

M. Avellaneda, S. Stoikov, "High-frequency trading in a limit order book", Quantitative Finance 8(3), 2008,
equations 29 and 30. Units: mid and distances in ticks (or any price), sigma in ticks per root second, gamma
in 1/tick, k in 1/tick, time left in seconds, inventory in orders.
"""

from __future__ import annotations

from math import log1p

_SMALL_GAMMA = 1e-12
"""Below this, k times gamma is nothing: the limit is used."""


def as_reservation(mid: float, inventory: float, gamma: float, sigma: float, left_s: float) -> float:
    """The price at which one would as soon hold the inventory as not: `s − q γ σ² (T − t)`."""
    return mid - inventory * gamma * sigma * sigma * left_s


def as_spread(gamma: float, sigma: float, left_s: float, k: float) -> float:
    """Both distances together: `γ σ² (T − t) + (2/γ) ln(1 + γ/k)`; without risk aversion `2/k`."""
    if gamma < _SMALL_GAMMA * k:
        return gamma * sigma * sigma * left_s + 2.0 / k
    return gamma * sigma * sigma * left_s + 2.0 / gamma * log1p(gamma / k)


def as_quotes(
    mid: float, inventory: float, gamma: float, sigma: float, left_s: float, k: float
) -> tuple[float, float]:
    """(bid, ask), not rounded."""
    centre = as_reservation(mid, inventory, gamma, sigma, left_s)
    half = as_spread(gamma, sigma, left_s, k) / 2.0
    return centre - half, centre + half
