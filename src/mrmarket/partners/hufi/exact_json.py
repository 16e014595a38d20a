"""JSON with exact numbers: `int` and `Decimal`, never `float`; names once each; no NaN."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

_MAX_DIGITS = 60
"""Of one number. Longer ones are no figures of a campaign, and cost time quadratically."""


class ExactJsonError(ValueError):
    """A text that is no JSON, or JSON that means more than one thing."""


def read_exact(text: str | bytes) -> Any:
    """The value of a JSON text. Raises `ExactJsonError`."""
    try:
        return json.loads(
            text,
            parse_float=_decimal,
            parse_int=_int,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except ExactJsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise ExactJsonError("no JSON") from error


def _decimal(text: str) -> Decimal:
    if len(text) > _MAX_DIGITS:
        raise ExactJsonError(f"a number of {len(text)} characters")
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ExactJsonError("an exponent beyond all numbers") from error
    if value and abs(value.adjusted()) > _MAX_DIGITS:
        raise ExactJsonError("an exponent beyond all figures")
    return value


def _int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ExactJsonError(f"a number of {len(text)} characters")
    return int(text)


def _constant(text: str) -> Any:
    raise ExactJsonError(f"{text} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ExactJsonError("a name that stands twice in an object")
    return found
