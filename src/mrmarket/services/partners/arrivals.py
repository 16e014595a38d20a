"""What reached Mixin from a chain: deposits of the bot, found by the transaction that made them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from mrmarket.campaigns.errors import PartnerUnclearError
from mrmarket.core.clock import NS_PER_MS, NS_PER_S, Clock
from mrmarket.core.errors import MrMarketError
from mrmarket.partners.chains.reward_vault import Arrival
from mrmarket.partners.mixin.feed import FeedMark, next_snapshots, parse_time
from mrmarket.partners.mixin.transaction import parse_amount
from mrmarket.services.partners.section import MIXIN_DECIMALS, Partners

if TYPE_CHECKING:
    from mrmarket.partners.mixin.client import MixinClient
    from mrmarket.partners.mixin.messages import Snapshot

_BACK_NS: Final = 30 * 86_400 * NS_PER_S
"""How far back the first look goes: a transfer that takes longer is looked for by a person."""
_PAGE: Final = 200


class MixinArrivals:
    """Implements `partners.chains.reward_vault.Arrivals`. Remembers what it has seen."""

    def __init__(self, client: MixinClient, partners: Partners, wall: Clock) -> None:
        self._client = client
        self._partners = partners
        self._mark = FeedMark(floor_ns=max(0, wall.now_ns() - _BACK_NS))
        self._by_hash: dict[tuple[str, str], Snapshot] = {}
        self._reading = asyncio.Lock()

    async def find(self, chain_id: int, tx_hash: str, token: str) -> Arrival | None:
        """The deposit that a transaction became; None while it has not arrived.

        Raises:
            PartnerUnclearError: if Mixin does not tell.
        """
        asset = self._partners.asset_of(chain_id, token)
        known = self._partners.token(chain_id, token)
        if asset is None or known is None:
            return None
        asset_id = next(one.asset_id for one in self._partners.mixin.assets if one.code == asset.code)
        place = (tx_hash.lower(), asset_id)
        if place not in self._by_hash:
            await self._read_on()
        found = self._by_hash.get(place)
        if found is None:
            return None
        units = parse_amount(found.amount)
        shift = known.decimals - MIXIN_DECIMALS
        units = units * 10**shift if shift >= 0 else units // 10**-shift
        return Arrival(found.snapshot_id, units, parse_time(found.created_at) // NS_PER_MS)

    async def _read_on(self) -> None:
        async with self._reading:
            try:
                while True:
                    found, self._mark = await next_snapshots(self._ask, self._mark, _PAGE)
                    for snapshot in found:
                        deposit = snapshot.deposit
                        if deposit is not None and deposit.deposit_hash and snapshot.amount[:1] != "-":
                            self._by_hash[deposit.deposit_hash.lower(), snapshot.asset_id] = snapshot
                    if len(found) < _PAGE:
                        return
            except MrMarketError as error:
                raise PartnerUnclearError("deposits at Mixin", str(error)) from error

    async def _ask(self, offset: str, limit: int) -> list[Snapshot]:
        return await self._client.snapshots(offset=offset, limit=limit)
