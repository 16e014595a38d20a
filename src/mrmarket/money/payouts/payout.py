"""A payment that is owed: what causes it, where it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha1, sha256
from typing import Final
from uuid import UUID

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import MAX_UNITS
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import TransferKind
from mrmarket.money.payouts.port import MAX_TEXT

NAMESPACE: Final = UUID("6f2c1f0e-7c55-5b0a-9d0c-6a2f8a3d7b41")
"""Of every id derived in this room (UUID versions 5 and 8, RFC 9562)."""

_VARIANTS: Final = "89ab"
"""First digit of a UUID's fourth group: the variant of RFC 9562 and two bits of the hash."""

CAUSES: Final[Mapping[str, TransferKind]] = {
    "withdrawal": TransferKind.DEBIT_WITHDRAW,
    "reward": TransferKind.DEBIT_WITHDRAW,
    "fee": TransferKind.DEBIT_WITHDRAW,
    "refund": TransferKind.REFUND,
    "custody": TransferKind.CUSTODY_MOVE,
}
"""Why money goes out → how the ledger calls it."""


def derived_id(*parts: str) -> str:
    """The UUIDv5 of what caused something: the same cause always gets the same id."""
    # As `uuid.uuid5`, which takes three times as long.
    name = NAMESPACE.bytes + "\x1f".join(parts).encode()
    digest = sha1(name, usedforsecurity=False).hexdigest()
    variant = _VARIANTS[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def placed_id(place: Place, *parts: str) -> str:
    """A UUIDv8 of what caused something: 32 bits of its family's hash, its number there, 74 bits of its own.

    Rows that come into being together get ids that stand together, so that a database which keeps them by
    id writes a few pages for all of them and not one for each.
    """
    family = sha256(NAMESPACE.bytes + place.family.encode()).hexdigest()
    own = sha256(NAMESPACE.bytes + "\x1f".join(parts).encode()).hexdigest()
    variant = _VARIANTS[int(own[3], 16) & 3]
    return f"{family[:8]}-{place.number & 0xFFFF:04x}-8{own[:3]}-{variant}{own[4:7]}-{own[7:19]}"


def rail_account(rail: str) -> Account:
    """The world beyond a rail."""
    return Account.of(AccountKind.RAIL, rail)


class PayoutState(StrEnum):
    """Where a payout stands."""

    QUEUED = "queued"
    """Owed, its units are held, and no call is under way."""
    SENDING = "sending"
    """The rail is being asked, or was asked when the process ended."""
    SENT = "sent"
    """The rail has it on its network."""
    UNKNOWN = "unknown"
    """The rail was asked and nobody knows what came of it. Never refunded from here."""
    CONFIRMED = "confirmed"
    """Final; there is a receipt."""
    REFUSED = "refused"
    """Given up after refusals; the hold is released. The owner may retry."""
    CANCELLED = "cancelled"
    """Taken back before the rail was asked; the hold is released."""


PENDING: Final = (PayoutState.QUEUED, PayoutState.SENDING, PayoutState.SENT, PayoutState.UNKNOWN)
"""States in which the payout's units are held."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a payout stands among those that are owed together. The same cause always has the same."""

    family: str
    """What they have in common, such as an allocation run."""
    number: int
    """Part of the family, from 0, in the order in which the parts are paid."""


@dataclass(frozen=True, slots=True)
class Payout:
    """What is to be paid. A cause has one payout: asking again for the same is harmless."""

    cause: str
    """One of `CAUSES`."""
    cause_key: str
    """Which withdrawal, reward, refund … it is; unique within the cause."""
    rail: str
    account: str
    """Account that pays; its units are held until the payout ends."""
    asset: str
    """Asset id, of the rail's namespace."""
    units: int
    """What the destination gets, in base units; the rail's fee comes on top and is the instance's."""
    destination: str
    memo: str = ""
    place: Place | None = None
    """For payouts that are owed by the thousand."""

    def __post_init__(self) -> None:
        if self.cause not in CAUSES:
            raise InvalidInputError("cause", self.cause, f"one of {', '.join(sorted(CAUSES))}")
        if not self.cause_key or not self.destination:
            raise InvalidInputError("payout", self.cause_key, "a cause key and a destination")
        for text in (self.cause_key, self.destination, self.memo):
            if len(text) > MAX_TEXT or not text.isprintable():
                raise InvalidInputError("payout", text, f"printable text of at most {MAX_TEXT} characters")
        if type(self.units) is not int or not 0 < self.units < MAX_UNITS:
            raise InvalidInputError("units", self.units, "a positive whole number below 2^127")
        if not self.asset.startswith(f"{self.rail}:"):
            raise InvalidInputError("asset", self.asset, f"an asset of the rail, {self.rail}:…")

    @property
    def id(self) -> str:
        """UUID of the cause: version 8 where it has a place among others, else version 5."""
        if self.place is None:
            return self.key
        return placed_id(self.place, self.cause, self.cause_key)

    @property
    def key(self) -> str:
        """UUIDv5 of the cause: the rail's idempotency key, wherever the payout is kept."""
        return derived_id(self.cause, self.cause_key)


class PayoutRow(msgspec.Struct, frozen=True):
    """A payout as the outbox keeps it."""

    id: str
    cause: str
    cause_key: str
    rail: str
    account: str
    asset: str
    units: int
    destination: str
    memo: str
    state: PayoutState
    round: int
    """Counts the keys under which the rail was asked: a new one after each refusal."""
    key: str
    """The rail's idempotency key of this round."""
    hold: str
    """Ledger hold of the units."""
    sends: int
    """How often the rail was asked in this round."""
    polls: int
    """Lookups in a row that told nothing new; they make the pauses longer."""
    absences: int
    """Lookups in a row that found nothing."""
    absent_ms: int
    """When the first of these was; 0 for none."""
    acknowledged: bool
    """Whether the rail has ever admitted to this round's payment. Then its absence proves nothing."""
    refusals: int
    reference: str
    reason: str
    """What stands in its way, for people."""
    fee_units: int
    due_ms: int
    """Not before this time; UTC ms, as all times here."""
    queued_ms: int
    changed_ms: int
    ended_ms: int
    """0 until it ends."""

    @property
    def asset_code(self) -> str:
        """The asset's code alone."""
        return self.asset.partition(":")[2]


class Receipt(msgspec.Struct, frozen=True):
    """Proof that a payout ended well, written with the posting that says so."""

    payout_id: str
    rail: str
    key: str
    reference: str
    asset: str
    units: int
    destination: str
    fee_asset: str
    fee_units: int
    rail_ms: int
    """When the rail called it final; 0 where it does not say."""
    at_ms: int
    posting: str
    """Key of the ledger's group."""


class Ending(StrEnum):
    """What a settler is told of its payout."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    """The units are the account's again."""
    REVIVED = "revived"
    """The owner retries one that was refused; its units are held again. A settler may raise to forbid it."""


Settler = Callable[[Draft, PayoutRow, Ending], None]
"""Moves the state of whatever caused a payout, in the transaction that ends it."""


class Block(msgspec.Struct, frozen=True):
    """No payout of an asset leaves while it is blocked, whichever rail carries it."""

    asset_code: str
    reason: str
    since_ms: int
