"""The event by which an escrow says which batch it paid.

Source: `Escrow.sol` of HUMAN Protocol's core contracts, version 3 of the event; the older two are not emitted
by escrows that were made since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

BULK_TRANSFER_TOPIC: Final = "0x1abfcb29bb62c645acec9875fb93011a03ced5c168a43b9ab941e4c7c623d4ef"
"""keccak256 of `BulkTransferV3(bytes32,address[],uint256[],bool,string,string)`."""

_FIELDS: Final = ("address[]", "uint256[]", "bool", "string", "string")


@dataclass(frozen=True, slots=True)
class BulkTransfer:
    """One batch that an escrow paid. The transfers it stands for come before it in the same transaction."""

    escrow: str
    tx_hash: str
    log_index: int
    payout_id: str
    """0x and 64 hexadecimal digits: keccak256 of the text that the reputation oracle gave."""
    recipients: tuple[str, ...]
    units: tuple[int, ...]
    is_partial: bool
    """Whether the escrow has more to pay."""
    results_url: str
    results_hash: str

    def pays(self, recipient: str, units: int) -> bool:
        """Whether a recipient is among those it names, with exactly that amount."""
        return (recipient, units) in zip(self.recipients, self.units, strict=True)


def bulk_transfer_of(log: Mapping[str, Any]) -> BulkTransfer | None:
    """Read a log entry as JSON-RPC gives it; None for what is no such event.

    Anybody can emit one: only an escrow that is known from elsewhere is to be believed.
    """
    from eth_abi.abi import decode  # noqa: PLC0415 - loads only where chains are used
    from eth_abi.exceptions import DecodingError  # noqa: PLC0415 - the same

    topics = log["topics"]
    if len(topics) != 2 or topics[0].lower() != BULK_TRANSFER_TOPIC:  # noqa: PLR2004 - name and payout id
        return None
    try:
        recipients, units, is_partial, url, results_hash = decode(_FIELDS, bytes.fromhex(log["data"][2:]))
    except (DecodingError, ValueError, OverflowError):
        return None
    if len(recipients) != len(units):
        return None
    return BulkTransfer(
        escrow=log["address"].lower(),
        tx_hash=log["transactionHash"].lower(),
        log_index=int(log["logIndex"], 16),
        payout_id=topics[1].lower(),
        recipients=tuple(recipient.lower() for recipient in recipients),
        units=tuple(units),
        is_partial=is_partial,
        results_url=url,
        results_hash=results_hash,
    )


def payout_id_of(text: str) -> str:
    """The id that an escrow emits for a text that it was given."""
    from eth_utils.crypto import keccak  # noqa: PLC0415 - loads only where chains are used

    return "0x" + keccak(text=text).hex()
