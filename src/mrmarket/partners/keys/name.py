"""The name of a key: four texts that no other four can be mistaken for."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final, Self

from mrmarket.partners.keys.chain import Chain, chain_named
from mrmarket.partners.keys.errors import NameFieldError

SEPARATOR: Final = ":"
LONGEST: Final = 256
"""Most characters of a field."""


@dataclass(frozen=True, slots=True)
class KeyName:
    """Whose key it is, on which chain, and which of several.

    The older SDK joins the fields with `:` and escapes nothing, so that `a:b` and `c` would give the key of
    `a` and `b:c`: a separator in a field is refused. So is what looks like another text and is not: blanks
    at the ends, control characters, accents that are not composed (Unicode NFC).

    Raises:
        NameFieldError: for a field that is no text, empty, too long, or one of those.
    """

    scope: str
    user: str
    chain: Chain
    index: str

    def __post_init__(self) -> None:
        for field, value in (("scope", self.scope), ("user", self.user), ("index", self.index)):
            _check(field, value)
        if not isinstance(self.chain, Chain):
            raise NameFieldError("chain", "is no chain", "one of the enumeration")

    @classmethod
    def of(cls, scope: str, user: str, chain: str, index: str) -> Self:
        """A name of four texts.

        Raises:
            UnknownChainError: there is no such chain.
            NameFieldError: as the class says.
        """
        _check("chain", chain)
        return cls(scope, user, chain_named(chain), index)

    def message(self) -> bytes:
        """What the key is derived from: `scope:user:chain:index` in UTF-8."""
        return str(self).encode()

    def __str__(self) -> str:
        return SEPARATOR.join((self.scope, self.user, self.chain.value, self.index))


def _check(field: str, value: object) -> None:
    if not isinstance(value, str):
        raise NameFieldError(field, f"is a {type(value).__name__}", "text")
    if not value:
        raise NameFieldError(field, "is empty", "at least one character")
    if len(value) > LONGEST:
        raise NameFieldError(field, f"has {len(value)} characters", f"at most {LONGEST}")
    if SEPARATOR in value:
        raise NameFieldError(field, "contains ':', which separates the fields", "it without ':'")
    if value != value.strip() or any(unicodedata.category(letter)[0] == "C" for letter in value):
        raise NameFieldError(field, "has blanks at its ends or invisible characters", "it without them")
    if not unicodedata.is_normalized("NFC", value):
        raise NameFieldError(field, "has accents that are not composed", "it in Unicode form NFC")
