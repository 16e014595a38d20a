"""What this room asks of a node and of whoever holds a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mrmarket.partners.chains.transfer import Block, Transfer


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction that is in a block."""

    tx_hash: str
    block_number: int
    block_hash: str
    succeeded: bool
    """False where the contract refused; the gas is gone all the same."""
    gas: int
    price_wei: int
    """Per gas, as paid."""
    logs: tuple[dict[str, Any], ...] = ()

    @property
    def cost_wei(self) -> int:
        """What it cost in the chain's own coin."""
        return self.gas * self.price_wei


@dataclass(frozen=True, slots=True)
class GasPrice:
    """What a transaction would have to offer now, in wei per gas (EIP-1559)."""

    base_wei: int
    tip_wei: int


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """A transaction of EIP-1559 before it is signed."""

    chain_id: int
    nonce: int
    to: str
    data: bytes
    gas: int
    max_fee_wei: int
    tip_wei: int
    value_wei: int = 0


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """The bytes that are sent, and the hash by which they will be known."""

    raw: bytes = field(repr=False)
    tx_hash: str


class Signer(Protocol):
    """Holds one key and never shows it: a file, an environment variable, later an enclave."""

    @property
    def address(self) -> str:
        """The account it signs for, in lower case."""
        ...

    async def sign(self, transaction: UnsignedTransaction) -> SignedTransaction:
        """Sign; the same transaction gives the same bytes. Raises `SignerError`."""
        ...


class ChainReader(Protocol):
    """What the watcher asks. Every call may raise a retryable `ChainError`."""

    async def head(self) -> Block:
        """The newest block the node knows."""
        ...

    async def block_at(self, number: int) -> Block | None:
        """The canonical block of a height; None where there is none (yet, or any more)."""
        ...

    async def transfers(self, block: Block, recipients: Sequence[str]) -> list[Transfer]:
        """ERC-20 transfers of any token to the recipients in exactly this block."""
        ...


class ChainWriter(Protocol):
    """What the vault asks. Every call may raise a retryable `ChainError`."""

    async def head(self) -> Block:
        """The newest block the node knows."""
        ...

    async def block_at(self, number: int) -> Block | None:
        """The canonical block of a height."""
        ...

    async def used_nonces(self, address: str, block: int | None = None) -> int:
        """How many transactions of an account are in blocks, as of one or of the newest."""
        ...

    async def pending_nonces(self, address: str) -> int:
        """The same with those that wait."""
        ...

    async def coins(self, address: str) -> int:
        """Wei of an account."""
        ...

    async def token_units(self, token: str, address: str) -> int:
        """Base units of a token that an account holds."""
        ...

    async def gas_price(self) -> GasPrice:
        """What gas costs now."""
        ...

    async def estimate_gas(self, sender: str, to: str, data: bytes) -> int:
        """How much gas a call would need. Raises `ChainCallError` if it would revert."""
        ...

    async def broadcast(self, raw: bytes) -> None:
        """Offer a signed transaction. Raises `ChainCallError` with the node's words if it was refused."""
        ...

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """What became of a transaction; None while it is in no block."""
        ...
