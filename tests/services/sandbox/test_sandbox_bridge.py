"""Between chain and Mixin: each transfer becomes one deposit, each withdrawal one transfer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mrmarket.core.clock import SystemClock
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.settings import TokenSettings
from mrmarket.partners.mixin.book import TransferBook
from mrmarket.partners.mixin.client import MixinClient
from mrmarket.partners.mixin.keystore import Keystore
from mrmarket.partners.mixin.order import TransferOrder
from mrmarket.partners.mixin.sandbox.config import SandboxConfig as MixinConfig
from mrmarket.partners.mixin.sandbox.server import MixinSandbox
from mrmarket.partners.mixin.transfers import Transfers
from mrmarket.services.sandbox.accounts import (
    BOT,
    BRIDGE_WALLET,
    TOKEN_ASSET,
    TOKEN_CHAIN,
    bridge_signer,
    mixin_assets,
    wallet_signer,
)
from mrmarket.services.sandbox.bridge import Carried, ChainBridge, chain_units, mixin_units
from partners.chains.local_chain import needs_anvil
from services.sandbox.sandbox_stage import ChainStage, chain_stage

ONE = 10**18


@pytest.mark.parametrize(
    ("decimals", "units", "inside", "outside"),
    [(18, 10**10 + 5, 1, 10**10), (6, 7, 700, 7), (8, 9, 9, 9), (6, 0, 0, 0)],
)
def test_units_are_counted_in_eight_decimals(decimals: int, units: int, inside: int, outside: int) -> None:
    """What does not fit is cut off, never rounded up."""
    token = TokenSettings(code="T", address="0x" + "11" * 20, decimals=decimals)
    assert mixin_units(units, token) == inside
    assert chain_units(inside, token) == outside


@asynccontextmanager
async def opened(folder: Path, stage: ChainStage, mixin: MixinSandbox) -> AsyncIterator[ChainBridge]:
    """One life of the bridge."""
    book = ChainBook.open(folder / "bridge.db")
    chain = stage.chain.settings(stage.human.token, 18, "HMT")
    address = mixin.deposit_address(BOT, TOKEN_CHAIN)
    try:
        yield ChainBridge(
            chain, stage.chain.node, book, mixin, TOKEN_ASSET, [address], bridge_signer(), SystemClock()
        )
    finally:
        book.close()


@needs_anvil
async def test_money_crosses_once_each_way(tmp_path: Path) -> None:
    """Not before the confirmations, not twice over a restart, and no dust or strange token; then back out."""
    mixin = MixinSandbox(
        tmp_path / "mixin.db", config=MixinConfig(assets=mixin_assets(), waits_for_chain=True)
    )
    async with chain_stage(tmp_path) as stage, mixin:
        human = stage.human
        assert bridge_signer().address == human.wallets[BRIDGE_WALLET].lower()
        assert wallet_signer().address == human.wallets[-1].lower()
        mixin.enrol("bot", BOT)
        address = mixin.deposit_address(BOT, TOKEN_CHAIN)
        await stage.bury()
        async with opened(tmp_path, stage, mixin) as bridge:
            state = await stage.chain.node.call("evm_snapshot")
            await stage.send(human.token, address, 3 * ONE)
            assert await bridge.step() == Carried(0, 0)
            # That block is replaced by another, in which the transfer is another one.
            await stage.chain.node.call("evm_revert", state)
            tx_hash = await stage.send(human.token, address, 5 * ONE + 7)
            assert await bridge.step() == Carried(0, 0)
            await stage.bury()
            assert await bridge.step() == Carried(1, 0)
            await stage.send(human.token, address, 10**10 - 1)
            strange = await stage.mined(human.new_token("FAKE", 18))
            await stage.send(strange, address, ONE)
            await stage.bury()
            assert await bridge.step() == Carried(0, 0)
        async with opened(tmp_path, stage, mixin) as bridge:
            assert await bridge.step() == Carried(0, 0)
            assert mixin.ledger.held(BOT, TOKEN_ASSET) == 5 * 10**8

            await stage.send(human.token, human.wallets[BRIDGE_WALLET], 100 * ONE)
            keystore = Keystore.from_json(mixin.people.keystore_json(BOT))
            client = MixinClient(keystore, SystemClock(), url=mixin.url)
            (snapshot,) = await client.snapshots(offset="", limit=10)
            assert snapshot.deposit is not None
            assert snapshot.deposit.deposit_hash == tx_hash
            book = TransferBook(tmp_path / "transfers.db")
            transfers = Transfers(client, book, SystemClock())
            outside = human.wallets[1].lower()
            for number in (1, 2):
                key = f"00000000-0000-4000-8000-00000000000{number}"
                order = TransferOrder(key, TOKEN_ASSET, number * 10**8, f"withdrawal:{outside}", "")
                await transfers.send(order)
            assert [row["chain_hash"] for row in mixin.withdrawals()] == ["", ""]
            assert await bridge.step() == Carried(0, 0)
        async with opened(tmp_path, stage, mixin) as bridge:
            # The one that sent them is gone; this one offers the same bytes at most.
            await stage.bury()
            assert await bridge.step() == Carried(0, 2)
            assert await bridge.step() == Carried(0, 0)
            assert await human.units(human.token, outside) == 3 * ONE
            assert await stage.chain.node.used_nonces(bridge_signer().address) == 2
            assert len({row["chain_hash"] for row in mixin.withdrawals()} - {""}) == 2
        await client.close()
        book.close()
