"""The whole world as a process: from a campaign to a Mixin snapshot, killed in the middle."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec
import pytest

from mrmarket.core.clock import NS_PER_MS, SystemClock
from mrmarket.partners.chains.human.bulk_transfer import BULK_TRANSFER_TOPIC
from mrmarket.partners.chains.node import EvmNode
from mrmarket.partners.chains.payment import PaymentRequest
from mrmarket.partners.chains.settings import ChainSettings
from mrmarket.partners.hufi.drift import DriftReport
from mrmarket.partners.hufi.errors import HufiError
from mrmarket.partners.hufi.launcher import LauncherClient
from mrmarket.partners.hufi.line import HufiLine
from mrmarket.partners.hufi.login import OracleSession, WalletSigner
from mrmarket.partners.hufi.messages import CampaignItem, KeyBody
from mrmarket.partners.hufi.recording_oracle import RecordingOracleClient
from mrmarket.partners.hufi.results import read_results
from mrmarket.partners.hufi.sandbox.entrance import key_signer
from mrmarket.partners.mixin.client import MixinClient
from mrmarket.partners.mixin.keystore import Keystore
from mrmarket.partners.mixin.transaction import parse_amount
from mrmarket.services.sandbox.config import SandboxConfig
from mrmarket.services.sandbox.endpoints import ENDPOINTS_FILE, SandboxEndpoints
from mrmarket.services.sandbox.process import LOCK, SandboxProcess, SandboxProcessError
from mrmarket.trading.venue.front.signature import sign
from partners.chains.local_chain import needs_anvil

pytestmark = [pytest.mark.e2e, needs_anvil]

Found = TypeVar("Found")


class Participant:
    """Somebody who takes part by hand: the vault's wallet, with the exchange's first account."""

    def __init__(self, ready: SandboxEndpoints) -> None:
        self.ready = ready
        self.wallet, self._sign = key_signer(bytes.fromhex(ready.chain.wallet_key[2:]))
        self._opened = AsyncExitStack()

    async def open(self) -> Participant:
        """Get lines to everybody."""
        clock = SystemClock()
        drift = DriftReport(clock)
        enter = self._opened.enter_async_context
        self.launcher = LauncherClient(await enter(HufiLine(self.ready.hufi.launcher_url, drift, clock)))
        line = await enter(HufiLine(self.ready.hufi.oracle_url, drift, clock))

        async def signed(text: str) -> str:
            return self._sign(text)

        session = OracleSession(line, WalletSigner(self.wallet, signed), clock)
        self.oracle = RecordingOracleClient(line, session)
        chain = self.ready.chain
        self.node = EvmNode(ChainSettings(name="sandbox", chain_id=chain.chain_id, urls=[chain.url]))
        self._opened.push_async_callback(self.node.close)
        keystore = Keystore.from_json(self.ready.mixin.bot_keystore)
        self.mixin = MixinClient(keystore, clock, url=self.ready.mixin.url)
        self._opened.push_async_callback(self.mixin.close)
        self.http = await enter(aiohttp.ClientSession())
        return self

    async def close(self) -> None:
        """Hang up."""
        await self._opened.aclose()

    async def campaigns(self) -> dict[str, CampaignItem]:
        """By type."""
        return {item.type: item async for item in self.launcher.campaigns(self.ready.chain.chain_id)}

    async def trade(self) -> None:
        """Buy at the market."""
        venue = self.ready.venue
        stamp = SystemClock().now_ns() // NS_PER_MS
        query = f"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.05&timestamp={stamp}"
        url = f"{venue.rest}/api/v3/order?{query}&signature={sign(venue.api_secret, query)}"
        async with self.http.post(url, headers={"X-MBX-APIKEY": venue.api_key}) as answer:
            assert answer.status == 200, await answer.text()

    async def batches(self, escrow: str) -> list[str]:
        """Names of the batches that an escrow paid, on the chain."""
        logs: list[dict[str, Any]] = await self.node.call(
            "eth_getLogs", {"address": escrow, "fromBlock": "earliest", "topics": [BULK_TRANSFER_TOPIC]}
        )
        return [log["topics"][1] for log in logs]

    async def held(self) -> int:
        """Base units of the token in our wallet."""
        return await self.node.token_units(self.ready.chain.token_address, self.wallet)


@asynccontextmanager
async def living(config: SandboxConfig) -> AsyncIterator[tuple[SandboxProcess, Participant]]:
    """A world and somebody in it."""
    process = SandboxProcess(config)
    ready = await process.start(after=Path(config.state_dir) / LOCK)
    participant = await Participant(ready).open()
    try:
        yield process, participant
    except HufiError as lost:
        # A world that is gone says why.
        assert process.pid is not None, await process.ended()
        raise lost from None
    finally:
        await participant.close()
        await process.stop()


async def until(ask: Callable[[], Awaitable[Found]], timeout_s: float = 90.0) -> Found:
    """Ask until the answer is something."""
    async with asyncio.timeout(timeout_s):
        while not (found := await ask()):  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.2)
    return found


async def test_a_reward_reaches_mixin_although_the_world_dies_on_the_way(tmp_path: Path) -> None:
    """Joined, traded, recorded, paid; killed; recorded on; sent to the bot's address, and credited once."""
    config = SandboxConfig(
        state_dir=str(tmp_path / "world"), speed=10, cycle_s=30, block_ms=100, volume_target=1_000
    )
    async with living(config) as (process, one):
        first = one.ready
        campaigns = await one.campaigns()
        assert set(campaigns) == {"MARKET_MAKING", "HOLDING"}
        escrow = campaigns["MARKET_MAKING"].address
        key = KeyBody(first.hufi.exchange, first.venue.angel_key, first.venue.angel_secret)
        await one.oracle.put_key(key)
        await one.oracle.join(first.chain.chain_id, escrow)
        await one.trade()
        await until(one.held)
        before = await one.batches(escrow)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        assert isinstance(await process.ended(), SandboxProcessError)

    async with living(config) as (process, one):
        assert (
            msgspec.json.decode((tmp_path / "world" / ENDPOINTS_FILE).read_bytes(), type=SandboxEndpoints)
            == one.ready
        )
        assert (one.ready.chain.token_address, one.ready.time) == (first.chain.token_address, first.time)
        assert (await one.campaigns())["MARKET_MAKING"].address == escrow
        status = await one.oracle.join_status(first.chain.chain_id, escrow)
        assert status.status == "already_joined"
        await one.trade()

        async def paid_again() -> bool:
            return len(await one.batches(escrow)) > len(before)

        await until(paid_again)
        batches = await one.batches(escrow)
        assert batches[: len(before)] == before
        assert len(set(batches)) == len(batches)
        listed = (await one.campaigns())["MARKET_MAKING"]
        assert listed.intermediate_results_url is not None
        async with one.http.get(one.ready.hufi.launcher_url + listed.intermediate_results_url) as answer:
            document = await answer.read()
        name = listed.intermediate_results_url.rpartition("/")[2].removesuffix(".json")
        assert read_results(document, name, 18).cycles

        (entry,) = await one.mixin.deposit_entries(first.mixin.chain_asset_id)
        units = await one.held()
        data = PaymentRequest("t", first.chain.token_address, entry.destination, units).call
        tx_hash = await one.node.call(
            "eth_sendTransaction",
            {"from": one.wallet, "to": first.chain.token_address, "data": "0x" + data.hex()},
        )

        async def arrived() -> list[Any]:
            snapshots = await one.mixin.snapshots(offset="", limit=10)
            return [each for each in snapshots if each.deposit is not None]

        (snapshot,) = await until(arrived)
        assert snapshot.deposit.deposit_hash == tx_hash
        assert snapshot.asset_id == first.mixin.asset_id
        assert parse_amount(snapshot.amount) == units // 10**10
