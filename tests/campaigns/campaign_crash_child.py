"""A process in which a campaign is joined, worked for, paid and swept; started by the crash tests.

    campaign_crash_child.py FOLDER

Where `MRMARKET_CRASH_AT` names a label it ends there by SIGKILL. `live` can be called again on the same
folder: everything in it is safe to repeat.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from campaigns.campaign_stage import CHAIN, CYCLE_MS, START_MS, TOKEN, CampaignStage, World, payout
from mrmarket.campaigns.ports import PayoutPage
from mrmarket.campaigns.sweeps import ready_days, sweep_job
from mrmarket.money.rewards.jobs import JobRunner


async def live(folder: Path) -> CampaignStage:
    """Everything once; the stage is left open."""
    world = World(folder)
    world.sweep_cost = 100
    world.pages = [
        PayoutPage([payout("0x01", 3 * 10**18), payout("0x02", 10**18)], [], ""),
        PayoutPage([payout("0x03", 5 * 10**18, 1)], [payout("0x02", 10**18)], ""),
    ]
    stage = CampaignStage.on_file(folder, world)
    for _ in range(2):
        await stage.rounds.step()
    stage.pass_time(2 * CYCLE_MS)
    JobRunner(
        stage.writer, stage.clock, [sweep_job(stage.writer, [(CHAIN, TOKEN)], START_MS, CYCLE_MS)]
    ).step()
    for _ in range(2):
        await stage.rounds.step()
    for campaign, day, _ in stage.read(ready_days):
        stage.allocator.allocate(campaign, day)
    return stage


async def main() -> None:
    """Live, and end."""
    (await live(Path(sys.argv[1]))).close()


if __name__ == "__main__":
    asyncio.run(main())
