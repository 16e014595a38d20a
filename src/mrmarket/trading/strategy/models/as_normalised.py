"""The normalised variant of Avellaneda–Stoikov: a risk aversion without unit, inventory as a share."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mrmarket.trading.execution.targets import Term
from mrmarket.trading.strategy.estimates import Estimate
from mrmarket.trading.strategy.formulas.as_normalised import as_normalised_reservation, as_normalised_spread
from mrmarket.trading.strategy.models.arrivals import WAITING, ArrivalParameters, arrivals
from mrmarket.trading.strategy.models.avellaneda_stoikov import left_of
from mrmarket.trading.strategy.models.curve import Curve, CurveStrategy, Sight
from mrmarket.trading.strategy.models.standing import figure


class AsNormalisedParameters(ArrivalParameters, frozen=True, kw_only=True, tag="as_normalised"):
    """`r = s − q γ σ τ` with q as a share of the account and τ from 1 to 0; not the paper's solution."""

    gamma: Annotated[float, msgspec.Meta(ge=0, le=1_000)] = 0.5
    """Risk aversion, without unit."""
    sigma_window_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 60.0
    """The time whose standard deviation is σ."""
    session_s: Annotated[float, msgspec.Meta(gt=0, le=2_592_000)] | None = None
    """Length of the session over which τ runs from 1 to 0; None: it stays 1."""


class AsNormalised:
    """The model."""

    name = "as_normalised"
    estimates = frozenset({Estimate.ARRIVALS})

    def __init__(self, parameters: AsNormalisedParameters) -> None:
        self._parameters = parameters

    def curve(self, sight: Sight) -> Curve | str:
        """Where quotes go."""
        parameters = self._parameters
        flow = arrivals(parameters, sight)
        if flow is None:
            return WAITING
        left = 1.0
        if parameters.session_s is not None:
            left = left_of(sight.view, parameters.session_s, session=True) / parameters.session_s
        sigma = sight.sigma * parameters.sigma_window_s**0.5
        terms = (
            Term("risk aversion", figure(parameters.gamma)),
            Term("decay of arrivals", figure(flow.k), "1/tick"),
            Term("inventory as a share", figure(sight.share, 4), "fraction"),
            Term("time left", figure(left, 4), "fraction"),
        )
        return Curve(
            as_normalised_spread(parameters.gamma, sigma, left, flow.k) / 2,
            as_normalised_reservation(0.0, sight.share, parameters.gamma, sigma, left),
            terms,
        )


def as_normalised(parameters: AsNormalisedParameters) -> CurveStrategy:
    """The strategy."""
    return CurveStrategy(parameters, AsNormalised(parameters))
