"""JSON with exact numbers: `int` and `Decimal`, never `float`; names once each; no NaN."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

_MAX_DIGITS: Final = 60
"""Of one number. Longer ones are no figures of a campaign, and cost time quadratically."""

_MAX_DEPTH: Final = 32
"""Objects and lists within each other. The parser's own limit is the stack, which it may overrun."""
_TOKENS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)


class ExactJsonError(ValueError):
    """A text that is no JSON, or JSON that means more than one thing."""


def read_exact(text: str | bytes) -> Any:
    """The value of a JSON text. Raises `ExactJsonError`."""
    try:
        plain = text.decode() if isinstance(text, bytes) else text
        _check_depth(plain)
        return json.loads(
            plain,
            parse_float=_decimal,
            parse_int=_int,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except ExactJsonError:
        raise
    except ValueError as error:
        raise ExactJsonError("no JSON") from error


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= _MAX_DEPTH:
        return
    depth = 0
    for token in _TOKENS.finditer(text):
        sign = token[0]
        if sign in "[{":
            depth += 1
            if depth > _MAX_DEPTH:
                raise ExactJsonError(f"objects within each other, more than {_MAX_DEPTH} deep")
        elif sign in "]}":
            depth -= 1


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
