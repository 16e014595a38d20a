"""The Mixin bot as the instance lives with it: one client, and the rail over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import structlog

from mrmarket.services.partners.opening import open_mixin, open_mixin_rail
from mrmarket.services.partners.setting import PartnerSetting
from mrmarket.services.partners.sights import MixinPart

if TYPE_CHECKING:
    from mrmarket.partners.mixin.client import MixinClient
    from mrmarket.partners.mixin.rail import MixinRail

_log: Final[Any] = structlog.get_logger("mrmarket.partners")


@dataclass(slots=True)
class MixinRoom:
    """Open from before the books are, because these must know every rail; closed with the payment world."""

    client: MixinClient
    rail: MixinRail

    @classmethod
    def open(cls, setting: PartnerSetting) -> Self | None:
        """The bot that is configured, if one is; nothing is asked yet.

        Raises:
            MrMarketError: its keys are not there, or its book cannot be used.
        """
        if not setting.partners.mixin.is_used:
            return None
        client = open_mixin(setting)
        return cls(client, open_mixin_rail(setting, client))

    async def resume(self) -> None:
        """Go on with the transfers that a crash left. Raises a MixinError; then ask again."""
        resumed = await self.rail.transfers.resume()
        if resumed:
            _log.info("partner.transfers_resumed", count=len(resumed))

    async def close(self) -> None:
        """Hang up."""
        await self.rail.close()

    @property
    def part(self) -> MixinPart:
        """What of it is shown."""

        async def name() -> str:
            return (await self.client.me()).full_name

        return MixinPart(self.client.app_id, name, self.rail, lambda: self.rail.pending)
