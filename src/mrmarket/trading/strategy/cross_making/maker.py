"""The maker's quotes: no better than what hedging them at once on the other venue still earns. Pure, exact.

With V_b(q) and V_a(q) the prices at which the taker venue would fill q against its bids and asks, fees f_m
and f_t, and ρ the least profit with what the price may do meanwhile:

    bid ≤ V_b(q) (1 − f_t) / ((1 + f_m) (1 + ρ))        ask ≥ V_a(q) (1 + f_t) (1 + ρ) / (1 − f_m)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor, sqrt
from typing import Annotated

import msgspec

from mrmarket.core.side import Side
from mrmarket.trading.execution.targets import Quote, TargetQuotes, Term
from mrmarket.trading.market.event import Level
from mrmarket.trading.strategy.cross_port import VenueBook, WashTradeRefusedError
from mrmarket.trading.strategy.schema import StrategySchema, within


class CrossMakingParameters(StrategySchema, frozen=True, kw_only=True, tag="cross_exchange_making"):
    """Quotes on `exchange`, hedged on `other_exchange`."""

    other_exchange: str = ""
    """Where fills are hedged."""
    order_amount: Decimal = Decimal("0.01")
    """Base of each quote, at most."""
    min_profit: Decimal = Decimal("0.0005")
    """After both fees, as a fraction of the price."""
    adverse_sigmas: Annotated[float, msgspec.Meta(ge=0, le=10)] = 1.0
    """Standard deviations of the price over `hedge_time` that are asked for on top."""
    hedge_time: Annotated[float, msgspec.Meta(gt=0, le=60)] = 1.0
    """Seconds from a fill to its hedge."""
    slippage_band: Decimal = Decimal("0.002")
    """Only what the taker venue offers this near to its best price counts as depth."""
    depth_share: Decimal = Decimal("0.5")
    """Share of that depth which is counted on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("order_amount", self.order_amount, "0", "1e12", low_open=True, example="0.01")
        within("min_profit", self.min_profit, "0", "0.5", example="0.0005")
        within("slippage_band", self.slippage_band, "0", "0.5", low_open=True, example="0.002")
        within("depth_share", self.depth_share, "0", "1", low_open=True, example="0.5")


@dataclass(frozen=True, slots=True)
class Bound:
    """The worst price a quote may have, and how large it may be."""

    price_ticks: int
    """Of the maker's venue."""
    size_lots: int
    """Of the maker's venue."""
    hedge_price: Fraction
    """Quote per base that the taker venue would give or take for the whole size."""


def vwap(levels: Sequence[Level], lots: int) -> Fraction | None:
    """Mean price in ticks of taking so many lots, the best first; None where there is less."""
    left, grains = lots, 0
    for price, size in levels:
        taken = min(left, size)
        grains, left = grains + price * taken, left - taken
        if not left:
            return Fraction(grains, lots) if lots else None
    return None


def bound(
    side: Side, parameters: CrossMakingParameters, maker: VenueBook, taker: VenueBook, sigma: float
) -> Bound | str:
    """What the quote of a side may be at most, or why there is none.

    Raises:
        WashTradeRefusedError: both are one market.
    """
    if maker.market == taker.market:
        raise WashTradeRefusedError(maker.market)
    there = taker.instrument
    # A bid that is filled is hedged by a sale there, an ask by a purchase.
    levels = _within_band(taker, side, Fraction(parameters.slippage_band))
    if not levels:
        return "the other venue has no price"
    depth = sum(size for _, size in levels) * Fraction(parameters.depth_share) * Fraction(there.lot_size)
    base = min(Fraction(parameters.order_amount), depth, _affordable(side, maker, taker, levels))
    lots_there = floor(base / Fraction(there.lot_size))
    price = vwap(levels, lots_there) if lots_there >= max(there.min_lots, 1) else None
    if price is None:
        return "less than the other venue takes can be hedged"
    if price * lots_there * Fraction(there.grain) < Fraction(there.min_notional):
        return "the hedge would be worth less than the other venue takes"
    hedge = price * Fraction(there.tick_size)
    here = maker.instrument
    risk = Fraction(parameters.min_profit) + Fraction(
        parameters.adverse_sigmas * sigma * sqrt(parameters.hedge_time)
    )
    kept, paid = 1 - Fraction(there.taker_fee), 1 + Fraction(there.taker_fee)
    fee = Fraction(here.maker_fee)
    if side is Side.BUY:
        ticks = floor(hedge * kept / ((1 + fee) * (1 + risk)) / Fraction(here.tick_size))
    else:
        ticks = ceil(hedge * paid * (1 + risk) / (1 - fee) / Fraction(here.tick_size))
    lots = floor(lots_there * Fraction(there.lot_size) / Fraction(here.lot_size))
    if ticks <= 0 or lots < here.min_lots or here.notional(ticks, lots) < here.min_notional:
        return "less than this venue takes can be quoted"
    return Bound(ticks, lots, hedge)


def maker_quotes(
    parameters: CrossMakingParameters, maker: VenueBook, taker: VenueBook, sigma: float | None
) -> TargetQuotes:
    """A bid and an ask, as far as each can be hedged at a profit.

    A quote goes no further than one tick beyond the best of others: more would only give the edge away.
    """
    if maker.unfit or taker.unfit:
        return TargetQuotes(reason=maker.unfit or f"{taker.market}: {taker.unfit}")
    if sigma is None:
        return TargetQuotes(reason="the volatility is not known yet")
    if not maker.bids or not maker.asks:
        return TargetQuotes(reason="nobody quotes both sides")
    quotes: list[Quote] = []
    notes: list[str] = []
    for side, slot in ((Side.BUY, "b1"), (Side.SELL, "s1")):
        found = bound(side, parameters, maker, taker, sigma)
        if isinstance(found, str):
            notes.append(f"{side.value}: {found}")
            continue
        quotes.append(_quote(side, slot, found, maker, taker))
    return TargetQuotes(tuple(quotes), "; ".join(notes))


def _quote(side: Side, slot: str, found: Bound, maker: VenueBook, taker: VenueBook) -> Quote:
    bid, ask = maker.bids[0][0], maker.asks[0][0]
    if side is Side.BUY:
        ticks = min(found.price_ticks, bid + 1, ask - 1)
    else:
        ticks = max(found.price_ticks, ask - 1, bid + 1)
    instrument = maker.instrument
    hedge = Decimal(found.hedge_price.numerator) / Decimal(found.hedge_price.denominator)
    terms = (
        Term(f"hedge on {taker.market}", hedge, "quote"),
        Term("bound", instrument.price(found.price_ticks), "quote"),
        Term("price", instrument.price(ticks), "quote"),
    )
    why = f"hedged on {taker.market} at {hedge:.8g}, not beyond {instrument.price_text(found.price_ticks)}"
    return Quote(slot, side, ticks, found.size_lots, terms, why, worst_ticks=found.price_ticks)


def _within_band(taker: VenueBook, side: Side, band: Fraction) -> list[Level]:
    if side is Side.BUY:
        levels = taker.bids
        return [each for each in levels if each[0] >= levels[0][0] * (1 - band)]
    levels = taker.asks
    return [each for each in levels if each[0] <= levels[0][0] * (1 + band)]


def _affordable(side: Side, maker: VenueBook, taker: VenueBook, levels: Sequence[Level]) -> Fraction:
    """Base for which there is money on both venues."""
    dear = levels[-1][0] * Fraction(taker.instrument.tick_size)
    if side is Side.BUY:
        best = maker.asks[0][0] * Fraction(maker.instrument.tick_size)
        here = Fraction(maker.quote_free) / (
            best * (1 + max(Fraction(maker.instrument.maker_fee), Fraction(0)))
        )
        return min(here, Fraction(taker.base_free))
    there = Fraction(taker.quote_free) / (dear * (1 + Fraction(taker.instrument.taker_fee)))
    return min(Fraction(maker.base_free), there)
