"""Blocks and ERC-20 transfers as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

TRANSFER_TOPIC: Final = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""keccak256 of `Transfer(address,address,uint256)`; source: ERC-20."""

_TOPICS: Final = 3
_WORD: Final = 66


@dataclass(frozen=True, slots=True)
class Block:
    """What a block's header says of its place. Hashes are 0x and 64 hexadecimal digits in lower case."""

    number: int
    hash: str
    parent: str
    time_s: int


@dataclass(frozen=True, slots=True, order=True)
class TransferKey:
    """What names a transfer for ever. A transaction that moves to another block may get another index."""

    chain_id: int
    tx_hash: str
    log_index: int

    def __str__(self) -> str:
        return f"{self.chain_id}:{self.tx_hash}:{self.log_index}"


@dataclass(frozen=True, slots=True)
class Transfer:
    """An ERC-20 transfer, exactly as a block's log says. Addresses are in lower case."""

    key: TransferKey
    block_number: int
    block_hash: str
    token: str
    """Address of the contract that said so; anybody can deploy one that lies."""
    sender: str
    recipient: str
    units: int
    """Base units, 0 to 2^256 - 1."""


def topic_of(address: str) -> str:
    """An address as an indexed argument."""
    return "0x" + "0" * 24 + address[2:].lower()


def transfer_of(chain_id: int, log: Mapping[str, Any]) -> Transfer | None:
    """Read a log entry as JSON-RPC gives it; None for what is no ERC-20 transfer.

    An ERC-721 transfer bears the same name with four topics and no amount.

    Raises:
        ValueError, KeyError, TypeError: for what is no log entry.
    """
    topics: Sequence[str] = log["topics"]
    data: str = log["data"]
    if len(topics) != _TOPICS or topics[0].lower() != TRANSFER_TOPIC or len(data) != _WORD:
        return None
    return Transfer(
        key=TransferKey(chain_id, log["transactionHash"].lower(), int(log["logIndex"], 16)),
        block_number=int(log["blockNumber"], 16),
        block_hash=log["blockHash"].lower(),
        token=log["address"].lower(),
        sender="0x" + topics[1][-40:].lower(),
        recipient="0x" + topics[2][-40:].lower(),
        units=int(data, 16),
    )
