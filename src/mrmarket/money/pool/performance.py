"""Returns, volatility and drawdown of a curve of share prices. Floats: these are for charts and words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import log, sqrt
from typing import Final, Literal, NamedTuple

from mrmarket.money.pool.terms import DAY_MS, YEAR_MS

Period = Literal["day", "week", "month"]

_ENOUGH: Final = 30
"""Fewer points than this make no volatility."""


class PricePoint(NamedTuple):
    """Price of one share at one moment, in quote units."""

    at_ms: int
    price_units: int


class Window(NamedTuple):
    """Half-open, UTC."""

    start_ms: int
    end_ms: int


def windows(period: Period, end_ms: int, count: int) -> list[Window]:
    """The last `count` days, weeks from Monday, or months, oldest first; the last contains `end_ms`."""
    found = []
    start = _start(period, end_ms)
    after = _next(period, start)
    for _ in range(count):
        found.append(Window(_ms(start), _ms(after)))
        after, start = start, _start(period, _ms(start) - 1)
    return found[::-1]


def price_at(curve: Sequence[PricePoint], at_ms: int) -> int | None:
    """The last price known at a time; None before the first."""
    place = bisect_right(curve, at_ms, key=lambda point: point.at_ms)
    return curve[place - 1].price_units if place else None


def period_return(curve: Sequence[PricePoint], window: Window) -> float | None:
    """Time-weighted return: what one share has gained, whoever came or went. None without prices.

    A window that begins before the pool does counts from the pool's first price.
    """
    end = price_at(curve, window.end_ms - 1)
    if end is None or (not curve) or curve[-1].at_ms < window.start_ms:
        return None
    start = price_at(curve, window.start_ms)
    if start is None:
        start = curve[0].price_units
    return end / start - 1 if start else None


def volatility_year(curve: Sequence[PricePoint]) -> float | None:
    """Realised volatility of the share price, annualised: √(Σ r² / Σ dt), r the log returns between points.

    The points need not be evenly spaced. None while there are too few.
    """
    if len(curve) < _ENOUGH or curve[-1].at_ms <= curve[0].at_ms:
        return None
    if any(point.price_units <= 0 for point in curve):
        return None
    squares = sum(log(after.price_units / before.price_units) ** 2 for before, after in pairwise(curve))
    return sqrt(squares * YEAR_MS / (curve[-1].at_ms - curve[0].at_ms))


def max_drawdown(curve: Sequence[PricePoint]) -> float | None:
    """Largest fall from a peak, as a fraction of the peak; None without prices."""
    if not curve:
        return None
    return max(_drawdowns(curve))


def _drawdowns(curve: Sequence[PricePoint]) -> Iterator[float]:
    peak = 0
    for point in curve:
        peak = max(peak, point.price_units)
        yield 1 - point.price_units / peak if peak else 0.0


def _start(period: Period, at_ms: int) -> datetime:
    day = datetime.fromtimestamp((at_ms - at_ms % DAY_MS) / 1_000, tz=UTC)
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def _next(period: Period, start: datetime) -> datetime:
    if period == "month":
        return (start + timedelta(days=32)).replace(day=1)
    return start + timedelta(days=7 if period == "week" else 1)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000
