"""Who can hold units, and how low a balance may go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from mrmarket.core.errors import InvalidInputError

_ID: Final = re.compile(r"[a-z][a-z0-9_]*:[A-Za-z0-9][A-Za-z0-9._/@-]{0,127}", re.ASCII)


class AccountKind(StrEnum):
    """What an account stands for. A balance is what the books owe its holder."""

    USER = "user"
    """A person. Never below zero."""
    POOL = "pool"
    """Everybody's money at work. Never below zero."""
    VENUE = "venue"
    """The other side of our trades there; minus its balance is what trading brought in."""
    FEES = "fees"
    """What a venue charged us; rebates count against it."""
    EXTERNAL = "external"
    """The world beyond the books; minus its balance is what has come in."""
    ISSUER = "issuer"
    """Where shares come from; minus its balance is what is outstanding."""


_NEVER_NEGATIVE: Final = frozenset({AccountKind.USER, AccountKind.POOL})


@dataclass(frozen=True, slots=True)
class Account:
    """A holder in the books: `kind:name`, and a floor in base units that holds for every asset."""

    id: str
    kind: AccountKind
    floor: int | None
    """Lowest balance allowed; None for accounts that may go below zero without limit."""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise InvalidInputError("account", self.id, "a name such as user:alice")

    @classmethod
    def of(cls, kind: AccountKind, name: str) -> Self:
        """The account `kind:name` with the floor that its kind asks for."""
        return cls(f"{kind}:{name}", kind, 0 if kind in _NEVER_NEGATIVE else None)
