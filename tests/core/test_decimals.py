"""Exact text to integer and back."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.decimals import format_decimal, format_units, parse_units
from mrmarket.core.errors import InvalidInputError


@given(st.integers(min_value=0, max_value=10**38), st.integers(min_value=0, max_value=30))
def test_formatting_and_parsing_are_inverse(units: int, decimals: int) -> None:
    """What is written is read back to the unit."""
    assert parse_units(format_units(units, decimals), decimals) == units


@given(st.integers(min_value=-(10**38), max_value=10**38), st.integers(min_value=0, max_value=30))
def test_formatting_is_exact(units: int, decimals: int) -> None:
    """The text is the exact value."""
    with localcontext(prec=100):
        assert Decimal(format_units(units, decimals)) == Decimal(units).scaleb(-decimals)


@pytest.mark.parametrize(
    "text", ["", ".5", "5.", "+1", "-1", "1e3", "NaN", "1,000", " 1", "1 ", "٣", "0x1", "1_0"]
)
def test_anything_but_plain_digits_is_refused(text: str) -> None:
    """Signs, exponents, blanks and foreign digits are refused, never guessed at."""
    with pytest.raises(InvalidInputError):
        parse_units(text, 8)


def test_more_digits_than_the_asset_has_are_refused() -> None:
    """A ninth digit is an error, not a rounding."""
    with pytest.raises(InvalidInputError, match="at most 8 digits"):
        parse_units("0.000000001", 8)
    assert parse_units("0.100000000", 1) == 1


@given(st.text(max_size=50))
def test_any_text_is_either_exact_or_refused(text: str) -> None:
    """No text raises anything but our own error."""
    try:
        units = parse_units(text, 18)
    except InvalidInputError:
        return
    with localcontext(prec=100):
        assert Decimal(text) == Decimal(units).scaleb(-18)


@pytest.mark.parametrize(
    ("value", "text"), [("1E+3", "1000"), ("1.500", "1.5"), ("0.00", "0"), ("-0.0", "0"), ("-2.50", "-2.5")]
)
def test_decimals_are_written_without_exponent_and_trailing_zeros(value: str, text: str) -> None:
    """One value has one text."""
    assert format_decimal(Decimal(value)) == text
