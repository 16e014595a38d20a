"""Slices that bring a position to its target: inside the band, inside the depth, no dust left behind."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_exchange import btc_usdt
from mrmarket.core.side import Side
from mrmarket.trading.execution.risk.flatten import FlattenRules, least_lots, slice_of
from mrmarket.trading.execution.risk.pretrade import MarketTop

TOP = MarketTop(5_999_900, 6_000_100)
RULES = FlattenRules()
DEEP = [(5_999_900, 10_000), (5_990_000, 10_000), (5_980_000, 999_999)]


@pytest.mark.parametrize(
    ("gap", "lots"),
    [(100_000, 10_000), (5_000, 4_990), (4_000, 4_000), (9, 9), (8, None), (0, None)],
)
def test_the_size_of_a_slice(gap: int, lots: int | None) -> None:
    """Half of the depth in the band at most; of the rest a little less than all, unless only dust would stay.

    The second level is inside the band of 0.2 %, the third is not; 9 lots are worth the venue's least.
    """
    quote = slice_of(gap, btc_usdt(), TOP, DEEP, RULES)
    assert (quote.size_lots if quote else None) == lots


@pytest.mark.parametrize(("gap", "price"), [(1_000, 5_987_901), (-1_000, 6_012_100)])
def test_the_worst_price_is_inside_the_band(gap: int, price: int) -> None:
    """Rounded towards the market: never a tick beyond."""
    opposite = DEEP if gap > 0 else [(6_000_100, 10_000)]
    quote = slice_of(gap, btc_usdt(), TOP, opposite, RULES)
    assert quote is not None
    assert quote.price_ticks == price
    assert quote.side is (Side.SELL if gap > 0 else Side.BUY)


@given(
    st.integers(-(10**7), 10**7),
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 10**6)), max_size=8),
)
def test_no_slice_passes_the_target_or_the_band(gap: int, offsets: list[tuple[int, int]]) -> None:
    """Whatever the book shows; and none is smaller than what the venue takes."""
    side = Side.SELL if gap > 0 else Side.BUY
    best = TOP.bid_ticks if side is Side.SELL else TOP.ask_ticks
    quote = slice_of(gap, btc_usdt(), TOP, [(best + side.sign * off, lots) for off, lots in offsets], RULES)
    if quote is None:
        assert abs(gap) < least_lots(btc_usdt(), round(best * (1 + side.sign * Decimal("0.002"))))
        return
    assert quote.side is side
    assert least_lots(btc_usdt(), quote.price_ticks) <= quote.size_lots <= abs(gap)
    assert abs(quote.price_ticks - best) <= best * RULES.band
    assert btc_usdt().notional(quote.price_ticks, quote.size_lots) >= btc_usdt().min_notional


def test_the_least_a_venue_takes() -> None:
    """By lots or by value, whichever is more; a price of nothing has no value to go by."""
    assert least_lots(btc_usdt(), 6_000_000) == 9
    assert least_lots(btc_usdt(min_lots=100), 6_000_000) == 100
    assert least_lots(btc_usdt(), 0) == 1
