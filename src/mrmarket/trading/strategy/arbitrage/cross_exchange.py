"""Cross-exchange arbitrage: looks at both directions, walks both books, and explains what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from math import ceil, sqrt
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.decimals import format_decimal
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.leg_pair import Leg, PairPlan
from mrmarket.trading.execution.targets import Term
from mrmarket.trading.market.event import Level
from mrmarket.trading.strategy.arbitrage.common_grid import CommonGrid, common_grid
from mrmarket.trading.strategy.arbitrage.parameters import CrossExchangeParameters
from mrmarket.trading.strategy.arbitrage.walk import Caps, Costs, NotWorthIt, Rounding, Walked, walk
from mrmarket.trading.strategy.cross_port import CrossDecision, CrossView, Opportunity, Reading, VenueBook
from mrmarket.trading.strategy.multileg.budget import leg_rules

_LEVELS: Final = 20
_WORDS: Final = {
    "empty_book": "one side of a book is empty",
    "no_edge": "no edge after fees",
    "no_quote": "no quote to buy with",
    "no_base": "no base to sell",
    "lot": "less than a lot of both venues",
    "min_notional": "worth less than a venue takes",
    "profit": "rounding to lots leaves no profit",
}


@dataclass(frozen=True, slots=True)
class _Way:
    """One direction between two instruments."""

    here: Instrument
    there: Instrument
    grid: CommonGrid
    costs: Costs
    rounding: Rounding
    bid_worth: Decimal
    """What a tick of the bid brings, in quote, after fees."""
    ask_cost: Decimal
    """What a tick of the ask costs."""

    def edge(self, ask_ticks: int, bid_ticks: int) -> Decimal:
        """Gain on the first unit after all fees, as a fraction of its price."""
        gain = bid_ticks * self.bid_worth - ask_ticks * self.ask_cost
        return gain / (ask_ticks * self.here.tick_size)


class CrossExchangeArbitrage:
    """Buys where it is cheap and sells where it is dear, when the difference is more than every fee.

    It keeps no state: what it holds on either venue it reads from the view.
    """

    def __init__(self, parameters: CrossExchangeParameters) -> None:
        self.parameters = parameters
        self.leg_rules = leg_rules(parameters)
        self.depth_levels = _LEVELS
        self.oldest_book_ns = round(parameters.max_book_age * NS_PER_S)
        """Time says no more than that books are too old."""
        self._margin = Fraction(parameters.min_profit)
        self._depth_share = Fraction(parameters.depth_share)
        self._ways: list[_Way | None] = [None, None]

    @property
    def name(self) -> str:
        """For people."""
        return "cross_exchange_arbitrage"

    @property
    def symbol(self) -> str:
        """The pair, on both venues."""
        return self.parameters.pair

    def decide(self, view: CrossView) -> CrossDecision:
        """The better of both directions, if either pays."""
        reason = self._unfit(view)
        if reason is not None:
            code, why = reason
            return CrossDecision(None, (Reading(0, code, why), Reading(1, code, why)), why)
        found = [self._look(view, buy_at) for buy_at in (0, 1)]
        best = max(
            (each for each in found if isinstance(each, Opportunity)),
            key=lambda each: each.expected,
            default=None,
        )
        readings = tuple(
            each
            if isinstance(each, Reading)
            else Reading(each.buy_at, "taken" if each is best else "worse", each.why, each.edge)
            for each in found
        )
        why = best.why if best is not None else "; ".join(dict.fromkeys(each.why for each in readings))
        return CrossDecision(best, readings, why)

    def _unfit(self, view: CrossView) -> tuple[str, str] | None:
        for book in view.books:
            if book.unfit:
                return "unfit", f"{book.market}: {book.unfit}"
        ages = [book.age_ns / NS_PER_S for book in view.books]
        for book, age_s in zip(view.books, ages, strict=True):
            if age_s > self.parameters.max_book_age:
                return "book_old", f"book too old: {book.market} was last heard of {age_s:.1f} s ago"
        if abs(ages[0] - ages[1]) > self.parameters.max_book_gap:
            return "book_old", f"book too old: the books are {abs(ages[0] - ages[1]):.1f} s apart"
        return None

    def _look(self, view: CrossView, buy_at: int) -> Opportunity | Reading:
        here, there = view.books[buy_at], view.books[1 - buy_at]
        words = f"{here.market} → {there.market}"
        if here.instrument.symbol != there.instrument.symbol:
            return Reading(buy_at, "pair", "the venues list different pairs")
        if not here.asks or not there.bids:
            return Reading(buy_at, "empty_book", f"{words}: {_WORDS['empty_book']}")
        way = self._way(buy_at, here.instrument, there.instrument)
        edge = way.edge(here.asks[0][0], there.bids[0][0])
        if edge <= self.parameters.min_profit:
            # Most books end here, so nothing was made ready for the walk yet.
            return Reading(buy_at, "no_edge", f"{words}: {_WORDS['no_edge']} ({edge * 10_000:.1f} bp)", edge)
        grid = way.grid
        asks = _units(here.asks[:_LEVELS], grid, 0)
        bids = _units(there.bids[:_LEVELS], grid, 1)
        costs = replace(way.costs, per_unit=Fraction(self.parameters.transfer_cost) * bids[0][0])
        most = self.parameters.max_notional
        caps = Caps(
            quote_grains=grid.grains(here.quote_free),
            base_units=grid.size_units(there.base_free),
            notional_grains=None if most is None else grid.grains(most),
            depth_share=self._depth_share,
        )
        found = walk(asks, bids, costs, caps, way.rounding)
        if isinstance(found, NotWorthIt):
            why = f"{words}: {_WORDS[found.code]} ({edge * 10_000:.1f} bp)"
            return Reading(buy_at, found.code, why, edge)
        return self._judge(view, buy_at, grid, costs, found, asks, bids)

    def _way(self, buy_at: int, here: Instrument, there: Instrument) -> _Way:
        """What depends on the two instruments alone, kept for the next look."""
        way = self._ways[buy_at]
        if way is None or way.here is not here or way.there is not there:
            way = self._ways[buy_at] = self._new_way(here, there)
        return way

    def _new_way(self, here: Instrument, there: Instrument) -> _Way:
        grid = common_grid(here, there)
        in_base = self.parameters.fees_in == "received" and here.taker_fee > 0
        taker = Fraction(here.taker_fee)
        costs = Costs(
            buy_fee=Fraction(0) if in_base else taker,
            buy_fee_in_base=taker if in_base else Fraction(0),
            sell_fee=Fraction(there.taker_fee),
            margin=self._margin,
        )
        kept = (1 - there.taker_fee) * (1 - here.taker_fee if in_base else 1)
        return _Way(
            here,
            there,
            grid,
            costs,
            _rounding(grid, here, there),
            bid_worth=(kept - self.parameters.transfer_cost) * there.tick_size,
            ask_cost=(1 if in_base else 1 + here.taker_fee) * here.tick_size,
        )

    def _judge(
        self,
        view: CrossView,
        buy_at: int,
        grid: CommonGrid,
        costs: Costs,
        found: Walked,
        asks: list[Level],
        bids: list[Level],
    ) -> Opportunity | Reading:
        """Take the cost of a missed second leg off, and put the orders together."""
        here, there = view.books[buy_at], view.books[1 - buy_at]
        way = f"{here.market} → {there.market}"
        profit = _decimal(found.profit_grains * grid.grain)
        notional = _decimal(found.paid_grains * grid.grain)
        edge = profit / notional
        buy, sell = _legs(buy_at, grid, costs, found, here.instrument, there.instrument)
        first = self.parameters.first_leg
        buy_first = first == "buy" or (
            first == "thinner"
            and _depth(asks, found.worst_ask, buy=True) <= _depth(bids, found.worst_bid, buy=False)
        )
        plan = PairPlan(buy, sell) if buy_first else PairPlan(sell, buy)
        exposed = here if buy_first else there
        unwinding = notional * _unwind_share(exposed, view.sigma, self.parameters.leg_deadline)
        miss = self.parameters.miss_share
        expected = (1 - miss) * profit - miss * unwinding
        if expected <= 0:
            why = (
                f"{way}: a missed second leg would cost {unwinding:.4f}, {miss} of it is more than the profit"
            )
            return Reading(buy_at, "expected", why, edge)
        base = format_decimal(here.instrument.size(buy.size_lots))
        fees = _decimal(found.fee_grains * grid.grain)
        terms = (
            Term("edge", edge, "fraction"),
            Term("notional", notional, "quote"),
            Term("fees", fees, "quote"),
            Term("fee in base", _decimal((found.bought_units - found.sold_units) * grid.size_unit), "base"),
            Term("profit", profit, "quote"),
            Term("expected", expected, "quote"),
            Term("bounded by", found.bounded_by),
        )
        why = (
            f"{way}: {base} {here.instrument.base} at {here.instrument.price_text(buy.price_ticks)} or less,"
            f" sold at {there.instrument.price_text(sell.price_ticks)} or more, earns {profit:.4f}"
            f" ({edge * 10_000:.1f} bp) after fees; bounded by {found.bounded_by}"
        )
        return Opportunity(plan, buy_at, notional, profit, edge, expected, terms, why)


def _legs(
    buy_at: int, grid: CommonGrid, costs: Costs, found: Walked, here: Instrument, there: Instrument
) -> tuple[Leg, Leg]:
    buy = Leg(
        buy_at,
        Side.BUY,
        found.bought_units // grid.lot_units[0],
        found.worst_ask // grid.tick_units[0],
        lot_units=grid.lot_units[0],
        min_lots=here.min_lots,
        min_grains=least_grains(here),
        fee=costs.buy_fee,
        fee_in_base=costs.buy_fee_in_base,
    )
    sell = Leg(
        1 - buy_at,
        Side.SELL,
        found.sold_units // grid.lot_units[1],
        found.worst_bid // grid.tick_units[1],
        lot_units=grid.lot_units[1],
        min_lots=there.min_lots,
        min_grains=least_grains(there),
    )
    # To buy back what was sold first, or to cover it, either venue may have to buy: its fee in base counts.
    return buy, replace(sell, fee_in_base=Fraction(there.taker_fee) if costs.buy_fee_in_base else Fraction(0))


def least_grains(instrument: Instrument) -> int:
    """The venue's least notional in ticks times lots, rounded up."""
    return ceil(instrument.min_notional / instrument.grain)


def _rounding(grid: CommonGrid, here: Instrument, there: Instrument) -> Rounding:
    return Rounding(
        buy_lot_units=grid.lot_units[0],
        sell_lot_units=grid.lot_units[1],
        common_lot_units=grid.common_lot_units,
        buy_min_units=here.min_lots * grid.lot_units[0],
        sell_min_units=there.min_lots * grid.lot_units[1],
        buy_min_grains=Fraction(here.min_notional) / grid.grain,
        sell_min_grains=Fraction(there.min_notional) / grid.grain,
    )


def _units(levels: Sequence[Level], grid: CommonGrid, venue: int) -> list[Level]:
    tick, lot = grid.tick_units[venue], grid.lot_units[venue]
    return [(price * tick, size * lot) for price, size in levels]


def _depth(levels: list[Level], worst: int, *, buy: bool) -> int:
    return sum(size for price, size in levels if (price <= worst if buy else price >= worst))


def _unwind_share(book: VenueBook, sigma: float | None, tau_s: float) -> Decimal:
    """What undoing the first leg costs, as a fraction: spread, both fees, and the price's move meanwhile."""
    bid, ask = book.bids[0][0] if book.bids else 0, book.asks[0][0] if book.asks else 0
    spread = Decimal(ask - bid) / ask if bid and ask else Decimal(1)
    moved = Decimal(sigma * sqrt(tau_s)) if sigma is not None else Decimal(0)
    return max(spread, Decimal(0)) + 2 * book.instrument.taker_fee + moved


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)
