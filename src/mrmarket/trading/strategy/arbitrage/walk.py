"""How much to buy on one book and sell on another: a walk along both, exact with fees. Pure integers.

Bought and sold units differ where the buyer's fee is taken in base: of a bought unit `(d - n) / d` arrive for
a fee of `n / d`. So the walk counts in shares, `d - n` to a bought unit and `d` to a sold one: a level of A
units on offer holds `A * (d - n)` of them, one of B units bid `B * d`; nothing is rounded before the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor, lcm
from typing import Final

from mrmarket.trading.market.event import Level

_NOTHING: Final = Fraction(0)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a unit bought here and sold there costs beside its prices. Fractions, exact."""

    buy_fee: Fraction = _NOTHING
    """Of what is paid, on top of it, in quote."""
    buy_fee_in_base: Fraction = _NOTHING
    """Of what is received, kept back by the venue."""
    sell_fee: Fraction = _NOTHING
    """Of the proceeds, in quote."""
    per_unit: Fraction = _NOTHING
    """Price units a bought size unit: its share of a later transfer between the venues."""
    margin: Fraction = _NOTHING
    """Least profit, as a fraction of what is paid, of each single unit."""


@dataclass(frozen=True, slots=True)
class Caps:
    """What bounds the size. None is no bound."""

    quote_grains: int | None = None
    """Quote free on the buying venue."""
    base_units: int | None = None
    """Base free on the selling venue."""
    notional_grains: int | None = None
    """Greatest amount paid, before fees."""
    depth_share: Fraction = Fraction(1)
    """Share of each level that is counted on: others take from it too."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """Lots and least notionals of the two venues, in units and grains."""

    buy_lot_units: int
    sell_lot_units: int
    common_lot_units: int
    buy_min_units: int = 0
    sell_min_units: int = 0
    buy_min_grains: Fraction = _NOTHING
    sell_min_grains: Fraction = _NOTHING


@dataclass(frozen=True, slots=True)
class Walked:
    """How far the books may be walked. Sizes are units, amounts grains, prices units."""

    bought_units: int
    sold_units: int
    paid_grains: int
    """Before fees."""
    received_grains: int
    """Before fees."""
    fee_grains: Fraction
    """In quote; a fee in base is in the difference of bought and sold."""
    profit_grains: Fraction
    """Received less paid, less all fees and costs; what is left of a lot counts at the lowest ask."""
    worst_ask: int
    worst_bid: int
    bounded_by: str
    """`edge`, `depth`, `quote`, `base` or `notional`."""


@dataclass(frozen=True, slots=True)
class NotWorthIt:
    """Why nothing is bought or sold."""

    code: str
    """`empty_book`, `no_edge`, `no_quote`, `no_base`, `lot`, `min_notional`, `profit`."""
    edge: Fraction | None = None
    """Gain on the first unit after all fees, as a fraction of what is paid; None without a book."""


def first_edge(ask: int, bid: int, costs: Costs) -> Fraction:
    """Gain after all fees of buying at one price and selling at the other, as a fraction of what is paid."""
    kept = (1 - costs.sell_fee) * (1 - costs.buy_fee_in_base)
    return (bid * kept - ask * (1 + costs.buy_fee) - costs.per_unit) / ask


def walk(
    asks: Sequence[Level], bids: Sequence[Level], costs: Costs, caps: Caps, rounding: Rounding
) -> Walked | NotWorthIt:
    """Take asks from the lowest and bids from the highest for as long as each further unit earns its margin.

    The gain of a further unit never rises along the walk, so the first that does not pay ends it, and what
    came before is the best there is.

    Args:
        asks: of the buying venue, (price units, size units), ascending.
        bids: of the selling venue, descending.
        costs: fees and margin.
        caps: bounds.
        rounding: lots; the result is rounded down to them, and then looked at again as a whole.
    """
    if not asks or not bids:
        return NotWorthIt("empty_book")
    edge = first_edge(asks[0][0], bids[0][0], costs)
    shares, bound = _shares(asks, bids, costs, caps)
    if not shares:
        return NotWorthIt({"quote": "no_quote", "base": "no_base"}.get(bound, "no_edge"), edge)
    bought, sold = _rounded(shares, costs, rounding)
    if bought < max(rounding.buy_min_units, 1) or sold < max(rounding.sell_min_units, 1):
        return NotWorthIt("lot", edge)
    paid, worst_ask = consume(asks, bought, caps.depth_share)
    received, worst_bid = consume(bids, sold, caps.depth_share)
    if paid < rounding.buy_min_grains or received < rounding.sell_min_grains:
        return NotWorthIt("min_notional", edge)
    fees = paid * costs.buy_fee + received * costs.sell_fee
    left = bought * (1 - costs.buy_fee_in_base) - sold
    profit = received - paid - fees - bought * costs.per_unit + left * asks[0][0]
    if profit <= 0 or profit < paid * costs.margin:
        return NotWorthIt("profit", edge)
    return Walked(bought, sold, paid, received, fees, profit, worst_ask, worst_bid, bound)


def consume(levels: Iterable[Level], units: int, depth_share: Fraction = Fraction(1)) -> tuple[int, int]:
    """(grains, worst price) of taking so many units, the best first, of a share of each level.

    Raises:
        ValueError: the levels hold less.
    """
    grains, worst, left = 0, 0, units
    for price, size in levels:
        taken = min(left, _share(size, depth_share))
        if taken:
            grains += price * taken
            worst = price
            left -= taken
        if not left:
            return grains, worst
    raise ValueError(f"the book holds {units - left} of {units} units")


def _shares(asks: Sequence[Level], bids: Sequence[Level], costs: Costs, caps: Caps) -> tuple[int, str]:
    """How many shares the walk takes, and what ended it."""
    n, d = costs.buy_fee_in_base.numerator, costs.buy_fee_in_base.denominator
    weigh_bid, weigh_ask, flat = _weights(costs)
    left = None if caps.base_units is None else max(0, caps.base_units) * d
    purse, purse_name = _purse(costs, caps)
    offered = [(price, _share(size, caps.depth_share) * (d - n)) for price, size in asks]
    wanted = [(price, _share(size, caps.depth_share) * d) for price, size in bids]
    total, spent, i, j = 0, 0, 0, 0
    ask_taken = bid_taken = 0
    while i < len(offered) and j < len(wanted):
        ask, bid = offered[i][0], wanted[j][0]
        if bid * weigh_bid - ask * weigh_ask - flat <= 0:
            return total, "edge"
        take, bound = min(offered[i][1] - ask_taken, wanted[j][1] - bid_taken), ""
        if left is not None and left - total < take:
            take, bound = left - total, "base"
        if purse is not None and (purse - spent) // ask < take:
            take, bound = (purse - spent) // ask, purse_name
        total += take
        spent += take * ask
        if bound:
            return total, bound
        ask_taken, bid_taken = ask_taken + take, bid_taken + take
        if ask_taken == offered[i][1]:
            i, ask_taken = i + 1, 0
        if bid_taken == wanted[j][1]:
            j, bid_taken = j + 1, 0
    return total, "depth"


def _weights(costs: Costs) -> tuple[int, int, int]:
    """Whole numbers with which a share at prices a, b gains where `b * first - a * second - third > 0`."""
    n, d = costs.buy_fee_in_base.numerator, costs.buy_fee_in_base.denominator
    scale = lcm(*(part.denominator for part in (costs.buy_fee, costs.sell_fee, costs.per_unit, costs.margin)))
    weigh_bid = int((1 - costs.sell_fee) * scale) * (d - n)
    weigh_ask = int((1 + costs.buy_fee + costs.margin) * scale) * d
    return weigh_bid, weigh_ask, int(costs.per_unit * scale) * d


def _purse(costs: Costs, caps: Caps) -> tuple[int | None, str]:
    """The tighter of balance and greatest notional, in shares times price."""
    kept = costs.buy_fee_in_base.denominator - costs.buy_fee_in_base.numerator
    money: list[tuple[int, str]] = []
    if caps.quote_grains is not None:
        money.append((floor(max(0, caps.quote_grains) * kept / (1 + costs.buy_fee)), "quote"))
    if caps.notional_grains is not None:
        money.append((max(0, caps.notional_grains) * kept, "notional"))
    return min(money) if money else (None, "")


def _rounded(shares: int, costs: Costs, rounding: Rounding) -> tuple[int, int]:
    """(bought, sold) units on both venues' lots, at most what was walked."""
    n, d = costs.buy_fee_in_base.numerator, costs.buy_fee_in_base.denominator
    kept = d - n
    if not n:
        lot = rounding.common_lot_units
        units = shares // lot * lot
        return units, units
    most = shares // kept // rounding.buy_lot_units * rounding.buy_lot_units
    sold = most * kept // d // rounding.sell_lot_units * rounding.sell_lot_units
    # No more than it takes: the fewest lots of which so much arrives.
    bought = -(-sold * d // kept)
    return -(-bought // rounding.buy_lot_units) * rounding.buy_lot_units, sold


def _share(size: int, share: Fraction) -> int:
    return size * share.numerator // share.denominator
