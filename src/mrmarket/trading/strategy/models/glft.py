"""Guéant–Lehalle–Fernandez-Tapia: stationary quotes, with a risk aversion by the maximum inventory."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from mrmarket.trading.execution.targets import Term
from mrmarket.trading.strategy.estimates import Estimate
from mrmarket.trading.strategy.formulas.glft import glft_arrivals_after_fee, glft_gamma, glft_terms
from mrmarket.trading.strategy.models.arrivals import WAITING, ArrivalParameters, arrivals
from mrmarket.trading.strategy.models.curve import Curve, CurveStrategy, Sight
from mrmarket.trading.strategy.models.standing import figure

_SIZE: Final = 1.0
"""One order: inventory is counted in orders."""


class GlftParameters(ArrivalParameters, frozen=True, kw_only=True, tag="glft"):
    """Half spread `c1 + σ c2 / 2`, skew `σ c2` for each order held, with the fee taken into the arrivals."""

    fair_value: str = "microprice"
    gamma: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = None
    """Risk aversion, in 1/bp. None: at `max_inventory` the reducing side stands at the fair value."""
    model: Literal["a", "b"] = "a"
    """`a` weighs the timing of fills with the same aversion (xi = gamma), `b` does not (xi → 0)."""


class Glft:
    """The model."""

    name = "glft"
    estimates = frozenset({Estimate.ARRIVALS})

    def __init__(self, parameters: GlftParameters) -> None:
        self._parameters = parameters
        self._solved: tuple[tuple[float, float, float], float] | None = None
        """(volatility, A, k) of the last bisection and its answer: they change with the mid alone, and
        a bisection takes longer than everything else."""

    def curve(self, sight: Sight) -> Curve | str:
        """Where quotes go."""
        parameters = self._parameters
        flow = arrivals(parameters, sight)
        if flow is None:
            return WAITING
        bp_ticks = sight.view.double_mid_ticks / 2 / 10_000
        a = glft_arrivals_after_fee(flow.a, flow.k, sight.fee_ticks)
        model_a = parameters.model == "a"
        if parameters.gamma is None:
            gamma = self._gamma(sight.sigma, a, flow.k, model_a=model_a)
        else:
            gamma = parameters.gamma / bp_ticks
        half, skew = glft_terms(gamma, gamma if model_a else 0.0, sight.sigma, a, flow.k, _SIZE)
        terms = (
            Term("risk aversion", figure(gamma * bp_ticks), "1/bp"),
            Term("arrivals at the mid", figure(flow.a), "1/s"),
            Term("decay of arrivals", figure(flow.k), "1/tick"),
        )
        return Curve(half, -skew * sight.inventory, terms)

    def _gamma(self, sigma: float, a: float, k: float, *, model_a: bool) -> float:
        if self._solved is None or self._solved[0] != (sigma, a, k):
            gamma = glft_gamma(self._parameters.max_inventory, sigma, a, k, _SIZE, model_a=model_a)
            self._solved = (sigma, a, k), gamma
        return self._solved[1]


def glft(parameters: GlftParameters) -> CurveStrategy:
    """The strategy."""
    return CurveStrategy(parameters, Glft(parameters))
