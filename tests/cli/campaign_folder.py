"""The folder of an instance that has taken part in a campaign: joined, paid, swept, allocated, paid out."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from campaigns.campaign_stage import CHAIN, CYCLE_MS, HMT, START_MS, CampaignStage, offer, payout
from mrmarket.campaigns.offer import RewardToken
from mrmarket.campaigns.ports import JoinVerdict, OfferSeen, OfferState, PayoutPage, SweepState
from mrmarket.campaigns.sweeps import ready_days, sweep_job
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.payouts.payout import Payout, PayoutRow, PayoutState, Receipt
from mrmarket.money.payouts.repository import PayoutRepository
from mrmarket.money.pool.request_repository import RequestRepository
from mrmarket.money.pool.rows import WithdrawalRow, WithdrawalState
from mrmarket.money.rewards.distribution import Distributor
from mrmarket.money.rewards.jobs import JobRunner
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.money.rewards.rows import Preference
from services.partners_fake import CAMPAIGN

ESCROW = CAMPAIGN.rpartition("-")[2]
"""Of the campaign that is joined; the API's fake knows it as well."""
OTHER = "0x3f5c" + "77" * 18
"""Of a second campaign, whose name begins alike; the rules do not want it."""
PAYOUT_TX = "0x" + "5d" * 32
TOKEN = "0x" + "bb" * 20
ARRIVAL = "deposit of"


@dataclass(frozen=True, slots=True)
class Lived:
    """What the folder holds, by name."""

    folder: Path
    entry: str
    sweep: str
    run: str
    delivery: str
    receipt: str
    withdrawal: str
    """Id of the payout by which Bob withdrew a part of his credit himself."""


def live(folder: Path) -> Lived:
    """Two cycles: one paid and given to the people, one paid that waits in the vault."""
    folder.mkdir()
    stage = CampaignStage.on_file(folder)
    try:
        return asyncio.run(take_part(folder, stage))
    finally:
        stage.close()


async def take_part(folder: Path, stage: CampaignStage) -> Lived:
    """The same in books that are open, wherever they are."""
    token = RewardToken(CHAIN, TOKEN, "HMT", 18)
    joined, unwanted = offer(ESCROW, token=token), offer(OTHER, market="BTC/USDT", token=token)
    stage.assets[CHAIN, TOKEN] = HMT
    stage.world.offers = [OfferSeen(joined, OfferState.OPEN)]
    await stage.round()
    stage.world.offers.append(OfferSeen(unwanted, OfferState.OPEN))
    stage.world.verdict = JoinVerdict(False, "net_reward", "it should leave -3.20 after its cost")
    stage.pass_time(CYCLE_MS)
    first = payout(PAYOUT_TX, 10 * 10**18, campaign=joined.id, token=TOKEN)
    stage.world.pages.append(PayoutPage([first], [], ""))
    await stage.round()
    JobRunner(
        stage.writer, stage.clock, [sweep_job(stage.writer, [(CHAIN, TOKEN)], START_MS, CYCLE_MS)]
    ).step()
    stage.world.sweep_state = SweepState.SETTLED
    await stage.round()
    distributor = Distributor(stage.writer, Outbox(), lambda asset: "mixin" if asset == HMT.id else None)
    wish = Preference("user:ann", HMT.id, "43d61dcd-e413-450d-80b8-101d5e903357", "", 1, 0)
    stage.do(lambda draft: distributor.prefer(draft, wish))
    for campaign, day, _ in stage.read(ready_days):
        stage.allocator.allocate(campaign, day)
    (delivery,) = distributor.step().deliveries
    stage.world.pages.append(
        PayoutPage([payout("0x02", 5 * 10**18, 1, campaign=joined.id, token=TOKEN)], [], "")
    )
    await stage.round()
    (paid,) = stage.read(lambda sql: PayoutRepository(sql).listed(list(PayoutState), "user:ann", "reward", 9))
    stage.do(lambda draft: PayoutRepository(draft.sql).add_receipt(_receipt(paid)))
    withdrawn = stage.do(_withdraw)
    first_entry = stage.read(lambda sql: RewardRepository(sql).entries(joined.id, 0, HMT.id))[0]
    run = stage.read(lambda sql: RewardRepository(sql).newest_runs(1))[0]
    (sweep,) = stage.world.sweeps
    return Lived(folder, first_entry.id, sweep, run.id, delivery.id, _receipt(paid).reference, withdrawn)


def copy_of(lived: Lived, folder: Path) -> Path:
    """The same folder once more, for a test that changes it."""
    shutil.copytree(lived.folder, folder)
    return folder


def _withdraw(draft: Draft) -> str:
    """Bob asks for a part of what is on his balance."""
    account, to = "user:bob", "773e5e77-4107-45c2-b648-8fc722ed77f5"
    payout = Payout("withdrawal", "w1", "mixin", account, HMT.id, 10**8, to)
    row = Outbox().enqueue(draft, payout)
    assert isinstance(row, PayoutRow)
    RequestRepository(draft.sql).put_withdrawal(
        WithdrawalRow(
            id="w1", account=account, pool="", share_units=0, parts="[]", asset=HMT.id, units=10**8,
            rail="mixin", destination=to, state=WithdrawalState.SENDING, reason="", terms_version=0,
            created_ms=START_MS, ready_ms=START_MS, burned_ms=0, changed_ms=START_MS, ended_ms=0,
            payout=row.id, attempt=1, value_units=0, fee_units=0, priced="",
        )
    )  # fmt: skip
    return row.id


def _receipt(paid: PayoutRow) -> Receipt:
    return Receipt(
        payout_id=paid.id,
        rail=paid.rail,
        key=paid.key,
        reference="be" * 32,
        asset=paid.asset,
        units=paid.units,
        destination=paid.destination,
        fee_asset=paid.asset,
        fee_units=0,
        rail_ms=START_MS,
        at_ms=START_MS,
        posting=f"payout:{paid.id}",
    )
