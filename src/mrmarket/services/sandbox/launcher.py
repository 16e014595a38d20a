"""Somebody who wants liquidity: keeps a campaign of each kind running, in real escrows."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog

from mrmarket.campaigns.offer import RewardToken
from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.partners.chains.human.deployment import HumanDeployment
from mrmarket.partners.hufi.manifest import CampaignType, manifest_hash, write_date
from mrmarket.partners.hufi.sandbox.server import HufiSandbox
from mrmarket.services.sandbox.config import SandboxConfig
from mrmarket.services.sandbox.endpoints import EXCHANGE

_LOG: Final[Any] = structlog.get_logger("mrmarket.sandbox")
_KINDS: Final = (CampaignType.MARKET_MAKING, CampaignType.HOLDING)
_HELD_TARGET: Final = 100_000


class CampaignLauncher:
    """Launches the next campaign of a kind when the last one has ended, and none before."""

    def __init__(
        self,
        human: HumanDeployment,
        hufi: HufiSandbox,
        world: Clock,
        config: SandboxConfig,
        token: RewardToken,
        pair: str,
        keep: Callable[[], Awaitable[None]],
    ) -> None:
        """Nothing is launched yet.

        Args:
            human: the contracts.
            hufi: where campaigns are listed.
            world: the time that they live in.
            config: how long, how much, for how much.
            token: what they pay in.
            pair: the exchange's, such as `BTC/USDT`; its quote is what the other campaign wants held.
            keep: puts the chain on the disk; a campaign is listed only after that.
        """
        self._human = human
        self._hufi = hufi
        self._world = world
        self._config = config
        self._token = token
        self._pair = pair
        self._keep = keep

    async def step(self) -> int:
        """Launch what is missing; how many.

        The escrow comes first: killed in between, it is funded and nobody was told of it.

        Raises:
            ChainError: the chain refuses or does not answer.
        """
        now_ms = self._world.now_ns() // NS_PER_MS
        running = {
            campaign.manifest.type
            for campaign in self._hufi.book.campaigns.values()
            if not campaign.status.is_over and campaign.ends_ms > now_ms
        }
        missing = [kind for kind in _KINDS if kind not in running]
        for kind in missing:
            await self._launch(kind)
        return len(missing)

    async def _launch(self, kind: CampaignType) -> None:
        units = self._config.fund * 10**self._token.decimals
        manifest = json.dumps(self._manifest(kind))
        escrow = await self._human.create_escrow(units, manifest, manifest_hash(manifest))
        await self._keep()
        self._hufi.launch(manifest, units, self._token, address=escrow, launcher=self._human.launcher)
        _LOG.info("sandbox.launched", type=kind.value, escrow=escrow)

    def _manifest(self, kind: CampaignType) -> Mapping[str, object]:
        start_ms = self._world.now_ns() // NS_PER_MS
        fields: dict[str, object] = {
            "type": kind.value,
            "exchange": EXCHANGE,
            "start_date": write_date(start_ms),
            "end_date": write_date(start_ms + self._config.campaign_cycles * self._config.cycle_s * 1_000),
        }
        if kind is CampaignType.MARKET_MAKING:
            return fields | {"pair": self._pair, "daily_volume_target": self._config.volume_target}
        return fields | {"symbol": self._pair.partition("/")[2], "daily_balance_target": _HELD_TARGET}
