"""`/api/v1/campaigns` and what else there is of partners: rewards' ways, chains, vaults, Mixin, HuFi."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, SkipValidation

from mrmarket.services.api import partner_schema as schema
from mrmarket.services.api.guards import ADMIN, ANYBODY, USER
from mrmarket.services.api.operations_routes import asker
from mrmarket.services.api.parameters import Asked, Id
from mrmarket.services.api.partners_face import PartnersFace

Partners = NamedDependency[SkipValidation[PartnersFace]]
OwnersWish = Annotated[schema.Wish, PathParameter()]


class CampaignRoutes(Controller):
    """Campaigns as anybody may see them."""

    path = "/campaigns"
    tags: Sequence[str] | None = ("campaigns",)
    opt = ANYBODY

    @get(operation_id="campaigns")
    async def campaigns(self, partners: Partners) -> schema.CampaignBoard:
        """Every campaign by stage; empty stages too, and all of them where nobody looks for campaigns."""
        return await partners.campaigns()

    @get("/{campaign:str}", operation_id="campaign")
    async def campaign(self, partners: Partners, campaign: Id) -> schema.CampaignPageView:
        """One campaign with its cycles, expected against paid, and its payouts."""
        return await partners.campaign(campaign)


class OwnTraceRoutes(Controller):
    """The way of a user's own rewards."""

    path = "/me/rewards"
    tags: Sequence[str] | None = ("me",)
    opt = USER

    @get("/{allocation:str}/trace", operation_id="own_reward_way")
    async def trace(self, request: Asked, partners: Partners, allocation: Id) -> schema.RewardTraceView:
        """One reward's six steps: what is public of them, and the user's own part of the rest."""
        user = request.user.user
        assert user is not None  # noqa: S101 - the guard lets depositors in alone
        return await partners.own_trace(user, allocation)


class PartnerAdminRoutes(Controller):
    """The owner's view of partners, and the owner's words to them."""

    path = "/admin"
    tags: Sequence[str] | None = ("partners",)
    opt = ADMIN

    @get("/partners", operation_id="partners")
    async def partners_now(self, partners: Partners) -> schema.PartnersView:
        """Chains, vaults, Mixin and HuFi at this moment."""
        return await partners.partners()

    @post("/partners/sweep", operation_id="sweep", status_code=200)
    async def sweep(
        self, request: Asked, partners: Partners, data: JSONBody[schema.SweepRequest]
    ) -> schema.SweepsView:
        """Move what waits in the vaults on now; with `dry_run` (the default) only say what that would be."""
        if data.dry_run:
            return await partners.sweeps()
        return await partners.sweep_now(asker(request.user))

    @get("/campaigns/{campaign:str}", operation_id="campaign_notes")
    async def campaign_notes(self, partners: Partners, campaign: Id) -> schema.CampaignPageView:
        """One campaign with its history, costs and the owner's wish."""
        return await partners.campaign_notes(campaign)

    @post("/campaigns/{campaign:str}/{wish:str}", operation_id="wish_campaign", status_code=200)
    async def wish_campaign(
        self, request: Asked, partners: Partners, campaign: Id, wish: OwnersWish
    ) -> schema.CampaignPageView:
        """Join it, leave it, or leave it to the rules (`automatic`); carried out in the next round."""
        return await partners.wish(campaign, wish, asker(request.user))

    @get("/rewards/{reward:str}/trace", operation_id="reward_way")
    async def trace(self, partners: Partners, reward: Id) -> schema.RewardTraceView:
        """The six steps of a reward entry for all accounts, or of anybody's allocation."""
        return await partners.trace(reward)
