"""Settings of partners, as a configuration or a sandbox world would give them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from mrmarket.core.clock import ManualClock
from mrmarket.partners.chains.settings import ChainSettings, TokenSettings
from mrmarket.services.partners.section import (
    CampaignsSection,
    MixinAssetSection,
    MixinSection,
    Partners,
    PricesSection,
    VaultSection,
)
from mrmarket.services.partners.setting import PartnerSetting
from mrmarket.services.sandbox.endpoints import (
    ENDPOINTS_FILE,
    ChainDoor,
    HufiDoor,
    MixinDoor,
    SandboxEndpoints,
)
from mrmarket.services.sandbox.world_time import WorldTime
from mrmarket.services.venue_process import Endpoints

CHAIN: Final = 77
TOKEN: Final = "0x" + "aa" * 20
ASSET: Final = "965e5c6e-434c-3fa9-b780-c50f43cd955c"
CHAIN_ASSET: Final = "43d61dcd-e413-450d-80b8-101d5e903357"
ADDRESS: Final = "0x" + "44" * 20
KEY: Final = "11" * 32
KEYSTORE: Final = (
    b'{"app_id":"8dcf823d-9eb3-4da2-8734-f0aad50c0da6","session_id":"1f2a2cc3-7d02-4b3f-a2b8-6c3b7f6a2f33",'
    b'"session_private_key":"' + b"01" * 32 + b'","spend_private_key":"' + b"02" * 32 + b'"}'
).decode()


def partners(**changes: Any) -> Partners:
    """One chain with one token of 18 digits, which Mixin carries."""
    chain = ChainSettings(
        name="fake",
        chain_id=CHAIN,
        urls=["http://127.0.0.1:1"],
        confirmations=3,
        remembered_blocks=32,
        poll_ms=1,
        tokens=[TokenSettings(code="HMT", address=TOKEN, decimals=18, dust_units=10)],
    )
    sections: dict[str, Any] = {
        "chains": [chain],
        "vault": VaultSection(limits={"HMT": Decimal(1_000)}),
        "campaigns": CampaignsSection(),
        "mixin": MixinSection(assets=[MixinAssetSection(code="HMT", asset_id=ASSET)]),
        "prices": PricesSection(),
    }
    return Partners(**(sections | changes))


def setting(
    folder: Path, environ: Mapping[str, str] | None = None, clock: ManualClock | None = None, **changes: Any
) -> PartnerSetting:
    """Of a folder, by one clock."""
    wall = clock or ManualClock()
    return PartnerSetting(partners(**changes), folder, environ or {}, wall, wall)


def endpoints(**changes: Any) -> SandboxEndpoints:
    """A world that is four times as fast as the wall, in which nothing is there."""
    nowhere = "http://127.0.0.1:1"
    fields: dict[str, Any] = {
        "venue": Endpoints(
            nowhere, "ws://127.0.0.1:1", "ws://127.0.0.1:1", "key", "secret", ["BTC/USDT"], "look", "see"
        ),
        "chain": ChainDoor(
            name="sandbox",
            chain_id=CHAIN,
            url=nowhere,
            websocket_url="ws://127.0.0.1:1",
            confirmations=3,
            token_code="HMT",
            token_address=TOKEN,
            token_decimals=18,
            wallet_address="0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a",
            wallet_key="0x" + KEY,
            start_block=5,
        ),
        "hufi": HufiDoor(nowhere, nowhere),
        "mixin": MixinDoor(nowhere, nowhere, KEYSTORE, ASSET, "HMT", CHAIN_ASSET),
        "people": [],
        "time": WorldTime(1_000_000_000, 1_000_000_000, 4.0),
        "cycle_ms": 60_000,
        "prices_url": nowhere,
        "price_coin": "human-protocol",
    }
    return SandboxEndpoints(**(fields | changes))


def leave_world(folder: Path, found: SandboxEndpoints) -> None:
    """A sandbox world has lived in a data folder."""
    (folder / "sandbox").mkdir()
    (folder / "sandbox" / ENDPOINTS_FILE).write_bytes(msgspec.json.encode(found))
