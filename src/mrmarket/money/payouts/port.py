"""What the platform asks of a payment rail, and of the way between a rail and a trading venue.

A rail moves money in the world: a payment network, a chain, or the embedded simulation. Nothing it answers
is trusted to arrive once, in time or in order. Only two promises are asked of it: `send` under one key is
one payment however often it is asked for, and `find` tells in the end what became of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import Asset

MAX_TEXT: Final = 512
"""Longest sender, destination, memo or reason that is kept; what a rail says beyond it is cut."""

_MAX_ID: Final = 128
_MAX_DIGITS: Final = 78
_MAX_WHOLE: Final = 2**63


class PaymentState(StrEnum):
    """How sure the rail is of an incoming payment."""

    SEEN = "seen"
    """It is on its way and may still vanish."""
    CONFIRMED = "confirmed"
    """It has the confirmations that the rail requires."""
    RETRACTED = "retracted"
    """It never happened: replaced, or its block is no longer part of the chain."""


class IncomingPayment(msgspec.Struct, frozen=True):
    """The rail's word on one payment to us. The same payment is told of again and again, in any order."""

    rail: str
    """Name of the rail."""
    id: str
    """The rail's own name for it, the same in every update; 1 to 128 printable ASCII characters."""
    asset_code: str
    units: int
    """In base units of the rail's asset. May exceed what the books can hold; such a payment is parked."""
    sender: str
    """Where a refund can go; empty where the rail does not say."""
    memo: str
    """What the sender wrote. Anything at all: it is cut and cleaned before it is kept."""
    state: PaymentState
    confirmations: int
    required: int
    """Confirmations that make it final."""
    at_ms: int
    """When the rail came to this state; UTC ms. Of a confirmation and a retraction the younger one holds."""

    def __post_init__(self) -> None:
        if not 0 < len(self.id) <= _MAX_ID or not self.id.isascii() or not self.id.isprintable():
            raise InvalidInputError("payment id", self.id, f"1 to {_MAX_ID} printable ASCII characters")
        if type(self.units) is not int or self.units < 0 or self.units >= 10**_MAX_DIGITS:
            raise InvalidInputError("units", self.units, f"a whole number of at most {_MAX_DIGITS} digits")
        for number in (self.confirmations, self.required, self.at_ms):
            if type(number) is not int or not 0 <= number < _MAX_WHOLE:
                raise InvalidInputError("payment", number, "whole numbers that are not negative")


class IncomingPage(msgspec.Struct, frozen=True):
    """The next updates of a feed."""

    updates: Sequence[IncomingPayment]
    next_cursor: str
    """To be given with the next question; opaque."""


class PayTo(msgspec.Struct, frozen=True):
    """How somebody pays us."""

    address: str
    memo: str
    uri: str
    """The same as a link that a wallet opens; empty where the rail has none."""


class SendState(StrEnum):
    """What became of a payment we asked for."""

    ABSENT = "absent"
    """The rail knows of no payment under the key. It may still be on its way to the rail."""
    SENDING = "sending"
    """Accepted, not on the network yet."""
    SENT = "sent"
    """On the network, not final."""
    CONFIRMED = "confirmed"
    """Final."""
    REFUSED = "refused"
    """Will never happen under this key."""
    UNKNOWN = "unknown"
    """The rail cannot say now."""


class SendRequest(msgspec.Struct, frozen=True):
    """One payment to be made."""

    key: str
    """UUID text. The same key with the same content is one payment; with other content an error."""
    asset_code: str
    units: int
    destination: str
    memo: str


class SendReport(msgspec.Struct, frozen=True):
    """What the rail knows of a payment of ours."""

    state: SendState
    reference: str = ""
    """The rail's own name for it, such as a transaction hash."""
    reason: str = ""
    """Why, where it was refused or is unclear."""
    fee_units: int = 0
    """What the rail charged us on top of the payment, in base units of `fee_code`."""
    at_ms: int = 0
    """When the rail came to this state; 0 where it does not say."""
    fee_code: str = ""
    """Asset of the fee; empty for the asset that was paid."""

    def __post_init__(self) -> None:
        if type(self.fee_units) is not int or self.fee_units < 0:
            raise InvalidInputError("fee_units", self.fee_units, "a whole number that is not negative")


class PaymentRail(Protocol):
    """A payment rail. A call that raises has an unknown outcome, whatever it raises."""

    @property
    def name(self) -> str:
        """Namespace of its assets, such as `rail`."""
        ...

    @property
    def settle_ms(self) -> int:
        """How long a payment that the rail was asked for can take until `find` knows of it; ms.

        A payment that is absent for longer than this was never accepted and may be sent again.
        """
        ...

    def assets(self) -> list[Asset]:
        """What it carries; known without asking the network."""
        ...

    def valid_destination(self, text: str) -> str | None:
        """The canonical form of an address, None for what is none. Pure: called inside a transaction."""
        ...

    async def instructions(self, user: str, memo: str) -> PayTo:
        """How a user pays us so that the payment carries a memo."""
        ...

    async def incoming(self, cursor: str, limit: int) -> IncomingPage:
        """Updates after a cursor, at most `limit`; the empty cursor is the beginning of time."""
        ...

    async def send(self, request: SendRequest) -> SendReport:
        """Make a payment."""
        ...

    async def find(self, key: str) -> SendReport:
        """What became of the payment under a key."""
        ...

    async def balances(self) -> dict[str, int]:
        """What the rail says we hold: units by asset code. An observation, never a posting."""
        ...


class VenueFunding(Protocol):
    """The way between a rail and our account at a trading venue."""

    @property
    def venue(self) -> str:
        """Namespace of the venue's assets."""
        ...

    @property
    def settle_ms(self) -> int:
        """As `PaymentRail.settle_ms`, of `withdraw` and `find`."""
        ...

    async def deposit_address(self, code: str) -> str:
        """A destination on the rail that credits the venue account.

        A rail must not call a payment to it confirmed before the venue has credited it.
        """
        ...

    async def withdraw(
        self, key: str, code: str, units: int, decimals: int, address: str, memo: str
    ) -> SendReport:
        """Take units (of the venue's asset, with so many decimals) out and pay them on the rail.

        Idempotent by key. It comes in on the rail as a payment with our memo; a fee that it names
        (`fee_units`, of the same asset) is missing from what arrives.
        """
        ...

    async def find(self, key: str) -> SendReport:
        """What became of the withdrawal under a key."""
        ...


def clean_text(text: str) -> str:
    """What of a stranger's text is kept: at most `MAX_TEXT` characters, without control characters."""
    kept = text.strip()[:MAX_TEXT]
    return "".join(char if char.isprintable() else "\ufffd" for char in kept)
