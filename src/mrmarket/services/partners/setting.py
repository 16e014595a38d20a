"""What partners are opened from: the configuration and a data folder, or a sandbox world that lies in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from mrmarket.core.clock import NS_PER_MS, Clock, SystemClock
from mrmarket.partners.chains.settings import ChainSettings, TokenSettings
from mrmarket.services.config_sections import Config
from mrmarket.services.partners.errors import OtherWorldError, PartnerSetupError, SandboxFolderError
from mrmarket.services.partners.section import (
    CampaignExchange,
    CampaignsSection,
    MixinAssetSection,
    MixinSection,
    Partners,
    PricesSection,
    VaultSection,
)
from mrmarket.services.sandbox.endpoints import ENDPOINTS_FILE, SandboxEndpoints
from mrmarket.services.sandbox.world_time import WorldClock

WORLD: Final = "sandbox"
"""Folder of a sandbox world inside of a data folder."""
_VENUE: Final = "venue"
"""Folder of an embedded exchange without a world around it."""

_MS_PER_S: Final = 1_000
_POLL_MS: Final = 200
_ROUND_S: Final = 0.5
_TETHER: Final = "tether"
"""What the quote of the sandbox's markets is at CoinGecko."""
_FREELY: Final = Decimal(10**12)


@dataclass(frozen=True, slots=True)
class PartnerSetting:
    """Everything that decides how partners are opened. Opening reads it and keeps nothing else in mind."""

    partners: Partners
    folder: Path
    """The data folder."""
    environ: Mapping[str, str] = field(repr=False)
    """Where keys are looked for."""
    world: Clock
    """By which campaigns, cycles and locks are counted."""
    wall: Clock
    """By which tokens, leases and patience are counted."""
    endpoints: SandboxEndpoints | None = None
    """Of the sandbox world; None where the partners are the real ones."""

    @property
    def is_sandbox(self) -> bool:
        """Whether nothing of it is worth anything."""
        return self.endpoints is not None

    @property
    def cycle_ms(self) -> int:
        """How long a cycle of every campaign lasts, in world time."""
        if self.endpoints is not None:
            return self.endpoints.cycle_ms
        return self.partners.campaigns.cycle_s * _MS_PER_S

    def world_ns(self, wall_ns: int) -> int:
        """World time at a wall time; both UTC nanoseconds since 1970."""
        return wall_ns if self.endpoints is None else self.endpoints.time.world_ns(wall_ns)


def partner_setting(
    config: Config, folder: Path, environ: Mapping[str, str], wall: Clock | None = None
) -> PartnerSetting:
    """As a command beside a running instance finds it: of the sandbox world where one lies in the folder.

    Raises:
        PartnerSetupError: if what the world left behind cannot be read.
    """
    endpoints = find_world(folder)
    if endpoints is not None:
        return sandbox_setting(config, folder, environ, endpoints, wall)
    clock = wall or SystemClock()
    return PartnerSetting(config.partners, folder, environ, clock, clock)


def find_world(folder: Path) -> SandboxEndpoints | None:
    """Where everything of the folder's sandbox world is, or was when it last ran; None without one.

    Raises:
        PartnerSetupError: if that cannot be read.
    """
    file = folder / WORLD / ENDPOINTS_FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=SandboxEndpoints)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise PartnerSetupError(str(file), f"it cannot be read ({type(error).__name__})") from error


def require_same_world(folder: Path, *, is_sandbox: bool) -> None:
    """Money stays where it began: a folder lives in a sandbox world from its first start on, or never.

    Raises:
        SandboxFolderError, OtherWorldError: if it lived elsewhere.
    """
    began_in_sandbox = (folder / WORLD / ENDPOINTS_FILE).exists()
    if began_in_sandbox and not is_sandbox:
        raise SandboxFolderError(str(folder))
    if is_sandbox and not began_in_sandbox and (folder / _VENUE).exists():
        raise OtherWorldError(str(folder))


def sandbox_setting(
    config: Config,
    folder: Path,
    environ: Mapping[str, str],
    endpoints: SandboxEndpoints,
    wall: Clock | None = None,
) -> PartnerSetting:
    """The partners of a sandbox world, by the same words that a configuration would have for them.

    What the configuration says of campaigns otherwise, such as limits and fees, holds here, too.
    """
    clock = wall or SystemClock()
    partners = Partners(
        chains=[_chain(endpoints)],
        vault=VaultSection(limits={endpoints.chain.token_code: _FREELY}, lease_s=5),
        campaigns=_campaigns(config.campaigns, endpoints),
        mixin=MixinSection(
            url=endpoints.mixin.url,
            assets=[MixinAssetSection(code=endpoints.chain.token_code, asset_id=endpoints.mixin.asset_id)],
        ),
        prices=_prices(config.prices, endpoints),
    )
    names = CampaignExchange(name=endpoints.hufi.exchange)
    keys = {
        partners.vault.key_env: endpoints.chain.wallet_key,
        partners.mixin.keystore_env: endpoints.mixin.bot_keystore,
        names.read_key_env: endpoints.venue.angel_key,
        names.read_secret_env: endpoints.venue.angel_secret,
    }
    time = WorldClock(endpoints.time, clock)
    return PartnerSetting(partners, folder, {**environ, **keys}, time, clock, endpoints)


def _chain(endpoints: SandboxEndpoints) -> ChainSettings:
    door = endpoints.chain
    token = TokenSettings(code=door.token_code, address=door.token_address, decimals=door.token_decimals)
    return ChainSettings(
        name=door.name,
        chain_id=door.chain_id,
        urls=[door.url],
        websocket_url=door.websocket_url,
        confirmations=door.confirmations,
        start_block=door.start_block,
        poll_ms=_POLL_MS,
        tokens=[token],
    )


def _campaigns(configured: CampaignsSection, endpoints: SandboxEndpoints) -> CampaignsSection:
    cycle_s = max(5, endpoints.cycle_ms // _MS_PER_S)
    return replace(
        configured,
        enabled=True,
        launcher_url=endpoints.hufi.launcher_url,
        oracle_url=endpoints.hufi.oracle_url,
        chains=[],
        tokens=[],
        exchanges=[CampaignExchange(name=endpoints.hufi.exchange)],
        min_left_s=2 * cycle_s,
        cycle_s=cycle_s,
        every_s=_ROUND_S,
    )


def _prices(configured: PricesSection, endpoints: SandboxEndpoints) -> PricesSection:
    if not endpoints.prices_url:
        return configured
    quote = endpoints.venue.symbols[0].partition("/")[2]
    return PricesSection(
        coins={endpoints.chain.token_code: endpoints.price_coin, quote: _TETHER},
        coingecko_url=endpoints.prices_url,
        calls_a_minute=10_000,
    )


def world_ms(setting: PartnerSetting) -> int:
    """Now, by the world's clock; UTC ms."""
    return setting.world.now_ns() // NS_PER_MS
