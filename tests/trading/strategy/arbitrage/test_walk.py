"""The walk along two books, held against a search over every size."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.event import Level
from mrmarket.trading.strategy.arbitrage.common_grid import common_grid
from mrmarket.trading.strategy.arbitrage.walk import (
    Caps,
    Costs,
    NotWorthIt,
    Rounding,
    Walked,
    consume,
    first_edge,
    walk,
)

WHOLE = Rounding(1, 1, 1)


def instrument(tick: str, lot: str, venue: str = "one", base: str = "BTC") -> Instrument:
    """A pair with some grid."""
    return Instrument(
        venue=venue,
        symbol=f"{base}/BRL",
        base=base,
        quote="BRL",
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
    )


def levels(ascending: bool) -> st.SearchStrategy[list[Level]]:
    """A few small levels around 100."""
    prices = st.lists(st.integers(90, 112), min_size=1, max_size=5, unique=True)
    return st.builds(
        lambda found, sizes: [
            (price, sizes[at % len(sizes)]) for at, price in enumerate(sorted(found, reverse=not ascending))
        ],
        prices,
        st.lists(st.integers(0, 6), min_size=1, max_size=5),
    )


FEES = st.fractions(min_value=0, max_value=Fraction(1, 20), max_denominator=50)


def gain_of(asks: list[Level], bids: list[Level], shares: int, costs: Costs) -> Fraction | None:
    """Gain less margin of walking so many shares, one by one; None where a book ends before."""
    n, d = costs.buy_fee_in_base.numerator, costs.buy_fee_in_base.denominator
    bought, sold = Fraction(shares, d - n), Fraction(shares, d)
    paid, received = amount(asks, bought), amount(bids, sold)
    if paid is None or received is None:
        return None
    cost = paid * (1 + costs.buy_fee + costs.margin) + bought * costs.per_unit
    return received * (1 - costs.sell_fee) - cost


def amount(side: list[Level], units: Fraction) -> Fraction | None:
    """Grains for so many units."""
    total = Fraction(0)
    for price, size in side:
        taken = min(units, Fraction(size))
        total += price * taken
        units -= taken
    return None if units else total


@given(
    asks=levels(ascending=True),
    bids=levels(ascending=False),
    buy=FEES,
    base=st.sampled_from([Fraction(0), Fraction(0), Fraction(1, 10), Fraction(1, 4)]),
    sell=FEES,
    margin=FEES,
    per_unit=st.sampled_from([Fraction(0), Fraction(1, 2)]),
    quote=st.none() | st.integers(0, 900),
    held=st.none() | st.integers(0, 9),
)
def test_the_walk_is_the_best_of_all_sizes(
    asks: list[Level],
    bids: list[Level],
    buy: Fraction,
    base: Fraction,
    sell: Fraction,
    margin: Fraction,
    per_unit: Fraction,
    quote: int | None,
    held: int | None,
) -> None:
    """Trying every share within the caps finds no better size than the walk, and none smaller as good."""
    costs = Costs(buy, base, sell, per_unit, margin)
    n, d = base.numerator, base.denominator
    found = walk(asks, bids, costs, Caps(quote, held), WHOLE)
    best, best_gain = 0, Fraction(0)
    for shares in range(1, 30 * d * d):
        gain = gain_of(asks, bids, shares, costs)
        if gain is None:
            break
        bought = Fraction(shares, d - n)
        paid = amount(asks, bought)
        assert paid is not None
        if quote is not None and paid * (1 + buy) > quote:
            break
        if held is not None and Fraction(shares, d) > held:
            break
        if gain > best_gain:
            best, best_gain = shares, gain
    sold = (best // (d - n)) * (d - n) // d
    if n == 0:
        assert (found.sold_units if isinstance(found, Walked) else 0) in (best, 0)
        assert isinstance(found, Walked) == (best > 0)
    elif isinstance(found, Walked):
        assert found.sold_units == sold
        assert found.bought_units * (d - n) >= found.sold_units * d
        assert (found.bought_units - 1) * (d - n) < found.sold_units * d
    if isinstance(found, Walked):
        paid, received = amount(asks, Fraction(found.bought_units)), amount(bids, Fraction(found.sold_units))
        assert paid is not None
        assert received is not None
        left = found.bought_units * (1 - base) - found.sold_units
        kept = received * (1 - sell) - paid * (1 + buy) - found.bought_units * per_unit + left * asks[0][0]
        assert found.profit_grains == kept > 0
        assert found.paid_grains - paid == 0 == found.received_grains - received


def test_a_trade_needs_more_than_all_fees() -> None:
    """At a gross edge of 40 bp two fees of 20 bp leave nothing, two of 19 bp something."""
    asks, bids = [(100_000, 10)], [(100_400, 10)]
    fee = Fraction(2, 1000)
    refused = walk(asks, bids, Costs(buy_fee=fee, sell_fee=fee), Caps(), WHOLE)
    assert isinstance(refused, NotWorthIt)
    assert refused.code == "no_edge"
    assert refused.edge == first_edge(100_000, 100_400, Costs(buy_fee=fee, sell_fee=fee))
    assert refused.edge is not None
    assert refused.edge < 0
    fee = Fraction(19, 10_000)
    taken = walk(asks, bids, Costs(buy_fee=fee, sell_fee=fee), Caps(), WHOLE)
    assert isinstance(taken, Walked)
    assert taken.bounded_by == "depth"
    assert taken.profit_grains == 10 * (100_400 - 100_000) - fee * 10 * 200_400


@pytest.mark.parametrize(
    ("caps", "bound", "units"),
    [
        (Caps(quote_grains=350), "quote", 3),
        (Caps(base_units=4), "base", 4),
        (Caps(notional_grains=299), "notional", 2),
        (Caps(depth_share=Fraction(1, 2)), "depth", 5),
    ],
)
def test_each_cap_bounds_the_size_and_is_named(caps: Caps, bound: str, units: int) -> None:
    """Balances of both sides, the greatest notional and the depth's haircut each cut the size and say so."""
    found = walk([(100, 10)], [(120, 10)], Costs(), caps, WHOLE)
    assert isinstance(found, Walked)
    assert (found.bounded_by, found.sold_units) == (bound, units)


@pytest.mark.parametrize(
    ("caps", "rounding", "code"),
    [
        (Caps(quote_grains=0), WHOLE, "no_quote"),
        (Caps(base_units=0), WHOLE, "no_base"),
        (Caps(), Rounding(4, 6, 12), "lot"),
        (Caps(), Rounding(1, 1, 1, buy_min_units=11), "lot"),
        (Caps(), Rounding(1, 1, 1, buy_min_grains=Fraction(1001)), "min_notional"),
        (Caps(), Rounding(1, 1, 1, sell_min_grains=Fraction(1201)), "min_notional"),
    ],
)
def test_each_refusal_has_its_word(caps: Caps, rounding: Rounding, code: str) -> None:
    """Balance, lot and least notional of either venue refuse with their own codes."""
    found = walk([(100, 10)], [(120, 10)], Costs(), caps, rounding)
    assert isinstance(found, NotWorthIt)
    assert found.code == code


def test_rounding_may_eat_the_profit() -> None:
    """What a fee in base leaves of a lot is worth its purchase price only: looked at again, and refused."""
    costs = Costs(buy_fee_in_base=Fraction(1, 100))
    found = walk([(1000, 3)], [(1011, 3)], costs, Caps(), WHOLE)
    assert isinstance(found, NotWorthIt)
    assert found.code == "profit"


def test_an_empty_book_is_no_edge() -> None:
    """Without asks or bids there is nothing to say."""
    assert walk([], [(1, 1)], Costs(), Caps(), WHOLE) == NotWorthIt("empty_book")
    with pytest.raises(ValueError, match="holds 1 of 2"):
        consume([(5, 1)], 2)


def test_two_grids_meet_on_their_greatest_common_step() -> None:
    """Ticks of 0.10 and 0.25 meet at 0.05, lots of 0.004 and 0.006 at 0.002 with a common lot of 0.012."""
    grid = common_grid(instrument("0.10", "0.004"), instrument("0.25", "0.006", "two"))
    assert grid.price_unit == Fraction(1, 20)
    assert grid.tick_units == (2, 5)
    assert grid.lot_units == (2, 3)
    assert grid.common_lot_units == 6
    assert grid.size_units(Decimal("0.0059")) == 2
    assert grid.grains(Decimal("0.00025")) == 2
    with pytest.raises(InvalidInputError, match="the same base and quote"):
        common_grid(instrument("1", "1"), instrument("1", "1", "two", base="ETH"))
