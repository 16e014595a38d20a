"""The world's chain: a block is on disk before the next one is made, so no kill takes back a buried one.

The node makes no blocks by itself. This does, while a transaction waits or the last one is not buried by
enough blocks; then the chain sleeps. Killed in the middle, the world loses at most its newest block and what
waited for one, which to everybody is a reorganisation of depth one.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import zlib
from pathlib import Path
from typing import Any, Final, Self

import structlog

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.whole_file import replace_whole
from mrmarket.partners.chains.errors import ChainAnswerRefusedError, ChainError, NodeNotStartedError
from mrmarket.partners.chains.local_node import HUMAN_CHAIN_ID, LocalNode, find_anvil
from mrmarket.partners.chains.node import EvmNode
from mrmarket.partners.chains.settings import ChainSettings, TokenSettings
from mrmarket.services.sandbox.errors import ChainEndedError, SandboxStateError

NAME: Final = "sandbox"
_FILE: Final = "chain.json"
_LOG: Final[Any] = structlog.get_logger("mrmarket.sandbox")


class SandboxChain:
    """A local node whose blocks are made and kept here."""

    def __init__(self, local: LocalNode, file: Path, world: Clock, block_ms: int, confirmations: int) -> None:
        self._local = local
        self._file = file
        self._world = world
        self._block_s = block_ms / 1_000
        self._confirmations = confirmations
        self._keeping = asyncio.Lock()
        self._bare = confirmations + 1
        """Blocks until the newest transaction is buried; after a start nobody knows, and a node that has
        just loaded its blocks knows no older state."""
        self.node = EvmNode(self.settings())

    @classmethod
    async def start(
        cls, folder: Path, world: Clock, *, block_ms: int, confirmations: int, port: int = 0
    ) -> Self:
        """Start the node with what the folder remembers; blocks are stamped with the world's time.

        Raises:
            NodeNotStartedError: anvil is not installed, or refuses.
            SandboxStateError: the node cannot read what the folder remembers.
        """
        file = folder / _FILE
        load = file if file.exists() else None
        place = Path.cwd()
        if find_anvil(os.environ, place) is None:
            place = Path(__file__).parent
        try:
            local = await LocalNode.start(port=port, load=load, mining=False, folder=place)
        except NodeNotStartedError as error:
            if load is None or find_anvil(os.environ, place) is None:
                raise
            raise SandboxStateError(
                file, f"the node cannot start from it ({error.problem})", "delete the folder for a new world"
            ) from error
        return cls(local, file, world, block_ms, confirmations)

    @staticmethod
    def remembered(folder: Path) -> bool:
        """Whether a folder has a chain."""
        return (folder / _FILE).exists()

    @property
    def url(self) -> str:
        """Where it takes calls."""
        return self._local.url

    @property
    def websocket_url(self) -> str:
        """Where it announces blocks."""
        return self._local.websocket_url

    @property
    def pid(self) -> int:
        """The node's process id."""
        return self._local.pid

    @property
    def port(self) -> int:
        """Of both."""
        return self._local.port

    def settings(self, token: str | None = None, decimals: int = 18, code: str = "") -> ChainSettings:
        """How to watch it, with its token once there is one."""
        tokens = [TokenSettings(code=code, address=token, decimals=decimals)] if token else []
        return ChainSettings(
            name=NAME,
            chain_id=HUMAN_CHAIN_ID,
            urls=[self.url],
            confirmations=self._confirmations,
            poll_ms=max(50, int(self._block_s * 1_000)),
            tokens=tokens,
            start_block=1,
        )

    async def at_once(self, *, wanted: bool) -> None:
        """Whether each transaction gets a block of its own at once: for the time before anybody watches."""
        await self.node.call("evm_setAutomine", wanted)

    async def keep(self) -> None:
        """Put what there is on the disk: whoever writes down that a transaction was made does this before.

        Raises:
            ChainError: the node does not answer.
            OSError: the disk refuses.
        """
        async with self._keeping:
            told = await self.node.call("anvil_dumpState")
            await asyncio.to_thread(self._write, told)

    async def tick(self) -> bool:
        """Make a block if one is wanted, and keep it; whether there was one.

        Raises:
            ChainError: the node does not answer.
            OSError: the disk refuses.
        """
        waiting = int((await self.node.call("txpool_status"))["pending"], 16)
        if waiting:
            self._bare = self._confirmations + 1
        elif not self._bare:
            return False
        stamp = max((await self.node.head()).time_s + 1, self._world.now_ns() // NS_PER_S)
        await self.node.call("evm_setNextBlockTimestamp", hex(stamp))
        await self.node.call("anvil_mine", "0x1")
        self._bare = max(0, self._bare - 1)
        await self.keep()
        return True

    async def over(self) -> None:
        """Wait until the node ends by itself, and raise `ChainEndedError`."""
        raise ChainEndedError(await self._local.wait())

    async def run(self) -> None:
        """Make blocks until cancelled; a node that does not answer is asked again.

        Raises:
            ChainError: the node refuses.
            OSError: the disk refuses.
        """
        while True:
            try:
                await self.tick()
            except ChainError as error:
                if not error.retryable:
                    raise
                _LOG.warning("sandbox.chain_trouble", code=error.code, message=str(error))
            await asyncio.sleep(self._block_s)

    async def stop(self) -> None:
        """Let the node go; what it has is on the disk already."""
        await self.node.close()
        await self._local.stop()

    def _write(self, told: Any) -> None:
        try:
            content = gzip.decompress(bytes.fromhex(told[2:]))
        except (TypeError, ValueError, OSError, EOFError, zlib.error) as error:
            raise ChainAnswerRefusedError(NAME, "anvil_dumpState", type(error).__name__) from error
        replace_whole(self._file, content)
