"""A payout of a campaign, or a transfer that is none: what the receiver makes of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mrmarket.partners.chains.transfer import Transfer


class Parked(StrEnum):
    """Why a transfer is no payout that can be assigned; stable codes. The money stays and is shown."""

    UNKNOWN_SENDER = "unknown_sender"
    """No escrow of a campaign of ours."""
    WRONG_ASSET = "wrong_asset"
    """Not the token that the campaign pays in."""
    DUST = "dust"
    """Too little to be divided, or nothing at all."""
    NO_BATCH = "no_batch"
    """The escrow sent it outside a batch, or its event does not name it: fees or a refund, for example."""
    UNKNOWN_CYCLE = "unknown_cycle"
    """The batch is known, and no results document says for which cycle it is."""


@dataclass(frozen=True, slots=True)
class EscrowTerms:
    """What is known of an escrow."""

    campaign: str
    """Its name with us."""
    token: str
    """Address of the token it pays in."""
    dust_units: int = 0


@dataclass(frozen=True, slots=True)
class Payout:
    """A transfer that belongs to one batch of one campaign."""

    transfer: Transfer
    """Its key names the payout, too: each transfer is one payout."""
    campaign: str
    escrow: str
    payout_id: str
    """keccak256 of the batch's text."""
    batch_index: int
    """Log index of the batch's event; tells batches of one transaction apart."""
    cycle: int
    """The campaign's cycle, counted from 0."""
    results_url: str
    results_hash: str


@dataclass(frozen=True, slots=True)
class ParkedTransfer:
    """A transfer that waits for a person, or for what was not known yet; ask again later."""

    transfer: Transfer
    why: Parked
    campaign: str = ""
    payout_id: str = ""
    results_url: str = ""
    results_hash: str = ""


class Escrows(Protocol):
    """Knows the campaigns' escrows."""

    def terms(self, chain_id: int, escrow: str) -> EscrowTerms | None:
        """What is known of an escrow by its address in lower case; None for another's."""
        ...


class Cycles(Protocol):
    """Knows results documents."""

    async def cycle(self, escrow: str, payout_id: str, results_url: str, results_hash: str) -> int | None:
        """Which cycle a batch is for, by the document it refers to; None while that cannot be told.

        Must not trust the document before its hash was checked.
        """
        ...
