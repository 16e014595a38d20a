"""The live estimators over a whole recording, computed once: no strategy's decision changes them."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import Final

from mrmarket.trading.backtest.recording import MOVED, TRADE, Feed, Recording
from mrmarket.trading.market.estimators.intensity import Intensity
from mrmarket.trading.market.estimators.volatility import VolatilityEstimator
from mrmarket.trading.strategy.estimates import Estimate, MarketEstimates

UNKNOWN: Final = math.nan


def _floats() -> array[float]:
    return array("d")


@dataclass(slots=True)
class Signals:
    """What the estimators said after each point of a feed; NaN where they did not know yet."""

    sigma: array[float] = field(default_factory=_floats)
    micro: array[float] = field(default_factory=_floats)
    flow: array[float] = field(default_factory=_floats)
    imbalance: array[float] = field(default_factory=_floats)
    intensity: list[Intensity | None] = field(default_factory=list)
    """Empty where nobody asked for it; points share the objects."""


def signals_of(recording: Recording, wanted: frozenset[Estimate]) -> Signals:
    """The signals of a recording, computed when they are first asked for: a sweep asks again and again."""
    found = recording.signals.get(wanted)
    if found is None:
        found = recording.signals[wanted] = compute(recording.feed, wanted)
    return found


def compute(feed: Feed, wanted: frozenset[Estimate]) -> Signals:
    """Drive the estimators as a live run does: by its own clock, on the touch of others and on trades."""
    found = Signals()
    volatility = VolatilityEstimator()
    estimates = MarketEstimates(wanted)
    origin_ns = feed.at_ns[0] if len(feed) else 0
    arrivals = Estimate.ARRIVALS in wanted
    micro: float | None = None
    flow: float | None = None
    sigma: float | None = None
    for point in range(len(feed)):
        now_ns = feed.at_ns[point] - origin_ns
        kind = feed.kind[point]
        bid, ask = feed.bid[point], feed.ask[point]
        if kind == TRADE:
            if estimates.is_needed:
                lots = feed.trade_lots[point]
                estimates.on_trade(now_ns, feed.trade_ticks[point], abs(lots), taker_buys=lots > 0)
        elif bid and ask:
            if kind == MOVED:
                volatility.observe(now_ns, bid + ask)
                sigma = volatility.sigma
            if estimates.is_needed:
                best_bid, best_ask = (bid, feed.bid_lots[point]), (ask, feed.ask_lots[point])
                estimates.on_touch(now_ns, best_bid, best_ask)
                micro = estimates.micro_offset_ticks(best_bid, best_ask)
                flow = estimates.flow_move_ticks
        found.sigma.append(UNKNOWN if sigma is None else sigma)
        found.micro.append(UNKNOWN if micro is None else micro)
        found.flow.append(UNKNOWN if flow is None else flow)
        found.imbalance.append(estimates.trade_imbalance)
        if arrivals:
            found.intensity.append(estimates.intensity)
    return found
