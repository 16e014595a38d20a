"""A chain with HUMAN's contracts, as a world has them, for the tests of its parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mrmarket.core.clock import Clock, SystemClock
from mrmarket.partners.chains.human.deployment import Contracts, HumanDeployment
from mrmarket.partners.chains.payment import PaymentRequest
from mrmarket.services.sandbox.chain import SandboxChain

Result = TypeVar("Result")


@dataclass
class ChainStage:
    """A chain that makes blocks when it is told to, and the contracts on it."""

    chain: SandboxChain
    human: HumanDeployment

    async def send(self, token: str, recipient: str, units: int) -> str:
        """A transfer of the launcher's that is in the newest block; its transaction's hash."""
        data = PaymentRequest("test", token, recipient.lower(), units).call
        sent = {"from": self.human.launcher, "to": token, "data": "0x" + data.hex()}
        tx_hash: str = await self.chain.node.call("eth_sendTransaction", sent)
        assert await self.chain.tick()
        return tx_hash

    async def mined(self, work: Awaitable[Result]) -> Result:
        """Make blocks until something that waits for them is done."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await self.chain.tick()
        return task.result()

    async def bury(self) -> None:
        """Make blocks until nothing waits and everything is final."""
        while await self.chain.tick():
            pass


@asynccontextmanager
async def chain_stage(
    folder: Path, contracts: Contracts | None = None, world: Clock | None = None
) -> AsyncIterator[ChainStage]:
    """Start it on a folder, with the contracts of an earlier life or new ones."""
    chain = await SandboxChain.start(folder, world or SystemClock(), block_ms=20, confirmations=2)
    try:
        if contracts is None:
            await chain.at_once(wanted=True)
            human = await HumanDeployment.deploy(chain.url)
            await chain.at_once(wanted=False)
            await chain.keep()
        else:
            human = await HumanDeployment.attach(chain.url, contracts)
        try:
            yield ChainStage(chain, human)
        finally:
            await human.close()
    finally:
        await chain.stop()
