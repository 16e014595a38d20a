"""One number a candidate, with everything that it was made of."""

from __future__ import annotations

from math import isfinite, nan, sqrt
from typing import Literal

import msgspec

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.strategy.selection.candidate import Candidate
from mrmarket.trading.strategy.selection.roi import RoiEstimate
from mrmarket.trading.strategy.selection.thresholds import Thresholds

Source = Literal["live", "paper", "none"]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate is expected to earn, per hour and as a fraction of its capital. None: not known."""

    candidate: str
    at_ms: int
    source: Source
    mean: float | None
    """Of the net return, as measured."""
    trust: float
    """How much of a gain counts: volatility, success, utilisation, and paper's discount."""
    error: float | None
    """Standard error of the mean, after that."""
    samples: float
    switch_cost: float
    """Per hour: the cost of taking over, spread over the horizon."""
    value: float | None
    """`mean·trust − z·error − switch_cost`, which is what is compared."""
    upper: float | None = None
    """What may be hoped for by the same distance: below 0 the strategy loses beyond doubt."""
    why_not: Literal["", "no_data", "few_samples", "stale", "not_finite"] = ""
    """Why there is no value."""


def score(
    candidate: Candidate,
    estimate: RoiEstimate | None,
    thresholds: Thresholds,
    *,
    now_ns: int,
    source: Source,
    is_current: bool,
    discount: float = 1.0,
) -> Score:
    """What a candidate scores now.

    Args:
        candidate: who.
        estimate: what it earned; None where nothing was measured.
        thresholds: the numbers in force.
        now_ns: of the clock that stamped the outcomes.
        source: whether it was earned live or on paper.
        is_current: the current strategy pays nothing for taking over.
        discount: what a gain on paper is worth; a loss on paper is taken as it is.
    """
    cost = 0.0 if is_current else candidate.switch_cost / thresholds.horizon_s * 3_600
    at_ms = now_ns // NS_PER_MS
    if estimate is None or not estimate.weight:
        return _unknown(candidate.id, at_ms, "none", cost, 0.0, "no_data")
    if now_ns - estimate.at_ns > thresholds.stale_s * NS_PER_S:
        return _unknown(candidate.id, at_ms, source, cost, estimate.samples, "stale")
    if estimate.samples < thresholds.least_samples:
        return _unknown(candidate.id, at_ms, source, cost, estimate.samples, "few_samples")
    trust = estimate.trust(thresholds) * discount
    # Distrust shrinks gains; a loss is believed in full.
    factor = trust if estimate.mean > 0 else 1.0
    error = estimate.deviation * max(factor, discount) / sqrt(estimate.samples)
    value = estimate.mean * factor - thresholds.z * error - cost
    if not (isfinite(value) and isfinite(error)):
        return _unknown(candidate.id, at_ms, source, cost, estimate.samples, "not_finite")
    return Score(
        candidate=candidate.id,
        at_ms=at_ms,
        source=source,
        mean=estimate.mean,
        trust=trust,
        error=error,
        samples=estimate.samples,
        switch_cost=cost,
        value=value,
        upper=estimate.mean * factor + thresholds.z * error,
    )


def usable(found: Score | None) -> float:
    """The value that may be compared; NaN where there is none, which is below everything."""
    if found is None or found.value is None or not isfinite(found.value):
        return nan
    return found.value


def _unknown(
    candidate: str,
    at_ms: int,
    source: Source,
    cost: float,
    samples: float,
    why: Literal["no_data", "few_samples", "stale", "not_finite"],
) -> Score:
    return Score(
        candidate=candidate,
        at_ms=at_ms,
        source=source,
        mean=None,
        trust=0.0,
        error=None,
        samples=samples,
        switch_cost=cost,
        value=None,
        why_not=why,
    )
