"""What is to be paid, and what became of it."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from mrmarket.partners.mixin.address import MixAddress, receiver
from mrmarket.partners.mixin.ids import canonical_uuid
from mrmarket.partners.mixin.selection import Coin
from mrmarket.partners.mixin.transaction import MAX_EXTRA

WITHDRAWAL_PREFIX: Final = "withdrawal:"
_MAX_ADDRESS: Final = 256


class Withdrawal(msgspec.Struct, frozen=True):
    """A destination on an asset's own chain."""

    address: str
    tag: str = ""


Destination = MixAddress | Withdrawal


class TransferOrder(msgspec.Struct, frozen=True):
    """One payment to be made. `key` names it: the same key is the same payment."""

    key: str
    asset_id: str
    units: int
    """Of 10⁻⁸."""
    destination: str
    """Canonical, see `canonical_destination`."""
    memo: str = ""

    @property
    def extra(self) -> bytes:
        """The memo's bytes."""
        return self.memo.encode()

    @property
    def fingerprint(self) -> str:
        """Tells two payments apart; the key is not part of it."""
        said = msgspec.json.encode((self.asset_id, self.units, self.destination, self.memo))
        return hashlib.sha256(said).hexdigest()

    def objection(self) -> str:
        """Why it can never be made; empty where nothing speaks against it."""
        if self.units <= 0:
            return "an amount above zero is needed"
        if len(self.extra) > MAX_EXTRA:
            return f"the memo has {len(self.extra)} bytes; at most {MAX_EXTRA} are carried"
        if canonical_uuid(self.asset_id) is None:
            return "the asset is no UUID"
        return "" if read_destination(self.destination) is not None else "the destination is none"


class Leg(msgspec.Struct, frozen=True):
    """One transaction of a payment: the payment itself (`tx`), or the fee of a withdrawal (`fee`)."""

    request_id: str
    hash: str
    unsigned: str
    """Hex."""
    coins: tuple[Coin, ...]
    signed: str = ""
    """Hex; empty until it is signed. What was signed once is never built again while it can still apply."""


def read_destination(text: str) -> Destination | None:
    """Where a canonical destination leads; None for what is none."""
    if not text.startswith(WITHDRAWAL_PREFIX):
        return receiver(text)
    address, mark, tag = text.removeprefix(WITHDRAWAL_PREFIX).partition("?tag=")
    plain = all(part.isascii() and part.isprintable() and " " not in part for part in (address, tag))
    if not address or "?" in address or not plain or len(address) > _MAX_ADDRESS or len(tag) > _MAX_ADDRESS:
        return None
    return Withdrawal(address, tag) if not mark or tag else None


def canonical_destination(text: str) -> str | None:
    """The one spelling of a destination: a user's UUID, `XIN…`, `MIX…`, or `withdrawal:<address>[?tag=…]`.

    A group of one user is that user. None for what is none.
    """
    where = read_destination(text)
    if isinstance(where, Withdrawal):
        return text
    if where is None:
        return None
    return where.members[0] if len(where.members) == 1 else str(where)
