"""Exact amounts of what trades change."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.strategy.multileg.amounts import added, changes_of, in_words, summed

GRID = Instrument(
    venue="one", symbol="B/A", base="B", quote="A", tick_size=Decimal("0.01"), lot_size=Decimal("0.001")
)


def test_amounts_are_what_a_venue_credits() -> None:
    """A seller gets whole units of quote, and the fee leaves the asset it is taken in, a third one too."""
    sold = changes_of(GRID, Side.SELL, Decimal("1.234567899"), Decimal(1), Decimal("0.1"), "A")
    assert sold == {"B": Fraction(-1), "A": Fraction("1.13456789")}
    bought = changes_of(GRID, Side.BUY, Decimal(2), Decimal(1), Decimal("0.1"), "X")
    assert bought == {"B": Fraction(1), "A": Fraction(-2), "X": Fraction(-1, 10)}
    total: Mapping[str, Fraction] = added(sold, bought)
    assert total["B"] == 0
    assert in_words(bought) == "-2 A and 1 B and -0.1 X"
    assert summed((sold, bought, {"A": Fraction(2)}))["X"] == Fraction(-1, 10)
    assert in_words({}) == "nothing"
