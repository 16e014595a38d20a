"""Dividing without losing a unit."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import hypothesis.strategies as st
import pytest
from hypothesis import given

from mrmarket.core.errors import InvalidInputError
from mrmarket.money.rewards.division import divide, salted_tie

WEIGHTS = st.lists(st.integers(0, 2**200), min_size=1, max_size=40).filter(any)
CLOSE = st.lists(st.integers(0, 50).map(lambda part: 2**100 + part), min_size=1, max_size=40)
"""Remainders that agree in their leading bits."""
FEW = st.lists(st.integers(0, 3), min_size=1, max_size=40).filter(any)


def plainly(units: int, weights: list[int], names: list[str], salt: str) -> list[int]:
    """The largest remainder as the textbook has it: exact fractions, one full sort."""
    total = sum(weights)
    exact = [Fraction(units * weight, total) for weight in weights]
    parts = [int(part) for part in exact]
    tie = salted_tie(salt, names)
    order = sorted(range(len(weights)), key=lambda place: (parts[place] - exact[place], tie(place)))
    for place in order[: units - sum(parts)]:
        parts[place] += 1
    return parts


@given(st.integers(0, 2**127 - 1) | st.integers(0, 60), WEIGHTS | CLOSE | FEW, st.text(max_size=8))
def test_it_is_the_largest_remainder(units: int, weights: list[int], salt: str) -> None:
    """The quick way gives what the textbook's way gives, and the sum is exact."""
    names = [f"user:{place}" for place in range(len(weights))]
    parts = divide(units, weights, salted_tie(salt, names))
    assert sum(parts) == units
    assert parts == plainly(units, weights, names, salt)


@given(st.integers(0, 10**9), WEIGHTS | FEW, st.randoms(use_true_random=False))
def test_the_order_of_accounts_does_not_matter(units: int, weights: list[int], random: object) -> None:
    """Permuted accounts get what they got before."""
    names = [f"user:{place}" for place in range(len(weights))]
    before = dict(zip(names, divide(units, weights, salted_tie("s", names)), strict=True))
    pairs = list(zip(names, weights, strict=True))
    random.shuffle(pairs)  # type: ignore[attr-defined]  # hypothesis's own random
    mixed, shifted = [name for name, _ in pairs], [weight for _, weight in pairs]
    assert dict(zip(mixed, divide(units, shifted, salted_tie("s", mixed)), strict=True)) == before


def test_another_salt_lets_others_win_the_last_unit() -> None:
    """Over many allocations equal accounts win the odd unit about equally often."""
    names = [f"user:{place}" for place in range(4)]
    winners: Counter[int] = Counter()
    for run in range(400):
        winners[divide(1, [1] * 4, salted_tie(f"run {run}", names)).index(1)] += 1
    assert sorted(winners) == [0, 1, 2, 3]
    assert min(winners.values()) > 60


@pytest.mark.parametrize(("units", "weights"), [(-1, [1]), (1, [0]), (1, [2, -1])])
def test_nonsense_is_refused(units: int, weights: list[int]) -> None:
    """Negative units or weights, and nobody to give to."""
    with pytest.raises(InvalidInputError):
        divide(units, weights, lambda _: b"")
