"""Exact text to integer and back, with no rounding and no float in between."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from mrmarket.core.errors import InvalidInputError

_PLAIN: Final = re.compile(r"[0-9]{1,39}(?:\.[0-9]{1,39})?", re.ASCII)


def parse_units(text: str, decimals: int, *, field: str = "amount") -> int:
    """Turn a plain decimal string into base units.

    Args:
        text: digits with at most one point; no sign, exponent, blank or separator.
        decimals: how many digits after the point one whole unit has.
        field: the name to blame in the error.

    Raises:
        InvalidInputError: if the text is not plain, or has more digits than the asset.
    """
    if not _PLAIN.fullmatch(text):
        raise InvalidInputError(field, text, "plain digits with at most one point, such as 12.5")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > decimals:
        raise InvalidInputError(field, text, f"at most {decimals} digits after the point")
    return int(whole + fraction.ljust(decimals, "0"))


def format_units(units: int, decimals: int) -> str:
    """Write base units as the shortest exact decimal string (`-0.5`, `12`, `0`)."""
    sign = "-" if units < 0 else ""
    digits = str(abs(units)).rjust(decimals + 1, "0")
    if decimals == 0:
        return sign + digits
    whole, fraction = digits[:-decimals], digits[-decimals:].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole


def format_decimal(value: Decimal) -> str:
    """Write a Decimal without exponent and without trailing zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
