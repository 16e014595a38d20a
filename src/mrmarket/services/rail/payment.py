"""One payment of the simulated network, from acceptance to its end."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

FAUCET: Final = "faucet"
"""Where play money comes from: minus its balance is all there is."""
FLIGHT: Final = "flight"
"""What senders gave and receivers have not got yet."""
FEES: Final = "fees"


class PaymentKind(StrEnum):
    """Who asked for a payment."""

    FAUCET = "faucet"
    PAY = "pay"
    """A wallet."""
    SEND = "send"
    """The platform, from its treasury."""
    WITHDRAWAL = "withdrawal"
    """The platform, from its account at the trading venue."""


class Stage(StrEnum):
    """How far a payment is."""

    ASKED = "asked"
    """A withdrawal that the venue has not booked yet."""
    ACCEPTED = "accepted"
    """Taken from its sender, not yet seen by others."""
    SEEN = "seen"
    CREDITING = "crediting"
    """Has every confirmation; the venue has not credited it yet."""
    CONFIRMED = "confirmed"
    RETRACTED = "retracted"
    """Vanished; the sender has it again."""
    REFUSED = "refused"
    """Never happened; the sender has it again."""


IN_FLIGHT: Final = frozenset({Stage.ACCEPTED, Stage.SEEN, Stage.CREDITING})
FINAL: Final = frozenset({Stage.CONFIRMED, Stage.RETRACTED, Stage.REFUSED})


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as the journal has it."""

    id: str
    """The network's name for it: `0x` and 64 hex digits."""
    key: str
    """Whose key it is and the key: one payment for ever."""
    kind: PaymentKind
    sender: str
    destination: str
    asset: str
    units: int
    fee: int
    """Units that the sender paid on top."""
    memo: str
    stage: Stage
    confirmations: int = 0
    required: int = 0
    reason: str = ""
    created_ms: int
    changed_ms: int
    due_ms: int | None = None
    """When its next step is due; None while the venue decides, and at its end."""

    def same_content(self, other: Payment) -> bool:
        """Whether both ask for the same; who pays is part of the key."""
        mine = (self.kind, self.destination, self.asset, self.units, self.memo)
        return mine == (other.kind, other.destination, other.asset, other.units, other.memo)


class FeedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One update of the feed of payments to the treasury."""

    seq: int
    payment: Payment
    """Only what never changes is meaningful; the rest is told by the fields below."""
    state: str
    confirmations: int
    at_ms: int
