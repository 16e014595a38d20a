"""A chain in memory that forks, forgets and lies by omission as real nodes do; and what the tests share."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from mrmarket.core.crash import PLAN
from mrmarket.partners.chains.errors import ChainCallError, ChainUnreachableError
from mrmarket.partners.chains.payment import PaymentRequest
from mrmarket.partners.chains.port import GasPrice, Receipt, SignedTransaction, UnsignedTransaction
from mrmarket.partners.chains.settings import ChainSettings, SpendingLimit, TokenSettings, VaultSettings
from mrmarket.partners.chains.transfer import TRANSFER_TOPIC, Block, Transfer, TransferKey, topic_of

CHAIN_ID: Final = 77
TOKEN: Final = "0x" + "aa" * 20
OTHER_TOKEN: Final = "0x" + "bb" * 20
WALLET: Final = "0x" + "11" * 20
STRANGER: Final = "0x" + "22" * 20
ESCROW: Final = "0x" + "33" * 20
DESTINATION: Final = "0x" + "44" * 20
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it


def chain_settings(**changes: Any) -> ChainSettings:
    """A chain with three confirmations and one token."""
    values: dict[str, Any] = {
        "name": "fake",
        "chain_id": CHAIN_ID,
        "urls": ["http://127.0.0.1:1"],
        "confirmations": 3,
        "remembered_blocks": 32,
        "batch_blocks": 4,
        "poll_ms": 1,
        "tokens": [TokenSettings(code="USDT", address=TOKEN, decimals=6, dust_units=10)],
    }
    return ChainSettings(**(values | changes))


def vault_settings(**changes: Any) -> VaultSettings:
    """A vault that may send a thousand units a day to one destination."""
    values: dict[str, Any] = {
        "destinations": [DESTINATION],
        "limits": [SpendingLimit(token=TOKEN, units=1_000)],
        "rebroadcast_s": 10,
        "stuck_s": 60,
        "max_replacements": 2,
    }
    return VaultSettings(**(values | changes))


def request(key: str = "p1", units: int = 100, **changes: Any) -> PaymentRequest:
    """A payment that the vault of the samples may make."""
    return replace(PaymentRequest(key, TOKEN, DESTINATION, units), **changes)


def memory_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder whose disk costs nothing, where the system has one: a process's end is no power cut."""
    return tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)


class Crashed(BaseException):
    """The process ended here."""


@dataclass
class CrashAt:
    """A plan that ends the simulated process at a label's n-th visit."""

    label: str
    nth: int = 1

    def reach(self, label: str) -> None:
        """Count the visits."""
        if label == self.label:
            self.nth -= 1
            if self.nth == 0:
                raise Crashed(label)


@contextmanager
def crashing(label: str, nth: int = 1) -> Iterator[None]:
    """Whatever runs in the block ends at that label."""
    token = PLAN.set(CrashAt(label, nth))
    try:
        yield
    finally:
        PLAN.reset(token)


@dataclass(frozen=True)
class Move:
    """A transfer that somebody wants in a block."""

    tx_hash: str
    units: int = 100
    sender: str = ESCROW
    recipient: str = WALLET
    token: str = TOKEN


@dataclass(frozen=True)
class FakeTransaction:
    """What our fake signer signed."""

    tx_hash: str
    sender: str
    nonce: int
    token: str
    destination: str
    units: int
    max_fee_wei: int


@dataclass
class FakeBlock:
    """A block with its content."""

    header: Block
    moves: list[Move] = field(default_factory=list)
    transactions: list[FakeTransaction] = field(default_factory=list)
    reverted: set[str] = field(default_factory=set)


class FakeChain:
    """Implements what the watcher and the vault ask, over a list of blocks that a test rearranges."""

    def __init__(self) -> None:
        self._salt = 0
        self.blocks = [FakeBlock(Block(0, self._hash(), "0x" + "0" * 64, 0))]
        self.highest = 0
        self.down = False
        self.calls = 0
        self.at_call: dict[int, Callable[[], object]] = {}
        self.pool: dict[str, FakeTransaction] = {}
        self.known: dict[bytes, FakeTransaction] = {}
        self.offers: list[str] = []
        self.base_wei = 10
        self.tip_wei = 2
        self.reverting = False
        self.would_revert = False
        self.deaf = False
        self.held_units = 10_000
        self.held_wei = 10**18

    # what a test does

    def mine(self, *moves: Move, count: int = 1, take_pool: bool = True) -> None:
        """Add blocks; the first holds the moves and what waits in the pool."""
        for _ in range(count):
            parent = self.blocks[-1].header
            block = FakeBlock(
                Block(parent.number + 1, self._hash(), parent.hash, parent.number + 1), list(moves)
            )
            self.blocks.append(block)
            if take_pool:
                self._include(block)
            moves = ()
        self.highest = max(self.highest, len(self.blocks) - 1)

    def drop(self, depth: int) -> list[FakeBlock]:
        """Forget the newest blocks, silently. Only a stranger's transactions wait again, as he sees to it."""
        dropped = self.blocks[len(self.blocks) - depth :]
        del self.blocks[len(self.blocks) - depth :]
        for block in dropped:
            self.pool |= {one.tx_hash: one for one in block.transactions if one.destination == STRANGER}
        return dropped

    def foreign(self, sender: str, nonce: int) -> None:
        """Somebody else uses the key: a transaction that we never signed waits for the next block."""
        other = FakeTransaction(self._hash(), sender, nonce, TOKEN, STRANGER, 1, 10**12)
        self.pool[other.tx_hash] = other

    def moves_final(self, tip: int, confirmations: int, above: int = 0) -> set[TransferKey]:
        """What a model says is final."""
        return {
            transfer.key
            for block in self.blocks[above + 1 : max(0, tip - confirmations) + 1]
            for transfer in self._transfers(block)
        }

    def keys(self, above: int = -1) -> set[TransferKey]:
        """Transfers to us that are on the chain."""
        return {
            transfer.key
            for block in self.blocks
            for transfer in self._transfers(block)
            if block.header.number > above
        }

    # what the watcher asks

    async def head(self) -> Block:
        """The newest block."""
        self._called()
        return self.blocks[-1].header

    async def block_at(self, number: int) -> Block | None:
        """The block of a height."""
        self._called()
        return self.blocks[number].header if number < len(self.blocks) else None

    async def transfers(self, block: Block, recipients: Sequence[str]) -> list[Transfer]:
        """Nothing at all for a block that is gone, as anvil answers."""
        self._called()
        for one in self.blocks:
            if one.header == block:
                return [transfer for transfer in self._transfers(one) if transfer.recipient in recipients]
        return []

    # what the vault asks

    async def used_nonces(self, address: str, block: int | None = None) -> int:
        """Transactions in blocks."""
        self._called()
        upto = self.blocks if block is None else self.blocks[: block + 1]
        return sum(one.sender == address for each in upto for one in each.transactions)

    async def pending_nonces(self, address: str) -> int:
        """With those that wait and are next in turn."""
        count = await self.used_nonces(address)
        waiting = {one.nonce for one in self.pool.values() if one.sender == address}
        while count in waiting:
            count += 1
        return count

    async def coins(self, address: str) -> int:
        """Wei of everybody."""
        self._called()
        return self.held_wei

    async def token_units(self, token: str, address: str) -> int:
        """What was there, less what left."""
        self._called()
        return self.held_units - sum(units for _, units in self.paid(address))

    def paid(self, account: str) -> list[tuple[str, int]]:
        """What really left an account: hash and units."""
        return [
            (one.tx_hash, one.units)
            for block in self.blocks
            for one in block.transactions
            if one.sender == account and one.tx_hash not in block.reverted and one.destination != STRANGER
        ]

    async def gas_price(self) -> GasPrice:
        """What gas costs."""
        self._called()
        return GasPrice(self.base_wei, self.tip_wei)

    async def estimate_gas(self, sender: str, to: str, data: bytes) -> int:
        """Fifty thousand, or the contract's refusal."""
        self._called()
        if self.would_revert:
            raise ChainCallError("fake", "eth_estimateGas", 3, "execution reverted: paused")
        return 50_000

    async def broadcast(self, raw: bytes) -> None:
        """Take it into the pool under the rules of a real one."""
        self._called()
        new = self.known[raw]
        self.offers.append(new.tx_hash)
        if self.deaf:
            return
        if new.nonce < await self.used_nonces(new.sender):
            raise ChainCallError("fake", "eth_sendRawTransaction", -32000, "nonce too low")
        for old in list(self.pool.values()):
            if (old.sender, old.nonce) == (new.sender, new.nonce):
                if new.max_fee_wei * 10 < old.max_fee_wei * 11:
                    raise ChainCallError("fake", "eth_sendRawTransaction", -32000, "underpriced or known")
                del self.pool[old.tx_hash]
        self.pool[new.tx_hash] = new

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """Of what is in a block."""
        self._called()
        for block in self.blocks:
            for one in block.transactions:
                if one.tx_hash == tx_hash:
                    return self._receipt(block, one)
        return None

    def _receipt(self, block: FakeBlock, one: FakeTransaction) -> Receipt:
        succeeded = one.tx_hash not in block.reverted
        log = {
            "address": one.token,
            "topics": [TRANSFER_TOPIC, topic_of(one.sender), topic_of(one.destination)],
            "data": f"0x{one.units:064x}",
            "transactionHash": one.tx_hash,
            "logIndex": "0x0",
            "blockNumber": hex(block.header.number),
            "blockHash": block.header.hash,
        }
        logs = (log,) if succeeded else ()
        return Receipt(one.tx_hash, block.header.number, block.header.hash, succeeded, 40_000, 12, logs)

    def _transfers(self, block: FakeBlock) -> list[Transfer]:
        return [
            Transfer(
                TransferKey(CHAIN_ID, move.tx_hash, index),
                block.header.number,
                block.header.hash,
                move.token,
                move.sender,
                move.recipient,
                move.units,
            )
            for index, move in enumerate(block.moves)
            if move.recipient == WALLET
        ]

    def _include(self, block: FakeBlock) -> None:
        for one in sorted(self.pool.values(), key=lambda waiting: waiting.nonce):
            used = sum(each.sender == one.sender for old in self.blocks for each in old.transactions)
            if one.nonce == used and one.max_fee_wei >= self.base_wei:
                block.transactions.append(one)
                if self.reverting:
                    block.reverted.add(one.tx_hash)
        for one in block.transactions:
            self.pool.pop(one.tx_hash, None)

    def _called(self) -> None:
        self.calls += 1
        if (happening := self.at_call.pop(self.calls, None)) is not None:
            happening()
        if self.down:
            raise ChainUnreachableError("fake", "refused")

    def _hash(self) -> str:
        self._salt += 1
        return "0x" + hashlib.sha256(f"{id(self)} {self._salt}".encode()).hexdigest()


class FakeSigner:
    """Signs for the fake chain; the same transaction gives the same bytes."""

    address = WALLET

    def __init__(self, chain: FakeChain) -> None:
        self._chain = chain
        self.signed = 0

    async def sign(self, transaction: UnsignedTransaction) -> SignedTransaction:
        """Make bytes, and let the chain know what they stand for."""
        self.signed += 1
        raw = repr(transaction).encode()
        tx_hash = "0x" + hashlib.sha256(raw).hexdigest()
        data = transaction.data
        self._chain.known[raw] = FakeTransaction(
            tx_hash,
            self.address,
            transaction.nonce,
            transaction.to,
            "0x" + data[16:36].hex(),
            int.from_bytes(data[36:68], "big"),
            transaction.max_fee_wei,
        )
        return SignedTransaction(raw, tx_hash)
