"""Where rewards go on to: our own deposit addresses at Mixin, each as it was told first and never another.

An address that changes under us is how money is stolen: the first word is kept in the data folder. A later
one that differs stops the transfers of its chain until the owner has named the right one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from mrmarket.campaigns.errors import PartnerUnclearError
from mrmarket.core.errors import MrMarketError
from mrmarket.partners.chains.settings import address_of
from mrmarket.services.keys.private_file import read_private, write_private
from mrmarket.services.partners.errors import PartnerSetupError, StrangeDestinationError
from mrmarket.services.partners.section import Partners

if TYPE_CHECKING:
    from mrmarket.partners.mixin.client import MixinClient

DESTINATIONS_FILE: Final = "destinations.json"
CRASH_POINTS: Final = ("destinations.drafted", "destinations.replaced")

_MOST_BYTES: Final = 1_000_000


class Destinations:
    """Implements `partners.chains.reward_vault.Destinations`."""

    def __init__(self, partners: Partners, folder: Path, client: MixinClient | None) -> None:
        """`client` may be None for somebody who only wants to know what is known."""
        self._partners = partners
        self._path = folder / DESTINATIONS_FILE
        self._client = client

    def known(self, chain_id: int) -> list[str]:
        """Our addresses on a chain that were told so far.

        Raises:
            PartnerSetupError: if the file of them cannot be read.
        """
        held = self._held()
        wanted = {
            token.address
            for chain in self._partners.chains
            if chain.chain_id == chain_id
            for token in chain.tokens
        }
        return sorted(
            {
                address
                for place, address in held.items()
                if place in {f"{chain_id}:{token}" for token in wanted}
            }
        )

    async def learn(self, chain_id: int) -> list[str]:
        """Ask for the address of every token of a chain that Mixin carries; all that are known.

        Raises:
            PartnerUnclearError: as `address`.
        """
        chain = next(one for one in self._partners.chains if one.chain_id == chain_id)
        for token in chain.tokens:
            if self._partners.asset_of(chain_id, token.address) is not None:
                await self.address(chain_id, token.address)
        return self.known(chain_id)

    async def address(self, chain_id: int, token: str) -> str:
        """Our deposit address for a token; asked for each time, and held against what is known.

        Raises:
            PartnerUnclearError: if Mixin does not tell, or tells another one than before.
        """
        place = f"{chain_id}:{token.lower()}"
        told = await self._told(chain_id, token)
        held = self._held()
        known = held.get(place)
        if known is None:
            write_private(self._path, msgspec.json.encode({**held, place: told}), "destinations")
        elif known != told and told not in {
            address_of("destination", one) for one in self._partners.vault.destinations
        }:
            raise PartnerUnclearError(place, str(StrangeDestinationError(place, known, told)))
        return told

    async def _told(self, chain_id: int, token: str) -> str:
        asset = self._partners.asset_of(chain_id, token)
        ids = {one.code: one.asset_id for one in self._partners.mixin.assets}
        if asset is None or self._client is None:
            raise PartnerUnclearError(f"{chain_id}:{token}", "Mixin does not carry this token here")
        try:
            chain = (await self._client.asset(ids[asset.code])).chain_id
            entries = await self._client.deposit_entries(chain)
        except MrMarketError as error:
            raise PartnerUnclearError(f"{chain_id}:{token}", str(error)) from error
        told = [entry for entry in entries if entry.is_primary] or entries
        if not told or told[0].tag:
            raise PartnerUnclearError(f"{chain_id}:{token}", "Mixin names no address without a tag")
        return address_of("destination", told[0].destination)

    def _named(self) -> set[str]:
        return {address_of("destination", one) for one in self._partners.vault.destinations}

    def _held(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(read_private(self._path, _MOST_BYTES), type=dict[str, str])
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError as error:
            raise PartnerSetupError(
                str(self._path), f"it is damaged ({error}); restore it from your backup"
            ) from error
