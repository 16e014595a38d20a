"""Reading request parameters strictly: everything sent is checked, nothing is ignored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import unquote_plus

import msgspec

from mrmarket.trading.venue.front import errors

_SYMBOL: Final = r"^[A-Z0-9-_.]{1,20}$"
_CLIENT_ID: Final = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
_AMOUNT: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_INTEGER: Final = r"^[0-9]{1,19}$"
_ASCII_ONLY: Final = re.ASCII
_UNIT_DIGITS: Final = 8
_MAX_INT: Final = 2**63 - 1

UNITS: Final = 10**_UNIT_DIGITS
"""Amounts on the wire have eight decimals; inside the front they are ints of 1e-8."""


def parse_form(*texts: str) -> dict[str, str]:
    """Read `a=1&b=2` texts (query, then form body) into one mapping; a name may come only once."""
    values: dict[str, str] = {}
    for text in texts:
        for part in text.split("&"):
            if not part:
                continue
            name, _, value = part.partition("=")
            if "%" in part or "+" in part:
                name, value = unquote_plus(name), unquote_plus(value)
            if name in values:
                raise errors.duplicate_parameter(name)
            values[name] = value
    return values


def parse_object(values: Mapping[str, object]) -> dict[str, str]:
    """Read a JSON object's values as the text a form would carry."""
    return {name: _as_text(value) for name, value in values.items()}


class Parameters:
    """The parameters of one call; `finish` refuses those that nobody asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values
        self._read: set[str] = set()

    def raw(self, name: str) -> str:
        """The text as sent, empty if absent."""
        self._read.add(name)
        return self.values.get(name, "")

    def finish(self) -> None:
        """Raise -1104 if something was sent that was not read."""
        sent = self.values.keys()
        if not sent <= self._read:
            raise errors.unread_parameters(len(sent & self._read), len(sent))

    def matching(self, name: str, pattern: str) -> str:
        """A text inside its alphabet, empty if absent."""
        value = self.raw(name)
        if name in self.values and not re.fullmatch(pattern[1:-1], value, _ASCII_ONLY):
            raise errors.illegal_characters(name, pattern) if value else errors.missing_parameter(name)
        return value

    def symbol(self) -> str:
        """The mandatory `symbol`, well-formed but not yet known."""
        return self.matching("symbol", _SYMBOL) or self._missing("symbol")

    def optional_symbol(self) -> str:
        """The optional `symbol`."""
        return self.matching("symbol", _SYMBOL)

    def symbols(self) -> list[str]:
        """The optional `symbols`, a JSON list of names."""
        text = self.raw("symbols")
        if "symbols" not in self.values:
            return []
        try:
            names = msgspec.json.decode(text, type=list[str])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as broken:
            raise errors.illegal_characters(
                "symbols", r'^\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\]$'
            ) from (broken)
        if not names:
            raise errors.missing_parameter("symbols")
        for name in names:
            if not re.fullmatch(_SYMBOL[1:-1], name, _ASCII_ONLY):
                raise errors.illegal_characters("symbols", _SYMBOL)
        return names

    def client_id(self, name: str) -> str:
        """A client order id, empty if absent."""
        return self.matching(name, _CLIENT_ID)

    def amount(self, name: str) -> int | None:
        """A positive decimal in units of 1e-8, None if absent."""
        text = self.matching(name, _AMOUNT)
        if not text:
            return None
        whole, _, fraction = text.partition(".")
        fraction = fraction.rstrip("0")
        if len(fraction) > _UNIT_DIGITS:
            raise errors.too_precise(name)
        return int(whole + fraction.ljust(_UNIT_DIGITS, "0"))

    def integer(self, name: str, default: int = 0, *, low: int = 0, high: int = _MAX_INT) -> int:
        """A whole number inside its range."""
        text = self.matching(name, _INTEGER)
        if not text:
            return default
        value = int(text)
        if not low <= value <= high:
            raise errors.invalid_data(name)
        return value

    def limit(self, default: int, high: int) -> int:
        """The `limit` of a list; larger ones are refused."""
        return self.integer("limit", default, low=1, high=high)

    def boolean(self, name: str, *, default: bool = False) -> bool:
        """`true` or `false` in any case."""
        text = self.raw(name).lower()
        if name not in self.values:
            return default
        if text not in ("true", "false"):
            raise errors.illegal_characters(name, "^(true|false)$")
        return text == "true"

    def choice(self, name: str, options: Sequence[str], refusal: errors.DialectError) -> str:
        """One of the options, empty if absent; anything else is answered with `refusal`."""
        value = self.raw(name)
        if name in self.values and value not in options:
            raise refusal
        return value

    def _missing(self, name: str) -> str:
        raise errors.missing_parameter(name)


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return msgspec.json.encode(value).decode()
