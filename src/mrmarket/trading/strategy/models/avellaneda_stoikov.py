"""Avellaneda–Stoikov as in the paper, with a rolling horizon or sessions that follow each other."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.execution.targets import Term
from mrmarket.trading.strategy.estimates import Estimate
from mrmarket.trading.strategy.formulas.avellaneda_stoikov import as_reservation, as_spread
from mrmarket.trading.strategy.models.arrivals import WAITING, ArrivalParameters, arrivals
from mrmarket.trading.strategy.models.curve import Curve, CurveStrategy, Sight
from mrmarket.trading.strategy.models.standing import figure
from mrmarket.trading.strategy.port import MarketView


class AvellanedaStoikovParameters(ArrivalParameters, frozen=True, kw_only=True, tag="avellaneda_stoikov"):
    """The paper's: `r = s − q γ σ² (T − t)`, both distances together `γ σ² (T − t) + (2/γ) ln(1 + γ/k)`."""

    gamma: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.02
    """Risk aversion, in 1/bp: of the profit of one order, in ten-thousandths of its worth."""
    horizon_s: Annotated[float, msgspec.Meta(gt=0, le=2_592_000)] = 60.0
    """T − t, or with `session` the length of the session."""
    session: bool = False
    """Whether T − t runs down to nothing and begins again; else it stays, as for a market that never ends."""


class AvellanedaStoikov:
    """The model."""

    name = "avellaneda_stoikov"
    estimates = frozenset({Estimate.ARRIVALS})

    def __init__(self, parameters: AvellanedaStoikovParameters) -> None:
        self._parameters = parameters

    def curve(self, sight: Sight) -> Curve | str:
        """Where quotes go."""
        parameters = self._parameters
        flow = arrivals(parameters, sight)
        if flow is None:
            return WAITING
        left_s = left_of(sight.view, parameters.horizon_s, session=parameters.session)
        gamma = parameters.gamma / (sight.view.double_mid_ticks / 2 / 10_000)
        half = as_spread(gamma, sight.sigma, left_s, flow.k) / 2
        shift = as_reservation(0.0, sight.inventory, gamma, sight.sigma, left_s)
        terms = (
            Term("risk aversion", figure(parameters.gamma), "1/bp"),
            Term("decay of arrivals", figure(flow.k), "1/tick"),
            Term("time left", figure(left_s, 1), "s"),
        )
        return Curve(half, shift, terms)


def left_of(view: MarketView, horizon_s: float, *, session: bool) -> float:
    """Seconds to the end of the session, whose beginnings are multiples of its length on the clock."""
    if not session:
        return horizon_s
    return horizon_s - view.now_ns / NS_PER_S % horizon_s


def avellaneda_stoikov(parameters: AvellanedaStoikovParameters) -> CurveStrategy:
    """The strategy."""
    return CurveStrategy(parameters, AvellanedaStoikov(parameters))
