"""The six steps of a reward, at every point of its way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from campaigns.campaign_stage import CHAIN, HMT, START_MS, TOKEN, CampaignStage, offer, payout
from mrmarket.campaigns.ports import SweepState
from mrmarket.campaigns.sweeps import sweep_key
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.rewards.allocator import Allocator
from mrmarket.money.rewards.attribution import LpShare
from mrmarket.money.rewards.campaign import Campaign, Span
from mrmarket.money.rewards.distribution import Distributor
from mrmarket.money.rewards.errors import UnknownEntryError, UnknownRunError
from mrmarket.money.rewards.inputs import Sources
from mrmarket.money.rewards.integral import ShareChange, Step
from mrmarket.money.rewards.receipts import Receipt, charge_network, receive, register, retract
from mrmarket.money.rewards.rows import Preference
from mrmarket.partners.chains import payments
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.payment import Payment, PaymentState
from mrmarket.services.api.partner_schema import RewardTraceView, StepName, TraceStep
from mrmarket.services.partners.trace import trace_allocation, trace_entries, trace_entry
from mrmarket.services.partners.trace_shares import MOST_ACCOUNTS
from mrmarket.services.partners.vault_reading import LiveVault, ReadVault, VaultBook
from mrmarket.store.sql import Sql
from services.partners.reward_journey import (
    ONE,
    TEN,
    allocation,
    credit,
    enter,
    plan,
    run_of,
    settle,
    tell,
    withdraw,
)

SWEEP = sweep_key(CHAIN, TOKEN, Span(START_MS, START_MS + 60_000))


def states(view: RewardTraceView) -> list[str]:
    """How far each step is."""
    return [step.state for step in view.steps]


def step(view: RewardTraceView, name: StepName) -> TraceStep:
    """One of them."""
    return next(one for one in view.steps if one.name == name)


def of_entry(
    stage: CampaignStage, entry: str, account: str | None = None, vault: VaultBook | None = None
) -> RewardTraceView:
    """The way of an entry."""
    return stage.read(lambda sql: trace_entry(sql, entry, vault, account))


def of_part(stage: CampaignStage, account: str) -> RewardTraceView:
    """The way of somebody's part of the newest allocation."""
    name = allocation(stage, account)
    return stage.read(lambda sql: trace_allocation(sql, name))


async def test_a_payout_that_has_just_come_in_waits_for_the_vault(stage: CampaignStage) -> None:
    """The chain's own words are there: hash, chain and token; nothing has been divided."""
    entry = await enter(stage)
    view = of_entry(stage, entry.id)
    assert states(view) == ["done", "done", "waiting", "waiting", "waiting", "waiting"]
    assert (view.campaign, view.cycle, view.asset, view.amount) == (offer().id, 0, HMT.id, "10")
    assert (view.start_ms, view.end_ms, view.state) == (START_MS, START_MS + 60_000, "waiting")
    first = step(view, "transaction")
    assert (first.amount, first.asset) == ("10", "HMT")
    assert [(name.kind, name.id, name.chain_id) for name in first.ids] == [("transaction", "0x01", CHAIN)]
    assert [name.kind for name in step(view, "entry").ids] == ["entry", "group"]


async def test_a_transfer_that_is_planned_is_under_way(stage: CampaignStage) -> None:
    """Its key is told, and that the vault has not begun it."""
    entry = await enter(stage)
    plan(stage)
    transfer = step(of_entry(stage, entry.id), "transfer")
    assert (transfer.state, transfer.amount, transfer.asset) == ("now", "10", "HMT")
    assert [name.id for name in transfer.ids] == [SWEEP]
    assert "has not begun" in transfer.detail


async def test_a_transfer_that_came_to_nothing_is_tried_again(stage: CampaignStage) -> None:
    """The payout waits in the vault, and says why."""
    entry = await enter(stage)
    plan(stage)
    stage.world.sweep_state = SweepState.FAILED
    await stage.rounds.step()
    transfer = step(of_entry(stage, entry.id), "transfer")
    assert transfer.state == "waiting"
    assert "came to nothing" in transfer.detail


@pytest.mark.parametrize(
    ("state", "tx", "says"),
    [
        (PaymentState.PREPARED, "", "signed"),
        (PaymentState.BROADCAST, "", "waits for a block"),
        (PaymentState.MINED, "0xsweep", "may still be replaced"),
        (PaymentState.FINAL, "0xsweep", "has not arrived"),
        (PaymentState.UNKNOWN, "", "nobody can say"),
    ],
)
async def test_the_vaults_own_book_tells_how_far_a_transfer_is(
    stage: CampaignStage, tmp_path: Path, state: PaymentState, tx: str, says: str
) -> None:
    """Read beside the writer or through it, the same: the transaction's hash as soon as there is a block."""
    entry = await enter(stage)
    plan(stage)
    path = tmp_path / "chains.db"
    assert ReadVault.open(path) is None
    book = ChainBook.open(path)
    payment = Payment(
        SWEEP, CHAIN, "0x" + "ab" * 20, 0, TOKEN, "0x" + "cd" * 20, TEN, 60_000, state, 1, 2, tx_hash=tx
    )
    with book.transaction() as sql:
        payments.add_payment(sql, payment)
    beside = ReadVault.open(path)
    assert beside is not None
    for vault in (beside, LiveVault(book)):
        transfer = step(of_entry(stage, entry.id, vault=vault), "transfer")
        assert says in transfer.detail
        hashes = [name.id for name in transfer.ids if name.kind == "transaction"]
        assert hashes == ([tx] if tx else [])
    beside.close()
    book.close()


async def test_everybodys_shares_come_to_what_was_credited(stage: CampaignStage) -> None:
    """Allocated and credited, with the owner's fee told; the receipts wait until somebody withdraws."""
    entry = await credit(stage)
    view = of_entry(stage, entry.id)
    assert states(view) == ["done", "done", "done", "done", "done", "waiting"]
    assert step(view, "transfer").ids[-1].id == f"deposit of {SWEEP}"
    divided = step(view, "allocation")
    assert (divided.amount, divided.detail) == ("9.9", "2 accounts, fee 0.1")
    assert [name.id for name in divided.ids] == [run_of(stage).id]
    assert step(view, "credit").amount == "9.9"
    assert "0 of 2 accounts" in step(view, "receipt").detail


async def test_an_account_sees_its_own_share_alone(stage: CampaignStage) -> None:
    """By allocation and by entry it is the same; no other account's name or amount is in it."""
    entry = await credit(stage)
    mine = of_part(stage, "user:ann")
    assert (mine.amount, mine.account, mine.id) == ("7.425", "user:ann", allocation(stage, "user:ann"))
    assert step(mine, "allocation").amount == step(mine, "credit").amount == "7.425"
    assert step(mine, "receipt").state == "waiting"
    same = of_entry(stage, entry.id, "user:ann")
    assert [(one.name, one.state, one.amount) for one in same.steps] == [
        (one.name, one.state, one.amount) for one in mine.steps
    ]
    assert "bob" not in repr(mine) + repr(same)
    stranger = of_entry(stage, entry.id, "user:carol")
    assert states(stranger)[3:] == ["not needed"] * 3
    assert stranger.amount == "0"


async def test_a_withdrawal_pays_what_was_credited_first(stage: CampaignStage) -> None:
    """In part it is under way, in whole it is done, by the receipt's own name."""
    await credit(stage)
    first = withdraw(stage, "user:ann", 5 * ONE)
    assert (step(of_part(stage, "user:ann"), "receipt").state) == "now"
    settle(stage, first)
    partly = step(of_part(stage, "user:ann"), "receipt")
    assert (partly.state, partly.amount) == ("now", "5")
    assert partly.detail == "2.425 of it are still on the balance"
    assert [name.id for name in partly.ids] == ["hash of it"]
    second = withdraw(stage, "user:ann", 242_500_000, "w2")
    assert step(of_part(stage, "user:ann"), "receipt").state == "now"
    settle(stage, second, "hash of the rest")
    whole = of_part(stage, "user:ann")
    assert (step(whole, "receipt").state, step(whole, "receipt").amount, whole.state) == (
        "done",
        "7.425",
        "done",
    )
    assert [name.amount for name in step(whole, "receipt").ids] == ["5", "2.425"]


async def test_a_later_reward_is_not_paid_by_an_earlier_ones_withdrawal(stage: CampaignStage) -> None:
    """What is withdrawn pays the first credit to its end before it pays the second."""
    first = await credit(stage)
    tell(stage, payout("0x02", units=TEN, cycle=1))
    stage.pass_time(60_000)
    await stage.rounds.step()
    plan(stage)
    await stage.rounds.step()
    stage.allocator.allocate(offer().id, 1)
    settle(stage, withdraw(stage, "user:ann", 8 * ONE))
    assert step(of_entry(stage, first.id, "user:ann"), "receipt").state == "done"
    later = step(of_part(stage, "user:ann"), "receipt")
    assert (later.state, later.amount) == ("now", "0.575")
    everybody = step(of_entry(stage, first.id), "receipt")
    assert (everybody.state, everybody.detail) == ("now", "1 of 2 accounts were paid out")


async def test_a_reward_that_leaves_by_itself_has_a_payout_of_its_own(stage: CampaignStage) -> None:
    """Who asked for it is paid without withdrawing; while the rail is asked it is under way."""
    distributor = Distributor(stage.writer, Outbox(), lambda _: "mixin")
    stage.do(lambda draft: distributor.prefer(draft, Preference("user:ann", HMT.id, "ann", "", 1, 0)))
    await credit(stage)
    (delivery,) = distributor.step().deliveries
    receipt = step(of_part(stage, "user:ann"), "receipt")
    assert (receipt.state, receipt.amount) == ("now", "7.425")
    assert [name.id for name in receipt.ids] == [delivery.id]


async def test_what_the_chain_took_back_has_failed_and_is_followed_no_further(stage: CampaignStage) -> None:
    """Transaction and entry say so; nothing is divided, and nobody waits for it."""
    entry = await enter(stage)
    tell(stage, retracted=[payout(units=TEN)])
    await stage.rounds.step()
    view = of_entry(stage, entry.id)
    assert states(view) == ["failed", "failed", "not needed", "not needed", "not needed", "not needed"]
    assert view.state == "failed"


def test_a_reward_over_a_rail_needs_no_vault(stage: CampaignStage) -> None:
    """The payment is the first step, told by its own name; a payment that was taken back has failed."""

    def work(draft: Draft) -> str:
        register(draft, Campaign("by-rail", "main", START_MS, START_MS + 60_000))
        given = Receipt("rail:mixin", "payment-1", "by-rail", 0, HMT.id, ONE, START_MS)
        return receive(draft, given, Account.of(AccountKind.EXTERNAL, "world")).id

    entry = stage.do(work)
    view = of_entry(stage, entry)
    assert states(view)[:3] == ["done", "done", "not needed"]
    assert [(name.kind, name.id) for name in step(view, "transaction").ids] == [("payment", "payment-1")]
    stage.do(lambda draft: retract(draft, "rail:mixin", "payment-1"))
    assert of_entry(stage, entry).state == "failed"


async def test_two_payouts_of_a_day_are_told_together(stage: CampaignStage) -> None:
    """Their amounts add up, and every hash is there; of another day's entry nothing is."""
    await enter(stage, payout(units=TEN), payout("0x02", units=10**18))
    entries = stage.read(
        lambda sql: [row[0] for row in sql.rows("SELECT id FROM reward_entries ORDER BY seq")]
    )
    view = stage.read(lambda sql: trace_entries(sql, entries))
    assert (view.amount, step(view, "transaction").amount, step(view, "entry").amount) == ("11", "11", "11")
    assert {name.id for name in step(view, "transaction").ids} == {"0x01", "0x02"}


async def test_a_cost_of_the_way_is_told_with_the_entry(stage: CampaignStage) -> None:
    """What the transfer cost was taken out of the reward."""
    entry = await enter(stage)
    stage.do(lambda draft: charge_network(draft, entry.source, entry.ref, "gas", ONE // 2, "gas"))
    assert step(of_entry(stage, entry.id), "entry").detail == "of it 0.5 paid for the way"


class Crowd:
    """One share each for more accounts than a page can follow."""

    def changes(self, sql: Sql, pool: str, start_ms: int, end_ms: int) -> Sequence[ShareChange]:
        """From the beginning on."""
        return [Step(START_MS, f"user:u{number}", 1, 1, 1) for number in range(MOST_ACCOUNTS + 1)]


async def test_a_crowd_is_not_followed_one_by_one(stage: CampaignStage) -> None:
    """A run for more accounts than a page can follow says what to ask for instead."""
    stage.allocator = Allocator(stage.writer, stage.reader, Sources((LpShare(Crowd()),)))
    entry = await credit(stage)
    assert "ask for one allocation" in step(of_entry(stage, entry.id), "receipt").detail


def test_nobody_knows_what_never_came_in(stage: CampaignStage) -> None:
    """An entry or an allocation that does not exist is refused with the list to look at."""
    with pytest.raises(UnknownEntryError):
        of_entry(stage, "nothing")
    with pytest.raises(UnknownRunError):
        stage.read(lambda sql: trace_allocation(sql, "nothing:user:ann"))
