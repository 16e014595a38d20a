"""Spot–perpetual carry: decides when to hold, by the rules of `carry.rules`."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from mrmarket.trading.strategy.carry.parameters import CarryParameters
from mrmarket.trading.strategy.carry.rules import (
    CarryCosts,
    CarryDecision,
    CarryLimits,
    CarryView,
    FundingForecast,
    base_rate,
    decide_carry,
)

_HELD = ("enter", "hold")


class SpotPerpetualCarry:
    """Keeps no state: what it holds, and what funding was, it reads from the view."""

    def __init__(self, parameters: CarryParameters) -> None:
        self.parameters = parameters
        self.limits = CarryLimits(
            parameters.horizon, parameters.least_net, parameters.basis_stop, parameters.margin_sigmas
        )

    @property
    def name(self) -> str:
        """For people."""
        return "spot_perpetual_carry"

    def forecast(self, interval_hours: float) -> FundingForecast:
        """Of a perpetual that pays so often, before anything was seen."""
        parameters = self.parameters
        return FundingForecast(parameters.half_life, parameters.trust, base_rate(interval_hours))

    def costs(self, spot_fee: Decimal) -> CarryCosts:
        """What going in and out takes at this spot fee."""
        parameters = self.parameters
        perp_fee = spot_fee if parameters.perp_fee is None else parameters.perp_fee
        return CarryCosts(
            float(spot_fee), float(perp_fee), float(parameters.slippage), float(parameters.borrow)
        )

    def decide(self, view: CarryView, costs: CarryCosts) -> CarryDecision:
        """What to do; where spot may not be sold short, negative rates are left alone."""
        found = decide_carry(view, costs, self.limits)
        if found.direction < 0 and found.action in _HELD and not self.parameters.short_spot:
            if view.position is None:
                return replace(found, action="stay_out", why="spot may not be sold short")
            return replace(found, action="exit", why="spot may not be sold short")
        return found
