"""A modelled chain: blocks with hashes, a pool of transactions, and reorganisations of any depth.

Assumptions, all in one place:

- A block holds transactions of strangers, which always succeed, and of one account of ours, in the order of
  its nonces. One of ours that asks for more than the account has is in the block and moves nothing.
- A reorganisation replaces the newest blocks by more of them. What was in them comes back to the pool, but
  for some that nobody sends again unless they have to.
- Everything that a block says follows from the blocks below it; balances and nonces are counted on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any, Final

import msgspec

from mrmarket.partners.chains.port import Receipt, SignedTransaction, UnsignedTransaction
from mrmarket.partners.chains.transfer import TRANSFER_TOPIC, Block, topic_of

CHAIN_ID: Final = 1337
TOKEN: Final = "0x" + "b" * 40
TOKEN_DECIMALS: Final = 10
VAULT: Final = "0x" + "c" * 40
ESCROW: Final = "0x" + "e" * 40
DEPOSIT: Final = "0x" + "d" * 40
"""Where the rail at the other end takes tokens in."""
GAS: Final = 60_000

_PRICE_WEI: Final = 10**9
_TAKEN: Final = 0.8
"""Of what waits in the pool, how much the next block has."""
_CALL_TO: Final = slice(16, 36)
_CALL_UNITS: Final = slice(36, 68)


class Move(msgspec.Struct, frozen=True):
    """Units of the token from one address to another."""

    sender: str
    recipient: str
    units: int


class Transaction(msgspec.Struct, frozen=True):
    """What a block can hold."""

    hash: str
    moves: tuple[Move, ...]
    nonce: int | None = None
    """Of our account; None for a stranger's."""
    fee_wei: int = 0


class Mined(msgspec.Struct, frozen=True):
    """A block with what is in it."""

    block: Block
    entries: tuple[tuple[Transaction, bool, int], ...]
    """Each transaction, whether it succeeded, and the index of its first log."""


class RefusedOfferError(Exception):
    """A node does not take a transaction; its words."""


@dataclass(slots=True)
class Chain:
    """The canonical chain as it is, whatever nodes say of it."""

    rng: Random
    now_s: int
    blocks: list[Mined] = field(default_factory=list)
    pool: dict[str, Transaction] = field(default_factory=dict)
    deepest: int = 0
    """Most blocks that were ever replaced at once."""

    def __post_init__(self) -> None:
        self._append(self.now_s, ())

    @property
    def height(self) -> int:
        """Of the newest block."""
        return len(self.blocks) - 1

    def at(self, number: int) -> Block | None:
        """The block of a height."""
        return self.blocks[number].block if 0 <= number <= self.height else None

    def pay(self, *moves: Move) -> str:
        """A stranger pays; the transaction waits for a block."""
        made = Transaction(f"0x{self.rng.getrandbits(256):064x}", moves)
        self.pool[made.hash] = made
        return made.hash

    def offer(self, raw: bytes) -> None:
        """Take a signed transaction of our account into the pool. Raises `RefusedOfferError`."""
        made = read_signed(raw)
        if made.hash in self.pool or self.find(made.hash) is not None:
            raise RefusedOfferError("already known")
        if made.nonce is not None and made.nonce < self.used():
            raise RefusedOfferError("nonce too low")
        for other in [one for one in self.pool.values() if one.nonce is not None and one.nonce == made.nonce]:
            if other.fee_wei * 11 > made.fee_wei * 10:
                raise RefusedOfferError("replacement transaction underpriced")
            del self.pool[other.hash]
        self.pool[made.hash] = made

    def mine(self, now_s: int) -> None:
        """A block more, with most of what waits."""
        used, held = self.used(), self.held(VAULT)
        entries = []
        log = 0
        for made in sorted(self.pool.values(), key=lambda one: -1 if one.nonce is None else one.nonce):
            if made.nonce is not None and made.nonce < used:
                del self.pool[made.hash]
                continue
            if (made.nonce is not None and made.nonce > used) or self.rng.random() >= _TAKEN:
                continue
            del self.pool[made.hash]
            spent = sum(move.units for move in made.moves if move.sender == VAULT)
            succeeded = spent <= held
            entries.append((made, succeeded, log))
            if succeeded:
                log += len(made.moves)
                held += sum(move.units for move in made.moves if move.recipient == VAULT) - spent
            used += made.nonce is not None
        self._append(now_s, tuple(entries))

    def reorganise(self, depth: int, now_s: int, forgotten: float) -> int:
        """Replace the newest blocks by one more, and forget some transactions; how many blocks there were."""
        depth = min(depth, self.height)
        self.deepest = max(self.deepest, depth)
        gone = self.blocks[len(self.blocks) - depth :]
        del self.blocks[len(self.blocks) - depth :]
        for mined in gone:
            for made, _, _ in mined.entries:
                if self.rng.random() >= forgotten:
                    self.pool[made.hash] = made
        for _ in range(depth + 1):
            self.mine(now_s)
        return depth

    def find(self, tx_hash: str) -> tuple[Mined, Transaction, bool, int] | None:
        """Where a transaction is."""
        for mined in reversed(self.blocks):
            for made, succeeded, log in mined.entries:
                if made.hash == tx_hash:
                    return mined, made, succeeded, log
        return None

    def used(self, height: int | None = None) -> int:
        """How many of our account's transactions are in blocks, as of a height or of the newest."""
        top = self.height if height is None else height
        return sum(made.nonce is not None for mined in self.blocks[: top + 1] for made, _, _ in mined.entries)

    def held(self, address: str) -> int:
        """What an address has of the token."""
        return sum(
            (move.recipient == address) * move.units - (move.sender == address) * move.units
            for _, _, move in self.moves()
        )

    def moves(self, below: int = 0) -> Iterator[tuple[str, int, Move]]:
        """Transaction hash, log index and move of everything that happened, but for the newest blocks."""
        for mined in self.blocks[: len(self.blocks) - below]:
            for made, succeeded, log in mined.entries:
                if succeeded:
                    for index, move in enumerate(made.moves):
                        yield made.hash, log + index, move

    def logs(self, number: int) -> list[dict[str, Any]]:
        """A block's transfers, as JSON-RPC gives them."""
        mined = self.blocks[number]
        return [
            _log(mined.block, made.hash, log + index, move)
            for made, succeeded, log in mined.entries
            if succeeded
            for index, move in enumerate(made.moves)
        ]

    def receipt(self, tx_hash: str) -> Receipt | None:
        """What became of a transaction."""
        found = self.find(tx_hash)
        if found is None:
            return None
        mined, made, succeeded, log = found
        logs = tuple(_log(mined.block, made.hash, log + index, move) for index, move in enumerate(made.moves))
        return Receipt(
            tx_hash,
            mined.block.number,
            mined.block.hash,
            succeeded,
            GAS,
            _PRICE_WEI,
            logs if succeeded else (),
        )

    def _append(self, now_s: int, entries: tuple[tuple[Transaction, bool, int], ...]) -> None:
        parent = self.blocks[-1].block.hash if self.blocks else "0x" + "0" * 64
        name = f"0x{self.rng.getrandbits(256):064x}"
        self.blocks.append(Mined(Block(len(self.blocks), name, parent, now_s), entries))


class ModelSigner:
    """Implements `Signer`; its bytes are JSON, and their hash names them."""

    address = VAULT

    async def sign(self, transaction: UnsignedTransaction) -> SignedTransaction:
        """The same transaction gives the same bytes."""
        raw = msgspec.json.encode(
            (transaction.nonce, transaction.data.hex(), transaction.max_fee_wei, transaction.gas)
        )
        return SignedTransaction(raw, "0x" + sha256(raw).hexdigest())


def read_signed(raw: bytes) -> Transaction:
    """What `ModelSigner` signed: a transfer of the token out of the vault."""
    nonce, data, fee_wei, _ = msgspec.json.decode(raw, type=tuple[int, str, int, int])
    call = bytes.fromhex(data)
    move = Move(VAULT, "0x" + call[_CALL_TO].hex(), int.from_bytes(call[_CALL_UNITS]))
    return Transaction("0x" + sha256(raw).hexdigest(), (move,), nonce, fee_wei)


def _log(block: Block, tx_hash: str, index: int, move: Move) -> dict[str, Any]:
    return {
        "address": TOKEN,
        "topics": [TRANSFER_TOPIC, topic_of(move.sender), topic_of(move.recipient)],
        "data": f"0x{move.units:064x}",
        "transactionHash": tx_hash,
        "logIndex": hex(index),
        "blockNumber": hex(block.number),
        "blockHash": block.hash,
    }
