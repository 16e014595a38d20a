"""Cross-exchange market making: quotes no better than what hedging them at once elsewhere still earns.

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
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.targets import Quote, TargetQuotes, Term, Told
from mrmarket.trading.market.event import Level
from mrmarket.trading.strategy.cross_making.hedge import HEDGE, MAKER, hedge_rules
from mrmarket.trading.strategy.cross_making.parameters import CrossMakingParameters
from mrmarket.trading.strategy.cross_port import CrossView, VenueBook, WashTradeRefusedError

_LEVELS: Final = 20


@dataclass(frozen=True, slots=True)
class Bound:
    """The worst price a quote may have, and how large it may be."""

    price_ticks: int
    """Of the maker's venue: filled there, a hedge earns `min_profit`."""
    worst_ticks: int
    """The same for `cancel_profit`, if that is less."""
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
    adverse = Fraction(parameters.adverse_sigmas * sigma * sqrt(parameters.hedge_time))
    profit = Fraction(parameters.min_profit)
    ticks = _price(side, hedge, here, there, profit + adverse)
    least = min(profit, Fraction(parameters.cancel_profit))
    lots = floor(lots_there * Fraction(there.lot_size) / Fraction(here.lot_size))
    if ticks <= 0 or lots < here.min_lots or here.notional(ticks, lots) < here.min_notional:
        return "less than this venue takes can be quoted"
    return Bound(ticks, _price(side, hedge, here, there, least + adverse), lots, hedge)


def _price(side: Side, hedge: Fraction, here: Instrument, there: Instrument, profit: Fraction) -> int:
    """The last tick at which a fill that is hedged at this price earns so much."""
    fee, tick = Fraction(here.maker_fee), Fraction(here.tick_size)
    if side is Side.BUY:
        kept = hedge * (1 - Fraction(there.taker_fee))
        return floor(kept / ((1 + fee) * (1 + profit)) / tick)
    paid = hedge * (1 + Fraction(there.taker_fee))
    return ceil(paid * (1 + profit) / (1 - fee) / tick)


class CrossExchangeMarketMaking:
    """Quotes where the fee is low or the spread wide, as far as the hedge elsewhere pays for it.

    It keeps no state: what is held on either venue it reads from the view, and what is not hedged yet is the
    run's affair.
    """

    def __init__(self, parameters: CrossMakingParameters) -> None:
        self.parameters = parameters
        self.leg_rules = hedge_rules(parameters)
        self.rules = RefreshRules(
            refresh_ns=round(parameters.order_refresh_time * NS_PER_S),
            tolerance=parameters.order_refresh_tolerance,
            max_age_ns=round(parameters.max_order_age * NS_PER_S),
        )
        self.depth_levels = _LEVELS
        self.oldest_book_ns = round(parameters.max_book_age * NS_PER_S)
        """Time says no more than that books are too old."""

    @property
    def name(self) -> str:
        """For people."""
        return "cross_exchange_market_making"

    @property
    def symbol(self) -> str:
        """The pair, on both venues."""
        return self.parameters.pair

    def quotes(self, view: CrossView) -> TargetQuotes:
        """A bid and an ask, as far as each can be hedged at a profit."""
        return maker_quotes(self.parameters, view.books[MAKER], view.books[HEDGE], view.sigma)


def maker_quotes(
    parameters: CrossMakingParameters, maker: VenueBook, taker: VenueBook, sigma: float | None
) -> TargetQuotes:
    """A bid and an ask, as far as each can be hedged at a profit.

    A quote goes no further than one tick beyond the best of others: more would only give the edge away.
    """
    for book in (maker, taker):
        if book.unfit:
            return TargetQuotes(reason=f"{book.market}: {book.unfit}")
        if book.age_ns > parameters.max_book_age * NS_PER_S:
            age_s = book.age_ns / NS_PER_S
            return TargetQuotes(reason=f"{book.market}: the book was last heard of {age_s:.1f} s ago")
    if sigma is None and parameters.adverse_sigmas:
        return TargetQuotes(reason="the volatility is not known yet")
    if not maker.bids or not maker.asks:
        return TargetQuotes(reason="nobody quotes both sides")
    quotes: list[Quote] = []
    notes: list[str] = []
    for side, slot in ((Side.BUY, "b1"), (Side.SELL, "s1")):
        found = bound(side, parameters, maker, taker, sigma or 0.0)
        if isinstance(found, str):
            notes.append(f"{side.value}: {found}")
            continue
        quotes.append(_quote(side, slot, found, parameters, maker, taker))
    return TargetQuotes(tuple(quotes), "; ".join(notes))


def _quote(
    side: Side,
    slot: str,
    found: Bound,
    parameters: CrossMakingParameters,
    maker: VenueBook,
    taker: VenueBook,
) -> Quote:
    bid, ask = maker.bids[0][0], maker.asks[0][0]
    front = _front(maker, side, parameters.top_depth_tolerance)
    if side is Side.BUY:
        ticks = min(found.price_ticks, ask - 1, found.price_ticks if front is None else front + 1)
    else:
        ticks = max(found.price_ticks, bid + 1, found.price_ticks if front is None else front - 1)

    def explain() -> Told:
        instrument = maker.instrument
        hedge = Decimal(found.hedge_price.numerator) / Decimal(found.hedge_price.denominator)
        terms = (
            Term(f"hedge on {taker.market}", hedge, "quote"),
            Term("bound", instrument.price(found.price_ticks), "quote"),
            Term("price", instrument.price(ticks), "quote"),
        )
        last = instrument.price_text(found.price_ticks)
        return terms, f"hedged on {taker.market} at {hedge:.8g}, not beyond {last}"

    return Quote(slot, side, ticks, found.size_lots, worst_ticks=found.worst_ticks, explain=explain)


def _front(maker: VenueBook, side: Side, tolerance: Decimal) -> int | None:
    """The best price of others, those left out who may stand in front; None where that is everybody."""
    left = floor(Fraction(tolerance) / Fraction(maker.instrument.lot_size))
    for price, size in maker.bids if side is Side.BUY else maker.asks:
        left -= size
        if left < 0:
            return price
    return None


def _within_band(taker: VenueBook, side: Side, band: Fraction) -> list[Level]:
    if side is Side.BUY:
        if not taker.bids:
            return []
        least = ceil(taker.bids[0][0] * (1 - band))
        return [each for each in taker.bids if each[0] >= least]
    if not taker.asks:
        return []
    most = floor(taker.asks[0][0] * (1 + band))
    return [each for each in taker.asks if each[0] <= most]


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
