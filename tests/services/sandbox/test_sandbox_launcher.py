"""Campaigns in a sandbox world: one of each kind at a time, from a funded escrow to its completion."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mrmarket.campaigns.offer import RewardToken
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.partners.hufi.messages import KeyBody
from mrmarket.partners.hufi.sandbox.book import Participant, Status
from mrmarket.partners.hufi.sandbox.feed import WrittenFeed
from mrmarket.partners.hufi.sandbox.server import HufiSandbox, SandboxTerms
from mrmarket.partners.hufi.score import SCALE, TradeMade
from mrmarket.services.sandbox.config import SandboxConfig
from mrmarket.services.sandbox.launcher import CampaignLauncher
from mrmarket.services.sandbox.settlement import ChainSettlement
from partners.chains.local_chain import needs_anvil
from services.sandbox.sandbox_stage import chain_stage

CYCLE_MS = 60_000


@needs_anvil
async def test_a_campaign_pays_its_whole_fund_and_another_follows(tmp_path: Path) -> None:
    """Full cycles to the last unit that the oracles' fees leave; its end completes the escrow."""
    world = ManualClock()
    config = SandboxConfig(state_dir=str(tmp_path), campaign_cycles=2, volume_target=1_000, fund=7)
    async with chain_stage(tmp_path) as stage:
        human = stage.human
        feed, wallet = WrittenFeed(), human.wallets[0].lower()
        settlement = ChainSettlement(human, stage.chain.keep)
        hufi = HufiSandbox(feed, SandboxTerms(cycle_ms=CYCLE_MS), settlement, world, world)
        token = RewardToken(1338, human.token, "HMT", 18)
        launcher = CampaignLauncher(human, hufi, world, config, token, "BTC/USDT", stage.chain.keep)
        blocks = asyncio.create_task(stage.chain.run())
        assert await launcher.step() == 2
        assert await launcher.step() == 0
        traded, held = hufi.book.campaigns.values()
        assert (traded.offer.market, held.offer.market) == ("BTC/USDT", "USDT")
        assert await human.units(human.token, traded.offer.address) == 7 * 10**18

        hufi.book.keys[wallet, "mexc"] = KeyBody("mexc", "k", "s")
        traded.participants.append(Participant(wallet, traded.offer.start_ms))
        for cycle in range(2):
            at_ms = traded.offer.start_ms + cycle * CYCLE_MS + 10
            feed.made.setdefault(("k", "BTC/USDT"), []).append(TradeMade(at_ms, True, True, 1_000 * SCALE))
            world.advance(CYCLE_MS * NS_PER_MS)
            assert await hufi.record_due() == 2
        assert traded.status is Status.COMPLETED
        assert await human.status(traded.offer.address) == 4
        assert await human.units(human.token, wallet) == traded.offer.fund_units == 7 * 97 * 10**16
        assert await human.units(human.token, traded.offer.address) == 0

        assert await launcher.step() == 2
        assert len(hufi.book.campaigns) == 4
        blocks.cancel()
        await asyncio.gather(blocks, return_exceptions=True)
