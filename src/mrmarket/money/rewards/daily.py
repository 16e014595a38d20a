"""A campaign's daily work, as a job."""

from __future__ import annotations

from typing import Final

from mrmarket.money.rewards.allocator import Allocator
from mrmarket.money.rewards.campaign import Campaign
from mrmarket.money.rewards.jobs import Job, Window

REWARDS_JOB: Final = "rewards"


def reward_job(allocator: Allocator, campaign: Campaign) -> Job:
    """Allocates each day of a campaign once it is over. What comes later is for `Allocator.allocate_due`."""

    def allocate(window: Window) -> None:
        day = campaign.day_at(window.start_ms)
        if day is not None:
            allocator.allocate(campaign.id, day)

    return Job(REWARDS_JOB, campaign.id, campaign.start_ms, campaign.cycle_ms, allocate, campaign.end_ms)
