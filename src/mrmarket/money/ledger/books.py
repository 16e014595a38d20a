"""What the rules read, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account
from mrmarket.money.ledger.chain import Record
from mrmarket.money.ledger.group import Hold, Transfer

Holding = tuple[str, str]
"""(account id, asset id)."""


class Pending(NamedTuple):
    """Units of a holding that open holds set aside."""

    outgoing: int
    incoming: int


NOTHING_PENDING = Pending(0, 0)


class Books(Protocol):
    """What the rules must know of the past."""

    @property
    def at_ms(self) -> int:
        """When the group happens; UTC ms."""
        ...

    def asset(self, asset_id: str) -> Asset | None:
        """A registered asset."""
        ...

    def account(self, account_id: str) -> Account | None:
        """An open account."""
        ...

    def balance(self, account_id: str, asset_id: str) -> int:
        """Credits less debits, in base units; 0 for what never moved."""
        ...

    def pending(self, account_id: str, asset_id: str) -> Pending:
        """What open holds set aside."""
        ...

    def hold(self, hold_id: str) -> Hold | None:
        """A hold, open or settled."""
        ...

    def record(self, key: str) -> Record | None:
        """The group recorded under a key."""
        ...

    def reversal(self, key: str) -> str | None:
        """Key of the group that undid the group under `key`."""
        ...


class Posting(msgspec.Struct, frozen=True, gc=False):
    """What a group changes."""

    assets: tuple[Asset, ...]
    accounts: tuple[Account, ...]
    transfers: tuple[Transfer, ...]
    """As they are recorded: clamped ones with the units that moved."""
    balances: dict[Holding, int]
    """New balance of every holding whose units moved."""
    pending: dict[Holding, Pending]
    """New sums of every holding whose holds changed."""
    holds: dict[str, Hold]
    """Every hold made or settled."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """The first rule that a group breaks."""

    code: str
    message: str
