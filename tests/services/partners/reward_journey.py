"""A reward sent along its way, as far as a test wants it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from campaigns.campaign_stage import CHAIN, CYCLE_MS, HMT, START_MS, TOKEN, CampaignStage, payout
from mrmarket.campaigns.ports import PayoutPage, PayoutSeen
from mrmarket.campaigns.sweeps import ready_days, sweep_job
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.payouts.payout import Payout, PayoutRow, PayoutState, Receipt
from mrmarket.money.payouts.repository import PayoutRepository
from mrmarket.money.pool.request_repository import RequestRepository
from mrmarket.money.pool.rows import WithdrawalRow, WithdrawalState
from mrmarket.money.rewards.jobs import JobRunner
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.money.rewards.rows import EntryRow, RunRow, allocation_id

ONE = 10**8
"""One HMT in the ledger."""
TEN = 10 * 10**18
"""Ten HMT on the chain."""


def tell(stage: CampaignStage, *final: PayoutSeen, retracted: Sequence[PayoutSeen] = ()) -> None:
    """The chain has news."""
    stage.world.pages.append(PayoutPage(list(final), list(retracted), ""))


async def enter(stage: CampaignStage, *seen: PayoutSeen) -> EntryRow:
    """Payouts come in after the first cycle; the first one's entry."""
    await stage.rounds.step()
    tell(stage, *(seen or (payout(units=TEN),)))
    stage.pass_time(CYCLE_MS)
    await stage.rounds.step()
    return stage.read(lambda sql: RewardRepository(sql).all_entries())[0]


def plan(stage: CampaignStage) -> None:
    """The cycle's transfer out of the vault is written down."""
    JobRunner(
        stage.writer, stage.clock, [sweep_job(stage.writer, [(CHAIN, TOKEN)], START_MS, CYCLE_MS)]
    ).step()


async def credit(stage: CampaignStage, *seen: PayoutSeen) -> EntryRow:
    """Payouts come in, move on, arrive, and are divided: 7.425 to ann, 2.475 to bob, 0.1 to the owner."""
    entry = await enter(stage, *seen)
    plan(stage)
    await stage.rounds.step()
    for campaign, day, _ in stage.read(ready_days):
        stage.allocator.allocate(campaign, day)
    return entry


def run_of(stage: CampaignStage) -> RunRow:
    """The newest allocation."""
    return stage.read(lambda sql: RewardRepository(sql).newest_runs(1))[0]


def allocation(stage: CampaignStage, account: str) -> str:
    """An account's part of the newest allocation."""
    return allocation_id(run_of(stage).id, account)


def withdraw(stage: CampaignStage, account: str, units: int, key: str = "w1") -> PayoutRow:
    """Somebody takes rewards from the balance; the payment waits for the rail."""

    def work(draft: Draft) -> PayoutRow:
        row = Outbox().enqueue(draft, Payout("withdrawal", key, "mixin", account, HMT.id, units, "somebody"))
        assert isinstance(row, PayoutRow)
        RequestRepository(draft.sql).put_withdrawal(_withdrawal(row, key, draft.at_ms))
        return row

    return stage.do(work)


def settle(stage: CampaignStage, row: PayoutRow, reference: str = "hash of it") -> None:
    """The rail has paid."""

    def work(draft: Draft) -> None:
        repository = PayoutRepository(draft.sql)
        repository.put(replace(row, state=PayoutState.CONFIRMED, ended_ms=draft.at_ms))
        repository.add_receipt(
            Receipt(
                row.id, row.rail, row.key, reference, row.asset, row.units, row.destination, row.asset, 0, 0,
                draft.at_ms, f"settle:{row.id}",
            )
        )  # fmt: skip

    stage.do(work)


def _withdrawal(row: PayoutRow, key: str, at_ms: int) -> WithdrawalRow:
    return WithdrawalRow(
        id=key,
        account=row.account,
        pool="",
        share_units=0,
        parts="[]",
        asset=row.asset,
        units=row.units,
        rail=row.rail,
        destination=row.destination,
        state=WithdrawalState.SENDING,
        reason="",
        terms_version=0,
        created_ms=at_ms,
        ready_ms=at_ms,
        burned_ms=0,
        changed_ms=at_ms,
        ended_ms=0,
        payout=row.id,
        attempt=1,
        value_units=0,
        fee_units=0,
        priced="",
    )
