"""Numbers as exchanges and ccxt give them, read exactly."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

_MOST_DIGITS: Final = 40
"""On either side of the point: more than any exchange has, and few enough to be written out."""


def exact(value: object) -> Decimal:
    """The value of a string, or of a float's shortest text, which is the exchange's own up to 15 digits.

    Raises:
        ValueError: it is not a finite number, or one whose digits would fill the memory.
    """
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is not a number") from error
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    exponent = number.as_tuple().exponent
    if number.adjusted() > _MOST_DIGITS or (isinstance(exponent, int) and exponent < -_MOST_DIGITS):
        raise ValueError(f"{str(value)[:_MOST_DIGITS]!r} is no number of at most {_MOST_DIGITS} digits")
    return number


def exact_or_none(value: object) -> Decimal | None:
    """The same, with None for what the exchange left out."""
    return None if value is None or value == "" else exact(value)
