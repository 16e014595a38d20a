"""Checking the campaign tables against their seals, each other, and the reward ledger."""

from __future__ import annotations

from collections.abc import Iterator

from mrmarket.campaigns.identity import identity
from mrmarket.campaigns.pipeline import payout_id
from mrmarket.campaigns.repository import CampaignRepository, altered_rows
from mrmarket.campaigns.rows import PayoutStep
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.store.sql import Sql


def faults(sql: Sql) -> Iterator[str]:
    """Sentences about everything that does not hold; none where all is well. Reads every row.

    Seals and stages first, then each payout against its reward entry, and the identity of every unit.
    """
    yield from altered_rows(sql)
    repository = CampaignRepository(sql)
    for campaign in repository.campaigns():
        steps = repository.steps(campaign.id)
        if [step.seq for step in steps] != list(range(1, len(steps) + 1)):
            yield f"campaign_steps: a step of {campaign.id} is missing"
        if not steps or steps[-1].stage is not campaign.stage:
            yield f"campaign_offers: {campaign.id} does not stand where its last step left it"
    entries = {entry.id: entry for entry in RewardRepository(sql).all_entries()}
    for payout in repository.all_payouts():
        if payout.id != payout_id(payout.chain_id, payout.tx, payout.log):
            yield f"campaign_payouts: {payout.id} is not the name of its transaction"
        for step in repository.payout_steps(payout.id):
            if step.step is not PayoutStep.ENTERED:
                continue
            entry = entries.get(step.ref)
            if entry is None or (entry.campaign, entry.day, entry.units) != (
                payout.campaign,
                payout.cycle,
                step.units,
            ):
                yield f"campaign_payout_steps: {payout.id} is not what the reward ledger has of it"
    yield from identity(sql, deep=True).faults
