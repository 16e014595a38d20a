"""Campaigns, rewards' ways and partners as the API sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from mrmarket.campaigns.errors import UnknownOfferError
from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.money.rewards.errors import UnknownEntryError, UnknownRunError
from mrmarket.money.rewards.rows import split_allocation_id
from mrmarket.services.api import partner_schema as schema
from mrmarket.services.api.refusals import NotFoundError, PartnersOffError
from mrmarket.services.money.depositor_counter import account_of
from mrmarket.services.partners import views
from mrmarket.services.partners.sights import ChainPart, HufiPart, MixinPart, VaultPart, partner_sights
from mrmarket.services.partners.trace import trace_allocation, trace_entries
from mrmarket.services.partners.trace_ids import UnknownTraceError, target_of
from mrmarket.services.partners.vault_reading import VaultBook
from mrmarket.store.sql import Sql, SqlReader

T = TypeVar("T")


class CampaignWishes(Protocol):
    """The owner's word on campaigns, kept for the next round."""

    async def wish(self, campaign: str, wish: schema.Wish, by: str) -> None:
        """Keep it; the same again is harmless."""
        ...

    def standing(self) -> Mapping[str, schema.Wish]:
        """What was wished for, by campaign; what is not in it is left to the rules."""
        ...


class Sweeper(Protocol):
    """Begins transfers out of the vaults before their time."""

    async def sweep_now(self, by: str) -> None:
        """Plan and begin the transfer of everything that waits. Raises a MrMarketError where it may not."""
        ...


@dataclass(frozen=True, slots=True)
class PartnersDesk:
    """Whom the instance works with. Everything may be left out: then it is not configured."""

    chains: tuple[ChainPart, ...] = ()
    vaults: tuple[VaultPart, ...] = ()
    mixin: MixinPart | None = None
    hufi: HufiPart | None = None
    wishes: CampaignWishes | None = None
    sweeper: Sweeper | None = None
    progress: views.LastProgress = views.nobody_said
    unclear: Callable[[], list[str]] = field(default=list)
    """What the last round could not do, each in one sentence."""

    @property
    def is_configured(self) -> bool:
        """Whether there is anybody."""
        return bool(self.chains or self.mixin is not None or self.hufi is not None)

    @property
    def explorers(self) -> dict[str, str]:
        """Where transactions can be looked up, by chain id."""
        return {str(part.settings.chain_id): part.explorer for part in self.chains if part.explorer}


class PartnersOffice:
    """Implements `PartnersFace` over the ledger's database, the vault's file, and the partners themselves."""

    def __init__(
        self,
        reader: SqlReader,
        clock: Clock,
        desk: PartnersDesk | None = None,
        vault: VaultBook | None = None,
    ) -> None:
        """Nothing is asked yet.

        Args:
            reader: of the ledger's database.
            clock: the world's: cycles are counted by it.
            desk: whom the instance works with; left out, nobody: boards are empty, traces go on.
            vault: what the vault has written down.
        """
        self._reader = reader
        self._clock = clock
        self._desk = desk or PartnersDesk()
        self._vault = vault

    async def campaigns(self) -> schema.CampaignBoard:
        """Every campaign by stage, as anybody may see it."""
        return await self._read(lambda sql: views.board_view(sql, self._now_ms(), self._desk.progress))

    async def campaign(self, campaign: str) -> schema.CampaignPageView:
        """One campaign, as anybody may see it."""
        return await self._read(lambda sql: self._page(sql, campaign))

    async def campaign_notes(self, campaign: str) -> schema.CampaignPageView:
        """The same with what only the owner sees."""
        wishes = self._desk.wishes
        standing: Mapping[str, schema.Wish] = {} if wishes is None else wishes.standing()

        def question(sql: Sql) -> schema.CampaignPageView:
            page = self._page(sql, campaign)
            page.owner = views.owner_notes(sql, campaign, self._now_ms(), standing.get(campaign, "automatic"))
            return page

        return await self._read(question)

    async def wish(self, campaign: str, wish: schema.Wish, by: str) -> schema.CampaignPageView:
        """Take part, stay away, or leave it to the rules."""
        if self._desk.wishes is None:
            raise PartnersOffError("campaign to be joined")
        await self.campaign(campaign)
        await self._desk.wishes.wish(campaign, wish, by)
        return await self.campaign_notes(campaign)

    async def own_trace(self, user: str, allocation: str) -> schema.RewardTraceView:
        """The way of one of the user's allocations."""
        account = account_of(user)

        def question(sql: Sql) -> schema.RewardTraceView:
            if split_allocation_id(allocation)[1] != account:
                raise NotFoundError("allocation", allocation)
            try:
                return trace_allocation(sql, allocation, self._vault)
            except UnknownRunError:
                raise NotFoundError("allocation", allocation) from None

        return self._linked(await self._read(question))

    async def trace(self, reward: str) -> schema.RewardTraceView:
        """The way of whatever a name stands for: an entry, a transaction, a transfer, an allocation."""

        def question(sql: Sql) -> schema.RewardTraceView:
            try:
                target = target_of(sql, reward, self._vault)
                if target.kind == "allocation":
                    return trace_allocation(sql, reward.strip(), self._vault)
                return trace_entries(sql, target.entries, self._vault, target.account)
            except (UnknownTraceError, UnknownEntryError, UnknownRunError):
                raise NotFoundError("reward", reward) from None

        return self._linked(await self._read(question))

    async def partners(self) -> schema.PartnersView:
        """Chains, vaults, Mixin and HuFi at this moment."""
        desk = self._desk
        sweeps = await self.sweeps()
        sights = await partner_sights(desk.chains, desk.vaults, desk.mixin, desk.hufi, sweeps)
        return schema.PartnersView(
            at_ms=self._now_ms(),
            configured=desk.is_configured,
            chains=sights.chains,
            vaults=sights.vaults,
            mixin=sights.mixin,
            hufi=sights.hufi,
            sweeps=sweeps,
            can_sweep=desk.sweeper is not None,
            can_wish=desk.wishes is not None,
            unclear=desk.unclear(),
        )

    async def sweeps(self) -> schema.SweepsView:
        """What a transfer out of the vaults would move now, and what is under way."""
        return await self._read(lambda sql: views.sweeps_view(sql, self._vault))

    async def sweep_now(self, by: str) -> schema.SweepsView:
        """Begin the transfers of everything that waits."""
        if self._desk.sweeper is None:
            raise PartnersOffError("vault to move anything out of")
        await self._desk.sweeper.sweep_now(by)
        return await self.sweeps()

    def _page(self, sql: Sql, campaign: str) -> schema.CampaignPageView:
        try:
            page = views.page_view(sql, campaign, self._now_ms(), self._desk.progress)
        except UnknownOfferError:
            raise NotFoundError("campaign", campaign) from None
        page.explorers = self._desk.explorers
        return page

    def _linked(self, trace: schema.RewardTraceView) -> schema.RewardTraceView:
        known = {str(name.chain_id) for step in trace.steps for name in step.ids if name.chain_id is not None}
        trace.explorers = {chain: url for chain, url in self._desk.explorers.items() if chain in known}
        return trace

    async def _read(self, question: Callable[[Sql], T]) -> T:
        """Ask one snapshot, beside the event loop."""

        def ask() -> T:
            with self._reader.snapshot() as sql:
                return question(sql)

        return await asyncio.to_thread(ask)

    def _now_ms(self) -> int:
        return self._clock.now_ns() // NS_PER_MS
