"""Rewards that come in over a payment rail."""

from __future__ import annotations

from msgspec.structs import replace

from money.rewards.reward_stage import ALICE, BOB, CAMPAIGN, RESERVE, START_MS, USDT, Stage, held
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, Transfer, TransferKind
from mrmarket.money.payouts.payment import Claim, Decline, Payment, Standing, suspense_account
from mrmarket.money.rewards.claims import CLAIM, reward_claimer, reward_memo, reward_releaser
from mrmarket.money.rewards.receipts import charge_network
from mrmarket.money.rewards.rows import Payer

RAIL = Account.of(AccountKind.RAIL, "rail")
SUSPENSE = suspense_account("rail")

PAYMENT = Payment(
    rail="rail",
    id="p1",
    asset_code="USDT",
    units=1_000,
    sender="someone",
    memo=reward_memo(CAMPAIGN.id, 0),
    standing=Standing.RECEIVED,
    claim="",
    ref="",
    reason="",
    receipts=1,
    booked=True,
    confirmations=1,
    required=1,
    first_ms=START_MS,
    rail_ms=START_MS,
    seen_ms=START_MS,
    received_ms=START_MS,
    settled_ms=0,
    due_ms=0,
    attempts=0,
)


def arrived(stage: Stage, payment: Payment = PAYMENT) -> None:
    """The payment is in suspense."""
    transfer = Transfer(RAIL.id, SUSPENSE.id, USDT.id, payment.units, TransferKind.DEPOSIT)
    group = Group(f"receive:{payment.name}", (transfer,), accounts=(RAIL, SUSPENSE))
    stage.do(lambda draft: draft.post(group))


def claimed(stage: Stage, payment: Payment = PAYMENT) -> Claim | Decline | None:
    """What the claimer says."""
    return stage.do(lambda draft: reward_claimer(draft, payment))


def test_a_payment_with_the_memo_is_claimed(stage: Stage) -> None:
    """It leaves suspense whole, once, and becomes an entry of the campaign's day."""
    arrived(stage)
    claim = claimed(stage)
    assert isinstance(claim, Claim)
    assert claim.kind == CLAIM
    assert claimed(stage) == claim
    assert stage.balances(SUSPENSE.id, "rewards:main") == [0, 1_000]
    (entry,) = stage.repository(lambda repository: repository.newest_entries(10))
    assert (entry.id, entry.source, entry.ref, entry.day) == (claim.ref, "rail:rail", "p1", 0)
    assert stage.repository(lambda repository: repository.entry_by_id(claim.ref)) == entry


def test_others_are_left_alone_or_sent_back(stage: Stage) -> None:
    """A memo of another kind is nobody's business here; one for an unknown campaign or day is declined."""
    arrived(stage)
    assert claimed(stage, replace(PAYMENT, memo="deposit 17")) is None
    assert isinstance(claimed(stage, replace(PAYMENT, memo="reward:unknown:0")), Decline)
    assert isinstance(claimed(stage, replace(PAYMENT, memo=reward_memo(CAMPAIGN.id, 4))), Decline)
    assert isinstance(claimed(stage, replace(PAYMENT, memo="reward:x")), Decline)
    assert stage.balance(SUSPENSE.id) == 1_000


def test_a_retracted_payment_is_given_back_while_nobody_has_it(stage: Stage) -> None:
    """Before an allocation the units return to suspense; asking twice moves nothing twice."""
    arrived(stage)
    claimed(stage)
    assert stage.do(lambda draft: reward_releaser(draft, PAYMENT)) is True
    assert stage.balances(SUSPENSE.id, "rewards:main") == [1_000, 0]
    assert stage.allocator.allocate(CAMPAIGN.id, 0)[0].total_units == 0
    assert stage.money()[0].retracted == 1_000


def test_a_retracted_payment_that_users_have_is_for_the_reserve(stage: Stage) -> None:
    """The releaser gives nothing back and writes down that the reward is gone; users keep it."""
    stage.history.steps = [held(ALICE, 1), held(BOB, 1)]
    arrived(stage)
    claimed(stage)
    stage.allocator.allocate_due()
    assert stage.do(lambda draft: reward_releaser(draft, PAYMENT)) is False
    assert stage.balances(SUSPENSE.id, ALICE, BOB, RESERVE.id) == [0, 500, 500, 0]
    (reduction,) = stage.repository(lambda repository: repository.all_reductions())
    assert reduction.payer is Payer.ELSEWHERE
    (run,) = stage.allocator.allocate_due()
    assert (run.kept_units, run.reserve_units) == (1_000, 0)
    assert stage.money()[0].charged == 1_000


def test_a_reward_that_paid_for_its_way_cannot_be_given_back_whole(stage: Stage) -> None:
    """A part went to the network, so the reserve has to pay; an unknown payment is not ours."""
    arrived(stage)
    claimed(stage)
    stage.do(lambda draft: charge_network(draft, "rail:rail", "p1", "gas", 1, "rail"))

    def release(draft: Draft) -> bool:
        return reward_releaser(draft, PAYMENT)

    assert stage.do(release) is False
    assert stage.do(lambda draft: reward_releaser(draft, replace(PAYMENT, id="p2"))) is False
    assert stage.balance("rewards:main") == 999
