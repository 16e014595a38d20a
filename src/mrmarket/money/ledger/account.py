"""Who can hold units, and how low and how high a balance may go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import MAX_UNITS

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
    RAIL = "rail"
    """The world beyond a payment rail; minus its balance is what came in through it."""
    REWARDS = "rewards"
    """Reward money that is received and not yet allocated. Never below zero."""
    UNALLOCATED = "unallocated"
    """Reward money that nobody was eligible for. Never below zero."""
    DUST = "dust"
    """What rounding left over. Never below zero."""
    OWNER = "owner"
    """The instance owner's earned fees and reserve. Never below zero."""
    SUSPENSE = "suspense"
    """Payments that fit nothing, until they are sent back. Never below zero."""
    TRANSIT = "transit"
    """Between two places of custody. Never below zero."""
    NETWORK = "network"
    """What networks and rails charged us."""


_NEVER_NEGATIVE: Final = frozenset(
    {
        AccountKind.USER,
        AccountKind.POOL,
        AccountKind.REWARDS,
        AccountKind.UNALLOCATED,
        AccountKind.DUST,
        AccountKind.OWNER,
        AccountKind.SUSPENSE,
        AccountKind.TRANSIT,
    }
)


@dataclass(frozen=True, slots=True)
class Account:
    """A holder in the books: `kind:name`, with limits in base units that hold for every asset."""

    id: str
    kind: AccountKind
    floor: int | None
    """Lowest balance allowed, less what is held; None for accounts that may go below zero without limit."""
    ceiling: int | None = None
    """Highest balance allowed, with what is on its way in; None for no limit."""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise InvalidInputError("account", self.id, "a name such as user:alice")
        for limit in (self.floor, self.ceiling):
            if limit is not None and (type(limit) is not int or abs(limit) >= MAX_UNITS):
                raise InvalidInputError("limit", limit, "a whole number below 2^127 in absolute value")
        if self.ceiling is not None and self.ceiling < (self.floor or 0):
            raise InvalidInputError("ceiling", self.ceiling, "a number that is not below the floor or zero")

    @classmethod
    def of(cls, kind: AccountKind, name: str) -> Self:
        """The account `kind:name` with the floor that its kind asks for."""
        return cls(f"{kind}:{name}", kind, 0 if kind in _NEVER_NEGATIVE else None)
