"""A payment that came in: where it stands, and what may become of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft


class Standing(StrEnum):
    """Where an incoming payment stands with us."""

    SEEN = "seen"
    """Told of, not final; nothing is posted."""
    RECEIVED = "received"
    """Final and in suspense; what it is for is not decided."""
    CLAIMED = "claimed"
    """A room took it in."""
    REFUNDING = "refunding"
    """On its way back to the sender."""
    REFUNDED = "refunded"
    """Back with the sender."""
    PARKED = "parked"
    """Waits for the owner's word, with the reason."""
    RETRACTED = "retracted"
    """The rail took it back."""


class Payment(msgspec.Struct, frozen=True):
    """An incoming payment as the books know it. `(rail, id)` is its name."""

    rail: str
    id: str
    asset_code: str
    units: int
    sender: str
    memo: str
    standing: Standing
    claim: str
    """Kind of the claim where it is claimed; `refund` where it is sent back."""
    ref: str
    """What the claim refers to; the payout's id where it is sent back."""
    reason: str
    """Why it was parked, sent back or retracted; or what keeps it from being decided."""
    receipts: int
    """How often it was posted: again when the rail took it back and then confirmed it after all."""
    booked: bool
    """Whether its units are in the books now."""
    confirmations: int
    required: int
    first_ms: int
    """Earliest time that the rail has named; UTC ms. What deadlines are measured by."""
    rail_ms: int
    """When the rail came to its present word."""
    seen_ms: int
    """When we were first told."""
    received_ms: int
    """When it was posted; 0 for never."""
    settled_ms: int
    """When it came to its disposition; 0 for not yet."""
    due_ms: int
    """Not to be tried again before."""
    attempts: int
    """How often deciding on it failed."""

    @property
    def asset(self) -> str:
        """Asset id: the rail's name is the namespace."""
        return f"{self.rail}:{self.asset_code}"

    @property
    def suspense(self) -> str:
        """Account that holds it until it is claimed."""
        return suspense_account(self.rail).id

    @property
    def name(self) -> str:
        """`rail:id`, and the number of the receipt after the first: part of every key derived from it."""
        return f"{self.rail}:{self.id}" + (f"~{self.receipts}" if self.receipts > 1 else "")


@dataclass(frozen=True, slots=True)
class Claim:
    """The claimer has posted the payment's units out of suspense, all of them."""

    kind: str
    """Such as `deposit`, `reward` or `move`."""
    ref: str
    """Which one."""


@dataclass(frozen=True, slots=True)
class Decline:
    """The payment is the claimer's business and cannot be taken: send it back in full."""

    reason: str


@dataclass(frozen=True, slots=True)
class Park:
    """The payment is the claimer's business and must neither be taken nor sent back unseen."""

    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """The payment is the claimer's business and it cannot tell yet; ask again later."""

    reason: str


Verdict = Claim | Decline | Park | Wait | None
"""What a claimer says; None: not mine, ask the next."""

Claimer = Callable[[Draft, Payment], Verdict]
"""Looks at a received payment inside a transaction. It posts from suspense before it answers `Claim`, and
writes nothing where it answers anything else."""

Releaser = Callable[[Draft, Payment], bool]
"""Asked when the rail retracts a payment that was claimed: post all its units back to suspense and answer
True, or write nothing and answer False where they are spent. Then the owner's reserve pays."""

Observer = Callable[[Draft, Payment], None]
"""Told of every change of a payment's standing, in the transaction that makes it."""


class Incident(msgspec.Struct, frozen=True):
    """Something about a payment that needs a person's eye."""

    id: str
    kind: str
    """`retraction` (the owner's reserve pays) or `contradiction` (the rail changed its story)."""
    rail: str
    payment_id: str
    asset: str
    units: int
    """At stake."""
    state: str
    """`open` or `closed`."""
    reason: str
    opened_ms: int
    closed_ms: int


class FeedCursor(msgspec.Struct, frozen=True):
    """How far a rail's feed was read."""

    rail: str
    cursor: str
    failures: int
    """Questions in a row without an answer."""
    reason: str
    due_ms: int
    polled_ms: int


def suspense_account(rail: str) -> Account:
    """Payments of a rail that nobody has claimed."""
    return Account.of(AccountKind.SUSPENSE, rail)


RESERVE: Final = Account.of(AccountKind.OWNER, "reserve")
"""What the owner keeps against losses that no user may bear."""
