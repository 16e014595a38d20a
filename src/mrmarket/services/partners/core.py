"""The partners of a running instance: opened, kept going, closed. None of them can stop trading or money."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import structlog

from mrmarket.campaigns.identity import IdentityReport, identity
from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.errors import MrMarketError
from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.services.partners.campaign_room import CampaignRoom, InstanceRooms
from mrmarket.services.partners.destinations import Destinations
from mrmarket.services.partners.hufi_room import HUFI
from mrmarket.services.partners.mixin_room import MixinRoom
from mrmarket.services.partners.office import PartnersDesk
from mrmarket.services.partners.opening import (
    HufiDoors,
    open_chains,
    open_hufi,
    open_node,
    open_prices,
    open_signer,
)
from mrmarket.services.partners.price_room import PriceRoom
from mrmarket.services.partners.section import MIXIN
from mrmarket.services.partners.setting import PartnerSetting
from mrmarket.services.partners.sights import ChainPart, HufiPart, VaultPart
from mrmarket.services.partners.troubles import Troubles
from mrmarket.services.partners.vault_reading import LiveVault
from mrmarket.services.partners.views import nobody_said
from mrmarket.services.partners.world_report import WorldReport, world_report

if TYPE_CHECKING:
    from mrmarket.campaigns.ports import RewardVault
    from mrmarket.partners.chains.book import ChainBook
    from mrmarket.partners.chains.signer import LocalSigner
    from mrmarket.partners.chains.vault import Vault
    from mrmarket.services.partners.chain_room import ChainRoom

_AGAIN_S: Final = 5.0
"""After something that should not happen."""

_log: Final[Any] = structlog.get_logger("mrmarket.partners")


class PartnerCore:
    """Chains, vault, HuFi and prices; the Mixin bot is lent by the payment world, which closes it."""

    def __init__(self, setting: PartnerSetting, rooms: InstanceRooms, mixin: MixinRoom | None) -> None:
        """Nothing is opened; see `open`."""
        self.setting = setting
        self.troubles = Troubles(setting.wall)
        self.wallet = ""
        """That campaigns pay; empty without chains."""
        self.book: ChainBook | None = None
        self.chains: dict[int, ChainRoom] = {}
        self.campaigns: CampaignRoom | None = None
        self._hufi: HufiDoors | None = None
        self._mixin = mixin
        self._rooms = rooms
        self._destinations = Destinations(
            setting.partners, setting.folder, None if mixin is None else mixin.client
        )
        self._works: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._undo = AsyncExitStack()

    @classmethod
    async def open(cls, setting: PartnerSetting, rooms: InstanceRooms, mixin: MixinRoom | None) -> Self:
        """Open what is configured; nothing is asked of anybody yet.

        Args:
            setting: what is configured, and by which clocks.
            rooms: the instance's.
            mixin: the bot, as the payment world has opened it.

        Raises:
            MrMarketError: a key is missing, or a file cannot be used; nothing stays open.
        """
        core = cls(setting, rooms, mixin)
        try:
            await core._open()
        except BaseException:
            await core.close()
            raise
        return core

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What runs as long as the instance does."""
        return [self._guarded(part, work) for part, work in self._works]

    async def close(self) -> None:
        """Let go of everything, once its tasks have ended; closing twice is harmless."""
        await self._undo.aclose()

    @property
    def desk(self) -> PartnersDesk:
        """All of it, for the pages."""
        book, campaigns = self.book, self.campaigns
        chains = (
            []
            if book is None
            else [
                ChainPart(room.chain, room.node, book, room.chain.explorer) for room in self.chains.values()
            ]
        )
        return PartnersDesk(
            chains=tuple(chains),
            vaults=tuple(self._vault_part(part) for part in chains),
            mixin=None if self._mixin is None else self._mixin.part,
            hufi=self._hufi_part(),
            wishes=None if campaigns is None else campaigns.wishes,
            sweeper=campaigns,
            progress=nobody_said if campaigns is None else campaigns.heard.last,
            unclear=self.unclear,
        )

    @property
    def vault_book(self) -> LiveVault | None:
        """What the vault has written down; None where there is none."""
        return None if self.book is None else LiveVault(self.book)

    def unclear(self) -> list[str]:
        """What does not work at the moment, each in one sentence."""
        return [trouble.reason for trouble in self.troubles.standing().values()]

    def identity(self, *, deep: bool = False) -> IdentityReport:
        """Whether every unit that was received is somewhere; synchronous. Raises a StoreError."""
        word = None
        if self.book is not None:
            from mrmarket.partners.chains.observations import Observations  # noqa: PLC0415 - an extra
            from mrmarket.partners.chains.word import ObservedWord  # noqa: PLC0415 - the same

            word = ObservedWord(Observations(self.book), list(self.chains), [self.wallet])
        with self._rooms.offices.treasury.reader.snapshot() as sql:
            return identity(sql, word, deep=deep)

    def report(self) -> WorldReport:
        """What came of it, with every share and credit looked at; synchronous. Raises a StoreError."""
        found = self.identity(deep=True)
        with self._rooms.offices.treasury.reader.snapshot() as sql:
            return world_report(sql, found)

    async def _open(self) -> None:
        setting = self.setting
        if self._mixin is not None:
            self._works.append((MIXIN, self._mixin.resume))
        if not setting.partners.chains:
            return
        signer = await asyncio.to_thread(open_signer, setting)
        self.wallet = signer.address
        self.book = await asyncio.to_thread(open_chains, setting)
        self._undo.callback(self.book.close)
        self._open_rooms(self.book, signer)
        if setting.partners.campaigns.enabled:
            self._hufi = open_hufi(setting, signer)
            self._undo.push_async_callback(self._hufi.close)
            await self._open_campaigns(self.book, self._hufi)

    def _open_rooms(self, book: ChainBook, signer: LocalSigner) -> None:
        from mrmarket.services.partners.chain_room import ChainRoom  # noqa: PLC0415 - loads web3

        for chain in self.setting.partners.chains:
            room = ChainRoom(
                self.setting,
                chain,
                open_node(chain),
                book,
                signer,
                self._destinations,
                self.troubles,
                self._rooms.owner,
            )
            self._undo.push_async_callback(room.close)
            self.chains[chain.chain_id] = room
            self._works += room.works()

    async def _open_campaigns(self, book: ChainBook, hufi: HufiDoors) -> None:
        from mrmarket.services.partners.reward_feeds import RewardFeeds  # noqa: PLC0415 - loads web3

        setting, rooms = self.setting, self._rooms
        prices = PriceRoom(setting, open_prices(setting), rooms.quote, self.troubles)
        self._undo.push_async_callback(prices.close)
        self._works.append(("prices", prices.keep))
        feeds = RewardFeeds(setting, rooms.offices.treasury.reader, self.troubles)
        self._undo.push_async_callback(feeds.close)
        self.campaigns = await asyncio.to_thread(
            CampaignRoom,
            setting,
            rooms,
            hufi,
            prices,
            [feeds.of(room) for room in self.chains.values()],
            self._reward_vault(book),
            self.wallet,
            self.troubles,
        )
        self._works.append(("campaigns", self.campaigns.keep))

    def _reward_vault(self, book: ChainBook) -> RewardVault:
        from mrmarket.partners.chains.reward_vault import ChainRewardVault  # noqa: PLC0415 - an extra
        from mrmarket.services.partners.arrivals import MixinArrivals  # noqa: PLC0415 - the same

        mixin = self._mixin
        assert mixin is not None  # noqa: S101 - the configuration refuses campaigns without a bot
        arrivals = MixinArrivals(mixin.client, self.setting.partners, self.setting.wall)
        return ChainRewardVault(book, OpenVaults(self.chains), self._destinations, arrivals)

    async def _guarded(self, part: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do work until it ends; what should not happen is noted, and the work begun anew.

        A ledger that has stopped is not theirs to mend: that ends the instance, as everywhere.
        """
        while True:
            try:
                await work()
            except LedgerStoppedError:
                raise
            except MrMarketError as error:
                self.troubles.note(part, error)
            except Exception as error:  # noqa: BLE001 - trading and money go on; the log says what it was
                if self.troubles.of(part) != str(error):
                    _log.exception("partner.failed", part=part)
                self.troubles.note(part, error)
            else:
                self.troubles.over(part)
                return
            await asyncio.sleep(_AGAIN_S)

    def _vault_part(self, part: ChainPart) -> VaultPart:
        chain_id = part.settings.chain_id

        def now_ms() -> int:
            return self.setting.wall.now_ns() // NS_PER_MS

        settings = partial(self._vault_settings, chain_id)
        return VaultPart(part, self.wallet, settings, now_ms)

    def _vault_settings(self, chain_id: int) -> Any:
        known = self._destinations.known(chain_id)
        return self.setting.partners.vault.settings(self.chains[chain_id].chain, known)

    def _hufi_part(self) -> HufiPart | None:
        hufi = self._hufi
        if hufi is None:
            return None
        return HufiPart(self.wallet, lambda: hufi.session.is_in, hufi.drift, self._hufi_problem)

    def _hufi_problem(self) -> str:
        standing = self.troubles.standing()
        found = (one for part, one in standing.items() if part.startswith((f"{HUFI} key", "campaigns")))
        return next((one.reason for one in found), "")


class OpenVaults(Mapping[int, "Vault"]):
    """The vaults that are held now, by chain; one that could not be taken yet is not among them."""

    def __init__(self, rooms: Mapping[int, ChainRoom]) -> None:
        self._rooms = rooms

    def __getitem__(self, chain_id: int) -> Vault:
        vault = self._rooms[chain_id].vault
        if vault is None:
            raise KeyError(chain_id)
        return vault

    def __iter__(self) -> Iterator[int]:
        return (chain_id for chain_id, room in self._rooms.items() if room.vault is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)
