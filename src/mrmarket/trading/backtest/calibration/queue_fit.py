"""The exponent of the power queue model that makes one's own fills the most likely.

Each taker at an own order's price either comes through to it or not: a survival in discrete time, one
trial a taker (P. D. Allison, "Discrete-Time Methods for the Analysis of Event Histories", Sociological
Methodology 13, 1982; for limit orders A. W. Lo, A. C. MacKinlay, J. Zhang, "Econometric models of
limit-order executions", Journal of Financial Economics 65, 2002). By a queue model the taker comes through
where it trades more lots than stood ahead, so the chance is put as a logistic function of the logarithm of
that proportion; its width, which takes up what no queue model knows (hidden orders, late frames), is fitted
along with the exponent. The interval is that of the profile likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from mrmarket.trading.backtest.calibration.exposures import Candidate, Exposure, exposures_of
from mrmarket.trading.backtest.calibration.own_orders import OwnOrder
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.venue.simulated.book_arrays import QueueModel

DEFAULT_EXPONENT: Final = 2.0
"""Where nothing speaks for another one."""
LEAST_FILLS: Final = 30
"""Fewer say nothing that could be relied on."""

_COARSE: Final = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0, 20.0)
_FINE: Final = 9
"""Exponents that are looked at between the neighbours of the best coarse one."""
_OTHERS: Final = (QueueModel.RISK_AVERSE, QueueModel.LOGARITHM)
_WIDTHS: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
_HALF_CHI2: Final = 1.9207
"""Half of the 95 % point of chi square with one degree of freedom."""
_MILLI: Final = 1_000


class FitPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How well one exponent explains the fills."""

    exponent: float
    log_likelihood: float


class QueueFit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What own fills say about the queue."""

    exponent: float
    """To be used: the fitted one where `is_fitted`, else the default."""
    is_fitted: bool
    low: float
    """Of the 95 % interval; 0 where nothing was fitted."""
    high: float
    orders: int
    """Own orders that rested on the tape's pair."""
    takers: int
    """Takers at their prices while they waited."""
    fills: int
    """How many of these came through."""
    detail: str
    """In words, for a report."""
    width: float = 0.0
    """Of the logistic, in natural logarithms of the proportion; the smaller, the better the model fits."""
    points: tuple[FitPoint, ...] = ()
    """Every exponent that was looked at, ascending."""
    risk_averse: float = 0.0
    """Log-likelihood of that model."""
    logarithm: float = 0.0
    """Log-likelihood of that model."""


def fit_queue(
    events: Callable[[], Iterable[MarketEvent]],
    orders: Sequence[OwnOrder],
    tell: Callable[[float, str], None] = lambda _share, _what: None,
) -> QueueFit:
    """Fit the exponent; the tape is played twice.

    Args:
        events: begins the tape anew at each call.
        orders: own orders, ascending by `from_ns`.
        tell: is told the share that is done.

    Raises:
        TapeError: as the tape raises it.
    """
    tell(0.0, "playing the tape past own orders")
    coarse = [*((model, _MILLI) for model in _OTHERS), *map(_power, _COARSE)]
    seen = exposures_of(events(), orders, coarse)
    fills = sum(each.filled for each in seen)
    if fills < LEAST_FILLS:
        return _unfitted(orders, seen, f"{fills} own fills on this tape; {LEAST_FILLS} are needed")
    tell(0.5, "playing it again, near the best exponent")
    found = [_best_width(seen, number) for number in range(len(coarse))]
    others, powers = found[: len(_OTHERS)], found[len(_OTHERS) :]
    points = dict(zip(_COARSE, powers, strict=True))
    best = max(range(len(_COARSE)), key=lambda number: powers[number][0])
    fine = _between(_COARSE[max(0, best - 1)], _COARSE[min(len(_COARSE) - 1, best + 1)])
    again = exposures_of(events(), orders, [_power(exponent) for exponent in fine])
    points.update((exponent, _best_width(again, number)) for number, exponent in enumerate(fine))
    exponent = max(points, key=lambda each: points[each][0])
    low, high = _interval({each: point[0] for each, point in points.items()}, exponent)
    tells_nothing = low <= _COARSE[0] and high >= _COARSE[-1]
    if tells_nothing:
        words = f"{fills} own fills tell no exponent from another; more of them are needed"
    else:
        words = (
            f"fitted to {fills} own fills and {len(seen) - fills} takers who did not come through,"
            f" 95 % from {low:.2g} to {high:.2g}"
        )
    return QueueFit(
        exponent=DEFAULT_EXPONENT if tells_nothing else exponent,
        is_fitted=not tells_nothing,
        low=low,
        high=high,
        orders=len(orders),
        takers=len(seen),
        fills=fills,
        detail=words,
        width=points[exponent][1],
        points=tuple(FitPoint(exponent=each, log_likelihood=points[each][0]) for each in sorted(points)),
        risk_averse=others[0][0],
        logarithm=others[1][0],
    )


def _power(exponent: float) -> Candidate:
    return QueueModel.POWER, round(exponent * _MILLI)


def _between(low: float, high: float) -> list[float]:
    """Exponents in even proportions between two, without these, on the kernel's grid of thousandths."""
    steps = (low * (high / low) ** (step / (_FINE + 1)) for step in range(1, _FINE + 1))
    return [round(step, 3) for step in steps]


def _unfitted(orders: Sequence[OwnOrder], seen: Sequence[Exposure], detail: str) -> QueueFit:
    return QueueFit(
        exponent=DEFAULT_EXPONENT,
        is_fitted=False,
        low=0.0,
        high=0.0,
        orders=len(orders),
        takers=len(seen),
        fills=sum(each.filled for each in seen),
        detail=detail,
    )


def _best_width(seen: Sequence[Exposure], number: int) -> tuple[float, float]:
    """The highest log-likelihood of a candidate over the widths, and the width."""
    through = [_reach(each, number) for each in seen if each.filled]
    short = [-_reach(each, number) for each in seen if not each.filled]
    signed = through + short
    return max((math.fsum(_log_logistic(each / width) for each in signed), width) for width in _WIDTHS)


def _reach(exposure: Exposure, number: int) -> float:
    """Above 0 exactly where the taker traded more than stood ahead."""
    return math.log((exposure.lots + 0.5) / (exposure.ahead[number] + 1))


def _log_logistic(value: float) -> float:
    """`log(1 / (1 + e^-value))`, whatever the size of the value."""
    return -math.log1p(math.exp(-value)) if value > 0 else value - math.log1p(math.exp(value))


def _interval(points: dict[float, float], best: float) -> tuple[float, float]:
    """Where the likelihood has fallen by what 95 % allows, between exponents that were looked at."""
    floor = points[best] - _HALF_CHI2
    ascending = sorted(points)
    at = ascending.index(best)
    return (
        _edge(points, ascending[at::-1], floor),
        _edge(points, ascending[at:], floor),
    )


def _edge(points: dict[float, float], outward: Sequence[float], floor: float) -> float:
    """From the best exponent outward: where the line to the first one below the floor meets it."""
    inner = outward[0]
    for each in outward[1:]:
        if points[each] < floor:
            share = (points[inner] - floor) / (points[inner] - points[each])
            return inner + share * (each - inner)
        inner = each
    return inner
