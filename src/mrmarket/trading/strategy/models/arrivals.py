"""How often orders arrive, for the models that need it: measured, or given by hand."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from mrmarket.trading.market.estimators.intensity import Intensity
from mrmarket.trading.strategy.models.curve import CurveParameters, Sight

Given = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
WAITING: Final = "arrivals of trades are not measured yet (A and k); trades of a minute or more are needed"


class ArrivalParameters(CurveParameters, frozen=True, kw_only=True):
    """A and k in place of measured ones; both in units of the price, so that they fit any tick."""

    arrivals_per_s: Given | None = None
    """A: orders a second that would reach a quote at the mid. None: measured."""
    arrivals_decay: Given | None = None
    """k for a distance of one part in ten thousand of the price (1/bp). None: measured."""
    fill_given_touch: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    """The share of touches at which an order in its queue is reached; a measured A is multiplied by it."""


def arrivals(parameters: ArrivalParameters, sight: Sight) -> Intensity | None:
    """A (1/s) and k (1/tick); None while something that is not given is not measured."""
    measured = sight.view.intensity
    if measured is not None:
        measured = measured.corrected(parameters.fill_given_touch)
    a, decay = parameters.arrivals_per_s, parameters.arrivals_decay
    if measured is None and (a is None or decay is None):
        return None
    bp_ticks = sight.view.double_mid_ticks / 2 / 10_000
    return Intensity(
        a if a is not None else (measured.a if measured else 0.0),
        decay / bp_ticks if decay is not None else (measured.k if measured else 0.0),
        measured.intervals if measured else 0,
    )
