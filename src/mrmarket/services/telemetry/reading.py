"""What a source says when Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one figure of the catalogue."""

    metric: str
    value: float
    labels: tuple[str, ...] = ()
    """In the order of the catalogue. Counters of the same labels are added up."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """One histogram: how many values were below each bound, cumulative; the last bound is `+Inf`."""

    metric: str
    buckets: tuple[tuple[str, float], ...]
    total: float | None
    """Sum of the values; None where it is not kept."""
    labels: tuple[str, ...] = ()


Source = Callable[[], Iterable[Reading | Distribution]]
"""Read at scrape time and at no other; must not block if it is read on the event loop."""
