"""Spot against perpetual: when collecting funding pays, when to leave, and how the two are kept equal. Pure.

A carry holds base in spot and as much short in a perpetual (or both the other way round). Each interval the
perpetual pays `rate * notional` to the short where the rate is positive. No venue adapter of ours trades
perpetuals yet; these rules are what a run on one would use.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Final

from mrmarket.trading.execution.targets import Term

BASE_RATE_8H: Final = 0.0001
"""What a perpetual's funding tends to: 0.01 % in eight hours, the interest part of the usual formula."""
_HOURS: Final = 8.0


@dataclass(frozen=True, slots=True)
class FundingForecast:
    """An exponentially weighted mean of funding rates, drawn towards the base rate while little was seen."""

    half_life: float = 6.0
    """Of the weights, in intervals."""
    trust: float = 6.0
    """After so many intervals mean and base rate weigh the same."""
    base_rate: float = BASE_RATE_8H
    mean: float = 0.0
    seen: float = 0.0
    """Sum of the weights so far."""

    def after(self, rate: float) -> FundingForecast:
        """With one more interval's rate; one that is no number changes nothing."""
        if not isfinite(rate):
            return self
        kept = 0.5 ** (1 / self.half_life)
        seen = self.seen * kept + 1
        mean = (self.mean * self.seen * kept + rate) / seen
        return FundingForecast(self.half_life, self.trust, self.base_rate, mean, seen)

    @property
    def rate(self) -> float:
        """Expected for the next interval."""
        return (self.mean * self.seen + self.base_rate * self.trust) / (self.seen + self.trust)


def base_rate(interval_hours: float) -> float:
    """The base rate of another interval than eight hours."""
    return BASE_RATE_8H * interval_hours / _HOURS


@dataclass(frozen=True, slots=True)
class CarryCosts:
    """Fractions of the notional."""

    spot_fee: float
    perp_fee: float
    slippage: float
    """Of one order, on either market."""
    borrow: float = 0.0
    """Of what is borrowed, each interval: base where spot is short, quote where it is bought on credit."""

    @property
    def round_trip(self) -> float:
        """In and out on both markets."""
        return 2 * (self.spot_fee + self.perp_fee) + 4 * self.slippage


@dataclass(frozen=True, slots=True)
class CarryLimits:
    """When a carry is entered and left."""

    horizon: int = 21
    """Intervals that it is meant to last: a week of eight hours each."""
    least_net: float = 0.0005
    """Of the notional, over the horizon, after all costs."""
    basis_stop: float = 0.01
    """Left where the perpetual has moved by so much against the position, as a fraction of spot."""
    margin_sigmas: float = 6.0
    """Distance of the liquidation price, in daily standard deviations."""


@dataclass(frozen=True, slots=True)
class Carry:
    """A position that is held."""

    direction: int
    """+1: spot long, perpetual short, which collects a positive rate; −1 the other way round."""
    entry_basis: float
    """Perpetual over spot less 1, when it was entered."""


@dataclass(frozen=True, slots=True)
class CarryView:
    """One moment."""

    forecast: FundingForecast
    basis: float
    """Perpetual over spot, less 1."""
    sigma_day: float
    """Daily standard deviation of the price, as a fraction."""
    liquidation_distance: float
    """Of the perpetual's margin, as a fraction of the price; of the position as it is, or would be."""
    position: Carry | None = None


@dataclass(frozen=True, slots=True)
class CarryDecision:
    """What to do, and every figure behind it."""

    action: str
    """`enter`, `hold`, `exit` or `stay_out`."""
    direction: int
    net: float
    """Expected over the horizon after all costs, as a fraction of the notional."""
    break_even: float
    """Intervals until the costs are earned back; infinite where they never are."""
    why: str
    terms: tuple[Term, ...]


def decide_carry(view: CarryView, costs: CarryCosts, limits: CarryLimits) -> CarryDecision:
    """Enter where the expected carry pays for everything, leave where it turns or the basis runs away."""
    rate = view.forecast.rate
    if view.position is None:
        return _entry(view, rate, costs, limits)
    direction = view.position.direction
    lost = direction * (view.basis - view.position.entry_basis)
    net = limits.horizon * (direction * rate - costs.borrow)
    reason = ""
    if not _margin_holds(view, limits):
        reason = "the margin is too thin: liquidation is nearer than the price may move in a day"
    elif direction * view.forecast.rate <= costs.borrow:
        reason = "the expected funding no longer pays"
    elif direction * view.forecast.mean < 0:
        reason = "funding has turned"
    elif lost >= limits.basis_stop:
        reason = f"the basis has moved {lost:.2%} against the position"
    action = "exit" if reason else "hold"
    return _decision(action, direction, net, costs, view, reason or "the expected funding still pays")


def hedge_lots(spot_lots: int, perp_lots: int, band_lots: int = 1) -> int:
    """Lots of the perpetual to trade so that both cancel out; 0 inside the band. Bought is positive."""
    gap = spot_lots + perp_lots
    return -gap if abs(gap) > band_lots else 0


def _entry(view: CarryView, rate: float, costs: CarryCosts, limits: CarryLimits) -> CarryDecision:
    direction = 1 if rate > 0 else -1
    net = limits.horizon * (abs(rate) - costs.borrow) - costs.round_trip
    if view.forecast.seen and direction * view.forecast.mean < 0:
        return _decision("stay_out", direction, net, costs, view, "what was seen points the other way")
    if not _margin_holds(view, limits):
        return _decision("stay_out", direction, net, costs, view, "the margin would be too thin")
    if net < limits.least_net:
        why = f"{limits.horizon} intervals bring {net:.3%} after costs, {limits.least_net:.3%} is the least"
        return _decision("stay_out", direction, net, costs, view, why)
    return _decision("enter", direction, net, costs, view, f"{limits.horizon} intervals bring {net:.3%}")


def _margin_holds(view: CarryView, limits: CarryLimits) -> bool:
    return view.liquidation_distance > limits.margin_sigmas * view.sigma_day


def _decision(
    action: str, direction: int, net: float, costs: CarryCosts, view: CarryView, why: str
) -> CarryDecision:
    earned = abs(view.forecast.rate) - costs.borrow
    break_even = costs.round_trip / earned if earned > 0 else inf
    terms = (
        Term("expected rate", f"{view.forecast.rate:.6f}", "fraction"),
        Term("round trip", f"{costs.round_trip:.6f}", "fraction"),
        Term("net", f"{net:.6f}", "fraction"),
        Term("break even", f"{break_even:.1f}"),
        Term("basis", f"{view.basis:.6f}", "fraction"),
    )
    return CarryDecision(action, direction, net, break_even, why, terms)
