"""Payouts of every chain as campaigns take them: what the watcher saw, assigned by escrows and documents."""

from __future__ import annotations

from mrmarket.partners.chains.human.payout_receiver import PayoutReceiver
from mrmarket.partners.chains.reward_feed import RewardFeed
from mrmarket.services.partners.chain_room import ChainRoom
from mrmarket.services.partners.escrows import Documents, KnownEscrows, ResultCycles
from mrmarket.services.partners.setting import PartnerSetting
from mrmarket.services.partners.troubles import Troubles
from mrmarket.store.sql import SqlReader


class RewardFeeds:
    """Shares one store of documents. Close it at the end."""

    def __init__(self, setting: PartnerSetting, reader: SqlReader, troubles: Troubles) -> None:
        plain = setting.partners.campaigns.launcher_url.startswith("http://")
        self._documents = Documents(plain_http=plain)
        self._escrows = KnownEscrows(reader, setting.partners)
        self._reader = reader
        self._troubles = troubles

    def of(self, room: ChainRoom) -> RewardFeed:
        """The feed of one chain."""
        cycles = ResultCycles(room.chain.chain_id, self._reader, self._documents, self._troubles)
        receiver = PayoutReceiver(room.node, self._escrows, cycles)
        return RewardFeed(room.chain, room.node, room.observations, receiver)

    async def close(self) -> None:
        """Hang up."""
        await self._documents.close()
