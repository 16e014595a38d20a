"""Avellaneda–Stoikov with a risk aversion that has no unit.

The form that Hummingbot's users know: the standard deviation in place of the variance, inventory as a share
of what may be held, and the time left as a share of the session. It is no solution of the paper's problem,
but one risk aversion fits every pair.
"""

from __future__ import annotations

from math import log1p

_SMALL_GAMMA = 1e-12


def as_normalised_reservation(mid: float, share: float, gamma: float, sigma: float, left: float) -> float:
    """`s − q γ σ τ`: share from −1 to 1 of the most that may be held, time left from 0 to 1."""
    return mid - share * gamma * sigma * left


def as_normalised_spread(gamma: float, sigma: float, left: float, k: float) -> float:
    """Both distances together, in ticks: `γ σ τ + (2/γ) ln(1 + γ/k)`; without risk aversion `2/k`."""
    if gamma < _SMALL_GAMMA * k:
        return gamma * sigma * left + 2.0 / k
    return gamma * sigma * left + 2.0 / gamma * log1p(gamma / k)
