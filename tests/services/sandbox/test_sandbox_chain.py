"""The world's chain: what is on the disk, when it sleeps, and what a kill takes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.partners.chains.errors import ChainUnreachableError
from mrmarket.partners.chains.human.bulk_transfer import payout_id_of
from mrmarket.partners.chains.human.deployment import ContractRevertedError
from mrmarket.partners.hufi.sandbox.feed import Payment
from mrmarket.services.sandbox.chain import SandboxChain
from mrmarket.services.sandbox.errors import ChainEndedError, SandboxStateError
from mrmarket.services.sandbox.settlement import ChainSettlement
from partners.chains.local_chain import needs_anvil
from services.sandbox.sandbox_stage import chain_stage

pytestmark = needs_anvil


async def test_a_chain_goes_on_where_it_was(tmp_path: Path) -> None:
    """Killed without a word, it has every block that was followed by another, and the same contracts."""
    world = ManualClock(2_000_000_000 * NS_PER_S)
    async with chain_stage(tmp_path, world=world) as stage:
        await stage.bury()
        human, contracts = stage.human, stage.human.contracts
        await stage.send(contracts.token, human.wallets[0], 700)
        await stage.bury()
        head = await stage.chain.node.head()
        assert head.time_s >= 2_000_000_000
        assert not await stage.chain.tick()
        # The node dies as it is, with a transaction that no block has yet.
        await stage.chain.node.call(
            "eth_sendTransaction", {"from": human.launcher, "to": human.wallets[1], "value": "0x1"}
        )
        assert SandboxChain.remembered(tmp_path)

    async with chain_stage(tmp_path, contracts, world) as stage:
        assert await stage.chain.node.head() == head
        assert await stage.human.units(contracts.token, stage.human.wallets[0]) == 700
        assert stage.human.contracts == contracts
        # A node that has just begun knows no state of older blocks; burying gives it some.
        await stage.bury()
        later = await stage.chain.node.head()
        assert later.number == head.number + 3
        assert await stage.chain.node.used_nonces(stage.human.launcher, later.number - 2)


async def test_a_file_that_is_no_chain_is_named(tmp_path: Path) -> None:
    """With the file, and what to do about it."""
    (tmp_path / "chain.json").write_text("{")
    with pytest.raises(SandboxStateError, match=r"chain\.json.*delete the folder"):
        await SandboxChain.start(tmp_path, ManualClock(), block_ms=20, confirmations=2)


async def test_oracles_store_and_pay_once(tmp_path: Path) -> None:
    """Everything asked for twice happens once, also in another life; the last batch completes the escrow."""
    async with chain_stage(tmp_path) as stage:
        human = stage.human
        contracts = human.contracts
        blocks = asyncio.create_task(stage.chain.run())
        escrow = await human.create_escrow(10_000, "{}", "hash")
        unpaid = await human.create_escrow(10_000, "{}", "hash")
        settlement = ChainSettlement(human, stage.chain.keep)
        first = Payment(1338, escrow, 0, "first", {human.wallets[0]: 300, human.wallets[1]: 5}, is_last=False)
        for _ in range(2):
            await settlement.store(1338, escrow, "http://results", "h1", 400)
            await settlement.pay(first)
        assert await human.results(escrow) == ("http://results", "h1")
        assert await human.has_paid(escrow, "first")
        await settlement.pay(Payment(1338, unpaid, 0, "", {}, is_last=True))
        assert await human.status(unpaid) == 1
        blocks.cancel()
        await asyncio.gather(blocks, return_exceptions=True)

    async with chain_stage(tmp_path, contracts) as stage:
        human = stage.human
        blocks = asyncio.create_task(stage.chain.run())
        settlement = ChainSettlement(human, stage.chain.keep)
        await settlement.store(1338, escrow, "http://results", "h1", 400)
        await settlement.pay(first)
        await settlement.store(1338, escrow, "http://results", "h2", 100)
        for _ in range(2):
            await settlement.pay(Payment(1338, escrow, 1, "last", {human.wallets[0]: 50}, is_last=True))
        logs = await stage.chain.node.call(
            "eth_getLogs",
            {"address": escrow, "fromBlock": "earliest", "topics": [None, payout_id_of("first")]},
        )
        assert len(logs) == 1
        assert await human.units(contracts.token, human.wallets[0]) == 350
        assert await human.status(escrow) == 4
        await settlement.pay(Payment(1338, escrow, 2, "", {}, is_last=True))
        blocks.cancel()
        await asyncio.gather(blocks, return_exceptions=True)


async def test_a_node_that_is_killed_is_told_apart(tmp_path: Path) -> None:
    """Who waits for its end hears of it, and contracts that cannot be asked say so, to be asked again."""
    async with chain_stage(tmp_path) as stage:
        with pytest.raises(ContractRevertedError, match="a question was refused"):
            await stage.human.status(stage.human.token)
        psutil.Process(stage.chain.pid).kill()
        with pytest.raises(ChainEndedError, match="ended with -9; start the world again"):
            await stage.chain.over()
        human = stage.human
        with pytest.raises(ChainUnreachableError):
            await human.units(human.token, human.launcher)
        with pytest.raises(ChainUnreachableError):
            await human.set_fee(human.recording)
