"""Partners beside a founded pool: HuFi in this process, chain and Mixin not there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from money.payouts.payments_outside import OutsideRail
from mrmarket.core.clock import NS_PER_MS
from mrmarket.partners.chains.settings import ChainSettings, TokenSettings
from mrmarket.partners.hufi.registration import ExchangeKey
from mrmarket.partners.hufi.sandbox.book import sandbox_token
from mrmarket.services.partners.campaign_room import InstanceRooms
from mrmarket.services.partners.core import PartnerCore
from mrmarket.services.partners.mixin_room import MixinRoom
from mrmarket.services.partners.section import CampaignExchange, CampaignsSection, MixinSection, PricesSection
from mrmarket.services.partners.setting import PartnerSetting
from mrmarket.services.store_address import StoreAddress
from mrmarket.trading.venue.port import KeyPermissions
from partners.hufi.hufi_stage import CHAIN, CYCLE_MS, START_MS, HufiStage, manifest
from services.money.counter_house import CounterHouse
from services.partners.partner_samples import KEYSTORE, partners

SECRETS: Final = {
    "MRMARKET_VAULT_KEY": "01" * 32,
    "MRMARKET_MIXIN_KEYSTORE": KEYSTORE,
    "MRMARKET_HUFI_API_KEY": "a key that looks",
    "MRMARKET_HUFI_API_SECRET": "its secret",
}
HMT: Final = sandbox_token(CHAIN)
READS: Final = KeyPermissions(read=True, trade=False, withdraw=False)


class AllyHouse:
    """A business core, an operations store, and what partners need of both."""

    def __init__(self, folder: Path, hufi: HufiStage) -> None:
        self.folder = folder
        self.hufi = hufi
        self.rail = OutsideRail(hufi.world)
        self.house = CounterHouse(folder, hufi.world, self.rail)
        self.operations = StoreAddress(folder).open_operations()
        self.rights = READS
        self.asked: list[ExchangeKey] = []

    async def ask_rights(self, key: ExchangeKey) -> KeyPermissions:
        """What the exchange says of a key."""
        self.asked.append(key)
        return self.rights

    def setting(self, environ: dict[str, str] | None = None, **changes: Any) -> PartnerSetting:
        """Campaigns of the stage's HuFi, which pay on a chain that is not there."""
        token = TokenSettings(code="HMT", address=HMT.address, decimals=18)
        chain = ChainSettings(
            name="dead", chain_id=CHAIN, urls=["http://127.0.0.1:1"], timeout_ms=500, tokens=[token]
        )
        campaigns: dict[str, Any] = {
            "enabled": True,
            "launcher_url": self.hufi.sandbox.launcher_url,
            "oracle_url": self.hufi.sandbox.oracle_url,
            "exchanges": [CampaignExchange(name="mexc")],
            "min_left_s": 1,
            "cycle_s": CYCLE_MS // 1_000,
            "every_s": 0.1,
        }
        found = partners(
            chains=[chain],
            campaigns=CampaignsSection(**(campaigns | changes)),
            mixin=MixinSection(url="http://127.0.0.1:1", assets=partners().mixin.assets),
            prices=PricesSection(),
        )
        secrets = SECRETS if environ is None else environ
        return PartnerSetting(found, self.folder, secrets, self.hufi.world, self.hufi.wall)

    def rooms(self, quote: str = "HMT") -> InstanceRooms:
        """Rewards are valued in themselves, so that they have a price."""
        return InstanceRooms(
            offices=self.house.offices,
            log=self.house.log,
            operations=self.operations,
            venue="simulated",
            pool="main",
            quote=quote,
            owner="one",
            rights=self.ask_rights,
        )

    @asynccontextmanager
    async def allies(self, setting: PartnerSetting, quote: str = "HMT") -> AsyncIterator[PartnerCore]:
        """Open, and closed at the end."""
        bot = MixinRoom.open(setting)
        core = await PartnerCore.open(setting, self.rooms(quote), bot)
        try:
            yield core
        finally:
            await core.close()
            if bot is not None:
                await bot.close()

    def launch(self, **changes: Any) -> str:
        """A campaign of three cycles that began a moment ago; our name of it."""
        known = self.hufi.sandbox.launch(json.dumps(manifest(**changes)), 900 * 10**18)
        return f"hufi-{CHAIN}-{known.offer.address}"

    def pass_time(self, ms: int) -> None:
        """Of world and wall."""
        self.hufi.world.advance(ms * NS_PER_MS)
        self.hufi.wall.advance(ms * NS_PER_MS)

    def close(self) -> None:
        """Release the files."""
        self.operations.close()
        self.house.close()
        self.rail.close()


__all__ = ["CHAIN", "CYCLE_MS", "HMT", "READS", "SECRETS", "START_MS", "AllyHouse"]
