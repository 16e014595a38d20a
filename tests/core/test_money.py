"""Assets and amounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import MAX_UNITS, Amount, Asset, AssetMismatchError

BTC = Asset("sim", "BTC", 8)
USDT = Asset("sim", "USDT", 8)
units = st.integers(min_value=-(10**30), max_value=10**30)


@given(units, units)
def test_adding_and_taking_away_are_inverse(left: int, right: int) -> None:
    """Adding b and taking b away leaves a, to the unit."""
    a, b = Amount(BTC, left), Amount(BTC, right)
    assert a + b - b == a
    assert (-a) + a == Amount(BTC, 0)
    assert (a < b) == (left < right)
    assert (a <= b) == (left <= right)


def test_two_assets_never_mix() -> None:
    """Adding two assets is a TypeError that names both."""
    with pytest.raises(TypeError, match="sim:BTC with sim:USDT"):
        Amount(BTC, 1) + Amount(USDT, 1)
    with pytest.raises(AssetMismatchError):
        assert Amount(BTC, 1) < Amount(USDT, 1)
    with pytest.raises(TypeError):
        Amount(BTC, 1) + 1  # type: ignore[operator] # what the test is about


@pytest.mark.parametrize("value", [MAX_UNITS, -MAX_UNITS, 1.5, True, "1"])
def test_units_are_bounded_whole_numbers(value: object) -> None:
    """Floats, booleans, text and values from 2^127 on are refused."""
    with pytest.raises(InvalidInputError):
        Amount(BTC, value)  # type: ignore[arg-type] # what the test is about


@pytest.mark.parametrize(
    ("namespace", "code", "decimals"),
    [("", "A", 8), ("a:b", "A", 8), ("a", "A B", 8), ("a", "Ä", 8), ("a", "A", -1), ("a", "A", 39)],
)
def test_an_asset_has_a_clean_name_and_few_decimals(namespace: str, code: str, decimals: int) -> None:
    """Names that could be confused in an id are refused."""
    with pytest.raises(InvalidInputError):
        Asset(namespace, code, decimals)


def test_an_amount_reads_and_writes_exact_text() -> None:
    """Text in, text out, the same value."""
    assert str(Amount.parse(BTC, "12.50000000")) == "12.5"
    assert str(Amount(BTC, -1)) == "-0.00000001"
    assert BTC.id == "sim:BTC"
