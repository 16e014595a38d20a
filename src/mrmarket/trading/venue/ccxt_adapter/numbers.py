"""Numbers as exchanges and ccxt give them, read exactly."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation


def exact(value: object) -> Decimal:
    """The value of a string, or of a float's shortest text, which is the exchange's own up to 15 digits.

    Raises:
        ValueError: it is not a finite number.
    """
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is not a number") from error
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    return number


def exact_or_none(value: object) -> Decimal | None:
    """The same, with None for what the exchange left out."""
    return None if value is None or value == "" else exact(value)
