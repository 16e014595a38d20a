"""What the API needs of whoever works with partners: campaigns, rewards' ways, chains, Mixin, HuFi."""

from __future__ import annotations

from typing import Protocol

from mrmarket.services.api import partner_schema as schema


class PartnersFace(Protocol):
    """Campaigns for everybody, partners for the owner.

    What does not exist, or is another's, is `NotFoundError`; what needs a partner that is not configured is
    `PartnersOffError`.
    """

    async def campaigns(self) -> schema.CampaignBoard:
        """Every campaign by stage, as anybody may see it."""
        ...

    async def campaign(self, campaign: str) -> schema.CampaignPageView:
        """One campaign with its cycles and payouts, as anybody may see it."""
        ...

    async def campaign_notes(self, campaign: str) -> schema.CampaignPageView:
        """The same with what only the owner sees."""
        ...

    async def wish(self, campaign: str, wish: schema.Wish, by: str) -> schema.CampaignPageView:
        """Take part, stay away, or leave it to the rules; carried out in the next round."""
        ...

    async def own_trace(self, user: str, allocation: str) -> schema.RewardTraceView:
        """The way of one of the user's allocations; `user` is the signed-in user's own account name."""
        ...

    async def trace(self, reward: str) -> schema.RewardTraceView:
        """The way of a reward entry for all accounts, or of an allocation, whosever it is."""
        ...

    async def partners(self) -> schema.PartnersView:
        """Chains, vaults, Mixin and HuFi at this moment."""
        ...

    async def sweeps(self) -> schema.SweepsView:
        """What a transfer out of the vaults would move now, and what is under way."""
        ...

    async def sweep_now(self, by: str) -> schema.SweepsView:
        """Begin the transfers of everything that waits, without waiting for the cycle's end."""
        ...
