"""The grid of a pair."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument, OffGridError

PAIR = Instrument("sim", "BTC/USDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"))


@given(st.integers(min_value=1, max_value=10**9), st.integers(min_value=1, max_value=10**9))
def test_a_notional_is_exact(ticks: int, lots: int) -> None:
    """Ticks times lots times the grain is price times size."""
    assert PAIR.notional(ticks, lots) == PAIR.price(ticks) * PAIR.size(lots)
    assert PAIR.price_to_ticks(PAIR.price(ticks)) == ticks
    assert PAIR.size_to_lots(PAIR.size(lots)) == lots


def test_a_price_between_two_ticks_is_refused() -> None:
    """Nothing is rounded silently."""
    with pytest.raises(OffGridError, match=r"price 1\.005 is not a multiple of 0\.01"):
        PAIR.price_to_ticks(Decimal("1.005"))
    with pytest.raises(OffGridError, match="size"):
        PAIR.size_to_lots(Decimal("0.000001"))


def test_prices_and_sizes_have_one_text() -> None:
    """The text is short and exact."""
    assert PAIR.price_text(6_183_700) == "61837"
    assert PAIR.size_text(1) == "0.00001"
    assert PAIR.venue_symbol == "BTCUSDT"


@pytest.mark.parametrize("step", ["0", "-0.1", "NaN"])
def test_a_grid_needs_positive_steps(step: str) -> None:
    """A zero, negative or undefined step is refused."""
    with pytest.raises(InvalidInputError):
        Instrument("sim", "A/B", "A", "B", Decimal(step), Decimal(1))
