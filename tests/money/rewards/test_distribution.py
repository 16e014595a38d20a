"""Rewards that are paid out without being asked for each time."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from money.rewards.reward_stage import ALICE, BOB, HMT, USDT, WORLD, Stage, held
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.group import Group, Transfer, TransferKind
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.payouts.payout import PayoutRow, PayoutState, Receipt
from mrmarket.money.payouts.repository import PayoutRepository
from mrmarket.money.rewards.delivery_repository import DeliveryRepository
from mrmarket.money.rewards.distribution import Distributor
from mrmarket.money.rewards.rows import Preference
from mrmarket.money.rewards.view import RewardState, reward_days, reward_totals, reward_trace

WISH = Preference(ALICE, USDT.id, "alice's address", "", 500, 0)


def distributor(stage: Stage) -> Distributor:
    """One over the real outbox; the rail carries USDT only."""
    return Distributor(stage.writer, Outbox(), lambda asset: "rail" if asset == USDT.id else None)


def prefer(stage: Stage, wish: Preference = WISH) -> None:
    """An account leaves its wish."""
    stage.do(lambda draft: distributor(stage).prefer(draft, wish))


def pay(stage: Stage, day: int, units: int) -> None:
    """A day's reward, half to Alice and half to Bob."""
    stage.history.steps = [held(ALICE, 1), held(BOB, 1)]
    stage.receive(f"tx{day}", units, day)
    stage.allocator.allocate_due()


def ended(stage: Stage, state: PayoutState) -> PayoutRow:
    """The rail has answered for the one payout."""
    (row,) = stage.read(lambda sql: PayoutRepository(sql).listed(list(PayoutState), ALICE, "reward", 9))
    after = replace(row, state=state, ended_ms=1)
    stage.do(lambda draft: PayoutRepository(draft.sql).put(after))
    return after


def test_rewards_are_paid_when_they_come_to_the_minimum(stage: Stage) -> None:
    """Two days make one payout, keyed by the last allocation; nothing is carried twice; Bob keeps his."""
    prefer(stage)
    pay(stage, 0, 800)
    assert distributor(stage).step().deliveries == ()
    pay(stage, 1, 200)
    (delivery,) = distributor(stage).step().deliveries
    assert (delivery.account, delivery.units) == (ALICE, 500)
    assert delivery.cause_key.endswith(f":{ALICE}")
    assert distributor(stage).step().deliveries == ()
    assert stage.do(lambda draft: draft.available(ALICE, USDT.id)) == 0
    assert stage.do(lambda draft: draft.available(BOB, USDT.id)) == 500
    assert stage.read(lambda sql: DeliveryRepository(sql).deliveries(ALICE)) == [delivery]
    assert stage.read(lambda sql: DeliveryRepository(sql).newest(5)) == [delivery]
    stage.money()


def test_states_follow_the_payout(stage: Stage) -> None:
    """Paying, then paid with its receipt; one that was refused is credit on the balance again."""
    prefer(stage)
    pay(stage, 0, 1_000)
    distributor(stage).step()

    def state() -> RewardState:
        return stage.read(lambda sql: reward_days(sql, ALICE, 0, 2**60))[0].state

    (day,) = stage.read(lambda sql: reward_days(sql, ALICE, 0, 2**60))
    assert day.state is RewardState.PAYING
    assert stage.read(lambda sql: reward_trace(sql, day.allocation)).steps[-1].state == "waiting"
    ended(stage, PayoutState.REFUSED)
    assert state() is RewardState.CREDITED
    row = ended(stage, PayoutState.CONFIRMED)
    receipt = Receipt(row.id, "rail", row.key, "0xabc", USDT.id, 500, row.destination, USDT.id, 0, 0, 5, "")
    stage.do(lambda draft: PayoutRepository(draft.sql).add_receipt(receipt))
    assert state() is RewardState.PAID
    last = stage.read(lambda sql: reward_trace(sql, day.allocation)).steps[-1]
    assert (last.state, last.at_ms) == ("done", 5)
    assert last.id.endswith("0xabc")
    (totals,) = stage.read(lambda sql: reward_totals(sql, ALICE))
    assert (totals.pending, totals.credited, totals.paid) == (0, 500, 500)


def test_money_that_was_withdrawn_meanwhile_is_not_paid_again(stage: Stage) -> None:
    """The books refuse, the round says so, and nothing is marked as carried."""
    prefer(stage)
    pay(stage, 0, 1_000)
    out = Transfer(ALICE, WORLD.id, USDT.id, 1, TransferKind.DEBIT_WITHDRAW)
    stage.do(lambda draft: draft.post(Group("out", (out,))))
    done = distributor(stage).step()
    assert done.deliveries == ()
    assert [(account, asset) for account, asset, _ in done.refused] == [(ALICE, USDT.id)]
    back = Transfer(WORLD.id, ALICE, USDT.id, 1, TransferKind.DEPOSIT)
    stage.do(lambda draft: draft.post(Group("back", (back,))))
    assert len(distributor(stage).step().deliveries) == 1


def test_a_wish_counts_from_when_it_was_made(stage: Stage) -> None:
    """What was credited before is the account's own affair; a changed address keeps the date."""
    pay(stage, 0, 5_000)
    stage.clock.advance(10**9)
    prefer(stage)
    assert distributor(stage).step().deliveries == ()
    stage.clock.advance(10**9)
    pay(stage, 1, 1_000)
    stage.clock.advance(10**9)
    prefer(stage, replace(WISH, destination="another address"))
    (delivery,) = distributor(stage).step().deliveries
    assert (delivery.units, delivery.destination) == (500, "another address")


def test_a_round_goes_through_every_page_of_wishes(stage: Stage) -> None:
    """However few a transaction looks at, everybody is paid once, and in one round."""
    names = [f"user:u{number}" for number in range(5)]
    paged = Distributor(stage.writer, Outbox(), lambda _: "rail", page=2)
    for name in names:
        prefer(stage, replace(WISH, account=name, minimum_units=1))
    stage.history.steps = [held(name, 1) for name in names]
    stage.receive("tx0", 1_000)
    stage.receive("tx1", 500, 1)
    stage.allocator.allocate_due()
    done = paged.step()
    assert [(each.account, each.units) for each in done.deliveries] == [(name, 300) for name in names]
    assert paged.step().deliveries == ()
    with stage.reader.snapshot() as sql:
        assert sql.rows("SELECT count(*) FROM reward_delivery_rows") == [(10,)]
    stage.money()


def test_a_forgotten_wish_pays_nothing(stage: Stage) -> None:
    """Rewards stay on the balance, which is the default."""
    prefer(stage)
    stage.do(lambda draft: distributor(stage).forget(draft, ALICE, USDT.id))
    pay(stage, 0, 1_000)
    assert distributor(stage).step().deliveries == ()
    assert stage.balance(ALICE) == 500


@pytest.mark.parametrize(
    "wish",
    [
        replace(WISH, asset=HMT.id),
        replace(WISH, destination=""),
        replace(WISH, minimum_units=0),
    ],
)
def test_impossible_wishes_are_refused(stage: Stage, wish: Preference) -> None:
    """An asset that no rail carries, no address, no minimum."""
    with pytest.raises(InvalidInputError):
        prefer(stage, wish)
    assert stage.read(lambda sql: DeliveryRepository(sql).preferences()) == []
