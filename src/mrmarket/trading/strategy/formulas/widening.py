"""What is added to a half spread, and how far it may go. All in ticks."""

from __future__ import annotations


def widening(
    sigma: float, sigma_multiplier: float, markout: float, toxicity_multiplier: float
) -> tuple[float, float]:
    """(for volatility, for toxicity): never negative, since a market that is kind for once is not thanked."""
    return max(0.0, sigma) * sigma_multiplier, max(0.0, markout) * toxicity_multiplier


def floor_of_half(markout: float, fee_ticks: float) -> float:
    """The least half spread that pays for what fills cost: the measured markout and the fee."""
    return max(0.0, markout) + fee_ticks


def clamped(value: float, low: float, high: float) -> float:
    """Inside the two; the lower one wins where they cross."""
    return max(low, min(high, value))
