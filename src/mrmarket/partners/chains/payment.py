"""What a vault pays: one payment, one nonce, and every transaction that was signed for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.chains.settings import address_of
from mrmarket.partners.chains.transfer import topic_of

_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/@#-]{0,127}", re.ASCII)
_TRANSFER: Final = bytes.fromhex("a9059cbb")
"""First four bytes of keccak256 of `transfer(address,uint256)`."""
_MAX_UNITS: Final = 2**256


class PaymentState(StrEnum):
    """Where a payment of the vault stands."""

    PREPARED = "prepared"
    """Its nonce is reserved; its transaction may be signed, and nobody was told of it."""
    BROADCAST = "broadcast"
    """A node was offered it; whether it took it, only a block tells."""
    MINED = "mined"
    """In a block that may still be replaced."""
    FINAL = "final"
    """In a block that is deep enough: the money has left."""
    REPLACED = "replaced"
    """Its nonce went to a transaction that is not ours, for good: the money has not left."""
    FAILED = "failed"
    """The contract refused it, for good: the money has not left, the gas has."""
    UNKNOWN = "unknown"
    """Its nonce is used and none of ours explains it yet, or what it did is not what was asked."""

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self in {PaymentState.FINAL, PaymentState.REPLACED, PaymentState.FAILED}


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """Asks to move units of a token. The same key with the same content is one payment."""

    key: str
    token: str
    """Address of the contract."""
    destination: str
    units: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "token", address_of("token", self.token))
        object.__setattr__(self, "destination", address_of("destination", self.destination))
        if not _KEY.fullmatch(self.key):
            raise InvalidInputError("payment key", self.key, "1 to 128 letters, digits or :._/@#-")
        if type(self.units) is not int or not 0 < self.units < _MAX_UNITS:
            raise InvalidInputError("units", self.units, "a positive whole number")

    @property
    def call(self) -> bytes:
        """What the token's contract is told (ERC-20)."""
        return _TRANSFER + bytes.fromhex(topic_of(self.destination)[2:]) + self.units.to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as it stands."""

    key: str
    chain_id: int
    account: str
    nonce: int
    token: str
    destination: str
    units: int
    gas: int
    """Limit of its transactions."""
    state: PaymentState
    created_ms: int
    changed_ms: int
    tx_hash: str = ""
    """The transaction that is in a block; empty until then."""
    block_number: int = 0
    block_hash: str = ""
    succeeded: bool = False
    cost_wei: int = 0
    reason: str = ""

    @property
    def request(self) -> PaymentRequest:
        """What was asked for."""
        return PaymentRequest(self.key, self.token, self.destination, self.units)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A transaction that was signed for a payment. All of a payment have its nonce: one at most can count."""

    payment: str
    number: int
    tx_hash: str
    raw: bytes = field(repr=False)
    max_fee_wei: int
    tip_wei: int
    signed_ms: int
    offered_ms: int = 0
    """When a node was last offered it; 0 never."""
