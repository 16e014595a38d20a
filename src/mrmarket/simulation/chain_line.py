"""How a process sees the modelled chain: through a node that lags, lies low, and answers late."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.errors import (
    ChainAnswerRefusedError,
    ChainCallError,
    ChainUnreachableError,
)
from mrmarket.partners.chains.port import GasPrice, Receipt
from mrmarket.partners.chains.transfer import Block, Transfer, transfer_of
from mrmarket.simulation.chain import CHAIN_ID, GAS, VAULT, Chain, RefusedOfferError
from mrmarket.simulation.disk import Disk
from mrmarket.simulation.network import Network, NoAnswerError, ServerFaultError, SlowDownError
from mrmarket.simulation.process import Process
from mrmarket.simulation.weather import FaultKind
from mrmarket.store.sql import Sql, SqliteSql

T = TypeVar("T")

NODE: Final = "node"
CHAIN_NAME: Final = "sim"

_TIMEOUT_S: Final = 8.0
_BEHIND: Final = 4
"""A node that lags is at most so many blocks behind."""
_COINS_WEI: Final = 10**20
_PATH: Final = Path("chains.db")


class NodeLine:
    """Implements `ChainReader` and `ChainWriter` for one process."""

    def __init__(self, chain: Chain, network: Network, process: Process) -> None:
        self._chain = chain
        self._network = network
        self._process = process

    async def head(self) -> Block:
        """The newest block; a node that lags has an older one."""

        def effect() -> Block:
            behind = 0
            weather = self._network.weather
            if weather.strikes(FaultKind.NODE_LAG):
                behind = min(weather.rng.randint(1, _BEHIND), self._chain.height)
            return self._chain.blocks[self._chain.height - behind].block

        return await self._ask("head", effect)

    async def block_at(self, number: int) -> Block | None:
        """The canonical block of a height."""
        return await self._ask("block", lambda: self._chain.at(number))

    async def transfers(self, block: Block, recipients: Sequence[str]) -> list[Transfer]:
        """Transfers in exactly this block; none at all where the node has dropped it."""

        def effect() -> list[Transfer]:
            if self._network.weather.strikes(FaultKind.NODE_OMISSION):
                # What a node leaves out is noticed by the block's own sum of its logs, and asked for again.
                raise ChainAnswerRefusedError(CHAIN_NAME, "eth_getLogs", "it leaves logs out")
            if self._chain.at(block.number) != block:
                return []
            read = [transfer_of(CHAIN_ID, entry) for entry in self._chain.logs(block.number)]
            return [one for one in read if one is not None and one.recipient in recipients]

        return await self._ask("transfers", effect)

    async def used_nonces(self, address: str, block: int | None = None) -> int:
        """Transactions of the account in blocks."""
        return await self._ask("nonces", lambda: self._chain.used(block) if address == VAULT else 0)

    async def pending_nonces(self, address: str) -> int:
        """The same with those that wait."""

        def effect() -> int:
            waiting = [made.nonce for made in self._chain.pool.values() if made.nonce is not None]
            return max([self._chain.used(), *(nonce + 1 for nonce in waiting)]) if address == VAULT else 0

        return await self._ask("pending", effect)

    async def coins(self, address: str) -> int:  # noqa: ARG002 - everybody has enough
        """Wei of an account."""
        return _COINS_WEI

    async def token_units(self, token: str, address: str) -> int:  # noqa: ARG002 - there is one token
        """What an account holds."""
        return await self._ask("balance", lambda: self._chain.held(address))

    async def gas_price(self) -> GasPrice:
        """What gas costs now."""
        return GasPrice(10**9, 10**8)

    async def estimate_gas(self, sender: str, to: str, data: bytes) -> int:  # noqa: ARG002 - always the same call
        """How much gas a call would need."""
        return GAS

    async def broadcast(self, raw: bytes) -> None:
        """Offer a signed transaction."""

        def effect() -> None:
            if self._network.weather.strikes(FaultKind.TRANSACTION_LOST):
                return  # the node took it, and nobody else ever heard of it
            self._chain.offer(raw)

        try:
            await self._ask("broadcast", effect)
        except RefusedOfferError as error:
            raise ChainCallError(CHAIN_NAME, "eth_sendRawTransaction", -32000, str(error)) from error

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """What became of a transaction."""
        return await self._ask("receipt", lambda: self._chain.receipt(tx_hash))

    async def _ask(self, request: str, effect: Callable[[], T]) -> T:
        try:
            return await self._network.ask(self._process, NODE, effect, timeout_s=_TIMEOUT_S)
        except (NoAnswerError, ServerFaultError, SlowDownError) as error:
            raise ChainUnreachableError(CHAIN_NAME, request) from error


class ModelChainBook(ChainBook):
    """The real book, on a disk that may be full, away, or the last thing that its process sees."""

    def __init__(self, connection: sqlite3.Connection, disk: Disk) -> None:
        super().__init__(_PATH, connection)
        self._disk = disk
        self._memory = SqliteSql(_PATH, connection)
        self._database = connection
        if connection.in_transaction:
            connection.execute("ROLLBACK")  # of a process that died in the middle of it

    @contextmanager
    def transaction(self) -> Iterator[Sql]:
        """A block that writes."""
        self._disk.begin()
        with super().transaction() as sql:
            yield sql
        self._disk.committed()
        self._disk.sync()

    @contextmanager
    def reading(self) -> Iterator[Sql]:
        """A block that reads; nothing else happens meanwhile."""
        self._disk.begin(writes=False)
        yield self._memory

    def close(self) -> None:
        """The database stays: it is the disk's."""


def new_chain_database() -> sqlite3.Connection:
    """What the disk holds of chains; it outlives every process that writes to it."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _master().backup(connection)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = MEMORY")
    return connection


@lru_cache(maxsize=1)
def _master() -> sqlite3.Connection:
    """An empty `chains.db` of today's schema, to be copied from."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chains.db"
        ChainBook.open(path).close()
        kept = sqlite3.connect(path)
        kept.execute("PRAGMA journal_mode = DELETE")
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        kept.backup(connection)
        kept.close()
    return connection
