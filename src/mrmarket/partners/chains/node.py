"""A chain's nodes over JSON-RPC: one call at a time, each with a time limit, the next node when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from aiohttp import ClientError

from mrmarket.core.errors import MrMarketError
from mrmarket.partners.chains.bloom import bloom_of, may_hold
from mrmarket.partners.chains.errors import (
    ChainAnswerRefusedError,
    ChainCallError,
    ChainError,
    ChainUnreachableError,
    WrongChainError,
)
from mrmarket.partners.chains.http_provider import HttpProvider
from mrmarket.partners.chains.port import GasPrice, Receipt
from mrmarket.partners.chains.settings import ChainSettings
from mrmarket.partners.chains.transfer import TRANSFER_TOPIC, Block, Transfer, topic_of, transfer_of
from mrmarket.partners.chains.web3_door import AsyncWeb3, RPCEndpoint

_log: Final[Any] = structlog.get_logger("mrmarket.chains")
_BALANCE_OF: Final = "0x70a08231"
"""First four bytes of keccak256 of `balanceOf(address)`."""
_MAX_CALLS: Final = 16
"""At once; public nodes refuse more."""
_MAX_MESSAGE: Final = 300
_EVERYTHING: Final = 2**2048 - 1
"""A bloom of all bits: some chains keep none, and their headers say zero."""
_MAX_BLOOMS: Final = 4_096
_MALFORMED: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError)


class EvmNode:
    """Implements `ChainReader` and `ChainWriter`. Addresses with keys in them are never shown."""

    def __init__(self, chain: ChainSettings) -> None:
        self._chain = chain
        timeout_s = chain.timeout_ms / 1_000
        self._webs: list[AsyncWeb3[Any]] = [AsyncWeb3(HttpProvider(url, timeout_s)) for url in chain.urls]
        self._current = 0
        self._known: set[int] = set()
        self._blooms: dict[str, int] = {}
        self._calls = asyncio.Semaphore(_MAX_CALLS)

    async def open(self) -> None:
        """Make sure that a node answers and is of the right chain.

        Raises:
            WrongChainError: if it is of another.
            ChainUnreachableError: if none answers.
        """
        await self.call("eth_chainId")

    async def close(self) -> None:
        """Let go of the connections."""
        for web in self._webs:
            await web.provider.disconnect()

    async def call(self, method: str, *params: object) -> Any:
        """One JSON-RPC call; what it answers, as it came.

        Raises:
            ChainUnreachableError: if no node answers in time.
            ChainCallError: if the node answers with an error.
            WrongChainError: if the node is of another chain; the others are not asked.
        """
        problem = ""
        for _ in self._webs:
            index = self._current
            try:
                await self._require_chain(index)
                return await self._ask(index, method, params)
            except ChainUnreachableError as error:
                problem = error.problem
                if index == self._current:
                    self._current = (index + 1) % len(self._webs)
        raise ChainUnreachableError(self._chain.name, problem)

    async def head(self) -> Block:
        """The newest block."""
        block = await self._block("latest")
        if block is None:
            raise ChainAnswerRefusedError(
                self._chain.name, "eth_getBlockByNumber", "there is no newest block"
            )
        return block

    async def block_at(self, number: int) -> Block | None:
        """The canonical block of a height; None where there is none."""
        return await self._block(hex(number))

    async def logs(
        self, block_hash: str, topics: Sequence[str | list[str] | None], address: str | None = None
    ) -> list[dict[str, Any]]:
        """Log entries of exactly one block."""
        wanted: dict[str, object] = {"blockHash": block_hash, "topics": list(topics)}
        if address is not None:
            wanted["address"] = address
        found = await self.call("eth_getLogs", wanted)
        if not isinstance(found, list):
            raise ChainAnswerRefusedError(self._chain.name, "eth_getLogs", "it is no list")
        return found

    async def transfers(self, block: Block, recipients: Sequence[str]) -> list[Transfer]:
        """ERC-20 transfers of any token to the recipients in exactly this block, in its order.

        A node can leave logs out that it has not indexed yet. The block's bloom says for certain where there
        is nothing for us; everywhere else a second source must say the same.

        Raises:
            ChainAnswerRefusedError: if a node contradicts another, or the block's own bloom; ask again.
        """
        ours = [topic_of(recipient) for recipient in recipients]
        wanted = [TRANSFER_TOPIC, None, ours]
        found = self._read(block, await self.logs(block.hash, wanted))
        bloom = await self._bloom(block.hash)
        is_possible = any(may_hold(bloom, (TRANSFER_TOPIC, topic)) for topic in ours)
        if is_possible and await self._second_opinion(block, wanted, recipients, bloom) not in (None, found):
            self._current = (self._current + 1) % len(self._webs)
            raise ChainAnswerRefusedError(
                self._chain.name, "eth_getLogs", f"it leaves logs of block {block.number} out"
            )
        return found

    def _read(self, block: Block, entries: Sequence[Mapping[str, Any]]) -> list[Transfer]:
        try:
            read = [transfer_of(self._chain.chain_id, entry) for entry in entries]
        except _MALFORMED as error:
            raise self._refused("eth_getLogs", error) from error
        found = [transfer for transfer in read if transfer is not None]
        if any((one.block_hash, one.block_number) != (block.hash, block.number) for one in found):
            raise ChainAnswerRefusedError(self._chain.name, "eth_getLogs", "an entry is of another block")
        return sorted(found, key=lambda transfer: transfer.key.log_index)

    async def _second_opinion(
        self, block: Block, wanted: Sequence[object], recipients: Sequence[str], bloom: int
    ) -> list[Transfer] | None:
        """The same from the next node, or from receipts that are whole; None where nobody can say."""
        if len(self._webs) > 1:
            other = (self._current + 1) % len(self._webs)
            question = {"blockHash": block.hash, "topics": list(wanted)}
            try:
                await self._require_chain(other)
                return self._read(block, await self._ask(other, "eth_getLogs", (question,)))
            except ChainError as silent:
                _log.info("chain.second_node_silent", chain=self._chain.name, code=silent.code)
        try:
            receipts = await self.call("eth_getBlockReceipts", block.hash)
        except ChainCallError as unknown:
            _log.info("chain.logs_not_verified", chain=self._chain.name, message=unknown.message)
            return None
        try:
            entries = [entry for receipt in receipts for entry in receipt["logs"]]
            is_whole = bloom in {bloom_of(entries), _EVERYTHING}
        except _MALFORMED as error:
            raise self._refused("eth_getBlockReceipts", error) from error
        if not is_whole:
            raise ChainAnswerRefusedError(
                self._chain.name, "eth_getBlockReceipts", f"its logs are not those of block {block.number}"
            )
        moved = [entry for entry in entries if entry["topics"] and entry["topics"][0] == TRANSFER_TOPIC]
        return [one for one in self._read(block, moved) if one.recipient in recipients]

    async def _bloom(self, block_hash: str) -> int:
        """A block's bloom; 0 of one that is gone, of which whoever asks will hear."""
        if block_hash not in self._blooms:
            self._keep_bloom(await self.call("eth_getBlockByHash", block_hash, False))
        return self._blooms.get(block_hash, 0)

    def _keep_bloom(self, header: Any) -> None:
        """Remember what a header says of its logs; a bloom of zero over transactions excludes nothing."""
        try:
            if header is not None and "logsBloom" in header:
                bloom = int(header["logsBloom"], 16)
                name = header["hash"].lower()
                self._blooms[name] = bloom or (_EVERYTHING if header.get("transactions") else 0)
        except _MALFORMED as error:
            raise self._refused("eth_getBlock", error) from error
        while len(self._blooms) > _MAX_BLOOMS:
            del self._blooms[next(iter(self._blooms))]

    async def used_nonces(self, address: str, block: int | None = None) -> int:
        """How many transactions of an account are in blocks, as of one or of the newest."""
        return await self._quantity(
            "eth_getTransactionCount", address, "latest" if block is None else hex(block)
        )

    async def pending_nonces(self, address: str) -> int:
        """The same with those that wait in the node."""
        return await self._quantity("eth_getTransactionCount", address, "pending")

    async def coins(self, address: str) -> int:
        """Wei of an account."""
        return await self._quantity("eth_getBalance", address, "latest")

    async def token_units(self, token: str, address: str) -> int:
        """Base units of a token that an account holds."""
        data = _BALANCE_OF + topic_of(address)[2:]
        return await self._quantity("eth_call", {"to": token, "data": data}, "latest")

    async def gas_price(self) -> GasPrice:
        """What gas costs in the next block, and the tip the node suggests."""
        block = await self.call("eth_getBlockByNumber", "latest", False)
        try:
            base_wei = int(block["baseFeePerGas"], 16)
        except _MALFORMED as error:
            raise self._refused("eth_getBlockByNumber", error) from error
        return GasPrice(base_wei, await self._quantity("eth_maxPriorityFeePerGas"))

    async def estimate_gas(self, sender: str, to: str, data: bytes) -> int:
        """How much gas a call would need. Raises `ChainCallError` if it would revert."""
        return await self._quantity("eth_estimateGas", {"from": sender, "to": to, "data": "0x" + data.hex()})

    async def broadcast(self, raw: bytes) -> None:
        """Offer a signed transaction. Raises `ChainCallError` with the node's words if it was refused."""
        await self.call("eth_sendRawTransaction", "0x" + raw.hex())

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """What became of a transaction; None while it is in no block."""
        method = "eth_getTransactionReceipt"
        found = await self.call(method, tx_hash)
        if found is None:
            return None
        try:
            return Receipt(
                tx_hash=found["transactionHash"].lower(),
                block_number=int(found["blockNumber"], 16),
                block_hash=found["blockHash"].lower(),
                succeeded=int(found["status"], 16) == 1,
                gas=int(found["gasUsed"], 16),
                price_wei=int(found["effectiveGasPrice"], 16),
                logs=tuple(found["logs"]),
            )
        except _MALFORMED as error:
            raise self._refused(method, error) from error

    async def _block(self, which: str) -> Block | None:
        method = "eth_getBlockByNumber"
        found = await self.call(method, which, False)
        if found is None:
            return None
        self._keep_bloom(found)
        try:
            return Block(
                int(found["number"], 16),
                found["hash"].lower(),
                found["parentHash"].lower(),
                int(found["timestamp"], 16),
            )
        except _MALFORMED as error:
            raise self._refused(method, error) from error

    async def _quantity(self, method: str, *params: object) -> int:
        found = await self.call(method, *params)
        try:
            return int(found, 16)
        except _MALFORMED as error:
            raise self._refused(method, error) from error

    async def _require_chain(self, index: int) -> None:
        if index in self._known:
            return
        try:
            found = int(await self._ask(index, "eth_chainId", ()), 16)
        except _MALFORMED as error:
            raise self._refused("eth_chainId", error) from error
        if found != self._chain.chain_id:
            raise WrongChainError(self._chain.name, self._chain.chain_id, found)
        self._known.add(index)

    async def _ask(self, index: int, method: str, params: Sequence[object]) -> Any:
        try:
            async with self._calls, asyncio.timeout(self._chain.timeout_ms / 1_000):
                answer: Mapping[str, Any] = await self._webs[index].provider.make_request(
                    RPCEndpoint(method), list(params)
                )
        except MrMarketError:
            raise
        except (ClientError, TimeoutError, OSError) as error:
            # A node that comes back may be another one behind the same address.
            self._known.discard(index)
            raise ChainUnreachableError(self._chain.name, type(error).__name__) from None
        except ValueError as error:
            raise self._refused(method, error) from error
        if "error" in answer:
            refusal = answer["error"]
            number = refusal.get("code", 0) if isinstance(refusal, Mapping) else 0
            message = refusal.get("message", "") if isinstance(refusal, Mapping) else str(refusal)
            raise ChainCallError(self._chain.name, method, int(number), str(message)[:_MAX_MESSAGE])
        if "result" not in answer:
            raise ChainAnswerRefusedError(self._chain.name, method, "it has neither result nor error")
        return answer["result"]

    def _refused(self, method: str, error: Exception) -> ChainAnswerRefusedError:
        return ChainAnswerRefusedError(
            self._chain.name, method, f"{type(error).__name__}: {error}"[:_MAX_MESSAGE]
        )
