"""The numbers that decide when to switch: data, changed while running, recorded with every change."""

from __future__ import annotations

from typing import Annotated

import msgspec

Seconds = Annotated[float, msgspec.Meta(ge=0, le=7 * 86_400)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a strategy gives way to another. Returns are fractions of the locked capital per hour.

    Source: ratio, cool-down and frequency as in classic strategy engines; the lower bound μ − z·s/√n and the
    spread switching cost are the usual guard against choosing the luckiest of several noisy means.
    """

    ratio: Annotated[float, msgspec.Meta(ge=1, le=100)] = 1.5
    """The newcomer must score so many times what the current strategy scores."""
    margin_per_h: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.00002
    """… and so much more than it, in fractions of the capital per hour."""
    z: Annotated[float, msgspec.Meta(ge=0, le=5)] = 1.28
    """How many standard errors are taken off a mean before it is compared."""
    half_life_s: Annotated[float, msgspec.Meta(ge=1, le=7 * 86_400)] = 3_600.0
    """After so long a result counts half."""
    horizon_s: Annotated[float, msgspec.Meta(ge=1, le=7 * 86_400)] = 3_600.0
    """Over so long the cost of a switch must come back."""
    least_samples: Annotated[float, msgspec.Meta(ge=2, le=10_000)] = 5.0
    """Effective observations below which a strategy has no score."""
    stale_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 120.0
    """A score that is older is none."""
    cool_down_s: Seconds = 300.0
    """After a switch nothing is switched for so long."""
    dwell_s: Seconds = 600.0
    """A strategy that has just taken over keeps its turn for so long."""
    debounce: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 3
    """The same newcomer must win so many evaluations in a row."""
    switches_per_hour: Annotated[int, msgspec.Meta(ge=0, le=3_600)] = 4
    """Most switches within any hour; 0 never switches."""
    failure_cool_down_s: Seconds = 900.0
    """A strategy whose run has failed is not chosen for so long."""
    may_idle: bool = True
    """Whether a strategy that loses even at best is stopped where no other earns."""
    volatility_weight: Share = 0.5
    """How far a market wilder than usual lowers a gain: 0 not at all, 1 in proportion."""
    success_weight: Share = 0.5
    """How far past attempts that came to nothing lower a gain."""
    utilisation_weight: Share = 0.25
    """How far capital that lies idle in a strategy lowers a gain."""
    paper_ratio: Share = 0.5
    """What a paper result is worth of a live one, until that was measured."""
    record_every: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 30
    """Of the evaluations that change nothing, each so-manyth is recorded."""
